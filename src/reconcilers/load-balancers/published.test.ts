import assert from "node:assert/strict";
import { test } from "node:test";
import type { TargetHealthRecord } from "#model/elb-records.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import type { Measurement } from "#platform/metric-sink.ts";
import type { Entry } from "#store/store.ts";
import { createBalancerMetrics } from "./published.ts";
import { BalancerRecords } from "./records.ts";

const arn = (rest: string) => `arn:aws:elasticloadbalancing:us-east-1:000000000000:${rest}`;

test("hosts are said each minute, traffic when it is told, and each target's share by those that were healthy", async () => {
  const records = new BalancerRecords();
  const put = (key: string, value: object) =>
    records.put(`/elb/000000000000/us-east-1/${key}`, { key, value, created: 7, revision: 7 } as Entry);
  put("load-balancer/lb", { id: "lb", arn: arn("loadbalancer/app/web/lb"), type: "application", zones: [{ zoneName: "a" }] });
  put("listener/lb/l", {
    ...{ id: "l", loadBalancerId: "lb" },
    defaultActions: [{ type: "forward", groups: [{ id: "1", arn: arn("targetgroup/g/1"), weight: 1 }] }],
  });
  put("target-group/1", { id: "1", arn: arn("targetgroup/g/1"), protocol: "HTTP", targetType: "ip", attributes: {} });
  for (const host of [1, 2, 3, 4]) put(`target/1/10.0.0.${host}:80`, { id: `10.0.0.${host}`, port: 80, registeredAt: 1000 });
  // The third is unhealthy, of the fourth nothing is known yet.
  const states = ["healthy", "healthy", "unhealthy"] as const;
  const seen = (key: string): TargetHealthRecord | undefined => {
    const state = states[Number(/10\.0\.0\.(\d)/.exec(key)![1]) - 1];
    return state && { registeredAt: 1000, state, changedAt: 2000 };
  };
  const told: Measurement[] = [];
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const metrics = createBalancerMetrics({ sink: { put: (_s, _n, data) => void told.push(...data) }, clock, records: () => records, seen });
  metrics.start();
  await clock.advance(57_999);
  assert.equal(told.length, 0);
  await clock.advance(1);
  const whole = () => told.filter(({ dimensions }) => !dimensions["AvailabilityZone"]).map(({ name, values }) => `${name} ${values[0]}`);
  assert.deepEqual(whole(), ["HealthyHostCount 2", "UnHealthyHostCount 1"]);
  await clock.advance(60_000);
  assert.equal(whole().length, 4);
  told.length = 0;
  const traffic = {
    messageId: "m",
    at: clock.now() - 1000,
    loadBalancers: [],
    targetGroups: [
      {
        ...{ id: arn("targetgroup/g/1"), loadBalancerId: arn("loadbalancer/app/web/lb"), requests: 10, answers: { "5XX": 10 } },
        ...{ newConnections: 0, activeConnections: 0, connectionErrors: 0, times: [] },
      },
    ],
  };
  metrics.take(traffic);
  assert.ok(told.every(({ at }) => at === traffic.at));
  assert.deepEqual([...new Set(whole())], ["RequestCount 10", "HTTPCode_Target_5XX_Count 10", "RequestCountPerTarget 5"]);
  metrics.take({ ...traffic, at: clock.now() - 4 * 3_600_000 });
  assert.deepEqual(metrics.totals(), { requests: 10, targetErrors: 10, ownErrors: 0, bytes: 0 });
  metrics.stop();
});
