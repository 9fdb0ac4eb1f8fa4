import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Accumulator, maxExactValues, merge } from "./bundle.ts";
import { labelOf } from "./label.ts";
import { evaluate } from "./math/evaluate.ts";
import { MathError, parseExpression } from "./math/syntax.ts";
import { isSeries, type Series, type Value } from "./math/values.ts";
import { stepAt } from "./resolution.ts";
import { rollUp } from "./roll-up.ts";
import { parseSearch } from "./search.ts";
import { parseStatistic } from "./statistics.ts";

const value = fc.integer({ min: -1000, max: 1000 }).map((one) => one / 4);
const samples = fc.array(value, { minLength: 1, maxLength: 60 });
const bundleOfAll = (values: readonly number[]) => {
  const sum = new Accumulator();
  for (const one of values) sum.add(one);
  return sum.bundle();
};

test("statistics are those of the samples, written out", () => {
  fc.assert(
    fc.property(samples, fc.integer({ min: 0, max: 100 }), (values, percent) => {
      const bundle = bundleOfAll(values);
      const take = (name: string) => parseStatistic(name)!(bundle);
      const sorted = values.toSorted((a, b) => a - b);
      const sum = values.reduce((all, one) => all + one, 0);
      assert.equal(take("SampleCount"), values.length);
      assert.ok(Math.abs(take("Sum")! - sum) < 1e-9);
      assert.equal(take("Minimum"), sorted[0]);
      assert.equal(take("Maximum"), sorted.at(-1));
      assert.equal(take(`p${percent}`), sorted[Math.max(0, Math.ceil((percent * values.length) / 100 - 1e-9) - 1)]);
      assert.equal(take("PR(:0)"), (values.filter((one) => one <= 0).length / values.length) * 100);
      assert.equal(take("TC(-10:10)"), values.filter((one) => one > -10 && one <= 10).length);
      assert.equal(
        take("TS(:10)"),
        values.filter((one) => one <= 10).reduce((all, one) => all + one, 0),
      );
      const inside = values.filter((one) => one > -10 && one <= 10);
      const mean = take("TM(-10:10)");
      assert.ok(
        inside.length === 0 ? mean === undefined : Math.abs(mean! - inside.reduce((all, one) => all + one, 0) / inside.length) < 1e-9,
      );
      const winsorized = values.map((one) => Math.min(10, Math.max(-10, one)));
      assert.ok(Math.abs(take("WM(-10:10)")! - winsorized.reduce((all, one) => all + one, 0) / values.length) < 1e-9);
      assert.ok(Math.abs(take("tm100")! - sum / values.length) < 1e-9);
    }),
  );
  for (const name of ["p101", "Median", "TM(:)", "PR(1%:)", "TM(9:1)", "p", "TM(1%:5)", ""])
    assert.equal(parseStatistic(name), undefined, name);
});

test("rolling up in any steps gives what rolling up at once gives", () => {
  const points = fc.array(fc.tuple(fc.integer({ min: 0, max: 20_000 }), value), { maxLength: 100 });
  fc.assert(
    fc.property(points, (list) => {
      const raw = list.map(([slot, one]) => ({ slot, bundle: bundleOfAll([one]) }));
      assert.deepEqual(rollUp(rollUp(rollUp(raw, 60), 300), 3600), rollUp(raw, 3600));
      const naive = Map.groupBy(list, ([slot]) => Math.floor(slot / 60) * 60);
      const rolled = rollUp(raw, 60);
      assert.deepEqual(
        rolled.map(({ slot }) => slot),
        [...naive.keys()].sort((a, b) => a - b),
      );
      for (const { slot, bundle } of rolled) assert.deepEqual(bundle, bundleOfAll(naive.get(slot)!.map(([, one]) => one)));
    }),
  );
});

test("many values are kept within one percent, whatever the order of merging", () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -1e6, max: 1e6, noNaN: true }), { minLength: maxExactValues + 1, maxLength: 600 }), (values) => {
      const whole = bundleOfAll(values);
      const halves = merge(bundleOfAll(values.slice(0, 200)), bundleOfAll(values.slice(200)));
      for (const bundle of [whole, halves]) {
        assert.deepEqual([bundle.count, bundle.min, bundle.max], [values.length, Math.min(...values), Math.max(...values)]);
        const exact = values.toSorted((a, b) => a - b)[Math.ceil(values.length * 0.9) - 1]!;
        assert.ok(Math.abs(parseStatistic("p90")!(bundle)! - exact) <= Math.abs(exact) * 0.01 + 1e-300);
      }
    }),
    { numRuns: 50 },
  );
});

test("resolution goes with age", () => {
  const hour = 3600;
  const day = 24 * hour;
  const at = (step: number, age: number) => stepAt(step, 1e9 - age, 1e9);
  assert.deepEqual(
    [at(1, 3 * hour), at(1, 3 * hour + 1), at(60, 15 * day), at(60, 15 * day + 1), at(1, 63 * day), at(60, 64 * day), at(60, 456 * day)],
    [1, 60, 60, 300, 300, hour, undefined],
  );
});

const series = (values: readonly (number | undefined)[], label = "s"): Series => ({
  label,
  period: 60,
  slots: values.flatMap((one, i) => (one === undefined ? [] : [i * 60])),
  values: values.filter((one) => one !== undefined),
});

function calculate(expression: string, named: Record<string, Value>): Value {
  return evaluate(parseExpression(expression), {
    window: { startOf: () => 0, end: 300, period: 60 },
    named: (name) => named[name],
    metrics: () => Object.entries(named).flatMap(([id, one]) => (isSeries(one) ? [{ id, series: one }] : [])),
    search: () => [series([1, 2], "x"), series([3], "y")],
  });
}
const written = (one: Value): unknown =>
  isSeries(one)
    ? Object.fromEntries(one.slots.map((slot, i) => [slot / 60, one.values[i]]))
    : Array.isArray(one)
      ? (one as readonly Series[]).map(written)
      : one;

test("metric math", () => {
  const named = { a: series([1, 2, undefined, 4]), b: series([10, undefined, 30, 0]) };
  const cases: Record<string, unknown> = {
    "a + b": { 0: 11, 3: 4 },
    "b / a": { 0: 10, 3: 0 },
    "a / b": { 0: 0.1 },
    "-a ^ 2 + 2 * 3 - 1": { 0: 4, 1: 1, 3: -11 },
    "2 ^ 3 ^ 2": 512,
    "(1 + 2) * 3 > 8 AND 1 < 2": 1,
    "a >= 2": { 0: 0, 1: 1, 3: 1 },
    "SUM([a, b])": { 0: 11, 1: 2, 2: 30, 3: 4 },
    "AVG(METRICS())": { 0: 5.5, 1: 2, 2: 30, 3: 2 },
    "MAX(a)": 4,
    "MIN([a, b])": { 0: 1, 1: 2, 2: 30, 3: 0 },
    "STDDEV([a, b])": { 0: 4.5, 1: 0, 2: 0, 3: 2 },
    "a - AVG(a)": { 0: 1 - 7 / 3, 1: 2 - 7 / 3, 3: 4 - 7 / 3 },
    "RATE(a)": { 1: 1 / 60, 3: 2 / 120 },
    "DIFF(a)": { 1: 1, 3: 2 },
    "DIFF_TIME(a)": { 1: 60, 3: 120 },
    "RUNNING_SUM(a)": { 0: 1, 1: 3, 3: 7 },
    "FILL(a, 0)": { 0: 1, 1: 2, 2: 0, 3: 4, 4: 0 },
    "FILL(a, REPEAT)": { 0: 1, 1: 2, 2: 2, 3: 4, 4: 4 },
    "FILL(a, LINEAR)": { 0: 1, 1: 2, 2: 3, 3: 4 },
    "FILL(a, b)": { 0: 1, 1: 2, 2: 30, 3: 4 },
    "IF(a > 1, a, 0)": { 0: 0, 1: 2, 3: 4 },
    "IF(a > 1, b)": { 3: 0 },
    "IF(1 == 2, 3, 4)": 4,
    "PERIOD(a) * 2": 120,
    "TIME_SERIES(7)": { 0: 7, 1: 7, 2: 7, 3: 7, 4: 7 },
    "DATAPOINT_COUNT(a)": 3,
    "METRIC_COUNT(METRICS('a'))": 1,
    "SORT(SEARCH('x', 'Sum', 60), MAX, DESC)": [{ 0: 3 }, { 0: 1, 1: 2 }],
    "SLICE(SORT(SEARCH('x', 'Sum', 60), SUM, ASC), 1)": [{ 0: 3 }],
    "REMOVE_EMPTY([a, IF(a > 9, a)])": [{ 0: 1, 1: 2, 3: 4 }],
    "FIRST(SEARCH('x', 'Sum'))": { 0: 1, 1: 2 },
    "CEIL(ABS(LOG10(a) - 0.5))": { 0: 1, 1: 1, 3: 1 },
    "FLOOR(a / 2)": { 0: 0, 1: 1, 3: 2 },
    "MINUTE(a)": { 0: 0, 1: 1, 3: 3 },
  };
  for (const [expression, expected] of Object.entries(cases)) assert.deepEqual(written(calculate(expression, named)), expected, expression);
  for (const wrong of [
    "a +",
    "a b",
    "nothing",
    "NOPE(a)",
    "[a, 1]",
    "METRICS() * METRICS()",
    "SORT(a, AVG)",
    "(",
    "ANOMALY_DETECTION_BAND(a)",
    "a ? b",
    "IF(METRICS(), 1, 2)",
  ])
    assert.throws(() => calculate(wrong, named), MathError, wrong);
});

test("any text is an expression or a MathError, and arithmetic is JavaScript's", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(fc.constantFrom("a", "(", ")", "+", "-", "[", "]", ",", "1", "'x'", "IF", "SUM", " ")).map((parts) => parts.join("")),
      ),
      (text) => {
        try {
          calculate(text, { a: series([1]) });
        } catch (error) {
          assert.ok(error instanceof MathError, String(error));
        }
      },
    ),
  );
  const tree: fc.Arbitrary<string> = fc.letrec<{ e: string }>((tie) => ({
    e: fc.oneof(
      { maxDepth: 4 },
      fc.integer({ min: 1, max: 9 }).map(String),
      fc.tuple(tie("e"), fc.constantFrom("+", "-", "*", "/"), tie("e")).map(([l, op, r]) => `(${l} ${op} ${r})`),
      fc.tuple(tie("e"), tie("e")).map(([l, r]) => `${l} - ${r} * 2`.replaceAll(/^(.*)$/g, "($1)")),
    ),
  })).e;
  fc.assert(
    fc.property(tree, (text) => {
      // oxlint-disable-next-line no-implied-eval, typescript/no-implied-eval
      assert.equal(calculate(text, {}), (new Function(`return ${text}`) as () => number)());
    }),
  );
});

test("search expressions", () => {
  const metric = (namespace: string, name: string, dimensions: Record<string, string>) => ({
    namespace,
    name,
    dimensions: Object.entries(dimensions).map(([key, one]) => ({ name: key, value: one })),
  });
  const cpu = metric("AWS/ECS", "CPUUtilization", { ClusterName: "prod-main", ServiceName: "web" });
  const memory = metric("AWS/ECS", "MemoryUtilization", { ClusterName: "test" });
  const found = (query: string) => [cpu, memory].filter(parseSearch(query)).map(({ name }) => name[0]);
  assert.deepEqual(found("{AWS/ECS,ClusterName,ServiceName}"), ["C"]);
  assert.deepEqual(found("{AWS/ECS,ClusterName} Utilization"), ["M"]);
  assert.deepEqual(found('MetricName="CPUUtilization"'), ["C"]);
  assert.deepEqual(found('MetricName="CPU"'), []);
  assert.deepEqual(found("utilization NOT memory"), ["C"]);
  assert.deepEqual(found("prod OR test"), ["C", "M"]);
  assert.deepEqual(found('Namespace="AWS/ECS" ServiceName=(web OR api)'), ["C"]);
  assert.deepEqual(found(""), ["C", "M"]);
  assert.throws(() => parseSearch("(a"), MathError);
});

test("dynamic labels", () => {
  const facts = {
    series: series([3, 9, 6]),
    usual: "cpu",
    account: "1",
    region: "r",
    stat: "p99",
    metric: { namespace: "N", name: "M", dimensions: [{ name: "Host", value: "h" }] },
  };
  assert.equal(
    labelOf("${PROP('Dim.Host')} ${PROP('Stat')} ${MIN}-${MAX} ${AVG} ${LAST} ${MAX_TIME} ${LABEL} ${WHAT}", facts),
    "h p99 3-9 6 6 1970-01-01 00:01:00 UTC cpu ${WHAT}",
  );
  assert.equal(labelOf("${FIRST_TIME}", { ...facts, timezone: "+0130" }), "1970-01-01 01:30:00 +01:30");
});
