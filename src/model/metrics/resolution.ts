/**
 * How long data points are kept at which resolution. Source: "CloudWatch concepts", metrics retention: one-second points for 3 hours, one-minute
 * points for 15 days, five-minute points for 63 days, one-hour points for 455 days; each is then rolled up into the next. All times in seconds.
 */
export interface Level {
  /** Seconds that one slot spans. */
  readonly step: number;
  /** Seconds until it is rolled up (the last: until it goes). */
  readonly keep: number;
}

const hour = 3600;
const day = 24 * hour;

export const levels: readonly Level[] = [
  { step: 1, keep: 3 * hour },
  { step: 60, keep: 15 * day },
  { step: 300, keep: 63 * day },
  { step: hour, keep: 455 * day },
];

/** The finest resolution at which data of this slot can still be had; undefined when it is forgotten. `step`: that at which it was put. */
export function stepAt(step: number, slot: number, now: number): number | undefined {
  return levels.find((level) => level.step >= step && now - slot <= level.keep)?.step;
}

export const slotOf = (seconds: number, step: number): number => Math.floor(seconds / step) * step;

/** 1, 5, 10, 20, 30 or any multiple of 60. */
export const isPeriod = (seconds: number): boolean =>
  Number.isInteger(seconds) && ([1, 5, 10, 20, 30].includes(seconds) || (seconds > 0 && seconds % 60 === 0));

/** Where the first period of a question begins. Source: GetMetricData, StartTime: rounded down to the minute, five minutes or hour by its age. */
export function alignedStart(start: number, period: number, now: number): number {
  const age = now - start;
  if (period < 60) return slotOf(start, 1);
  if (age < 15 * day) return slotOf(start, 60);
  return slotOf(start, age < 63 * day ? 300 : hour);
}
