import { scaleInOrder } from "#scheduler/scale-in.ts";
import type { Node, Strategy } from "#scheduler/types.ts";
import type { TaskFacts } from "./facts.ts";

/** What the order in which tasks are stopped rests on besides the tasks. */
export interface ScaleInRules {
  readonly strategy: readonly Strategy[];
  readonly node: (id: string) => Node | undefined;
}

/** At most `limit` of the tasks that are `free` to go, the first to be stopped first; the others count where they run. */
export function firstToGo(
  tasks: readonly TaskFacts[],
  limit: number,
  free: (task: TaskFacts) => boolean,
  rules: ScaleInRules,
): TaskFacts[] {
  if (limit <= 0) return [];
  const byId = new Map(tasks.map((task) => [task.id, task]));
  const stoppable = tasks.map((task) => ({
    id: task.id,
    nodeId: task.instance,
    zone: task.zone,
    status: task.phase === "running" ? ("RUNNING" as const) : ("PENDING" as const),
    healthy: task.healthy,
    createdAt: task.createdAt,
    protected: !free(task),
    resources: task.resources,
  }));
  return scaleInOrder(stoppable, rules.strategy, { limit, node: rules.node }).map((id) => byId.get(id)!);
}
