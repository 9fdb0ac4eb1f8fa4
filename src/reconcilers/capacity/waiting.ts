import { capacityKeys, mostWaiting } from "#model/capacity-records.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import type { Unit } from "#store/unit.ts";

/** Tasks of a capacity provider that has no room for them yet: PROVISIONING, on no instance, until the capacity reconciler finds one. */

/** False: the cluster has as many as it may have. */
export async function writeWaitingTask(unit: Unit, scope: Scope, task: TaskRecord): Promise<boolean> {
  const waiting = await unit.list(capacityKeys.waitingOf(scope, task.cluster));
  if (waiting.size >= mostWaiting) return false;
  unit.put(ecsKeys.task(scope, task.cluster, task.id), task);
  unit.put(capacityKeys.waiting(scope, task.cluster, task.id), {});
  return true;
}
