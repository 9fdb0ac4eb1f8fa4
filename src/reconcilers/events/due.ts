import { nextTime, type Schedule } from "#model/schedules/index.ts";

export interface DueQuestion {
  readonly schedule: Schedule;
  readonly timeZone: string;
  /** A rate is counted from here. */
  readonly start: number;
  /** Nothing after it. */
  readonly end?: number | undefined;
  /** The moment that was due. */
  readonly next: number;
  readonly now: number;
  /** What is older is not made up for. */
  readonly maximumAgeMs: number;
}

/**
 * What is to happen now and when it falls due again. Moments that were missed, because the server was down, are made up for once: the latest of them
 * counts, if it is not older than a target may be kept waiting.
 */
export function due(question: DueQuestion): { readonly fire?: number; readonly next?: number } {
  const { schedule, timeZone, start, end = Infinity, next, now, maximumAgeMs } = question;
  const following = (after: number): number | undefined => {
    const time = nextTime(schedule, after, timeZone, start);
    return time === undefined || time > end ? undefined : time;
  };
  let fire = next >= now - maximumAgeMs ? next : following(now - maximumAgeMs - 1);
  let coming: number | undefined;
  if (schedule.kind === "rate" && fire !== undefined && fire < now) {
    const skipped = Math.floor((Math.min(now, end) - fire) / schedule.everyMs);
    fire += skipped * schedule.everyMs;
  }
  if (fire !== undefined && fire <= now) {
    coming = following(fire);
    while (coming !== undefined && coming <= now) {
      fire = coming;
      coming = following(fire);
    }
    return { fire, ...(coming === undefined ? {} : { next: coming }) };
  }
  return fire === undefined ? {} : { next: fire };
}
