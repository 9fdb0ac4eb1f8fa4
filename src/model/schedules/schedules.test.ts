import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isTimeZone, nextTime, parseSchedule, ScheduleError } from "./index.ts";
import { localOf } from "./zone.ts";

const minute = 60_000;
const day = 1440 * minute;
const at = (text: string) => Date.parse(text.length > 10 ? `${text}Z` : `${text}T00:00:00Z`);

/** The next times, as `2026-03-29T01:30:00` in UTC. */
function times(expression: string, from: string, count: number, zone = "UTC"): string[] {
  const schedule = parseSchedule(expression);
  const found: string[] = [];
  let after = at(from) - 1;
  while (found.length < count) {
    const next = nextTime(schedule, after, zone);
    if (next === undefined) break;
    found.push(new Date(next).toISOString().slice(0, 16));
    after = next;
  }
  return found;
}

test("AWS's own examples", () => {
  assert.deepEqual(times("cron(15 12 * * ? *)", "2026-01-01", 2), ["2026-01-01T12:15", "2026-01-02T12:15"]);
  assert.deepEqual(times("cron(0 18 ? * MON-FRI *)", "2026-01-02T18:01", 2), ["2026-01-05T18:00", "2026-01-06T18:00"]);
  assert.deepEqual(times("cron(0 8 1 * ? *)", "2026-01-02", 2), ["2026-02-01T08:00", "2026-03-01T08:00"]);
  assert.deepEqual(times("cron(0/10 * ? * MON-FRI *)", "2026-01-02T23:45", 2), ["2026-01-02T23:50", "2026-01-05T00:00"]);
  assert.deepEqual(times("cron(0/5 8-17 ? * MON-FRI *)", "2026-01-02T17:54", 2), ["2026-01-02T17:55", "2026-01-05T08:00"]);
  assert.deepEqual(times("cron(0/30 20-2 ? * MON-FRI *)", "2026-01-02T02:30", 2), ["2026-01-02T02:30", "2026-01-02T20:00"]);
  assert.deepEqual(times("cron(0 9 ? * 2#1 *)", "2026-01-06", 1), ["2026-02-02T09:00"], "the first Monday of each month");
  assert.deepEqual(times("cron(15 10 ? * 6L 2026-2027)", "2027-11-01", 5), ["2027-11-26T10:15", "2027-12-31T10:15"], "each last Friday");
  assert.deepEqual(times("cron(0 0 3W * ? *)", "2026-05-01", 2), ["2026-05-04T00:00", "2026-06-03T00:00"]);
  assert.deepEqual(times("cron(0 0 L * ? *)", "2028-02-01", 2), ["2028-02-29T00:00", "2028-03-31T00:00"]);
  assert.deepEqual(times("cron(0 0 1W 8 ? 2026)", "2026-01-01", 2), ["2026-08-03T00:00"], "not into the month before");
  assert.deepEqual(times("cron(0 0 30 2 ? *)", "2026-01-01", 1), [], "never");
});

test("rates are counted from their start", () => {
  const rate = parseSchedule("rate(5 minutes)");
  assert.equal(nextTime(rate, at("2026-01-01")), at("2026-01-01T00:05:00"));
  assert.equal(nextTime(rate, at("2026-01-01"), "UTC", at("2026-01-02")), at("2026-01-02"));
  assert.equal(nextTime(rate, at("2026-01-02"), "UTC", at("2026-01-02")), at("2026-01-02T00:05:00"));
  assert.equal(nextTime(rate, at("2026-01-02T00:04:59"), "UTC", at("2026-01-02")), at("2026-01-02T00:05:00"));
  fc.assert(
    fc.property(fc.nat(1e9), fc.nat(1e9), fc.integer({ min: 2, max: 5000 }), (after, start, every) => {
      const next = nextTime(parseSchedule(`rate(${every} minutes)`), after, "UTC", start)!;
      assert.ok(next > after && next >= start && (next - start) % (every * minute) === 0);
      assert.ok(next === start || next - every * minute <= after, "none is left out");
    }),
  );
});

test("at is once, in its time zone", () => {
  const once = parseSchedule("at(2026-07-01T09:30:15)");
  assert.equal(nextTime(once, 0, "Europe/Berlin"), at("2026-07-01T07:30:15"));
  assert.equal(nextTime(once, at("2026-07-01T09:30:15")), undefined);
  assert.equal(
    nextTime(parseSchedule("at(2026-03-29T02:30:00)"), 0, "Europe/Berlin"),
    at("2026-03-29T01:30:00"),
    "left out: an hour later",
  );
});

test("daylight saving time: what is left out is skipped, what comes twice runs once", () => {
  assert.deepEqual(times("cron(30 2 * * ? *)", "2026-03-28", 3, "Europe/Berlin"), [
    "2026-03-28T01:30",
    "2026-03-30T00:30",
    "2026-03-31T00:30",
  ]);
  assert.deepEqual(times("cron(30 2 * * ? *)", "2026-10-24T12:00", 2, "Europe/Berlin"), ["2026-10-25T00:30", "2026-10-26T01:30"]);
  assert.deepEqual(times("cron(0 9 * * ? *)", "2026-03-07", 3, "America/New_York"), [
    "2026-03-07T14:00",
    "2026-03-08T13:00",
    "2026-03-09T13:00",
  ]);
});

test("what is no expression", () => {
  for (const bad of [
    "",
    "cron()",
    "cron(* * * * *)",
    "cron(* * * * * *)",
    "cron(* * ? * ? *)",
    "cron(60 * * * ? *)",
    "cron(* 24 * * ? *)",
    "cron(* * 0 * ? *)",
    "cron(* * 32 * ? *)",
    "cron(* * * 13 ? *)",
    "cron(* * * JUNE ? *)",
    "cron(* * ? * 8 *)",
    "cron(* * ? * 2#6 *)",
    "cron(* * ? * 3#1,6#3 *)",
    "cron(* * * * ? 1969)",
    "cron(* * * * ? 2030-2026)",
    "cron(*/0 * * * ? *)",
    "cron(1-2-3 * * * ? *)",
    "cron(, * * * ? *)",
    "cron(-1 * * * ? *)",
    "cron(* * W * ? *)",
    "rate(0 minutes)",
    "rate(1 minutes)",
    "rate(2 minute)",
    "rate(5)",
    "rate(1.5 hours)",
    "rate(5 seconds)",
    "at(2026-02-30T00:00:00)",
    "at(2026-01-01T00:00)",
    "at(2026-01-01T25:00:00)",
    "every 5 minutes",
    " rate(5 minutes)",
  ])
    assert.throws(() => parseSchedule(bad), ScheduleError, bad);
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."cron(at)*/,-?LW# 019AMON") })), (text) => {
      try {
        parseSchedule(text);
      } catch (error) {
        assert.ok(error instanceof ScheduleError);
      }
    }),
  );
  assert.deepEqual(["UTC", "Europe/Berlin", "Etc/GMT+9", "America/Argentina/Buenos_Aires", "Mars/Olympus", "+02:00", ""].map(isTimeZone), [
    true,
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

/** Fields as text, each with what it means, said as naively as AWS's page does. */
interface Meant<T> {
  readonly text: string;
  readonly holds: (value: T) => boolean;
}

const numbers = (min: number, max: number): fc.Arbitrary<Meant<number>> => {
  const value = fc.integer({ min, max });
  const item = fc.oneof(
    value.map((v) => ({ text: `${v}`, holds: (x: number) => x === v })),
    fc.tuple(value, value).map(([a, b]) => ({ text: `${a}-${b}`, holds: (x: number) => (a <= b ? x >= a && x <= b : x >= a || x <= b) })),
    fc.integer({ min: 1, max: max - min }).map((n) => ({ text: `*/${n}`, holds: (x: number) => (x - min) % n === 0 })),
    fc
      .tuple(value, fc.integer({ min: 1, max: max - min }))
      .map(([a, n]) => ({ text: `${a}/${n}`, holds: (x: number) => x >= a && (x - a) % n === 0 })),
  );
  return fc.oneof(
    fc.constant({ text: "*", holds: () => true }),
    fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => ({
      text: items.map(({ text }) => text).join(","),
      holds: (x: number) => items.some(({ holds }) => holds(x)),
    })),
  );
};

const within = (date: Date, days: number) => new Date(date.getTime() + days * day).getUTCMonth() === date.getUTCMonth();
const isWeekday = (date: Date) => date.getUTCDay() % 6 !== 0;
/** All days of the month that `date` is in. */
const monthOf = (date: Date) =>
  Array.from({ length: 61 }, (_, i) => i - 30)
    .filter((days) => within(date, days) && Math.abs(days) < 31)
    .map((days) => new Date(date.getTime() + days * day));

const names = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const dayFields: fc.Arbitrary<Meant<Date>> = fc.oneof(
  numbers(1, 31).map(({ text, holds }) => ({ text: `${text} % ?`, holds: (d: Date) => holds(d.getUTCDate()) })),
  numbers(1, 7).map(({ text, holds }) => ({ text: `? % ${text}`, holds: (d: Date) => holds(d.getUTCDay() + 1) })),
  fc.integer({ min: 0, max: 6 }).map((w) => ({ text: `? % ${names[w]}`, holds: (d: Date) => d.getUTCDay() === w })),
  fc.integer({ min: 0, max: 6 }).map((w) => ({ text: `? % ${w + 1}L`, holds: (d: Date) => d.getUTCDay() === w && !within(d, 7) })),
  fc.tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 1, max: 5 })).map(([w, n]) => ({
    text: `? % ${names[w]}#${n}`,
    holds: (d: Date) => d.getUTCDay() === w && Math.ceil(d.getUTCDate() / 7) === n,
  })),
  fc.constant({ text: "L % ?", holds: (d: Date) => !within(d, 1) }),
  fc.integer({ min: 1, max: 31 }).map((n) => ({
    text: `${n}W % ?`,
    holds: (d: Date) => {
      const weekdays = monthOf(d).filter(isWeekday);
      const far = (one: Date) => Math.abs(one.getUTCDate() - n);
      return monthOf(d).some((one) => one.getUTCDate() === n) && isWeekday(d) && weekdays.every((one) => far(one) >= far(d));
    },
  })),
);

const crons = fc.record({ minutes: numbers(0, 59), hours: numbers(0, 23), months: numbers(1, 12), days: dayFields }).map((fields) => ({
  text: `cron(${fields.minutes.text} ${fields.hours.text} ${fields.days.text.replace("%", fields.months.text)} *)`,
  dayHolds: (date: Date) => fields.months.holds(date.getUTCMonth() + 1) && fields.days.holds(date),
  holds: (local: Date) =>
    fields.minutes.holds(local.getUTCMinutes()) &&
    fields.hours.holds(local.getUTCHours()) &&
    fields.months.holds(local.getUTCMonth() + 1) &&
    fields.days.holds(local),
}));

/** Where the clocks change, among them by half an hour and over midnight. */
const changes = [
  ["Europe/Berlin", "2026-03-29"],
  ["Europe/Berlin", "2026-10-25"],
  ["America/New_York", "2026-11-01"],
  ["Australia/Lord_Howe", "2026-04-05"],
  ["Australia/Lord_Howe", "2026-10-04"],
  ["America/Havana", "2026-03-08"],
  ["Africa/Cairo", "2026-10-30"],
  ["Asia/Kathmandu", "2026-02-28"],
  ["UTC", "2028-02-29"],
] as const;

test("minute by minute, over every change of the clocks", () => {
  const length = 2 * 1440;
  const windows = changes.map(([zone, date]) => {
    const begin = at(date) - 1440 * minute;
    const seen = new Set<number>();
    const moments = Array.from({ length }, (_, i) => {
      const utc = begin + i * minute;
      const local = localOf(utc, zone);
      const again = seen.has(local);
      seen.add(local);
      return { utc, local: new Date(local), again };
    });
    return { zone, begin, moments };
  });
  fc.assert(
    fc.property(crons, fc.constantFrom(...windows), fc.nat(length - 1), ({ text, holds }, { zone, begin, moments }, from) => {
      const schedule = parseSchedule(text);
      const expected = moments.slice(from).find(({ local, again }) => !again && holds(local))?.utc;
      const found = nextTime(schedule, begin + from * minute - 1, zone);
      if (expected === undefined) assert.ok(found === undefined || found >= begin + length * minute, `${text} in ${zone}`);
      else assert.equal(found, expected, `${text} in ${zone} from ${new Date(begin + from * minute).toISOString()}`);
    }),
    { numRuns: 600 },
  );
});

test("day by day, over years", () => {
  fc.assert(
    fc.property(crons, fc.integer({ min: at("1999-12-01") / day, max: at("2030-01-01") / day }), ({ text, dayHolds }, from) => {
      let expected: number | undefined;
      for (let each = from; each < from + 1500 && expected === undefined; each++) if (dayHolds(new Date(each * day))) expected = each;
      const found = nextTime(parseSchedule(text), from * day - 1);
      if (expected !== undefined) assert.equal(Math.floor(found! / day), expected, text);
      else assert.ok(found === undefined || found >= (from + 1500) * day, text);
    }),
    { numRuns: 500 },
  );
});
