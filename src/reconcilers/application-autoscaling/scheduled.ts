import { scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { ActivityRecord, ScalingStateRecord, ScheduledActionRecord, TargetRecord } from "#model/application-autoscaling/records.ts";
import { nextTime, parseSchedule } from "#model/schedules/index.ts";
import { enforceLimits, type Hand, stateOf } from "./activities.ts";

type Times = Pick<ScheduledActionRecord, "schedule" | "timezone" | "startTime" | "endTime" | "createdAt" | "updatedAt">;

/** The action's first time after `after`, or none. Pure. A rate without a start is counted from the action's creation. */
export function nextRun(action: Times, after: number): number | undefined {
  const { schedule, timezone = "UTC", startTime, endTime, createdAt } = action;
  const parsed = parseSchedule(schedule);
  const start = startTime ?? (parsed.kind === "rate" ? createdAt + parsed.everyMs : undefined);
  const next = nextTime(parsed, after, timezone, start);
  return next === undefined || (endTime !== undefined && next > endTime) ? undefined : next;
}

/** When it is due, given what was carried out; and what is the newest of its times that have come by now. Pure. */
export function dueOf(action: Times, ran: number | undefined, now: number): { readonly due?: number; readonly next?: number } {
  const after = Math.max(ran ?? 0, action.updatedAt);
  const first = nextRun(action, after);
  if (first === undefined || first > now) return first === undefined ? {} : { next: first };
  // Several may have passed while nothing ran here: one run is as good as all, and the newest says so. Very many are looked at in portions.
  let due = first;
  let next = nextRun(action, due);
  for (let count = 0; next !== undefined && next <= now && count < 2000; count++) {
    due = next;
    next = nextRun(action, due);
  }
  return next === undefined ? { due } : { due, next };
}

/** The action's time has come: the target gets its limits, and the service moves between them. Nothing happens if that was done before. */
export async function runAction(hand: Hand, action: ScheduledActionRecord, due: number): Promise<void> {
  const { unit, scope, random, now } = hand;
  const target = await unit.get<TargetRecord>(scalingKeys.target(scope, action));
  const still = await unit.get<ScheduledActionRecord>(scalingKeys.action(scope, action, action.name));
  const state = await stateOf(hand, action);
  if (!target || still?.updatedAt !== action.updatedAt || (state.ran[action.name] ?? -1) >= due) return;
  unit.put(scalingKeys.state(scope, action), { ...state, ran: { ...state.ran, [action.name]: due } } satisfies ScalingStateRecord);
  // What falls into a suspension does not come after it.
  if (target.suspended.scheduled) return;
  const next: TargetRecord = { ...target, min: action.min ?? target.min, max: action.max ?? target.max };
  const words = [
    ...(action.min === undefined ? [] : [`min capacity to ${action.min}`]),
    ...(action.max === undefined ? [] : [`max capacity to ${action.max}`]),
  ].join(" and ");
  const failed = next.min > next.max ? "the minimum capacity cannot be greater than the maximum capacity" : undefined;
  const id = random.uuid();
  unit.put(scalingKeys.activity(scope, action, now, id), {
    cluster: action.cluster,
    service: action.service,
    id,
    description: `Setting ${words}`,
    cause: `scheduled action name ${action.name} was triggered`,
    startedAt: now,
    endedAt: now,
    status: failed === undefined ? "Successful" : "Failed",
    statusMessage: failed === undefined ? `Successfully set ${words}` : `Failed to set ${words}. Reason: ${failed}`,
  } satisfies ActivityRecord);
  if (failed !== undefined) return;
  unit.put(scalingKeys.target(scope, target), next);
  await enforceLimits(hand, next, { min: action.min !== undefined, max: action.max !== undefined });
}
