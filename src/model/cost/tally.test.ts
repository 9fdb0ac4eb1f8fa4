import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { add, compare, formatAmount, nothing } from "./amount.ts";
import { addHours, classText, coarser, partsOf } from "./days.ts";
import { awsPrices } from "./prices.ts";
import type { DayUsageRecord, InstanceUsageRecord, TaskClass } from "./records.ts";
import { reportOf } from "./report.ts";
import { tally, type Grouping, type Metered, type MeteredTask } from "./tally.ts";
import { hourMs } from "./usage.ts";

const start = Date.UTC(2026, 10, 1, 22);
const always = { from: 0, to: Number.MAX_SAFE_INTEGER };
const machine = { type: "m5.large", cpu: 2048, memory: 8192 };
const classes: readonly TaskClass[] = [
  { cluster: "a", group: "service:web", launchType: "FARGATE", cpu: 256, memory: 512, tags: [{ key: "team", value: "red" }] },
  {
    cluster: "a",
    group: "service:web",
    launchType: "FARGATE_SPOT",
    cpu: 1024,
    memory: 3072,
    storageGiB: 33,
    architecture: "arm64",
    tags: [],
  },
  { cluster: "a", group: "family:job", launchType: "EC2", cpu: 300, memory: 700, machine, tags: [{ key: "team", value: "red" }] },
  {
    cluster: "b",
    group: "service:web",
    launchType: "EC2",
    cpu: 0,
    memory: 100,
    machine: { cpu: 3000, memory: 7777 },
    tags: [],
    tagsDropped: true,
  },
];
const groupings: readonly Grouping[] = [
  { by: "cluster" },
  { by: "service" },
  { by: "launch-type" },
  { by: "task" },
  { by: "tag", tag: "team" },
];

/** As the meter keeps them: by the day and the class. */
function daysOf(tasks: readonly MeteredTask[]): (DayUsageRecord & { day: string })[] {
  const days = new Map<string, DayUsageRecord & { day: string }>();
  for (const task of tasks) {
    for (const { day, hours } of partsOf(task)) {
      const name = day + classText(task.class);
      days.set(name, { day, class: task.class, hours: addHours(days.get(name)?.hours ?? {}, hours) });
    }
  }
  return [...days.values()];
}

const task = fc.record({ class: fc.constantFrom(...classes), from: fc.nat(40 * hourMs), length: fc.nat(30 * hourMs) });
const instance = fc.record({
  cluster: fc.constantFrom("a", "b"),
  from: fc.nat(40 * hourMs),
  length: fc.nat(30 * hourMs),
  type: fc.constantFrom("m5.large", "x"),
});
const metered = fc
  .record({ tasks: fc.array(task, { maxLength: 12 }), instances: fc.array(instance, { maxLength: 4 }) })
  .map(({ tasks, instances }) => ({
    tasks: tasks.map(({ from, length, class: of }, index): MeteredTask => ({
      id: `t${index}`,
      class: of,
      from: start + from,
      to: start + from + length,
    })),
    instances: instances.map(({ cluster, from, length, type }, index): InstanceUsageRecord => ({
      cluster,
      id: `i${index}`,
      ec2InstanceId: `mi-${index}`,
      machine: { ...machine, type },
      from: start + from,
      to: start + from + length,
    })),
  }));
const cuts = fc.array(fc.integer({ min: -2, max: 80 }), { maxLength: 6 });

test("the parts of a time are the whole, to the last fraction, however it is cut and kept", () => {
  fc.assert(
    fc.property(metered, cuts, fc.constantFrom(...groupings), fc.nat(12), ({ tasks, instances }, at, grouping, kept) => {
      // Some of the tasks have gone into their days.
      const mixed: Metered = { tasks: tasks.slice(0, kept), days: daysOf(tasks.slice(kept)), instances };
      const whole = tally(mixed, always, grouping, awsPrices);
      const bounds = [always.from, ...at.map((hour) => start + hour * hourMs).sort((a, b) => a - b), always.to];
      const parts = bounds.slice(1).map((to, index) => tally(mixed, { from: bounds[index]!, to }, grouping, awsPrices));
      for (const member of ["own", "other"] as const)
        assert.equal(compare(parts.map((part) => part[member]).reduce(add, nothing), whole[member]), 0);
      const sum = (rows: typeof whole.rows) =>
        rows.reduce((total, { ms, begun }) => ({ ms: total.ms + ms, begun: total.begun + begun }), { ms: 0n, begun: 0 });
      assert.deepEqual(sum(parts.flatMap(({ rows }) => rows)), sum(whole.rows));
      assert.equal(sum(whole.rows).begun, tasks.length);

      const apart = tally({ tasks, days: [], instances }, always, grouping, awsPrices);
      assert.equal(compare(apart.own, whole.own), 0, "added up by the day, nothing is lost");
      assert.equal(compare(apart.other, whole.other), 0);
    }),
    { numRuns: 300 },
  );
});

test("every grouping has the same totals, and the clusters' are those of all", () => {
  fc.assert(
    fc.property(metered, (all) => {
      const given = { ...all, days: [] };
      const totals = groupings.map((grouping) => tally(given, always, grouping, awsPrices));
      for (const { own, other } of totals) assert.equal(compare(own, totals[0]!.own) || compare(other, totals[0]!.other), 0);
      const apart = ["a", "b"].map((cluster) => tally(given, always, { by: "service" }, awsPrices, cluster));
      assert.equal(compare(apart.map(({ own }) => own).reduce(add), totals[0]!.own), 0);
    }),
    { numRuns: 100 },
  );
});

const at = (from: number, to: number) => ({ from: start + from * hourMs, to: start + to * hourMs });

test("instances are what EC2 costs: shares and what is unused", () => {
  const given: Metered = {
    tasks: [
      { id: "1", ...at(0, 2), class: { ...classes[2]!, cpu: 1024, memory: 2048 } },
      { id: "2", ...at(1, 2), class: classes[0]! },
    ],
    days: [],
    instances: [{ cluster: "a", id: "i", ec2InstanceId: "mi-1", machine, ...at(0, 4) }],
  };
  const { rows, total, instances } = reportOf(tally(given, always, { by: "service" }, awsPrices));
  const short = rows.map(({ key, launchType, unused, cost, elsewhere }) => [key, launchType, unused, cost, elsewhere]);
  assert.deepEqual(short, [
    // 4 × 0.096 − 2 × 0.096 × 11 / 26
    ["(unused)", "EC2", true, "0.302769", "0.000000"],
    ["family:job", "EC2", false, "0.081231", "0.098740"],
    ["service:web", "FARGATE", false, "0.012343", "0.009563"],
  ]);
  // 0.384 + 0.0123425; 2 × 0.04937 + 0.0095625
  assert.deepEqual(total, { cost: "0.396343", elsewhere: "0.108303", elsewhereLacks: false });
  assert.deepEqual(instances, [{ cluster: "a", id: "i", ec2InstanceId: "mi-1", type: "m5.large", hours: "4.000000", cost: "0.384000" }]);
  // The second hour alone: 0.096, and half of what the tasks cost.
  const hour = reportOf(tally(given, at(1, 2), { by: "launch-type" }, awsPrices));
  assert.deepEqual(
    hour.rows.map(({ key, unused, cost, taskHours, tasksBegun }) => [key, unused, cost, taskHours, tasksBegun]),
    [
      ["EC2", true, "0.055385", "0.000000", 0],
      ["EC2", false, "0.040615", "1.000000", 0],
      ["FARGATE", false, "0.012343", "1.000000", 1],
    ],
  );
});

test("by tag: none, and no longer known", () => {
  const tasks = classes.map((of, index) => ({ id: String(index), ...at(0, 1), class: of }));
  const { rows } = tally({ tasks, days: [], instances: [] }, always, { by: "tag", tag: "team" }, awsPrices);
  assert.deepEqual([...new Set(rows.filter(({ unused }) => !unused).map(({ key }) => key))].toSorted(), ["(none)", "(not kept)", "red"]);
  const dear = tally(
    { tasks: [{ id: "x", ...at(0, 1), class: { ...classes[2]!, gpus: 1 } }], days: [], instances: [] },
    always,
    { by: "task" },
    awsPrices,
  );
  assert.equal(dear.rows.find(({ key }) => key === "x")?.lacks, true);
  assert.equal(formatAmount(dear.other, 6), "0.000000");
});

test("a task is spread over its hours and days; the minute that is billed may reach into the next", () => {
  const end = Date.UTC(2026, 10, 2);
  const parts = partsOf({ class: classes[0]!, from: end - 5000, to: end - 1000 });
  assert.deepEqual(parts, [
    { day: "2026-11-01", hours: { 23: { ms: 4000, billedMs: 5000, begun: 1 } } },
    { day: "2026-11-02", hours: { 0: { ms: 0, billedMs: 55_000, begun: 0 } } },
  ]);
});

test("too many kinds of tasks in a day: tags go first, groups later", () => {
  assert.equal(coarser(classes[0]!, 1999), classes[0]);
  const untagged = coarser(classes[0]!, 2000);
  assert.deepEqual([untagged.tags, untagged.tagsDropped, untagged.group], [[], true, "service:web"]);
  assert.equal(coarser(classes[0]!, 3000).group, "(other)");
});
