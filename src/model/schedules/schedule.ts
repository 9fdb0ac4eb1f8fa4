import { type CronSchedule, datesOf, parseCron } from "./cron.ts";
import { ScheduleError } from "./error.ts";
import { localOf, utcOf, utcOrShifted } from "./zone.ts";

/**
 * The schedule expressions that Application Auto Scaling, EventBridge's rules and EventBridge Scheduler share: `cron(…)`, `rate(…)`, `at(…)`.
 * Sources: Amazon EventBridge User Guide, "Cron expressions reference", "Rate expressions"; EventBridge Scheduler User Guide, "Schedule types".
 */
export type Schedule = CronSchedule | RateSchedule | AtSchedule;

export interface RateSchedule {
  readonly kind: "rate";
  readonly everyMs: number;
}

/** Once. */
export interface AtSchedule {
  readonly kind: "at";
  /** A local time, as the milliseconds of the same numbers in UTC. */
  readonly local: number;
}

const units: Readonly<Record<string, number>> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
/** What Date can say. */
const endOfTime = 8.64e15;

/** Throws ScheduleError, whose message is a reason, not a sentence of AWS. */
export function parseSchedule(expression: string): Schedule {
  const [, kind, text = ""] = /^(cron|rate|at)\(([^()]*)\)$/.exec(expression) ?? [];
  if (kind === "cron") return parseCron(text);
  if (kind === "rate") return parseRate(text);
  if (kind === "at") return parseAt(text);
  throw new ScheduleError("an expression is cron(…), rate(…) or at(…)");
}

function parseRate(text: string): RateSchedule {
  const [, digits = "", unit = "", plural] = /^\s*(\d{1,9})\s+(minute|hour|day)(s?)\s*$/.exec(text) ?? [];
  const value = Number(digits);
  if (value < 1) throw new ScheduleError("a rate is a positive whole number and minutes, hours or days");
  if ((value === 1) !== (plural === "")) throw new ScheduleError(`rate(${text.trim()}) must say ${unit}${value === 1 ? "" : "s"}`);
  return { kind: "rate", everyMs: value * units[unit]! };
}

function parseAt(text: string): AtSchedule {
  const numbers = /^\s*(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\s*$/.exec(text)?.slice(1).map(Number);
  if (!numbers) throw new ScheduleError("a moment is written yyyy-mm-ddThh:mm:ss");
  const [year, month, day, hour, minute, second] = numbers as [number, number, number, number, number, number];
  const local = Date.UTC(year, month - 1, day, hour, minute, second);
  if (new Date(local).toISOString().slice(0, 19) !== text.trim()) throw new ScheduleError(`${text.trim()} is no date and time`);
  return { kind: "at", local };
}

/**
 * The first moment later than `after` at which it runs, or undefined when there is none. All are milliseconds since the epoch.
 *
 * `start`: not before it; a rate is counted from it (`start`, `start` + 1 rate, …), or from `after` when there is none.
 * A cron's local times that the clocks leave out in spring are skipped; those that come twice in autumn count once, the first time.
 */
export function nextTime(schedule: Schedule, after: number, timeZone = "UTC", start?: number): number | undefined {
  const earliest = Math.max(after + 1, start ?? -Infinity);
  if (schedule.kind === "rate") {
    const from = start ?? after;
    const next = from + Math.max(0, Math.ceil((Math.max(earliest, from) - from) / schedule.everyMs)) * schedule.everyMs;
    return next <= endOfTime ? next : undefined;
  }
  if (schedule.kind === "at") {
    const at = utcOrShifted(schedule.local, timeZone);
    return at >= earliest ? at : undefined;
  }
  return nextCron(schedule, earliest, timeZone);
}

function nextCron(schedule: CronSchedule, earliest: number, timeZone: string): number | undefined {
  const { minutes, hours, years } = schedule;
  const from = new Date(localOf(earliest, timeZone));
  const first = { year: from.getUTCFullYear(), month: from.getUTCMonth() + 1, date: from.getUTCDate() };
  for (const year of years) {
    if (year < first.year) continue;
    for (let month = year === first.year ? first.month : 1; month <= 12; month++)
      for (const date of datesOf(schedule, year, month)) {
        if (year === first.year && month === first.month && date < first.date) continue;
        for (const hour of hours)
          for (const minute of minutes) {
            const local = Date.UTC(year, month - 1, date, hour, minute);
            // The first moment of an earlier local time is past, for clocks go forward between their changes.
            if (local < from.getTime()) continue;
            const utc = utcOf(local, timeZone);
            if (utc !== undefined && utc >= earliest) return utc;
          }
      }
  }
  return undefined;
}
