import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSchedule } from "#model/schedules/index.ts";
import { due, type DueQuestion } from "./due.ts";
import { firstTimer, type TimerQuestion } from "./timers.ts";

const at = (text: string) => Date.parse(text);
const minute = 60_000;
const ask = (expression: string, more: Partial<DueQuestion> & Pick<DueQuestion, "next" | "now">) => {
  const { fire, next } = due({ schedule: parseSchedule(expression), timeZone: "UTC", start: 0, maximumAgeMs: 3_600_000, ...more });
  return [fire, next].map((time) => time && new Date(time).toISOString());
};

test("what is due happens, and comes again", () => {
  const now = at("2026-01-01T00:10:00Z");
  assert.deepEqual(ask("rate(5 minutes)", { start: at("2026-01-01T00:00:00Z"), next: now, now: now + 3 }), [
    "2026-01-01T00:10:00.000Z",
    "2026-01-01T00:15:00.000Z",
  ]);
  assert.deepEqual(ask("cron(10 * * * ? *)", { next: now, now }), ["2026-01-01T00:10:00.000Z", "2026-01-01T01:10:00.000Z"]);
  assert.deepEqual(ask("at(2026-01-01T00:10:00)", { next: now, now }), ["2026-01-01T00:10:00.000Z", undefined]);
  assert.deepEqual(ask("cron(10 * * * ? *)", { next: now + 1, now }), [undefined, "2026-01-01T00:10:00.001Z"]);
});

test("what was missed is made up for once, if it is not too old", () => {
  const next = at("2026-01-01T00:10:00Z");
  assert.deepEqual(ask("rate(5 minutes)", { start: at("2026-01-01T00:00:00Z"), next, now: next + 33 * minute }), [
    "2026-01-01T00:40:00.000Z",
    "2026-01-01T00:45:00.000Z",
  ]);
  assert.deepEqual(ask("cron(0/10 * * * ? *)", { next, now: next + 33 * minute }), [
    "2026-01-01T00:40:00.000Z",
    "2026-01-01T00:50:00.000Z",
  ]);
  assert.deepEqual(ask("at(2026-01-01T00:10:00)", { next, now: next + 59 * minute }), ["2026-01-01T00:10:00.000Z", undefined]);
  assert.deepEqual(ask("at(2026-01-01T00:10:00)", { next, now: next + 61 * minute }), [undefined, undefined]);
  assert.deepEqual(ask("cron(10 0 * * ? *)", { next, now: next + 61 * minute }), [undefined, "2026-01-02T00:10:00.000Z"]);
  // A year of minutes is no year of work.
  const began = performance.now();
  assert.deepEqual(ask("cron(* * * * ? *)", { next, now: at("2027-01-01T00:00:30Z") }), [
    "2027-01-01T00:00:00.000Z",
    "2027-01-01T00:01:00.000Z",
  ]);
  assert.deepEqual(ask("rate(1 minute)", { next, start: next, now: at("2027-01-01T00:00:30Z") }), [
    "2027-01-01T00:00:00.000Z",
    "2027-01-01T00:01:00.000Z",
  ]);
  assert.ok(performance.now() - began < 500);
});

test("nothing happens after the end", () => {
  const next = at("2026-01-01T00:10:00Z");
  assert.deepEqual(ask("rate(5 minutes)", { start: next, next, now: next, end: next + minute }), ["2026-01-01T00:10:00.000Z", undefined]);
});

test("the first time: after a rate, at once, from a start, within a window", () => {
  const now = at("2026-03-01T12:00:30Z");
  const first = (expression: string, more: Partial<TimerQuestion> = {}) => {
    const base = { account: "0", region: "r", kind: "rule", place: "default", name: "n" } as const;
    const timer = firstTimer(base, { expression, timeZone: "UTC", now, windowMs: 0, atOnce: false, random: 0.5, ...more });
    return timer && [new Date(timer.next).toISOString(), timer.due - timer.next];
  };
  assert.deepEqual(first("rate(1 hour)"), ["2026-03-01T13:00:30.000Z", 0]);
  assert.deepEqual(first("rate(1 hour)", { atOnce: true }), ["2026-03-01T12:00:30.000Z", 0]);
  assert.deepEqual(first("rate(1 hour)", { atOnce: true, startDate: now + 5000 }), ["2026-03-01T12:00:35.000Z", 0]);
  assert.deepEqual(first("rate(1 hour)", { atOnce: true, startDate: now - 1000 }), ["2026-03-01T13:00:29.000Z", 0]);
  assert.deepEqual(first("cron(0 9 * * ? *)", { timeZone: "Europe/Berlin" }), ["2026-03-02T08:00:00.000Z", 0]);
  // Summer time begins on March 29.
  assert.deepEqual(first("cron(0 9 29 3 ? *)", { timeZone: "Europe/Berlin" }), ["2026-03-29T07:00:00.000Z", 0]);
  assert.deepEqual(first("cron(0 9 * * ? *)", { windowMs: 10 * minute }), ["2026-03-02T09:00:00.000Z", 5 * minute]);
  assert.deepEqual(first("at(2026-03-01T12:00:00)"), ["2026-03-01T12:00:00.000Z", 0]);
  assert.equal(first("at(2026-03-01T11:59:00)"), undefined);
  assert.equal(first("rate(1 hour)", { endDate: now + minute }), undefined);
});
