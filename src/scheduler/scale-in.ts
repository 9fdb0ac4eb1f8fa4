import { RankedBuckets, type Bucket } from "./ranked-buckets.ts";
import type { Node, Strategy } from "./types.ts";

/** A task of one service, as far as the choice of what to stop goes. */
export interface StoppableTask {
  readonly id: string;
  readonly nodeId: string;
  readonly zone: string;
  readonly status: "PENDING" | "RUNNING";
  readonly healthy: boolean;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  /** By task scale-in protection that has not expired: never stopped, but it counts where it runs. */
  readonly protected: boolean;
  /** What its end frees; binpack looks at it. */
  readonly resources?: { readonly cpu: number; readonly memory: number };
}

interface Options {
  /** As many as are to be stopped; all when not given. */
  readonly limit?: number;
  /** For binpack and for spread over other attributes than the zone. A node that is not known counts as empty of both. */
  readonly node?: (id: string) => Node | undefined;
}

const zoneField = "ecs.availability-zone";

/**
 * The ids of a service's tasks in the order in which to stop them. What does not serve goes first: PENDING, then unhealthy. Then the strategy, backwards:
 * from the zone with the most tasks (unless the strategy begins with binpack, which then decides before it); of what spread divides,
 * where the most are; for binpack, on the instance that has most left of the resource afterwards; from the instance with the most tasks of
 * the service; the newest. Source: ECS Developer Guide, "Updating an Amazon ECS service" (zones, instances) and "Use strategies to define
 * Amazon ECS task placement" (binpack and spread at scale-in). Where AWS says "at random", the newest goes.
 */
export function scaleInOrder(tasks: readonly StoppableTask[], strategy: readonly Strategy[], options: Options = {}): string[] {
  const { limit = tasks.length, node = () => undefined } = options;
  const { fields, binpacks, order } = planOf(strategy);
  const keys = Array.from({ length: binpacks.length + 3 });
  const ranking = new RankedBuckets({ keys, fields, order, drawn: false });
  const places = placesOf(tasks);
  ranking.reserve(places.length);
  const buckets = places.map(({ nodeId, zone, count }) => {
    const attributes = node(nodeId)?.attributes;
    const bucket = ranking.join(fields.map((field) => (field === zoneField ? zone : (attributes?.get(field) ?? ""))));
    // The smaller count is first in a ranking: here it is where the most tasks are.
    ranking.count(bucket, -count);
    return bucket;
  });
  const free = places.map(({ nodeId }) => binpacks.map((field) => freeOf(node(nodeId), field)));
  const put = (index: number, bucket: Bucket) => {
    const place = places[index]!;
    const task = place.stoppable.at(-1);
    if (!task) {
      ranking.take(bucket, index);
      return;
    }
    const left = binpacks.map((field, which) => -(free[index]![which]! + (task.resources?.[field] ?? 0)));
    ranking.put(bucket, index, [levelOf(task), ...left, -place.count, -task.createdAt, index]);
  };
  buckets.forEach((bucket, index) => put(index, bucket));
  const stopped: string[] = [];
  while (stopped.length < limit) {
    const index = ranking.first();
    if (index === undefined) break;
    const place = places[index]!;
    const task = place.stoppable.pop()!;
    stopped.push(task.id);
    place.count -= 1;
    binpacks.forEach((field, which) => (free[index]![which]! += task.resources?.[field] ?? 0));
    ranking.count(buckets[index]!, 1);
    put(index, buckets[index]!);
  }
  return stopped;
}

/** In the terms of RankPlan: the keys are the level, one for each binpack, the instance's tasks and the age. */
function planOf(strategy: readonly Strategy[]): { fields: string[]; binpacks: ("cpu" | "memory")[]; order: number[] } {
  const fields: string[] = [];
  const binpacks: ("cpu" | "memory")[] = [];
  const order: number[] = [0];
  const spread = (field: string) => {
    if (!fields.includes(field)) order.push(~(fields.push(field) - 1));
  };
  const drawn = strategy.findIndex(({ type }) => type === "random");
  // As in placing: nothing after random decides.
  const kept = drawn < 0 ? strategy : strategy.slice(0, drawn);
  const instances = 1 + kept.filter(({ type }) => type === "binpack").length;
  if (kept[0]?.type !== "binpack") spread(zoneField);
  for (const rule of kept) {
    if (rule.type === "binpack") order.push(binpacks.push(rule.field));
    else if (rule.type === "spread" && rule.field !== "instanceId") spread(rule.field);
    else order.push(instances);
  }
  spread(zoneField);
  order.push(instances, instances + 1);
  return { fields, binpacks, order };
}

/** An instance's tasks that may be stopped, the first to go last; `count`: with those that may not. */
interface Place {
  readonly nodeId: string;
  readonly zone: string;
  count: number;
  readonly stoppable: StoppableTask[];
}

function placesOf(tasks: readonly StoppableTask[]): Place[] {
  const places = new Map<string, Place>();
  const sorted = tasks.toSorted((a, b) => levelOf(b) - levelOf(a) || a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
  for (const task of sorted) {
    const { nodeId, zone } = task;
    const name = JSON.stringify([nodeId, zone]);
    let place = places.get(name);
    if (!place) places.set(name, (place = { nodeId, zone, count: 0, stoppable: [] }));
    place.count += 1;
    if (!task.protected) place.stoppable.push(task);
  }
  return [...places.values()];
}

function levelOf({ status, healthy }: StoppableTask): number {
  if (status === "PENDING") return 0;
  return healthy ? 2 : 1;
}

function freeOf(node: Node | undefined, field: "cpu" | "memory"): number {
  return node ? node.capacity[field] - node.usage[field] : 0;
}
