import type { ContainerDefinition } from "@aws-sdk/client-ecs";
import { ecsErrors } from "../errors.ts";

const conditions = ["START", "COMPLETE", "SUCCESS", "HEALTHY"];

/** dependsOn, links and volumesFrom must name containers of the task and have no circle. Source: ECS API Reference, ContainerDependency. */
export function checkDependencies(containers: readonly ContainerDefinition[]): void {
  const { client } = ecsErrors;
  const byName = new Map(containers.map((container) => [container.name ?? "", container]));
  for (const { name, dependsOn, links } of containers) {
    for (const { containerName = "", condition } of dependsOn ?? []) {
      const target = byName.get(containerName);
      if (!target) throw client(`Cannot depend on container + '${containerName}' because it does not exist`);
      if (!conditions.includes(condition ?? ""))
        throw client(`Invalid 'dependsOn' setting for container '${name}'. Condition must be one of ${conditions.join(", ")}.`);
      if (condition === "HEALTHY" && !target.healthCheck)
        throw client("A dependency container with HEALTHY condition must have health check configured");
      if ((condition === "COMPLETE" || condition === "SUCCESS") && target.essential !== false)
        throw client("A dependency container with SUCCESS or COMPLETE condition cannot be an essential container");
    }
    for (const link of links ?? []) {
      const target = link.split(":")[0] ?? "";
      if (!byName.has(target) || target === name)
        throw client(
          `Invalid 'links' setting for container '${name}'. The container '${target}' is not another container of the task definition.`,
        );
    }
  }
  const settled = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    if (path.includes(name)) throw client(`Dependency cycle: ${[...path.slice(path.indexOf(name)), name].join(" -> ")}`);
    if (settled.has(name)) return;
    const container = byName.get(name);
    const next = [
      ...(container?.dependsOn ?? []).map(({ containerName = "" }) => containerName),
      ...(container?.links ?? []).map((link) => link.split(":")[0] ?? ""),
      ...(container?.volumesFrom ?? []).map(({ sourceContainer = "" }) => sourceContainer),
    ];
    for (const each of next) visit(each, [...path, name]);
    settled.add(name);
  };
  for (const name of byName.keys()) visit(name, []);
}
