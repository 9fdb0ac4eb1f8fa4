import { elbKeys } from "#model/elb-keys.ts";
import { drainMs } from "#model/elb-attributes.ts";
import type { TargetGroupRecord, TargetHealthRecord, TargetRecord } from "#model/elb-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { TaskLoadBalancer, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import type { Unit } from "#store/unit.ts";
import { deregisterTarget, registerTarget } from "./load-balancers/targets.ts";

/** A task behind load balancers: registered when it runs, in the transaction that says so; deregistered when it is to stop, and stopped once it has drained. */
export interface TaskTarget {
  /** The target group's id. */
  readonly group: string;
  readonly arn: string;
  readonly id: string;
  readonly port: number;
}

/** Where the task's containers are reached, for each of its target groups; empty until that is known. Pure. */
export function targetsOf(task: TaskRecord, observation: TaskObservation | undefined): TaskTarget[] {
  return (task.loadBalancers ?? []).flatMap(({ group, arn, container, port, targetType }) => {
    if (targetType === "ip") return task.network ? [{ group, arn, id: task.network.privateIp, port }] : [];
    const seen = observation?.containers.find(({ name }) => name === container);
    const binding = seen?.networkBindings?.find(({ containerPort }) => containerPort === port);
    return task.ec2InstanceId !== undefined && binding?.hostPort !== undefined
      ? [{ group, arn, id: task.ec2InstanceId, port: binding.hostPort }]
      : [];
  });
}

/** The task runs. */
export async function registerTargets(
  unit: Unit,
  scope: Scope,
  task: TaskRecord,
  observation: TaskObservation,
  now: number,
): Promise<void> {
  for (const { group, id, port } of targetsOf(task, observation)) {
    const zone = task.availabilityZone;
    await registerTarget(unit, scope, group, { id, port, ...(zone === undefined ? {} : { availabilityZone: zone }) }, now);
  }
}

/** The task is to stop, or has begun to. */
export async function deregisterTargets(
  unit: Unit,
  scope: Scope,
  task: TaskRecord,
  observation: TaskObservation | undefined,
  now: number,
): Promise<void> {
  for (const { group, ...target } of targetsOf(task, observation)) await deregisterTarget(unit, scope, group, target, now);
}

/** When the last of its targets has drained: 0 when none is left, Infinity while one of them is not even deregistered. */
export async function drainedAt(
  store: Pick<Store, "get">,
  scope: Scope,
  task: TaskRecord,
  observation: TaskObservation | undefined,
): Promise<number> {
  let at = 0;
  for (const { group, id, port } of targetsOf(task, observation)) {
    const target = (await store.get<TargetRecord>(elbKeys.target(scope, group, id, port)))?.value;
    const record = (await store.get<TargetGroupRecord>(elbKeys.targetGroup(scope, group)))?.value;
    if (!target || !record) continue;
    at = Math.max(at, target.deregisteringAt === undefined ? Number.POSITIVE_INFINITY : target.deregisteringAt + drainMs(record));
  }
  return at;
}

/** What the load balancers say of a task's targets together. Pure. */
export interface TargetsFacts {
  readonly healthy: boolean;
  /** When the last of them became healthy. */
  readonly healthyAt: number;
  /** Health checks fail: the target group's ARN. */
  readonly failing: string | undefined;
}

export function targetsFacts(
  targets: readonly TaskTarget[],
  expected: number,
  health: (target: TaskTarget) => TargetHealthRecord | undefined,
): TargetsFacts {
  let healthyAt = 0;
  let healthy = targets.length === expected;
  let failing: string | undefined;
  for (const target of targets) {
    const seen = health(target);
    if (seen?.state === "healthy") healthyAt = Math.max(healthyAt, seen.changedAt);
    else healthy = false;
    if (seen?.state === "unhealthy") failing ??= target.arn;
  }
  return { healthy, healthyAt, failing };
}

/** A service's load balancers as its tasks keep them. Those whose target group is gone are left out: their tasks run without. */
export async function taskLoadBalancers(store: Pick<Store, "get">, scope: Scope, given: readonly unknown[]): Promise<TaskLoadBalancer[]> {
  const found: TaskLoadBalancer[] = [];
  for (const { targetGroupArn = "", containerName = "", containerPort = 0 } of given as readonly GivenLoadBalancer[]) {
    const group = targetGroupArn.slice(targetGroupArn.lastIndexOf("/") + 1);
    const record = (await store.get<TargetGroupRecord>(elbKeys.targetGroup(scope, group)))?.value;
    if (!record || record.targetType === "alb") continue;
    const slowStartSeconds = Number(record.attributes["slow_start.duration_seconds"] ?? 0);
    found.push({ group, arn: record.arn, targetType: record.targetType, container: containerName, port: containerPort, slowStartSeconds });
  }
  return found;
}

interface GivenLoadBalancer {
  readonly targetGroupArn?: string;
  readonly containerName?: string;
  readonly containerPort?: number;
}
