import type { ServiceStateRecord } from "#model/service-records.ts";
import type { Moves } from "./decide-tasks.ts";

/** In plain words, what a deployment does or waits for now. The same state gives the same words, so a timeline has one entry a change. */
export function phaseOf(options: {
  readonly moves: Moves;
  readonly count: number;
  readonly done: boolean;
  readonly frozen: boolean;
  readonly paused: boolean;
  readonly pausedUntil: number;
  readonly failures: number;
  readonly state: ServiceStateRecord | undefined;
  readonly now: number;
}): string | undefined {
  const { moves, count, done, frozen, paused, failures, state } = options;
  if (done) return "completed";
  if (frozen) return "failed: no more tasks are started";
  const waits: string[] = [];
  const starting = moves.starts.reduce((sum, each) => sum + each.count, 0);
  if (starting > 0) waits.push(`starting ${starting}`);
  if (paused) waits.push(`pausing after ${failures} failed tasks`);
  else if (state?.placement) waits.push(`no instance can take ${state.placement.missing} more: ${reasons(state.placement.rejections)}`);
  const unready = moves.kept - moves.healthy;
  if (unready > 0) waits.push(`${unready} started, not running and healthy yet`);
  if (moves.blocked > 0 && !paused) waits.push(`${moves.blocked} wait for room under the maximum percent`);
  if (moves.stops.length > 0) waits.push(`stopping ${moves.stops.length}`);
  if (moves.stopping > 0) waits.push(`${moves.stopping} still stopping`);
  if (moves.leaving > moves.stops.length) waits.push(`${moves.leaving - moves.stops.length} of the old still serve`);
  // At rest there is nothing to account for.
  return waits.length === 0 && moves.healthy === count
    ? undefined
    : `${moves.healthy} of ${count} healthy; ${waits.join("; ") || "waiting"}`;
}

function reasons(rejections: readonly { readonly reason: string }[]): string {
  return [...new Set(rejections.map(({ reason }) => reason))].join(", ") || "no instances";
}
