import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { LifecycleStage } from "#model/lifecycle-stages.ts";
import type { DeploymentConfigurationRecord, ShiftRecord } from "#model/service-records.ts";
import { answered } from "./hooks.ts";
import { advance, expireHooks, firstStage, hookFailure, openHooks, percentAt, stageEndsAt } from "./stages.ts";

const configuration = (more: Partial<DeploymentConfigurationRecord> = {}): DeploymentConfigurationRecord => ({
  ...{ minimumHealthyPercent: 100, maximumPercent: 200, strategy: "BLUE_GREEN" },
  ...more,
});
const facts = (more: Partial<DeploymentConfigurationRecord> = {}) => ({
  ...{ configuration: configuration(more), deployment: "1", ready: true, reconciled: true },
});
const begin = (more: Partial<DeploymentConfigurationRecord> = {}, blue: string | null = "ecs-svc/0", reconcile = false) =>
  firstStage({ routes: [], ...(blue === null ? {} : { blue }) }, reconcile, facts(more), 0);

/** Every stage in order, when time passes and all is well. */
function run(
  shift: ShiftRecord,
  given: ReturnType<typeof facts>,
): { readonly stage: LifecycleStage; readonly production: number; readonly test: number }[] {
  const seen = [shift];
  for (let at = 0; at < 200 && seen.at(-1)!.stage !== "CLEAN_UP"; at++) {
    const last = seen.at(-1)!;
    const next = advance(last, given, stageEndsAt(last, given.configuration) ?? last.since);
    if (next === last) break;
    seen.push(next);
  }
  return seen.map(({ stage, production, test: share }) => ({ stage, production, test: share }));
}

test("the stages follow each other as AWS lists them; test traffic shifts before production's", () => {
  assert.deepEqual(
    run(begin({}, "ecs-svc/0", true), facts()).map(({ stage, production, test: share }) => `${stage} ${production} ${share}`),
    [
      "RECONCILE_SERVICE 0 0",
      "PRE_SCALE_UP 0 0",
      "SCALE_UP 0 0",
      "POST_SCALE_UP 0 0",
      "TEST_TRAFFIC_SHIFT 0 100",
      "POST_TEST_TRAFFIC_SHIFT 0 100",
      "PRE_PRODUCTION_TRAFFIC_SHIFT 0 100",
      "PRODUCTION_TRAFFIC_SHIFT 100 100",
      "POST_PRODUCTION_TRAFFIC_SHIFT 100 100",
      "BAKE_TIME 100 100",
      "CLEAN_UP 100 100",
    ],
  );
});

test("a first deployment has nobody to share with: its production traffic shifts whole, whatever the strategy", () => {
  for (const strategy of ["BLUE_GREEN", "LINEAR", "CANARY"])
    assert.deepEqual(new Set(run(begin({ strategy }, null), facts({ strategy })).map(({ production }) => production)), new Set([0, 100]));
});

test("linear steps are equal but for the last, never go back, and end at 100 %", () => {
  fc.assert(
    fc.property(fc.integer({ min: 30, max: 1000 }), (tenths) => {
      const more = { strategy: "LINEAR", linearConfiguration: { stepPercent: tenths / 10 } };
      const shares = run(begin(more), facts(more))
        .filter(({ stage }) => stage === "PRODUCTION_TRAFFIC_SHIFT")
        .map(({ production }) => Math.round(production * 10));
      assert.equal(shares.length, Math.ceil(1000 / tenths));
      assert.equal(shares.at(-1), 1000);
      for (const [at, share] of shares.slice(0, -1).entries()) assert.equal(share, (at + 1) * tenths);
    }),
  );
});

test("a canary's percent comes first, then all", () => {
  const more = { strategy: "CANARY", canaryConfiguration: { canaryPercent: 0.1 } };
  assert.deepEqual(
    [1, 2, 3].map((step) => percentAt(configuration(more), step)),
    [0.1, 100, 100],
  );
});

test("no traffic comes, and blue does not go, while green lacks tasks; a stage waits for its hooks and its time", () => {
  const lacking = { ...facts(), ready: false };
  for (const stage of ["SCALE_UP", "PRE_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME"] as const) {
    const shift: ShiftRecord = { ...begin(), stage };
    assert.equal(advance(shift, lacking, 1e12), shift, stage);
    assert.notEqual(advance(shift, facts(), 1e12), shift, stage);
  }
  const reconciling = begin({}, "ecs-svc/0", true);
  assert.equal(advance(reconciling, { ...facts(), reconciled: false }, 1e12), reconciling);
  const baking: ShiftRecord = { ...begin(), stage: "BAKE_TIME", since: 1000 };
  const minute = facts({ bakeTimeInMinutes: 1 });
  assert.equal(advance(baking, minute, 60_999), baking);
  assert.equal(advance(baking, minute, 61_000).stage, "CLEAN_UP");
});

const hook = { hookTargetArn: "arn:aws:lambda:us-east-1:000000000000:function:f", lifecycleStages: ["PRE_SCALE_UP" as const] };

test("hooks of a stage are its own; each has a name that stays, and one of another stage another", () => {
  const more = {
    strategy: "LINEAR",
    lifecycleHooks: [{ ...hook, lifecycleStages: ["PRE_SCALE_UP" as const, "PRODUCTION_TRAFFIC_SHIFT" as const] }],
  };
  const ids: string[] = [];
  let shift = begin(more);
  for (let at = 0; at < 100 && shift.stage !== "CLEAN_UP"; at++) {
    ids.push(...shift.hooks.map(({ id }) => id));
    const done = { ...shift, hooks: shift.hooks.map((each) => answered(each, { hookStatus: "SUCCEEDED" }, 0)) };
    if (shift.hooks.length > 0) assert.equal(advance(shift, facts(more), 1e12), shift, "it waits");
    shift = advance(done, facts(more), at * 3_600_000);
  }
  assert.equal(shift.stage, "CLEAN_UP");
  assert.equal(ids.length, 11);
  assert.equal(new Set(ids).size, 11);
});

test("answers: over, again later with what was answered, or failed with a reason", () => {
  const [asked] = begin({ lifecycleHooks: [{ ...hook, hookDetails: { n: 1 } }] }).hooks as [ShiftRecord["hooks"][number]];
  assert.equal(answered(asked, { hookStatus: "SUCCEEDED" }, 5).status, "SUCCEEDED");
  const later = answered(asked, { hookStatus: "IN_PROGRESS", callBackDelay: 2, hookDetails: { n: 2 } }, 5);
  assert.deepEqual([later.status, later.callAt, later.details], ["IN_PROGRESS", 2005, { n: 2 }]);
  const again = answered(asked, { hookStatus: "IN_PROGRESS" }, 5);
  assert.deepEqual([again.callAt, again.details], [30_005, { n: 1 }]);
  for (const nonsense of [
    undefined,
    null,
    1,
    "SUCCEEDED",
    {},
    { hookStatus: "DONE" },
    { hookStatus: "FAILED" },
    { hookStatus: "IN_PROGRESS", callBackDelay: -1 },
  ]) {
    const failed = answered(asked, nonsense, 5);
    assert.equal(failed.status, "FAILED");
    assert.match(hookFailure({ ...begin(), hooks: [failed] })!, /failed at PRE_SCALE_UP: /);
  }
});

test("a hook's time is over after a day, or what was asked for; then it rolls back or lets go on", () => {
  const shift = begin({ lifecycleHooks: [hook, { ...hook, timeoutConfiguration: { timeoutInMinutes: 1, action: "CONTINUE" } }] });
  assert.equal(expireHooks(shift, 59_999), shift);
  const second = expireHooks(shift, 60_000);
  assert.deepEqual(
    second.hooks.map(({ status }) => status),
    ["IN_PROGRESS", "TIMED_OUT"],
  );
  assert.equal(hookFailure(second), undefined);
  assert.equal(openHooks(second).length, 1);
  const both = expireHooks(second, 24 * 3_600_000);
  assert.match(hookFailure(both)!, /timed out at PRE_SCALE_UP/);
});
