import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { AgentConfig } from "../config.ts";
import type { Journal } from "../journal.ts";
import type { LogDrivers } from "../logs/drivers.ts";
import type { Network } from "../network/network.ts";
import type { Runtime } from "../runtime.ts";
import type { ServiceConnect } from "../service-connect/service-connect.ts";
import type { TaskStorage } from "../storage/storage.ts";
import type { ContainerPlan, TaskPlan } from "./plan.ts";
import type { TaskState } from "./state.ts";

/** Everything outside a task that its steps touch. One for the whole agent. */
export interface World {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly runtime: Runtime;
  readonly cgroups: TaskCgroups;
  readonly storage: TaskStorage;
  readonly network: Network;
  readonly logs: LogDrivers;
  readonly journal: Journal;
  readonly registry: RegistryLogins;
  readonly connect: ServiceConnect;
  readonly secrets: TaskSecrets;
  /** Variables that tell the container where its metadata and credentials are. */
  readonly metadataVariables: (plan: TaskPlan, task: TaskState, container: ContainerPlan) => Record<string, string>;
  /** ARN of the instance's cluster, for labels and log tags. */
  readonly cluster: () => string;
}

/** The cgroup of a task, parent of its containers' (src/agent/cgroups). */
export interface TaskCgroups {
  /** Makes it, or sets the limits anew. `path` is `/gantry-<instance>/<task>`. */
  ensure(path: string, limits: { readonly cpus?: number; readonly memoryMiB?: number; readonly pids?: number }): Promise<void>;
  /** No error when it is gone. */
  remove(path: string): Promise<void>;
}

export interface RegistryLogins {
  /** What `ensure` is to log in with, or undefined for an anonymous pull. The function throws StepError when the execution role does not get it. */
  credentials(
    plan: TaskPlan,
    container: ContainerPlan,
    signal?: AbortSignal,
  ): (() => Promise<{ readonly username: string; readonly password: string } | undefined>) | undefined;
}

/** What tasks' definitions name by `secrets`, `secretOptions` and `repositoryCredentials`: in memory only (src/agent/secrets). */
export interface TaskSecrets {
  /** The same values as long as the task lives. Throws StepError `ResourceInitializationError`. */
  of(
    plan: TaskPlan,
    container: ContainerPlan,
    signal?: AbortSignal,
  ): Promise<{ readonly environment: Readonly<Record<string, string>>; readonly logOptions: Readonly<Record<string, string>> }>;
  /** Of a private registry; undefined when the definition names none. Throws StepError `ResourceInitializationError`. */
  registryLogin(
    plan: TaskPlan,
    container: ContainerPlan,
    signal?: AbortSignal,
  ): Promise<{ readonly username: string; readonly password: string } | undefined>;
  /** The task has ended. */
  forget(taskArn: string): void;
}

/** What a step is given: the task as it is now, never a copy that grows old. */
export interface TaskContext {
  readonly plan: TaskPlan;
  readonly world: World;
  readonly log: Logger;
  readonly state: () => TaskState;
}

/** Where the task's files lie: `<dataDir>/tasks/<task>/`, and each container's beneath. */
export function taskDirectory(world: World, plan: TaskPlan): string {
  return `${world.config.dataDir}/tasks/${plan.id}`;
}

export function containerDirectory(world: World, plan: TaskPlan, container: string): string {
  return `${taskDirectory(world, plan)}/${container}`;
}

/** Shared with the task's proxy. */
export function connectDirectory(world: World, plan: TaskPlan): string {
  return `${taskDirectory(world, plan)}/.connect`;
}

export function taskCgroup(world: World, plan: TaskPlan): string {
  return `/gantry-${world.config.instance}/${plan.id}`;
}
