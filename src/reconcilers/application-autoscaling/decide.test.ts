import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { PolicyRecord, StepScaling, Tracking } from "#model/application-autoscaling/records.ts";
import { decideScaling, type Decision, type ScalingFacts, type Trigger } from "./decide.ts";
import { proposeStep, stepFor } from "./propose.ts";

const minute = 60_000;
const resource = { cluster: "c", service: "s" };
const trackingPolicy = (name: string, tracking: Partial<Tracking> = {}): PolicyRecord => ({
  ...resource,
  name,
  arn: `arn:${name}`,
  createdAt: 0,
  type: "TargetTrackingScaling",
  tracking: { targetValue: 50, metric: { predefined: "ECSServiceAverageCPUUtilization" }, disableScaleIn: false, ...tracking },
  alarms: { high: `${name}-high`, low: `${name}-low` },
});
const stepPolicy = (name: string, step: Partial<StepScaling>): PolicyRecord => ({
  ...resource,
  name,
  arn: `arn:${name}`,
  createdAt: 0,
  type: "StepScaling",
  step: { adjustmentType: "ChangeInCapacity", steps: [{ lower: 0, adjustment: 1 }], ...step },
});
const trigger = (policy: PolicyRecord, which: "High" | "Low", ...values: number[]): Trigger => ({
  policy,
  which,
  breach: { threshold: which === "High" ? 50 : 45, above: which === "High", values },
});
const facts = (given: Partial<ScalingFacts> & Pick<ScalingFacts, "trigger">): ScalingFacts => ({
  now: 0,
  min: 1,
  max: 100,
  suspended: { in: false, out: false, scheduled: false },
  desired: 10,
  running: given.desired ?? 10,
  deploying: false,
  state: {},
  others: [],
  ...given,
});
const to = (decision: Decision) => (decision.kind === "scale" ? decision.to : undefined);
const reason = (decision: Decision) => (decision.kind === "not scaled" ? decision.reason.code : decision.kind);
const cpu = trackingPolicy("cpu");
const memory = trackingPolicy("memory", { metric: { predefined: "ECSServiceAverageMemoryUtilization" } });

describe("target tracking", () => {
  test("out in proportion, rounded up; in by a tenth, or one", () => {
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "High", 75) }))), 15);
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "High", 51) }))), 11);
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "High", 55), desired: 1 }))), 2);
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "High", 80), desired: 0, min: 0 }))), 1, "something is asked of nothing");
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "Low", 5) }))), 9);
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "Low", 0), desired: 40 }))), 36);
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "Low", 0), desired: 1, min: 0 }))), 0);
  });

  test("only what the newest data point asks for still", () => {
    assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "High", 40, 90, 90) }))), "wait");
    assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "Low", 47, 1, 1) }))), "wait");
    assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "High") }))), "wait");
  });

  test("not in where one fewer would be too few", () => {
    assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "Low", 40), desired: 2 }))), "AutoScalingAnticipatedFlapping");
  });

  test("in only if all policies agree that scale in, by what the most careful says", () => {
    const low = trigger(cpu, "Low", 0);
    const careful = { policy: memory, breaches: [{ which: "Low" as const, breach: { threshold: 45, above: false, values: [44.9] } }] };
    const silent = { policy: memory, breaches: [] };
    const never = { policy: trackingPolicy("memory", { disableScaleIn: true }), breaches: [] };
    assert.equal(to(decideScaling(facts({ trigger: low, desired: 40, others: [careful] }))), 36);
    assert.equal(reason(decideScaling(facts({ trigger: low, desired: 9, others: [careful] }))), "AutoScalingAnticipatedFlapping");
    assert.equal(reason(decideScaling(facts({ trigger: low, others: [silent] }))), "wait");
    assert.equal(to(decideScaling(facts({ trigger: low, others: [never] }))), 9);
    const wanting = {
      policy: stepPolicy("more", {}),
      breaches: [{ which: "High" as const, breach: { threshold: 1, above: true, values: [2] } }],
    };
    assert.equal(reason(decideScaling(facts({ trigger: low, others: [wanting] }))), "wait", "another policy wants more");
  });
});

describe("limits", () => {
  const high = trigger(cpu, "High", 500);
  test("a count beyond them is brought to them by what goes in that direction", () => {
    assert.equal(to(decideScaling(facts({ trigger: high, max: 12 }))), 12);
    assert.deepEqual(decideScaling(facts({ trigger: high, max: 10 })), {
      kind: "not scaled",
      reason: { code: "AlreadyAtMaxCapacity", max: 10 },
    });
    assert.equal(reason(decideScaling(facts({ trigger: high, desired: 20, max: 10 }))), "AlreadyAtMaxCapacity");
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "High", 51), desired: 1, min: 5 }))), 5);
    assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "Low", 1), desired: 1, min: 5 }))), "AlreadyAtMinCapacity");
    assert.equal(to(decideScaling(facts({ trigger: trigger(cpu, "Low", 44), desired: 20, max: 10 }))), 10);
  });

  test("suspended, and during a deployment", () => {
    assert.equal(reason(decideScaling(facts({ trigger: high, suspended: { in: false, out: true, scheduled: false } }))), "wait");
    assert.equal(to(decideScaling(facts({ trigger: high, suspended: { in: true, out: false, scheduled: true }, deploying: true }))), 100);
    const low = trigger(cpu, "Low", 1);
    assert.equal(reason(decideScaling(facts({ trigger: low, suspended: { in: true, out: false, scheduled: false } }))), "wait");
    assert.equal(reason(decideScaling(facts({ trigger: low, deploying: true }))), "TargetServicePutResourceAsUnscalable");
  });

  test("counted from what runs: tasks that find no room do not ask for more", () => {
    assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "High", 75), desired: 15, running: 10 }))), "AlreadyAtDesiredCapacity");
  });
});

describe("cooldowns", () => {
  test("AWS's example: two more, then three more are one more", () => {
    const first = decideScaling(facts({ trigger: trigger(stepPolicy("p", { steps: [{ lower: 0, adjustment: 2 }] }), "High", 60) }));
    assert.equal(to(first), 12);
    const state = first.kind === "scale" ? first.state : {};
    const more = stepPolicy("p", { steps: [{ lower: 0, adjustment: 3 }] });
    const later = { desired: 12, running: 12, state, now: 2 * minute };
    assert.equal(to(decideScaling(facts({ ...later, trigger: trigger(more, "High", 60) }))), 13);
    assert.equal(reason(decideScaling(facts({ ...later, trigger: trigger(stepPolicy("p", {}), "High", 60) }))), "wait");
    assert.equal(to(decideScaling(facts({ ...later, now: 5 * minute, trigger: trigger(more, "High", 60) }))), 15);
  });

  test("scaling in waits for both, scaling out for none of scaling in", () => {
    const cooldown = { at: 0, until: 5 * minute, from: 10, to: 9 };
    for (const state of [{ in: cooldown }, { out: cooldown }])
      assert.equal(reason(decideScaling(facts({ trigger: trigger(cpu, "Low", 1), now: minute, state }))), "wait");
    const out = decideScaling(facts({ trigger: trigger(cpu, "High", 75), desired: 9, now: minute, state: { in: cooldown } }));
    assert.equal(to(out), 14);
    assert.deepEqual(out.kind === "scale" && Object.keys(out.state), ["out"], "the cooldown of scaling in ends");
  });

  test("two policies at once: the largest wins, in whatever order they come", () => {
    const three = stepPolicy("three", { steps: [{ lower: 0, adjustment: 3 }] });
    const double = stepPolicy("double", { adjustmentType: "PercentChangeInCapacity", steps: [{ lower: 0, adjustment: 200 }] });
    for (const order of [
      [three, double],
      [double, three],
    ]) {
      let [desired, state]: [number, ScalingFacts["state"]] = [10, {}];
      for (const policy of order) {
        const decision = decideScaling(facts({ desired, running: 10, state, trigger: trigger(policy, "High", 60) }));
        if (decision.kind === "scale") [desired, state] = [decision.to, decision.state];
      }
      assert.equal(desired, 30);
    }
  });
});

describe("steps", () => {
  const steps = [
    { upper: -10, adjustment: -2 },
    { lower: -10, upper: 0, adjustment: -1 },
    { lower: 0, upper: 10, adjustment: 1 },
    { lower: 10, adjustment: 2 },
  ];
  test("bounds: within above the threshold, without beneath it", () => {
    const of = (difference: number, above = true) => stepFor(steps, difference, above)?.adjustment;
    assert.deepEqual([of(0), of(9.9), of(10), of(99)], [1, 1, 2, 2]);
    assert.deepEqual([of(0, false), of(-9.9), of(-10), of(-10.1)], [-1, -1, -2, -2]);
    assert.equal(stepFor([{ lower: 5, adjustment: 1 }], 4, true), undefined);
  });

  test("percent: a part of one is one, more is cut, a least is kept", () => {
    const of = (capacity: number, adjustment: number, minAdjustmentMagnitude?: number) =>
      proposeStep(
        { adjustmentType: "PercentChangeInCapacity", steps: [{ lower: 0, adjustment }], minAdjustmentMagnitude },
        { threshold: 0, above: true, values: [1] },
        capacity,
      );
    assert.deepEqual([of(4, 25), of(4, 25, 2), of(10, 127), of(3, 10), of(3, -10), of(10, -67), of(2, -100)], [5, 6, 22, 4, 2, 4, 0]);
  });

  test("the aggregation says which data points count", () => {
    const of = (aggregation?: "Minimum" | "Maximum") =>
      proposeStep(
        {
          adjustmentType: "ChangeInCapacity",
          steps: [
            { lower: 0, upper: 10, adjustment: 1 },
            { lower: 10, adjustment: 5 },
          ],
          aggregation,
        },
        { threshold: 50, above: true, values: [51, 55, 71] },
        1,
      );
    assert.deepEqual([of(), of("Minimum"), of("Maximum")], [2, 2, 6]);
  });
});

const cooldownSeconds = fc.constantFrom(undefined, 0, 60, 120, 600);
const policies = fc.oneof(
  fc
    .record({ targetValue: fc.integer({ min: 1, max: 200 }), scaleOutCooldown: cooldownSeconds, scaleInCooldown: cooldownSeconds })
    .map((t) => trackingPolicy("t", t)),
  fc
    .record({
      adjustmentType: fc.constantFrom("ChangeInCapacity" as const, "PercentChangeInCapacity" as const, "ExactCapacity" as const),
      adjustment: fc.integer({ min: -200, max: 200 }),
      cooldown: cooldownSeconds,
    })
    .map(({ adjustmentType, adjustment, cooldown }) =>
      stepPolicy("p", {
        adjustmentType,
        cooldown,
        steps: [{ lower: 0, adjustment: adjustmentType === "ExactCapacity" ? Math.abs(adjustment) : adjustment }],
      }),
    ),
);

test("never beyond the limits, never while suspended, and cooldowns are held", () => {
  const count = fc.integer({ min: 0, max: 60 });
  fc.assert(
    fc.property(
      fc.record({
        limits: fc.tuple(count, count).map(([a, b]) => ({ min: Math.min(a, b), max: Math.max(a, b) })),
        desired: count,
        running: count,
        policy: policies,
        which: fc.constantFrom("High" as const, "Low" as const),
        value: fc.double({ min: 0, max: 1000, noNaN: true }),
        suspended: fc.record({ in: fc.boolean(), out: fc.boolean(), scheduled: fc.boolean() }),
        deploying: fc.boolean(),
        now: fc.constantFrom(0, 30_000, 90_000, 400_000),
        out: fc.option(fc.record({ from: count, to: count })),
        inward: fc.option(fc.record({ from: count, to: count })),
      }),
      ({ limits, desired, running, policy, which, value, suspended, deploying, now, out, inward }) => {
        const state = {
          ...(out ? { out: { ...out, at: 0, until: 60_000 } } : {}),
          ...(inward ? { in: { ...inward, at: 0, until: 300_000 } } : {}),
        };
        const given = facts({ ...limits, desired, running, suspended, deploying, now, state, trigger: trigger(policy, which, value) });
        const decision = decideScaling(given);
        if (decision.kind !== "scale") return;
        assert.ok(decision.to >= limits.min && decision.to <= limits.max, "within its limits");
        assert.notEqual(decision.to, desired);
        if (decision.to > desired) assert.ok(!suspended.out && decision.state.out);
        else {
          assert.ok(!suspended.in && !deploying && decision.state.in);
          assert.ok(!(out && now < 60_000) && !(inward && now < 300_000), "cooldowns are held");
        }
        // The same word again, before anything has moved, changes nothing.
        const again = decideScaling({ ...given, desired: decision.to, state: { ...state, ...decision.state } });
        if (again.kind === "scale") assert.ok(now >= (decision.state.out ?? decision.state.in)!.until, "only without a cooldown");
      },
    ),
    { numRuns: 3000 },
  );
});

/** A service under a load that stays: each task's share is the metric, tasks take a while to come, alarms count their periods and tell again each minute. */
function life(load: number, start: number, limits: { min: number; max: number }, tracking: Partial<Tracking>, startMinutes: number) {
  const policy = trackingPolicy("cpu", tracking);
  const target = tracking.targetValue ?? 50;
  let desired = start;
  let running = start;
  let state: ScalingFacts["state"] = {};
  const seen: number[] = [];
  const wishes: number[] = [];
  const changes: number[] = [];
  for (let minuteNumber = 0; minuteNumber < 1500; minuteNumber++) {
    wishes.push(desired);
    running = wishes[Math.max(0, minuteNumber - startMinutes)]!;
    if (running > 0) seen.unshift(load / running);
    const high = seen.length >= 3 && seen.slice(0, 3).every((value) => value > target);
    const low = seen.length >= 15 && seen.slice(0, 15).every((value) => value < target * 0.9);
    if (!high && !low) continue;
    const told: Trigger = {
      policy,
      which: high ? "High" : "Low",
      breach: { threshold: high ? target : target * 0.9, above: high, values: seen.slice(0, high ? 3 : 15) },
    };
    const decision = decideScaling(facts({ now: minuteNumber * minute, ...limits, desired, running, state, trigger: told }));
    if (decision.kind !== "scale") continue;
    assert.ok(decision.to >= limits.min && decision.to <= limits.max);
    changes.push(decision.to - desired);
    desired = decision.to;
    state = { ...(decision.state.in && state.out ? { out: state.out } : {}), ...decision.state };
  }
  return { desired, changes };
}

test("a load that stays is reached, from either side, and then nothing moves any more", () => {
  fc.assert(
    fc.property(
      fc.record({
        load: fc.integer({ min: 1, max: 4000 }),
        start: fc.integer({ min: 1, max: 60 }),
        startMinutes: fc.integer({ min: 0, max: 3 }),
        targetValue: fc.integer({ min: 20, max: 100 }),
        scaleOutCooldown: fc.constantFrom(undefined, 240, 600),
        scaleInCooldown: fc.constantFrom(undefined, 240, 600),
      }),
      ({ load, start, startMinutes, targetValue, ...cooldowns }) => {
        const limits = { min: 1, max: 80 };
        const { desired, changes } = life(load, start, limits, { targetValue, ...cooldowns }, startMinutes);
        const needed = Math.min(limits.max, Math.max(limits.min, Math.ceil(load / targetValue - 1e-9)));
        assert.ok(desired >= needed, `${desired} are fewer than the ${needed} that the load takes`);
        // Up to a tenth below the target nobody scales in.
        assert.ok(
          desired === needed || load / desired >= targetValue * 0.9 || load / (desired - 1) > targetValue,
          `${desired} stay where ${needed} do`,
        );
        assert.ok(
          changes.every((change) => Math.sign(change) === Math.sign(changes[0]!)),
          `it swings: ${changes.join(" ")}`,
        );
      },
    ),
    { numRuns: 500 },
  );
});
