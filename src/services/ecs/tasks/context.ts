import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";

/** What the task operations share. */
export interface TaskDeps extends ServerDeps {
  readonly writer: Writer;
}

export function scopeOf({ account, region }: RequestContext): Scope {
  return { account, region };
}

export interface TaskState {
  readonly task: TaskRecord;
  readonly observation: TaskObservation | undefined;
}

export async function readTask(store: Pick<Store, "get">, scope: Scope, cluster: string, id: string): Promise<TaskState | undefined> {
  const [task, observation] = await Promise.all([
    store.get<TaskRecord>(ecsKeys.task(scope, cluster, id)),
    store.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, id)),
  ]);
  return task && { task: task.value, observation: observation?.value };
}
