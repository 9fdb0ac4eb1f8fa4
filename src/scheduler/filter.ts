import type { PlacementRequest, Rejection } from "./types.ts";
import type { Trial } from "./trial.ts";

/** Why one more task of `request` cannot go on this node, or undefined when it can. The first obstacle counts, the lasting ones first. */
export function obstacle(trial: Trial, request: PlacementRequest): Rejection | undefined {
  const { node } = trial;
  const reject = (reason: string, detail: string): Rejection => ({ node, reason, detail: `${node.ec2InstanceId}: ${detail}` });
  if (node.status !== "ACTIVE") return reject(node.status === "INACTIVE" ? "INACTIVE" : node.status, `the instance is ${node.status}`);
  if (!node.connected) return reject("AGENT", "the instance's agent is not connected");
  for (const { name, value } of request.requiredAttributes) {
    const has = node.attributes.get(name);
    if (has === undefined) return reject("ATTRIBUTE", `the task needs the attribute ${name}, which the instance does not have`);
    if (value !== undefined && value !== "" && has !== value)
      return reject(
        "ATTRIBUTE",
        `the task needs the attribute ${name}=${value}, the instance has ${has === "" ? "it without a value" : has}`,
      );
  }
  for (const constraint of request.constraints) {
    if (constraint.type === "distinctInstance") {
      if (trial.ofGroup > 0)
        return reject("DistinctInstance placement constraint unsatisfied.", `it already runs a task of the group ${request.group}`);
    } else if (!constraint.matches(node)) {
      return reject("MemberOf placement constraint unsatisfied.", `the instance does not match: ${constraint.expression}`);
    }
  }
  return lacking(trial, request, reject);
}

function lacking(
  trial: Trial,
  { resources }: PlacementRequest,
  reject: (reason: string, detail: string) => Rejection,
): Rejection | undefined {
  const { capacity, usage } = trial.node;
  if (trial.cpu + resources.cpu > capacity.cpu)
    return reject("RESOURCE:CPU", `the task needs ${resources.cpu} CPU units, ${capacity.cpu - trial.cpu} of ${capacity.cpu} are free`);
  if (trial.memory + resources.memory > capacity.memory)
    return reject(
      "RESOURCE:MEMORY",
      `the task needs ${resources.memory} MiB, ${capacity.memory - trial.memory} of ${capacity.memory} are free`,
    );
  const taken = [
    ...resources.portsTcp
      .filter((port) => usage.portsTcp.has(port) || trial.portsTcp.has(port) || capacity.portsTcp.includes(port))
      .map((port) => `${port}/tcp`),
    ...resources.portsUdp
      .filter((port) => usage.portsUdp.has(port) || trial.portsUdp.has(port) || capacity.portsUdp.includes(port))
      .map((port) => `${port}/udp`),
  ];
  if (taken.length > 0) return reject("RESOURCE:PORTS", `the task needs the host ports ${taken.join(", ")}, which are taken`);
  const gpus = capacity.gpus?.length ?? 0;
  if (resources.gpuCount && trial.gpus + resources.gpuCount > gpus)
    return reject("RESOURCE:GPU", `the task needs ${resources.gpuCount} GPUs, ${gpus - trial.gpus} of ${gpus} are free`);
  return undefined;
}
