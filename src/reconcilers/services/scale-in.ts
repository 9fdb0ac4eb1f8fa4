import type { TaskFacts } from "./facts.ts";

/**
 * Who goes first: what does not run or is not healthy; then of the zone with the most of the service's tasks, there of the instance with the most of them, the
 * youngest. At most `limit` of them. Source: ECS Developer Guide, "Amazon ECS services", on how the scheduler chooses tasks to stop.
 */
export function scaleInOrder(tasks: readonly TaskFacts[], limit: number): TaskFacts[] {
  if (limit <= 0) return [];
  const unfit = tasks
    .filter(({ healthy }) => !healthy)
    .sort((a, b) => Number(a.phase === "running") - Number(b.phase === "running") || youngest(a, b));
  const order = unfit.slice(0, limit);
  const zones = new Map<string, Zone>();
  for (const task of tasks.filter(({ healthy }) => healthy).sort(youngest)) {
    let zone = zones.get(task.zone);
    if (!zone) zones.set(task.zone, (zone = { name: task.zone, size: 0, instances: new Map() }));
    zone.size++;
    const there = zone.instances.get(task.instance);
    if (there) there.push(task);
    else zone.instances.set(task.instance, [task]);
  }
  while (order.length < limit) {
    const zone = most(zones.values(), ({ size }) => size);
    if (!zone || zone.size === 0) break;
    zone.size--;
    order.push(most(zone.instances.values(), ({ length }) => length)!.shift()!);
  }
  return order;
}

interface Zone {
  readonly name: string;
  size: number;
  readonly instances: Map<string, TaskFacts[]>;
}

const youngest = (a: TaskFacts, b: TaskFacts) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1);

/** The first of the largest. */
function most<T>(all: Iterable<T>, size: (each: T) => number): T | undefined {
  let best: T | undefined;
  for (const each of all) if (best === undefined || size(each) > size(best)) best = each;
  return best;
}
