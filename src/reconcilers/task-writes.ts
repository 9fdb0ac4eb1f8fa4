import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { AllocatedTask, AllocationRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import { freeGpus, usageOf } from "#scheduler/usage.ts";
import type { Unit } from "#store/unit.ts";
import { writeTaskUsage } from "./meter/record.ts";

/**
 * The writes that belong together, whoever decides them: a task that comes takes its share of the instance in the same transaction,
 * one that stops gives it back in the same transaction, exactly once.
 */

/** The writer's queue of a cluster: all that takes and frees there is decided in one line. */
export function clusterQueue(scope: Scope, cluster: string): string {
  return `${scope.account}/${scope.region}/${cluster}`;
}

/** Returns the task as it was written: with the GPUs that it takes. The caller has found that there is room for it. */
export async function writeNewTask(unit: Unit, scope: Scope, planned: TaskRecord): Promise<TaskRecord> {
  const key = ecsKeys.allocation(scope, planned.cluster, planned.containerInstanceId);
  const allocation = await unit.get<AllocationRecord>(key);
  const task = await withGpus(unit, scope, planned, allocation);
  const share: AllocatedTask = { ...task.resources, group: task.group };
  unit.put(key, { tasks: { ...allocation?.tasks, [task.id]: share } } satisfies AllocationRecord);
  unit.put(ecsKeys.task(scope, task.cluster, task.id), task);
  return task;
}

/** GPUs are whole, and each is one container's: the containers take theirs in turn from those that are free. */
async function withGpus(unit: Unit, scope: Scope, task: TaskRecord, allocation: AllocationRecord | undefined): Promise<TaskRecord> {
  const wanted = task.containers.reduce((sum, { gpuCount = 0 }) => sum + gpuCount, 0);
  if (wanted === 0) return task;
  const instance = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, task.cluster, task.containerInstanceId));
  const gpus = instance && freeGpus(instance.registeredResources, usageOf(allocation), wanted);
  if (!gpus) throw new Error(`the instance ${task.containerInstanceId} has fewer than ${wanted} free GPUs`);
  let next = 0;
  const containers = task.containers.map((container) =>
    container.gpuCount ? { ...container, gpuIds: gpus.slice(next, (next += container.gpuCount)) } : container,
  );
  return { ...task, resources: { ...task.resources, gpus }, containers };
}

/** `previous` is what the unit read; a task that is STOPPED now is released, metered, and vanishes at `expiresAt`. */
export async function writeObservation(
  unit: Unit,
  scope: Scope,
  task: TaskRecord,
  previous: TaskObservation | undefined,
  next: TaskObservation,
  expiresAt: number,
): Promise<void> {
  const observedKey = ecsKeys.taskObserved(scope, task.cluster, task.id);
  unit.put(observedKey, next);
  if (!isStopped(next) || isStopped(previous)) return;
  await release(unit, scope, task);
  await writeTaskUsage(unit, scope, task, next);
  const taskKey = ecsKeys.task(scope, task.cluster, task.id);
  unit.put(ecsKeys.expiry("task", expiresAt, task.id), { keys: [taskKey, observedKey] });
}

async function release(unit: Unit, scope: Scope, task: TaskRecord): Promise<void> {
  const key = ecsKeys.allocation(scope, task.cluster, task.containerInstanceId);
  const allocation = await unit.get<AllocationRecord>(key);
  if (!allocation || !(task.id in allocation.tasks)) return;
  const { [task.id]: _, ...tasks } = allocation.tasks;
  if (Object.keys(tasks).length === 0) unit.delete(key);
  else unit.put(key, { tasks } satisfies AllocationRecord);
}
