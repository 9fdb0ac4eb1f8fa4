/** Services on Fargate, with scripted agents: what the machines do to them, and what Spot does for them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord, SubnetRecord } from "#model/vpc-records.ts";
import { seededRandom } from "#platform/random.ts";
import { ensureDefaultVpc } from "#reconcilers/vpc/make-vpc.ts";
import { createWriter } from "#store/unit.ts";
import { openSession } from "./memory-store.ts";
import { scope } from "./records.ts";
import { ServiceWorld } from "./services-support.ts";

async function fargate(machines: number) {
  const s = await ServiceWorld.with(machines, true);
  const { store } = openSession(s.world.disk);
  await ensureDefaultVpc({ store, writer: createWriter(store) }, scope, seededRandom(5));
  const subnets = (await store.list<SubnetRecord>(vpcKeys.of(scope, "subnet"))).entries.map(({ value }) => value.id);
  const networkConfiguration = { awsvpcConfiguration: { subnets } };
  const create = (name: string, count: number, provider: string) =>
    s.create(name, "small", count, {
      launchType: undefined,
      capacityProviderStrategy: [{ capacityProvider: provider, weight: 1 }],
      networkConfiguration,
    });
  const interfaces = () => s.world.disk.list(vpcKeys.of(scope, "network-interface")).map(({ value }) => value as NetworkInterfaceRecord);
  return { s, create, interfaces, networkConfiguration };
}

test("as many as wanted, over all zones, with an interface each; none is left when it is deleted", async () => {
  const { s, create, interfaces } = await fargate(2);
  await create("web", 6, "FARGATE");
  await s.pass(10_000);
  assert.equal(s.healthy("web").length, 6);
  const zones = Map.groupBy(s.live("web"), ({ availabilityZone }) => availabilityZone);
  assert.deepEqual(
    [...zones.values()].map(({ length }) => length),
    [2, 2, 2],
  );
  assert.equal(new Set(interfaces().map(({ privateIps }) => privateIps[0])).size, 6);
  assert.ok((await s.describe("web")).events!.some(({ message }) => message!.includes("has reached a steady state")));
  await s.update("web", { taskDefinition: "small:2" });
  await s.pass(30_000);
  assert.ok(s.live("web").every(({ taskDefinitionArn }) => taskDefinitionArn.endsWith(":2")));
  await s.call("DeleteService", { service: "web", force: true });
  await s.pass(30_000);
  assert.equal(s.live("web").length, 0);
  assert.deepEqual(interfaces(), []);
  assert.deepEqual(s.world.disk.list(`${vpcKeys.root(scope)}/address-in-use/`), []);
});

test("a machine that drains, or is gone, hands its tasks to the others", async () => {
  const { s, create } = await fargate(2);
  await create("web", 4, "FARGATE");
  await s.pass(10_000);
  const [first] = s.world.agents;
  const on = (id: string) => s.live("web").filter(({ containerInstanceId }) => containerInstanceId === id).length;
  assert.ok(on(first!.instance) > 0);
  await s.setStatus(first!.instance, "DRAINING");
  await s.pass(30_000);
  assert.equal(on(first!.instance), 0);
  assert.equal(s.healthy("web").length, 4);
  await s.setStatus(first!.instance, "ACTIVE");
});

test("no room: Fargate's own words; room comes, and the tasks with it", async () => {
  const { s, create } = await fargate(1);
  await create("web", 10, "FARGATE");
  await s.pass(10_000);
  assert.equal(s.healthy("web").length, 8);
  const { events } = await s.describe("web");
  assert.ok(
    events!.some(({ message }) => message!.includes("Capacity is unavailable at this time")),
    JSON.stringify(events),
  );
  s.world.addInstance(77).start();
  await s.pass(20_000);
  assert.equal(s.healthy("web").length, 10);
});

test("Spot gives way to on-demand, no more than it takes, and comes back when there is room again", async () => {
  const { s, create } = await fargate(1);
  await create("cheap", 8, "FARGATE_SPOT");
  await s.pass(10_000);
  assert.equal(s.healthy("cheap").length, 8);
  await create("web", 3, "FARGATE");
  await s.pass(60_000);
  assert.equal(s.healthy("web").length, 3);
  assert.equal(s.healthy("cheap").length, 5);
  const interrupted = s.all("cheap").filter(({ stop }) => stop?.code === "SpotInterruption");
  assert.equal(interrupted.length, 3);
  await s.pass(300_000);
  assert.equal(s.healthy("web").length, 3, "Spot takes nothing back");
  await s.call("DeleteService", { service: "web", force: true });
  await s.pass(300_000);
  assert.equal(s.healthy("cheap").length, 8);
});
