import { firstToGo, type ScaleInRules } from "./scale-in.ts";
import { healthReason, type TaskFacts } from "./facts.ts";

/** Stops and starts of one pass: the next follows at once, and others get their turn between. */
export const mostAtOnce = 250;

/** What is to happen to the tasks of a service. Pure: the same facts give the same moves, and applying them twice changes nothing. */
export interface Moves {
  /** Tasks to start, by deployment or task set, in order. */
  readonly starts: readonly { readonly group: string; readonly count: number; readonly home?: string }[];
  readonly stops: readonly Stop[];
  /** Tasks of the wanted group that stay, and how many of these are ready. */
  readonly kept: number;
  readonly healthy: number;
  /** Tasks that are to go and have not ended. */
  readonly leaving: number;
  readonly stopping: number;
  /** Wanted, but the maximum percent leaves no room now. */
  readonly blocked: number;
  /** Neither a start nor a stop is possible, whatever happens: minimum and maximum percent meet. */
  readonly stuck: boolean;
}

export interface Stop {
  readonly id: string;
  readonly group: string;
  readonly why: "scale-in" | "deployment" | "draining" | "unhealthy" | "lost" | "rebalance";
  readonly reason: string;
}

export interface Wanted {
  /** The PRIMARY deployment, or a task set; undefined: nothing is to be started, and nothing that runs belongs. */
  readonly group: string | undefined;
  readonly count: number;
  /** A failed deployment keeps what it has and starts nothing. */
  readonly frozen: boolean;
  readonly minimumHealthyPercent: number;
  readonly maximumPercent: number;
  /** The last placement failed: old tasks may make room, down to the minimum. */
  readonly noCapacity: boolean;
  readonly rebalancing: string | undefined;
  readonly rules: ScaleInRules;
  /** The deployment that served when this one began: whatever of it ends by itself before its successors are healthy is made good from it. */
  readonly previous?: { readonly group: string; readonly since: number };
  readonly now: number;
}

/** Where each live task stands. */
export interface Sorted {
  readonly live: readonly TaskFacts[];
  readonly current: readonly TaskFacts[];
  readonly leaving: readonly TaskFacts[];
  readonly stopping: readonly TaskFacts[];
  readonly lost: readonly TaskFacts[];
}

export function sortTasks(tasks: readonly TaskFacts[], group: string | undefined, rebalancing: string | undefined): Sorted {
  const live = tasks.filter(({ phase }) => phase !== "stopped");
  const lost = live.filter((task) => task.lost && task.phase !== "stopping");
  const present = live.filter((task) => !task.lost);
  const stopping = present.filter(({ phase }) => phase === "stopping");
  const rest = present.filter(({ phase }) => phase !== "stopping");
  const stays = (task: TaskFacts) => task.group === group && !task.draining && !task.unhealthy && task.id !== rebalancing;
  return { live: present, stopping, lost, current: rest.filter(stays), leaving: rest.filter((task) => !stays(task)) };
}

/**
 * Replica services. At most `maximumPercent` of the desired count are PENDING, RUNNING or still stopping; a healthy task is stopped only while at
 * least `minimumHealthyPercent` stay healthy, and only once a healthy one stands in for it or where there is no room for one. Tasks on silent instances
 * count for nothing, and are told to stop once they are replaced. Source: ECS API Reference, DeploymentConfiguration; Developer Guide, "Container instance draining".
 */
export function decideReplica(tasks: readonly TaskFacts[], wanted: Wanted): Moves {
  const { group, count, now } = wanted;
  const upper = Math.floor((count * wanted.maximumPercent) / 100);
  const lower = Math.ceil((count * wanted.minimumHealthyPercent) / 100);
  const { live, current, leaving, stopping, lost } = sortTasks(tasks, group, wanted.rebalancing);
  const free = ({ protectedUntil }: TaskFacts) => protectedUntil <= now;
  const reason = (id: string) => `Scaling activity initiated by (deployment ${id})`;
  const stops: Stop[] = [];
  const stop = (task: TaskFacts, why: Stop["why"], text = reason(group ?? task.group)) =>
    stops.push({ id: task.id, group: task.group, why, reason: text });

  const readyCurrent = current.filter(({ ready }) => ready).length;
  const missing = count - current.length;
  const room = Math.max(0, upper - live.length);
  const again = Math.min(lostOfPrevious(tasks, wanted, readyCurrent), room);
  const starts = wanted.frozen || group === undefined ? 0 : Math.max(0, Math.min(missing, room - again));

  // Surplus first: who goes here is missing nowhere.
  const surplus = current.length - count;
  if (surplus > 0) {
    // Those that may not go yet may not run yet either: the healthy ones then stay as long as the minimum needs them.
    let spare = readyCurrent + leaving.filter((task) => task.healthy).length - lower;
    for (const task of firstToGo(current, Math.min(surplus, mostAtOnce), free, wanted.rules))
      if (!task.healthy || spare-- > 0) stop(task, "scale-in");
  }

  const healthyLeaving: TaskFacts[] = [];
  const unhealthy: TaskFacts[] = [];
  const serving = readyCurrent + leaving.filter((task) => task.healthy).length;
  const { previous } = wanted;
  const standsIn = (task: TaskFacts) =>
    serving < count && !task.draining && task.group === previous?.group && task.createdAt > previous.since;
  for (const task of leaving) {
    if (task.unhealthy) unhealthy.push(task);
    else if (!task.healthy && standsIn(task)) continue;
    else if (!task.healthy && free(task)) stop(task, whyLeaving(task, wanted));
    else if (task.healthy && free(task)) healthyLeaving.push(task);
  }
  const protectedHealthy = leaving.filter((task) => task.healthy && !free(task)).length;
  const healthy = Math.min(readyCurrent, count) + healthyLeaving.length + protectedHealthy;
  const blocked = wanted.frozen ? 0 : Math.max(0, missing - starts);
  // No room for those that are missing: besides what is on its way out, as many of the old as may be missing for a while make it, the unhealthy first.
  const short = wanted.frozen ? 0 : blocked + (wanted.noCapacity ? starts : 0);
  const needed = Math.max(0, short - stopping.length - stops.length);
  // An unhealthy task goes once a healthy one stands in for it, or where that one has no room beside it.
  const replaced = wanted.frozen || group === undefined ? unhealthy.length : Math.max(0, healthy + unhealthy.length - count, needed);
  const sick = unhealthy.slice(0, replaced);
  for (const task of sick) stop(task, "unhealthy", task.unhealthyReason ?? healthReason);
  let going = Math.max(0, healthy - count, Math.min(needed - sick.length, healthy - lower));
  if (wanted.frozen) going = 0;
  if (count === 0) going = healthyLeaving.length;
  for (const task of firstToGo(healthyLeaving, Math.min(going, mostAtOnce), free, wanted.rules)) stop(task, whyLeaving(task, wanted));

  if (lost.length > 0 && readyCurrent >= count) for (const task of lost) stop(task, "lost", "Task's container instance stopped responding");
  const both = [
    { group: previous?.group, count: Math.min(again, mostAtOnce) },
    { group, count: Math.min(starts, mostAtOnce) },
  ];
  return {
    starts: both.flatMap((each) => (each.group !== undefined && each.count > 0 ? [{ group: each.group, count: each.count }] : [])),
    stops,
    kept: current.length,
    healthy: readyCurrent,
    leaving: leaving.length,
    stopping: stopping.length,
    blocked,
    stuck: blocked > 0 && starts === 0 && stops.length === 0 && stopping.length === 0 && healthyLeaving.length > 0 && upper <= lower,
  };
}

/**
 * How many tasks of the deployment before are to be started again. Those that it lost since, less those that were started again, as long as nothing else serves
 * in their place. Source: AWS, What's New, November 2025, "service availability during rolling deployments".
 */
function lostOfPrevious(tasks: readonly TaskFacts[], { previous, count }: Wanted, readyCurrent: number): number {
  if (!previous) return 0;
  let [ended, started, serving] = [0, 0, 0];
  for (const task of tasks) {
    if (task.group !== previous.group) continue;
    const live = task.phase === "pending" || task.phase === "running";
    if (live ? task.lost || task.unhealthy : (task.endedAt ?? 0) > previous.since) ended++;
    else if (live) serving++;
    if (task.createdAt > previous.since) started++;
  }
  return Math.max(0, Math.min(ended - started, count - readyCurrent - serving));
}

function whyLeaving(task: TaskFacts, { group, rebalancing }: Wanted): Stop["why"] {
  if (task.group !== group) return "deployment";
  if (task.id === rebalancing) return "rebalance";
  return task.draining ? "draining" : "deployment";
}

/**
 * Daemon services: one task on each instance that it belongs on, never two; the old one has ended before the new one starts. At most so many are missing at a time
 * as the minimum healthy percent allows. On a draining instance the daemon is the last to go.
 */
export function decideDaemon(tasks: readonly TaskFacts[], homes: readonly string[], wanted: Wanted): Moves {
  const { group } = wanted;
  const { live, current, leaving, stopping } = sortTasks(tasks, group, undefined);
  const home = new Set(homes);
  const free = ({ protectedUntil }: TaskFacts) => protectedUntil <= wanted.now;
  const starts: { group: string; count: number; home: string }[] = [];
  const stops: Stop[] = [];
  const reason = `Scaling activity initiated by (deployment ${group ?? ""})`;
  const stop = (task: TaskFacts, why: Stop["why"], text = reason) => stops.push({ id: task.id, group: task.group, why, reason: text });
  const occupied = new Set(live.map(({ instance }) => instance));
  const staying = new Map<string, TaskFacts>();
  for (const task of current) {
    if (!home.has(task.instance) || staying.has(task.instance)) {
      if (free(task)) stop(task, "scale-in");
    } else staying.set(task.instance, task);
  }
  const lower = Math.ceil((homes.length * wanted.minimumHealthyPercent) / 100);
  let healthy = [...staying.values(), ...leaving.filter(({ instance }) => home.has(instance))].filter((task) =>
    task.group === group ? task.ready : task.healthy,
  ).length;
  for (const task of leaving) {
    if (task.unhealthy) stop(task, "unhealthy", task.unhealthyReason ?? healthReason);
    else if (!free(task)) continue;
    else if (task.draining && task.group === group) {
      if (task.onlyDaemons) stop(task, "draining");
    } else if (!home.has(task.instance) || !task.healthy) {
      if (!task.draining || task.onlyDaemons) stop(task, "deployment");
    } else if (!wanted.frozen && healthy > lower) {
      healthy--;
      stop(task, "deployment");
    }
  }
  if (!wanted.frozen && group !== undefined) {
    for (const instance of homes) if (!occupied.has(instance)) starts.push({ group, count: 1, home: instance });
  }
  const kept = [...staying.values()];
  return {
    starts,
    stops,
    kept: kept.length,
    healthy: kept.filter((task) => task.ready).length,
    leaving: leaving.filter(({ draining }) => !draining).length,
    stopping: stopping.length + (current.length - kept.length),
    blocked: homes.length - kept.length - starts.length,
    stuck: false,
  };
}
