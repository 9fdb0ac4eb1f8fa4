import type { TaskObservation, TaskRecord } from "./ecs-records.ts";

/**
 * A task's life as its agent tells it. Reports come late, twice and out of order, so every rule here is monotone: states only
 * rise, facts fill gaps and never change, STOPPED is final. Source: ECS Developer Guide, "Amazon ECS task lifecycle" and
 * "Stopped tasks error codes".
 */
export interface TaskReport {
  /** PENDING, RUNNING or STOPPED; anything else is no news of the state. */
  readonly status?: string;
  readonly reason?: string;
  readonly pullStartedAt?: number;
  readonly pullStoppedAt?: number;
  readonly executionStoppedAt?: number;
  readonly containers?: readonly ContainerReport[];
}

export interface ContainerReport {
  readonly name: string;
  readonly status?: string;
  readonly exitCode?: number;
  readonly reason?: string;
  readonly runtimeId?: string;
  readonly imageDigest?: string;
  readonly networkBindings?: ContainerObservation["networkBindings"];
  /** Of ExecuteCommandAgent. */
  readonly execAgent?: { readonly status?: string; readonly reason?: string };
}

export type ContainerObservation = TaskObservation["containers"][number];
export type TaskStatus = TaskObservation["lastStatus"];

const order: readonly TaskStatus[] = [
  "PROVISIONING",
  "PENDING",
  "ACTIVATING",
  "RUNNING",
  "DEACTIVATING",
  "STOPPING",
  "DEPROVISIONING",
  "STOPPED",
  "DELETED",
];
const containerOrder = ["PENDING", "RUNNING", "STOPPED"] as const;

/** What is known of a task before its agent has said anything. Not stored: an absent observation means this. */
export function initialObservation(task: TaskRecord): TaskObservation {
  return {
    lastStatus: task.waiting ? "PROVISIONING" : "PENDING",
    version: 0,
    containers: task.containers.map(({ name }) => ({ name, lastStatus: "PENDING" })),
  };
}

export function isStopped(observation: TaskObservation | undefined): boolean {
  return observation !== undefined && (observation.lastStatus === "STOPPED" || observation.lastStatus === "DELETED");
}

/** The observation after `report`, or undefined when it brings nothing new. */
export function observe(
  task: TaskRecord,
  previous: TaskObservation | undefined,
  report: TaskReport,
  now: number,
): TaskObservation | undefined {
  const before = previous ?? initialObservation(task);
  const lastStatus = later(order, before.lastStatus, report.status);
  const stopped = lastStatus === "STOPPED" || lastStatus === "DELETED";
  const reports = new Map((report.containers ?? []).map((container) => [container.name, container]));
  const containers = before.containers.map((container) => observeContainer(container, reports.get(container.name), stopped, now));
  const essentialStopped = task.containers.some(
    ({ name, essential }) => essential && containers.find((container) => container.name === name)?.lastStatus === "STOPPED",
  );
  const startedAt = before.startedAt ?? (lastStatus === "RUNNING" ? now : undefined);
  const stopping = stopped || essentialStopped;
  const stop = stopping && before.stopCode === undefined ? stopOf(task, startedAt !== undefined, containers, report.reason) : undefined;
  const after: TaskObservation = {
    ...before,
    lastStatus,
    containers,
    pullStartedAt: before.pullStartedAt ?? report.pullStartedAt,
    pullStoppedAt: before.pullStoppedAt ?? report.pullStoppedAt,
    executionStoppedAt:
      before.executionStoppedAt ?? report.executionStoppedAt ?? (essentialStopped && !isStopped(before) ? now : undefined),
    startedAt,
    connectivityAt: before.connectivityAt ?? now,
    stoppingAt: before.stoppingAt ?? (stopping ? (task.stop?.at ?? now) : undefined),
    stoppedAt: before.stoppedAt ?? (stopped ? now : undefined),
    stopCode: before.stopCode ?? stop?.code,
    reason: before.reason ?? stop?.reason,
  };
  return same(before, after) ? undefined : { ...after, version: before.version + 1 };
}

/** Ends a task whose agent will not say any more (its instance is gone). Undefined when it has already ended. */
export function abandon(
  task: TaskRecord,
  previous: TaskObservation | undefined,
  stop: { readonly code: string; readonly reason: string },
  now: number,
): TaskObservation | undefined {
  const before = previous ?? initialObservation(task);
  if (isStopped(before)) return undefined;
  return {
    ...before,
    lastStatus: "STOPPED",
    version: before.version + 1,
    containers: before.containers.map((container) => ({ ...container, lastStatus: "STOPPED" })),
    stoppingAt: before.stoppingAt ?? task.stop?.at ?? now,
    stoppedAt: now,
    stopCode: before.stopCode ?? task.stop?.code ?? stop.code,
    reason: before.reason ?? task.stop?.reason ?? stop.reason,
  };
}

/** The observation with the agent's word on health checks, or undefined when it changes nothing or the task has stopped. */
export function observeHealth(
  task: TaskRecord,
  previous: TaskObservation | undefined,
  health: ReadonlyMap<string, string>,
): TaskObservation | undefined {
  const before = previous ?? initialObservation(task);
  if (isStopped(before)) return undefined;
  let changed = false;
  const containers = before.containers.map((container) => {
    const healthStatus = health.get(container.name);
    if (healthStatus !== "HEALTHY" && healthStatus !== "UNHEALTHY" && healthStatus !== "UNKNOWN") return container;
    if (healthStatus === (container.healthStatus ?? "UNKNOWN")) return container;
    changed = true;
    return { ...container, healthStatus } as const;
  });
  return changed ? { ...before, containers, version: before.version + 1 } : undefined;
}

/** What the API shows as `desiredStatus`: a task that ends by itself is also to stop. */
export function desiredStatus(task: TaskRecord, observation: TaskObservation | undefined): "RUNNING" | "STOPPED" {
  return task.desiredStatus === "STOPPED" || observation?.stoppingAt !== undefined || isStopped(observation) ? "STOPPED" : "RUNNING";
}

/** The task's `healthStatus`: of its essential containers with a health check, UNKNOWN without any. */
export function taskHealth(task: TaskRecord, observation: TaskObservation | undefined): "HEALTHY" | "UNHEALTHY" | "UNKNOWN" {
  const checked = task.containers.filter(({ essential, healthCheck }) => essential && healthCheck);
  const states = checked.map(({ name }) => observation?.containers.find((c) => c.name === name)?.healthStatus ?? "UNKNOWN");
  if (states.includes("UNHEALTHY")) return "UNHEALTHY";
  return states.length > 0 && states.every((state) => state === "HEALTHY") ? "HEALTHY" : "UNKNOWN";
}

function observeContainer(
  before: ContainerObservation,
  report: ContainerReport | undefined,
  taskStopped: boolean,
  now: number,
): ContainerObservation {
  const lastStatus = taskStopped ? "STOPPED" : later(containerOrder, before.lastStatus, report?.status);
  if (!report) return lastStatus === before.lastStatus ? before : { ...before, lastStatus };
  return {
    ...before,
    lastStatus,
    exitCode: before.exitCode ?? report.exitCode,
    reason: before.reason ?? text(report.reason),
    runtimeId: before.runtimeId ?? text(report.runtimeId),
    imageDigest: before.imageDigest ?? text(report.imageDigest),
    networkBindings: before.networkBindings ?? (report.networkBindings?.length ? report.networkBindings : undefined),
    ...(report.execAgent ? { execAgent: observeAgent(before.execAgent, report.execAgent, now) } : {}),
  };
}

function observeAgent(
  before: ContainerObservation["execAgent"],
  report: NonNullable<ContainerReport["execAgent"]>,
  now: number,
): ContainerObservation["execAgent"] {
  const lastStatus = later(containerOrder, before?.lastStatus ?? "PENDING", report.status);
  const startedAt = before?.startedAt ?? (lastStatus === "RUNNING" ? now : undefined);
  const reason = before?.reason ?? text(report.reason);
  return { lastStatus, ...(startedAt === undefined ? {} : { startedAt }), ...(reason === undefined ? {} : { reason }) };
}

function stopOf(
  task: TaskRecord,
  started: boolean,
  containers: readonly ContainerObservation[],
  agentReason: string | undefined,
): { code: string; reason: string } {
  if (task.stop) return task.stop;
  const essential = new Set(task.containers.filter((container) => container.essential).map(({ name }) => name));
  const exited = containers.some(({ name, exitCode }) => essential.has(name) && exitCode !== undefined);
  if (started || exited) return { code: "EssentialContainerExited", reason: "Essential container in task exited" };
  // AWS's own "Task failed to start" says nothing; where a container names its error, that is the reason.
  const failure = text(agentReason) ?? containers.find(({ reason }) => reason && /^[A-Za-z]+Error\b/.test(reason))?.reason;
  return { code: "TaskFailedToStart", reason: failure ?? "Task failed to start" };
}

function later<T extends string>(ranking: readonly T[], before: T, report: string | undefined): T {
  const rank = ranking.indexOf(report as T);
  return rank > ranking.indexOf(before) ? (report as T) : before;
}

function text(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
