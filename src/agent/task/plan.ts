import type { DockerContainerConfig, DockerHostConfig, PayloadContainer, PayloadTask } from "#agent-protocol/messages.ts";
import type { ElasticNetworkInterface } from "#agent-protocol/vpc.ts";
import type { AgentConfig } from "../config.ts";
import type { HealthCheck } from "../steps/health-state.ts";
import { findCycle } from "./decide.ts";
import type { ContainerRules } from "./state.ts";

/** A payload read once: Docker's JSON texts parsed, overrides applied, defaults filled in. Made anew from the journaled payload after a restart. */
export interface TaskPlan {
  readonly arn: string;
  /** The last part of the ARN. */
  readonly id: string;
  readonly payload: PayloadTask;
  readonly networkMode: "bridge" | "host" | "none" | "awsvpc";
  /** Of a task in mode awsvpc: its one interface. */
  readonly networkInterface: ElasticNetworkInterface | undefined;
  readonly rules: readonly ContainerRules[];
  readonly containers: ReadonlyMap<string, ContainerPlan>;
}

export interface ContainerPlan {
  readonly name: string;
  readonly definition: PayloadContainer;
  readonly config: DockerContainerConfig;
  readonly host: DockerHostConfig;
  readonly command: readonly string[] | undefined;
  readonly entryPoint: readonly string[] | undefined;
  readonly privileged: boolean;
  readonly healthCheck: HealthCheck | undefined;
  readonly logging: { readonly driver: string; readonly options: Readonly<Record<string, string>> };
  /** Container name and the name under which it is seen. */
  readonly links: readonly { readonly container: string; readonly alias: string }[];
}

/** The task can't be run here; the message is the reason that it is reported STOPPED with. */
export class PlanError extends Error {}

type PlanConfig = Pick<AgentConfig, "stopTimeoutMs" | "loggingDrivers" | "privilegedDisabled">;

export function planTask(payload: PayloadTask, config: PlanConfig): TaskPlan {
  if (!Array.isArray(payload.containers) || payload.containers.length === 0) throw new PlanError("The task has no containers");
  const plans = payload.containers.map((definition) => planContainer(definition, config));
  const names = new Set(plans.map(({ name }) => name));
  if (names.size !== plans.length) throw new PlanError("Two containers of the task have the same name");
  const proxy = payload.serviceConnect?.container;
  if (proxy !== undefined && !names.has(proxy)) throw new PlanError("The task's Service Connect names no container of it");
  const rules = plans.map((plan) => afterProxy(rulesOf(plan, config), proxy));
  const cycle = findCycle(rules);
  if (cycle) throw new PlanError(`The containers depend on each other in a circle: ${cycle.join(" -> ")}`);
  const networkMode = networkModeOf(payload, plans);
  return {
    arn: payload.arn,
    id: payload.arn.slice(payload.arn.lastIndexOf("/") + 1),
    payload,
    networkMode,
    networkInterface: networkMode === "awsvpc" ? networkInterfaceOf(payload) : undefined,
    rules,
    containers: new Map(plans.map((plan) => [plan.name, plan])),
  };
}

function networkModeOf(payload: PayloadTask, plans: readonly ContainerPlan[]): TaskPlan["networkMode"] {
  const modes = new Set(plans.map(({ host }) => host.NetworkMode || payload.networkMode || "bridge"));
  const mode = modes.size === 1 ? [...modes][0] : undefined;
  if (mode === "bridge" || mode === "default") return "bridge";
  if (mode === "host" || mode === "none" || mode === "awsvpc") return mode;
  throw new PlanError(`ResourceInitializationError: network mode ${[...modes].join(", ")} is not supported`);
}

function networkInterfaceOf({ elasticNetworkInterfaces: list = [] }: PayloadTask): ElasticNetworkInterface {
  const [first] = list.toSorted((a, b) => a.index - b.index);
  if (!first?.ec2Id || !first.ipv4Addresses?.length)
    throw new PlanError("ResourceInitializationError: the task is of network mode awsvpc, and no network interface was given to it");
  return first;
}

function planContainer(definition: PayloadContainer, config: PlanConfig): ContainerPlan {
  const name = definition.name;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}$/.test(name ?? "")) throw new PlanError(`Not a container name: ${name}`);
  const docker = parse<DockerContainerConfig>(name, definition.dockerConfig?.config);
  const host = parse<DockerHostConfig>(name, definition.dockerConfig?.hostConfig);
  const overrides = parse<{ command?: readonly string[] }>(name, definition.overrides);
  const privileged = host.Privileged ?? definition.privileged ?? false;
  if (privileged && config.privilegedDisabled) throw new PlanError(`Container ${name} is privileged, which ECS_DISABLE_PRIVILEGED forbids`);
  const driver = host.LogConfig?.Type || "json-file";
  if (!config.loggingDrivers.includes(driver)) {
    throw new PlanError(
      `CannotCreateContainerError: logging driver ${driver} is not available; this agent has ${config.loggingDrivers.join(", ")}`,
    );
  }
  return {
    name,
    definition,
    config: docker,
    host,
    command: nonEmpty(overrides.command) ?? nonEmpty(definition.command),
    entryPoint: nonEmpty(definition.entryPoint),
    privileged,
    healthCheck: healthCheckOf(definition, docker),
    logging: { driver, options: host.LogConfig?.Config ?? {} },
    links: (definition.links ?? []).map((link) => {
      const [container = "", alias = container] = link.split(":");
      return { container, alias };
    }),
  };
}

function rulesOf({ definition, links }: ContainerPlan, config: PlanConfig): ContainerRules {
  const { restartPolicy } = definition;
  return {
    name: definition.name,
    essential: definition.essential ?? true,
    dependsOn: [
      ...(definition.dependsOn ?? []).map(({ containerName, condition }) => ({ container: containerName, condition })),
      ...links.map(({ container }) => ({ container, condition: "START" as const })),
      ...(definition.volumesFrom ?? []).map(({ sourceContainer }) => ({ container: sourceContainer, condition: "CREATED" as const })),
    ],
    startTimeoutMs: definition.startTimeout ? definition.startTimeout * 1000 : undefined,
    stopTimeoutMs: definition.stopTimeout ? definition.stopTimeout * 1000 : config.stopTimeoutMs,
    restart: restartPolicy?.enabled
      ? { ignoredExitCodes: restartPolicy.ignoredExitCodes ?? [], periodMs: (restartPolicy.restartAttemptPeriod ?? 300) * 1000 }
      : undefined,
  };
}

/** The proxy is there before all others, and ends after them. */
function afterProxy(rules: ContainerRules, proxy: string | undefined): ContainerRules {
  if (proxy === undefined || rules.name === proxy) return rules;
  return { ...rules, dependsOn: [{ container: proxy, condition: "START" }, ...rules.dependsOn] };
}

/** Docker's HealthConfig: times in nanoseconds, zero means the default (30 s, 30 s in Docker but 5 s in ECS, 3 retries, no start period). */
function healthCheckOf(definition: PayloadContainer, { Healthcheck }: DockerContainerConfig): HealthCheck | undefined {
  if (definition.healthCheckType !== "docker" || !Healthcheck) return undefined;
  const [kind, ...rest] = Healthcheck.Test ?? [];
  const args = kind === "CMD-SHELL" ? ["/bin/sh", "-c", rest.join(" ")] : kind === "CMD" ? rest : undefined;
  if (!args || args.length === 0) return undefined;
  const ms = (nanoseconds: number | undefined, fallback: number) => (nanoseconds ? nanoseconds / 1e6 : fallback);
  return {
    args,
    intervalMs: ms(Healthcheck.Interval, 30_000),
    timeoutMs: ms(Healthcheck.Timeout, 5_000),
    retries: Healthcheck.Retries || 3,
    startPeriodMs: ms(Healthcheck.StartPeriod, 0),
  };
}

function nonEmpty(list: readonly string[] | undefined): readonly string[] | undefined {
  return list?.length ? list : undefined;
}

function parse<T extends object>(name: string, text: string | undefined): Partial<T> {
  if (!text) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (value !== null && typeof value === "object") return value as Partial<T>;
  } catch {
    // Said below.
  }
  throw new PlanError(`The definition of container ${name} carries text that is not a JSON object`);
}
