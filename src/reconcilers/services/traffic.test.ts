import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleAction, RuleRecord } from "#model/elb-records.ts";
import type { ShiftRecord } from "#model/service-records.ts";
import type { Unit } from "#store/unit.ts";
import { findForwarding, trafficOf, writeTraffic } from "./traffic.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const arn = (resource: string) => `arn:aws:elasticloadbalancing:us-east-1:000000000000:${resource}`;
const groups = [arn("targetgroup/one/aaaa"), arn("targetgroup/two/bbbb")] as const;
const rules = { production: arn("listener-rule/app/web/lb/l1/r1"), test: arn("listener-rule/app/web/lb/l2/default") };

const shift = (production: number, share = production, blue: string | null = "ecs-svc/1"): ShiftRecord => ({
  ...{ stage: "PRODUCTION_TRAFFIC_SHIFT", since: 0, step: 1, production, test: share, hooks: [] },
  ...(blue === null ? {} : { blue }),
  routes: [{ targetGroup: groups[1], otherTargetGroup: groups[0], ...rules }],
});

test("weights are whole numbers of at most 999 that stand in the proportion asked for, to a tenth of a percent", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1000 }), (tenths) => {
      for (const { groups: weighed } of trafficOf(shift(tenths / 10))) {
        const [own, other] = weighed.map(({ weight }) => weight) as [number, number];
        for (const weight of [own, other]) assert.ok(Number.isInteger(weight) && weight >= 0 && weight <= 999);
        assert.equal(own / (own + other), tenths / 1000);
        assert.deepEqual(
          weighed.map((each) => each.arn),
          [groups[1], groups[0]],
        );
      }
    }),
  );
});

test("a first deployment leaves rules alone until traffic is to come", () => {
  assert.deepEqual(trafficOf(shift(0, 0, null)), []);
  assert.deepEqual(
    trafficOf(shift(0, 100, null)).map(({ rule }) => rule),
    [rules.test],
  );
});

const forward = (...weights: number[]): RuleAction => ({
  type: "forward",
  groups: weights.map((weight, at) => ({ id: groups[at]!.split("/").at(-1)!, arn: groups[at]!, weight })),
  stickiness: { enabled: true, durationSeconds: 60 },
});

function storeOf(): { readonly unit: Unit; readonly values: Map<string, unknown>; readonly puts: string[] } {
  const listener = (id: string): Partial<ListenerRecord> => ({
    id,
    arn: arn(`listener/app/web/lb/${id}`),
    loadBalancerId: "lb",
    defaultActions: [forward(1)],
    defaultRule: { id: "default", arn: arn(`listener-rule/app/web/lb/${id}/default`), tags: [] },
  });
  const rule: Partial<RuleRecord> = { id: "r1", arn: rules.production, actions: [forward(1)] };
  const values = new Map<string, unknown>([
    [elbKeys.listener(scope, "lb", "l1"), listener("l1")],
    [elbKeys.listener(scope, "lb", "l2"), listener("l2")],
    [elbKeys.rule(scope, "lb", "l1", "r1"), rule],
  ]);
  const puts: string[] = [];
  const unit: Unit = {
    get: async <T>(key: string) => values.get(key) as T | undefined,
    list: async () => new Map(),
    put: (key, value) => void (values.set(key, value), puts.push(key)),
    delete: (key) => void values.delete(key),
  };
  return { unit, values, puts };
}

test("a rule, a default rule and a listener are found by their ARNs, and nothing else is", async () => {
  const { unit } = storeOf();
  const keyOf = async (text: string) => (await findForwarding(unit, scope, text))?.key;
  assert.equal(await keyOf(rules.production), elbKeys.rule(scope, "lb", "l1", "r1"));
  assert.equal(await keyOf(rules.test), elbKeys.listener(scope, "lb", "l2"));
  assert.equal(await keyOf(arn("listener/app/web/lb/l1")), elbKeys.listener(scope, "lb", "l1"));
  for (const wrong of [
    "listener-rule/app/web/lb/l1/r2",
    "listener-rule/app/other/lb/l1/r1",
    "listener/app/web/lb/l3",
    "loadbalancer/app/web/lb",
    "x",
  ])
    assert.equal(await keyOf(arn(wrong)), undefined, wrong);
});

test("weights are written once, stickiness stays, and the version of Elastic Load Balancing's operations rises with them", async () => {
  const { unit, values, puts } = storeOf();
  await writeTraffic(unit, scope, trafficOf(shift(25, 100)));
  const rule = values.get(elbKeys.rule(scope, "lb", "l1", "r1")) as RuleRecord;
  const [action] = rule.actions as [RuleAction & { type: "forward" }];
  assert.deepEqual(
    action.groups.map(({ id, weight }) => [id, weight]),
    [
      ["bbbb", 250],
      ["aaaa", 750],
    ],
  );
  assert.deepEqual(action.stickiness, { enabled: true, durationSeconds: 60 });
  assert.deepEqual(values.get(elbKeys.version(scope)), { version: 1 });
  assert.equal(puts.length, 3);
  await writeTraffic(unit, scope, trafficOf(shift(25, 100)));
  assert.equal(puts.length, 3);
});
