import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { AllocatedTask, AllocationRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import type { Unit } from "#store/unit.ts";

/**
 * The writes that belong together, whoever decides them: a task that comes takes its share of the instance in the same transaction,
 * one that stops gives it back in the same transaction, exactly once.
 */

/** The writer's queue of a cluster: all that takes and frees there is decided in one line. */
export function clusterQueue(scope: Scope, cluster: string): string {
  return `${scope.account}/${scope.region}/${cluster}`;
}

export async function writeNewTask(unit: Unit, scope: Scope, task: TaskRecord): Promise<void> {
  const key = ecsKeys.allocation(scope, task.cluster, task.containerInstanceId);
  const allocation = await unit.get<AllocationRecord>(key);
  const share: AllocatedTask = { ...task.resources, group: task.group };
  unit.put(key, { tasks: { ...allocation?.tasks, [task.id]: share } } satisfies AllocationRecord);
  unit.put(ecsKeys.task(scope, task.cluster, task.id), task);
}

/** `previous` is what the unit read; a task that is STOPPED now is released and vanishes at `expiresAt`. */
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
