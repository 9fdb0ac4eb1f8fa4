import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { breachOf, evaluateAlarm, evaluationRange, significant } from "./evaluate.ts";
import type { AlarmStateValue, MissingData } from "./records.ts";
import { alarmsOf, holds, parseRule, RuleError } from "./rule.ts";
import { suppress } from "./suppress.ts";

const treatments = ["missing", "ignore", "breaching", "notBreaching"] as const;

/** Rows as AWS prints them, oldest first: `0` within the threshold, `X` breaching, `-` missing. `=`: the state stands. */
const tables: readonly (readonly [m: number, row: string, states: readonly string[]])[] = [
  [3, "0 - X - X", ["OK", "OK", "OK", "OK"]],
  [3, "0 - - - -", ["OK", "OK", "OK", "OK"]],
  [3, "- - - - -", ["INSUFFICIENT_DATA", "=", "ALARM", "OK"]],
  [3, "0 X X - X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
  [3, "- - X - -", ["ALARM", "=", "ALARM", "OK"]],
  [2, "0 - X - X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
  [2, "0 0 X 0 X", ["ALARM", "ALARM", "ALARM", "ALARM"]],
  [2, "0 - X - -", ["OK", "OK", "ALARM", "OK"]],
  [2, "- - - - 0", ["OK", "OK", "ALARM", "OK"]],
  [2, "- - - X -", ["ALARM", "=", "ALARM", "OK"]],
  // "Avoiding premature transitions": these wait for the next point.
  [3, "- - - - X", ["OK", "OK", "ALARM", "OK"]],
  [3, "- - - X -", ["OK", "OK", "ALARM", "OK"]],
];

function judge(row: string, m: number, n: number, treatMissingData: MissingData, current: AlarmStateValue) {
  const range = row
    .split(" ")
    .toReversed()
    .map((mark, slot) => (mark === "-" ? undefined : { slot, value: mark === "X" ? 1 : 0 }));
  return evaluateAlarm({
    range,
    evaluationPeriods: n,
    datapointsToAlarm: m,
    breaches: breachOf("GreaterThanThreshold", 0),
    treatMissingData,
    current,
  });
}

test("AWS's tables of missing data", () => {
  for (const [m, row, states] of tables)
    for (const [i, treatment] of treatments.entries())
      for (const current of ["OK", "ALARM", "INSUFFICIENT_DATA"] as const)
        assert.equal(
          judge(row, m, 3, treatment, current).state,
          states[i] === "=" ? current : states[i],
          `${m} of 3: ${row}, ${treatment}, was ${current}`,
        );
});

/** The same rules read naively: missing points are written out, and every sentence of the page is one line. */
function naive(row: readonly string[], m: number, n: number, treatment: MissingData, current: AlarmStateValue): AlarmStateValue {
  const newestFirst = row.toReversed();
  const real = newestFirst.filter((mark) => mark !== "-");
  const used = real.slice(0, n);
  if (used.length === n) return used.filter((mark) => mark === "X").length >= m ? "ALARM" : "OK";
  const fill = { breaching: "X", notBreaching: "0", missing: "-", ignore: "-" }[treatment];
  const judged = [...used, ...Array.from<string>({ length: n - used.length }).fill(fill)];
  if (judged.every((mark) => mark === "-")) return treatment === "ignore" ? current : "INSUFFICIENT_DATA";
  if (judged.filter((mark) => mark === "X").length >= m) return "ALARM";
  if (fill === "-" && !row.includes("0") && newestFirst.lastIndexOf("X") + 1 >= m) return treatment === "ignore" ? current : "ALARM";
  return "OK";
}

test("any row is judged as the naive reading judges it", () => {
  const row = fc.integer({ min: 1, max: 6 }).chain((n) =>
    fc.record({
      n: fc.constant(n),
      m: fc.integer({ min: 1, max: n }),
      row: fc.array(fc.constantFrom("0", "X", "-"), { minLength: evaluationRange(n, 60), maxLength: evaluationRange(n, 60) }),
      treatment: fc.constantFrom(...treatments),
      current: fc.constantFrom<AlarmStateValue>("OK", "ALARM", "INSUFFICIENT_DATA"),
    }),
  );
  fc.assert(
    fc.property(row, (one) => {
      assert.equal(
        judge(one.row.join(" "), one.m, one.n, one.treatment, one.current).state,
        naive(one.row, one.m, one.n, one.treatment, one.current),
      );
    }),
    { numRuns: 2000 },
  );
});

test("percentiles ask for enough samples", () => {
  assert.deepEqual(
    [significant(99, 999), significant(99, 1000), significant(50, 19), significant(50, 20), significant(10, 99), significant(10, 100)],
    [false, true, false, true, false, true],
  );
});

test("rules of composite alarms", () => {
  const states: Record<string, AlarmStateValue> = { a: "ALARM", b: "OK", "c d": "INSUFFICIENT_DATA", 'e"f': "ALARM" };
  const check = (rule: string) => holds(parseRule(rule), (name) => states[name]);
  for (const rule of [
    "ALARM(a)",
    "ALARM(a) OR ALARM(b) AND FALSE",
    "NOT ALARM(b)",
    'INSUFFICIENT_DATA("c d") AND (OK(b) OR FALSE)',
    'ALARM("e\\"f")',
    "ALARM(arn:aws:cloudwatch:us-east-1:000000000000:alarm:a)",
    'AT_LEAST(2, ALARM, (a, b, "e\\"f"))',
    "AT_LEAST(50%, NOT ALARM, (a, b))",
    "NOT OK(gone)",
  ])
    assert.equal(check(rule), true, rule);
  for (const rule of ["ALARM(b)", "(ALARM(a) OR ALARM(b)) AND FALSE", "OK(gone)", "AT_LEAST(3, ALARM, (a, b, 'c d'))"])
    assert.equal(check(rule), false, rule);
  for (const rule of ["", "ALARM()", "ALARM(a", "ALARM(a) OK(b)", "alarm(a)", "AND", 'ALARM("a)', "AT_LEAST(0, ALARM, (a))"])
    assert.throws(() => parseRule(rule), RuleError, rule);
  assert.deepEqual(alarmsOf(parseRule("ALARM(a) AND NOT (OK(b) OR ALARM(a))")), ["a", "b"]);
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        parseRule(text);
      } catch (error) {
        assert.ok(error instanceof RuleError);
      }
    }),
  );
});

test("a suppressor holds actions back, and lets them go when its time is over", () => {
  const rule = { rule: "ALARM(a)", suppressor: "s", waitPeriod: 60, extensionPeriod: 30 };
  const step = (
    now: number,
    suppressing: boolean,
    state: AlarmStateValue,
    changedFrom?: AlarmStateValue,
    held?: ReturnType<typeof suppress>["held"],
  ) => suppress({ rule, suppressing, state, changedFrom, held, now: now * 1000 });
  const waiting = step(0, false, "ALARM", "OK");
  assert.deepEqual([waiting.act, waiting.held?.by], [undefined, "WaitPeriod"]);
  assert.equal(step(59, false, "ALARM", undefined, waiting.held).act, undefined);
  assert.equal(step(60, false, "ALARM", undefined, waiting.held).act, "OK");
  const held = step(30, true, "ALARM", undefined, waiting.held);
  assert.equal(held.held?.by, "Alarm");
  assert.equal(step(9999, true, "ALARM", undefined, held.held).held?.by, "Alarm");
  const leaving = step(100, false, "ALARM", undefined, held.held);
  assert.equal(leaving.held?.by, "ExtensionPeriod");
  assert.equal(step(130, false, "ALARM", undefined, leaving.held).act, "OK");
  assert.deepEqual(step(110, false, "OK", "ALARM", leaving.held), { act: undefined, held: undefined });
});
