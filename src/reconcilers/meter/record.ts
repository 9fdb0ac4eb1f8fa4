import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { meterKeys } from "#model/cost/records.ts";
import { instanceUsage, machineOf, spanOf, taskUsage } from "#model/cost/usage.ts";
import type { Unit } from "#store/unit.ts";

/**
 * A stopped task's usage, in the transaction that makes it STOPPED: a task stops once, so it is metered once, whatever crashes. The key is made of the task, so
 * writing it again changes nothing.
 */
export async function writeTaskUsage(unit: Unit, scope: Scope, task: TaskRecord, stopped: TaskObservation): Promise<void> {
  if (!spanOf(task, stopped, task.createdAt)) return;
  const instance =
    task.launchType === "FARGATE"
      ? undefined
      : await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, task.cluster, task.containerInstanceId));
  const usage = taskUsage(task, stopped, instance && machineOf(instance));
  if (usage) unit.put(meterKeys.task(scope, task.cluster, task.id), usage);
}

/** A registration's usage, in the transaction that makes the instance INACTIVE. */
export function writeInstanceUsage(unit: Unit, scope: Scope, instance: ContainerInstanceRecord, now: number): void {
  unit.put(meterKeys.instance(scope, instance.cluster, instance.id), instanceUsage(instance, now));
}
