import assert from "node:assert/strict";
import { test } from "node:test";
import type { Entry } from "#store/store.ts";
import { BalancerRecords } from "./records.ts";
import { Reports, seenOf } from "./seen.ts";

const arn = "arn:aws:elasticloadbalancing:us-east-1:000000000000:targetgroup/g/1";

function records(protocol = "HTTP", targetType = "ip", id = "10.0.0.5"): BalancerRecords {
  const all = new BalancerRecords();
  const put = (key: string, value: object, revision = 7) =>
    all.put(`/elb/000000000000/us-east-1/${key}`, { key, value, created: revision, revision } as Entry);
  put("listener/lb/l", { id: "l", loadBalancerId: "lb", defaultActions: [{ type: "forward", groups: [{ id: "1", arn, weight: 1 }] }] });
  put("target-group/1", { id: "1", arn, protocol, targetType });
  put(`target/1/${id}:80`, { id, port: 80, registeredAt: 1000 });
  return all;
}
const only = (all: BalancerRecords) => [...all.targets.values()][0]!;
const healthy = (revision: number, address = "10.0.0.5") => {
  const reports = new Reports();
  reports.take({ messageId: "m", revision, whole: true, targets: [{ targetGroupId: arn, address, port: 80, state: "healthy" }] });
  return { host: { instance: "i-1", reports }, lost: false };
};

test("a report counts for the registration that it knew, and for no later one", () => {
  const all = records();
  assert.equal(only(all).healthKey, "/elb-health/000000000000/us-east-1/1/10.0.0.5:80");
  assert.deepEqual(seenOf(all, only(all), healthy(7)), { registeredAt: 1000, state: "healthy" });
  assert.equal(seenOf(all, only(all), healthy(6)), undefined);
});

test("without a machine that serves, nothing is healthy; for a moment's interruption nothing changes", () => {
  const all = records();
  assert.equal(seenOf(all, only(all), { host: undefined, lost: false }), undefined);
  const seen = seenOf(all, only(all), { host: undefined, lost: true });
  assert.equal(seen?.state, "initial");
  assert.equal(seen?.reason, "Elb.InternalError");
});

test("an instance is this machine, or cannot be reached; UDP is not carried", () => {
  const here = records("HTTP", "instance", "i-1");
  assert.equal(seenOf(here, only(here), healthy(7, "127.0.0.1"))?.state, "healthy");
  const there = records("HTTP", "instance", "i-2");
  assert.equal(seenOf(there, only(there), healthy(7, "127.0.0.1"))?.reason, "Elb.InternalError");
  const udp = records("UDP");
  assert.equal(seenOf(udp, only(udp), healthy(7))?.reason, "Elb.InternalError");
});
