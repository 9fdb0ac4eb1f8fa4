import { ScheduleError } from "./error.ts";

/**
 * AWS's cron expressions: six fields, of which day-of-month or day-of-week is `?`.
 * Source: Amazon EventBridge User Guide, "Cron expressions reference". Ranges that wrap (`FRI-MON`) are taken, as Quartz does, whose grammar this is.
 */
export interface CronSchedule {
  readonly kind: "cron";
  /** Ascending, 0–59. */
  readonly minutes: readonly number[];
  /** Ascending, 0–23. */
  readonly hours: readonly number[];
  /** 1–12. */
  readonly months: ReadonlySet<number>;
  /** 1970–2199. */
  readonly years: ReadonlySet<number>;
  readonly day: DayRule;
}

export type DayRule =
  | { readonly by: "date"; readonly dates: ReadonlySet<number> }
  /** So many days before the month's last. */
  | { readonly by: "last"; readonly before: number }
  | { readonly by: "lastWeekday" }
  /** Monday to Friday, nearest to the date, in the same month. */
  | { readonly by: "nearestWeekday"; readonly date: number }
  /** 0 is Sunday. */
  | { readonly by: "weekday"; readonly weekdays: ReadonlySet<number> }
  | { readonly by: "lastOfMonth"; readonly weekday: number }
  | { readonly by: "nth"; readonly weekday: number; readonly n: number };

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** The first stands for `min`. */
  readonly names?: readonly string[];
  readonly wraps: boolean;
}

const monthNames = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const dayNames = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const fields = {
  minutes: { name: "minutes", min: 0, max: 59, wraps: true },
  hours: { name: "hours", min: 0, max: 23, wraps: true },
  dates: { name: "day-of-month", min: 1, max: 31, wraps: true },
  months: { name: "month", min: 1, max: 12, names: monthNames, wraps: true },
  weekdays: { name: "day-of-week", min: 1, max: 7, names: dayNames, wraps: true },
  years: { name: "year", min: 1970, max: 2199, wraps: false },
} satisfies Record<string, Field>;

/** `text`: what stands between the parentheses. Throws ScheduleError. */
export function parseCron(text: string): CronSchedule {
  const parts = text.trim().toUpperCase().split(/\s+/);
  if (parts.length !== 6) throw new ScheduleError(`a cron expression has 6 fields, not ${parts[0] === "" ? 0 : parts.length}`);
  const [minutes, hours, dates, months, weekdays, years] = parts as [string, string, string, string, string, string];
  if ((dates === "?") === (weekdays === "?"))
    throw new ScheduleError("one of day-of-month and day-of-week must be ?, and the other must not be");
  return {
    kind: "cron",
    minutes: valuesOf(minutes, fields.minutes),
    hours: valuesOf(hours, fields.hours),
    months: new Set(valuesOf(months, fields.months)),
    years: new Set(valuesOf(years, fields.years)),
    day: weekdays === "?" ? dateRule(dates) : weekdayRule(weekdays),
  };
}

function dateRule(text: string): DayRule {
  if (text === "LW") return { by: "lastWeekday" };
  const last = /^L(?:-(\d{1,2}))?$/.exec(text);
  if (last) {
    const before = Number(last[1] ?? 0);
    if (before > 30) throw new ScheduleError(`${text} is before every month's first day`);
    return { by: "last", before };
  }
  const nearest = /^(\d{1,2})W$/.exec(text);
  if (nearest) return { by: "nearestWeekday", date: valueOf(nearest[1]!, fields.dates) };
  return { by: "date", dates: new Set(valuesOf(text, fields.dates)) };
}

function weekdayRule(text: string): DayRule {
  if (text === "L") return { by: "weekday", weekdays: new Set([6]) };
  const last = /^(\w+)L$/.exec(text);
  if (last) return { by: "lastOfMonth", weekday: valueOf(last[1]!, fields.weekdays) - 1 };
  const nth = /^(\w+)#([1-5])$/.exec(text);
  if (nth) return { by: "nth", weekday: valueOf(nth[1]!, fields.weekdays) - 1, n: Number(nth[2]) };
  return { by: "weekday", weekdays: new Set(valuesOf(text, fields.weekdays).map((day) => day - 1)) };
}

/** Ascending, each once. */
function valuesOf(text: string, field: Field): number[] {
  return [...new Set(text.split(",").flatMap((item) => itemValues(item, field)))].toSorted((a, b) => a - b);
}

function itemValues(item: string, field: Field): number[] {
  const { min, max, name, wraps } = field;
  const [range = "", increment, ...more] = item.split("/");
  const step = increment === undefined ? 1 : /^\d{1,4}$/.test(increment) ? Number(increment) : 0;
  if (more.length > 0 || step < 1 || step > Math.max(max - min + 1, max)) throw new ScheduleError(`${item} is no value of ${name}`);
  const span = max - min + 1;
  if (range === "*") return steps(min, span, step);
  const ends = range.split("-");
  if (ends.length > 2) throw new ScheduleError(`${item} is no value of ${name}`);
  const from = valueOf(ends[0]!, field);
  if (ends.length === 1) return increment === undefined ? [from] : steps(from, max - from + 1, step);
  const to = valueOf(ends[1]!, field);
  if (from > to && !wraps) throw new ScheduleError(`${item} ends before it begins`);
  return steps(from, to - from + 1 + (from > to ? span : 0), step).map((value) => (value > max ? value - span : value));
}

const steps = (from: number, count: number, step: number): number[] =>
  Array.from({ length: Math.ceil(count / step) }, (_, i) => from + i * step);

function valueOf(text: string, { name, min, max, names }: Field): number {
  const named = names?.indexOf(text) ?? -1;
  const value = named >= 0 ? min + named : /^\d{1,4}$/.test(text) ? Number(text) : NaN;
  if (!(value >= min && value <= max))
    throw new ScheduleError(`${text || "nothing"} is no value of ${name}, which goes from ${min} to ${max}`);
  return value;
}

const daysOf = (year: number, month: number): number => new Date(Date.UTC(year, month, 0)).getUTCDate();
/** 0 is Sunday. */
const weekdayOf = (year: number, month: number, date: number): number => new Date(Date.UTC(year, month - 1, date)).getUTCDay();

/** The dates of a month on which it runs, ascending. `month`: 1–12. */
export function datesOf({ months, years, day }: CronSchedule, year: number, month: number): number[] {
  if (!years.has(year) || !months.has(month)) return [];
  const count = daysOf(year, month);
  const first = weekdayOf(year, month, 1);
  const all = Array.from({ length: count }, (_, i) => i + 1);
  const falls = (date: number) => (first + date - 1) % 7;
  switch (day.by) {
    case "date":
      return all.filter((date) => day.dates.has(date));
    case "last":
      return day.before < count ? [count - day.before] : [];
    case "lastWeekday":
      return [nearestWeekday(count, count, falls)];
    case "nearestWeekday":
      return day.date <= count ? [nearestWeekday(day.date, count, falls)] : [];
    case "weekday":
      return all.filter((date) => day.weekdays.has(falls(date)));
    case "lastOfMonth":
      return all.filter((date) => falls(date) === day.weekday).slice(-1);
    case "nth":
      return all.filter((date) => falls(date) === day.weekday).slice(day.n - 1, day.n);
  }
}

function nearestWeekday(date: number, count: number, falls: (date: number) => number): number {
  if (falls(date) === 6) return date > 1 ? date - 1 : date + 2;
  if (falls(date) === 0) return date < count ? date + 1 : date - 2;
  return date;
}
