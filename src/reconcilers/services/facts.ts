import type { ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord, ServiceStateRecord, TaskSetRecord } from "#model/service-records.ts";
import type { TargetsFacts } from "../task-targets.ts";
import type { AlarmFacts } from "./deployment-alarms.ts";
import type { ScaleInRules } from "./scale-in.ts";
import { desiredStatus, isStopped, taskHealth } from "#model/task-state.ts";

/** Everything that is known of one service when it is decided about. */
export interface ServiceSnapshot {
  readonly service: ServiceRecord;
  readonly state: ServiceStateRecord | undefined;
  readonly deployments: readonly DeploymentRecord[];
  readonly taskSets: readonly TaskSetRecord[];
  readonly tasks: readonly TaskFacts[];
  readonly rules: ScaleInRules;
  /** Daemon services only: the instances that it belongs on. */
  readonly homes?: readonly string[];
  /** Zones that could take one more of its tasks; asked for only where zones are balanced. */
  readonly openZones?: () => ReadonlySet<string>;
  /** Why traffic can't be shifted; asked for only while it is to be. */
  readonly trafficProblem?: string;
  /** Of the alarms of the deployment that is open, where it has any. */
  readonly alarms?: AlarmFacts;
}

export interface InstanceFacts {
  readonly status: ContainerInstanceRecord["status"];
  /** Its agent has been silent for longer than a restart takes. */
  readonly lost: boolean;
  /** Nothing runs there but tasks of daemon services. */
  readonly onlyDaemons: boolean;
}

/** A task of a service as the service sees it. Every flag is of now. */
export interface TaskFacts {
  readonly id: string;
  /** `startedBy`: its deployment or task set. */
  readonly group: string;
  readonly instance: string;
  readonly zone: string;
  readonly createdAt: number;
  readonly resources: { readonly cpu: number; readonly memory: number };
  readonly phase: "pending" | "running" | "stopping" | "stopped";
  /** An essential container has a health check. */
  readonly checked: boolean;
  /** It runs, and its essential containers with a health check are HEALTHY. */
  readonly healthy: boolean;
  /** It may stand in for another: healthy, and where no health check says so, for half a second already. */
  readonly ready: boolean;
  /** An essential container is UNHEALTHY, and the grace period is over. */
  readonly unhealthy: boolean;
  /** When its slow start is over. */
  readonly settlesAt?: number;
  /** What fails: said of the task that is stopped for it. */
  readonly unhealthyReason?: string;
  readonly draining: boolean;
  /** Nothing is known of it: its instance is silent or gone. */
  readonly lost: boolean;
  readonly protectedUntil: number;
  readonly onlyDaemons: boolean;
  readonly startedAt?: number;
  /** It ended, or began to end, by itself: never ran, ran only for a moment, or failed its health checks. */
  readonly failedAt?: number;
  /** It ended, or began to end, and not because the scheduler had no more use for it. */
  readonly endedAt?: number;
}

/** A task that ends by itself sooner than this never really ran. */
export const settledMs = 10_000;

/**
 * Without a health check a task counts as healthy the moment it runs, also one that ends in the next: so long it must have run before another is stopped for
 * it. AWS waits 40 seconds for that.
 */
export const readyMs = 500;

/** What the scheduler says of a task that it stops for its health; told apart from other stops by it. */
export const healthReason = "Task failed container health checks";
/** `group`: the target group's ARN. */
export const targetReason = (group: string) => `Task failed ELB health checks in (target-group ${group})`;
export const isHealthReason = (reason: string | undefined) =>
  reason !== undefined && /^Task failed (container|ELB) health checks/.test(reason);

export function factsOf(
  task: TaskRecord,
  observation: TaskObservation | undefined,
  instance: InstanceFacts | undefined,
  protectedUntil: number,
  graceSeconds: number,
  now: number,
  targets?: TargetsFacts,
): TaskFacts {
  const stopped = isStopped(observation);
  const stopping = !stopped && desiredStatus(task, observation) === "STOPPED";
  const running = observation?.lastStatus === "RUNNING";
  const startedAt = observation?.startedAt;
  const health = taskHealth(task, observation);
  const checked = task.containers.some(({ essential, healthCheck }) => essential && healthCheck);
  const healthy = running && !stopping && (!checked || health === "HEALTHY") && (targets?.healthy ?? true);
  const graceOver = now >= (startedAt ?? now) + graceSeconds * 1000;
  const ill = health === "UNHEALTHY" ? healthReason : targets?.failing && targetReason(targets.failing);
  const failing = running && !stopping && graceOver ? ill : undefined;
  // Behind load balancers it is they who say when it serves, and a slow start has to be over.
  const slowStart = Math.max(0, ...(task.loadBalancers ?? []).map(({ slowStartSeconds }) => slowStartSeconds)) * 1000;
  const settled = targets ? now >= targets.healthyAt + slowStart : now >= (startedAt ?? now) + readyMs;
  return {
    id: task.id,
    group: task.startedBy ?? "",
    instance: task.containerInstanceId,
    zone: task.availabilityZone ?? "",
    createdAt: task.createdAt,
    resources: task.resources,
    phase: stopped ? "stopped" : stopping ? "stopping" : running ? "running" : "pending",
    checked,
    healthy,
    ready: healthy && ((checked && !targets) || settled),
    unhealthy: failing !== undefined,
    ...(failing === undefined ? {} : { unhealthyReason: failing }),
    ...(targets?.healthy && slowStart > 0 && !settled ? { settlesAt: targets.healthyAt + slowStart } : {}),
    draining: instance?.status === "DRAINING",
    lost: instance === undefined || instance.lost || instance.status === "INACTIVE",
    protectedUntil,
    onlyDaemons: instance?.onlyDaemons ?? false,
    startedAt,
    failedAt: stopped || stopping ? failedAt(task, observation) : undefined,
    endedAt: stopped || stopping ? endedAt(task, observation) : undefined,
  };
}

/** Where tasks of the same deployment have just failed, one without a health check has to run for longer before another is stopped for it. */
export function distrusted(task: TaskFacts, now: number): TaskFacts {
  return task.checked || !task.ready || now >= (task.startedAt ?? now) + settledMs ? task : { ...task, ready: false };
}

function endedAt(task: TaskRecord, observation: TaskObservation | undefined): number | undefined {
  if (task.stop?.code === "ServiceSchedulerInitiated" && !isHealthReason(task.stop.reason)) return undefined;
  return observation?.stoppingAt ?? observation?.stoppedAt ?? task.stop?.at;
}

function failedAt(task: TaskRecord, observation: TaskObservation | undefined): number | undefined {
  const at = observation?.stoppingAt ?? observation?.stoppedAt ?? task.stop?.at;
  if (task.stop && isHealthReason(task.stop.reason)) return task.stop.at;
  if (task.stop && task.stop.code !== "TaskFailedToStart") return undefined;
  if (observation?.stopCode === "UserInitiated" || observation?.stopCode === "ServiceSchedulerInitiated") return undefined;
  const started = observation?.startedAt;
  if (started === undefined) return at;
  return at !== undefined && at - started < settledMs ? at : undefined;
}
