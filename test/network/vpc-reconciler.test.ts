import assert from "node:assert/strict";
import { test } from "node:test";
import type { FromServer } from "#agent-protocol/messages.ts";
import type { VpcState } from "#agent-protocol/vpc.ts";
import { vpcKeys, type VpcKind } from "#model/vpc-keys.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { Links, type Link } from "#reconcilers/links.ts";
import { createVpcReconciler } from "#reconcilers/vpc/reconciler.ts";
import { MemoryDisk, openSession } from "../simulation/memory-store.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const node = "/ecs/000000000000/us-east-1/container-instance/default/one";
const other = "/ecs/000000000000/us-east-1/container-instance/default/two";

async function world() {
  const clock = new FakeClock();
  const { store } = openSession(new MemoryDisk());
  const links = new Links();
  const reconciler = createVpcReconciler({ store, clock, random: seededRandom(1), log: silentLogger, links });
  const put = (kind: VpcKind, id: string, value: object | undefined) =>
    store.transaction({
      writes: [value ? { put: vpcKeys.one(scope, kind, id), value: { id, ...value } } : { delete: vpcKeys.one(scope, kind, id) }],
    });
  const connect = (instance: string) => {
    const told: (readonly VpcState[])[] = [];
    const link: Link = {
      id: links.nextId(),
      endpoint: "",
      send: (frame: FromServer) => void (frame.type === "VpcStateMessage" && told.push(frame.message.vpcs)),
      close: () => {},
    };
    links.open(instance, link);
    reconciler.connectionChanged(instance);
    return told;
  };
  const settle = async (ms = 25) => {
    for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(ms);
  };
  await put("vpc", "vpc-1", { cidr: "10.0.0.0/16", otherCidrs: [], ipv6: [], enableDnsSupport: true });
  await put("subnet", "subnet-1", { vpcId: "vpc-1", cidr: "10.0.1.0/24" });
  await put("security-group", "sg-1", { vpcId: "vpc-1", rules: [] });
  const eni = (address: string, at = node) => ({
    vpcId: "vpc-1",
    subnetId: "subnet-1",
    mac: "0a",
    privateIps: [address],
    ipv6: [],
    groups: ["sg-1"],
    task: { arn: "t", node: at },
  });
  return { reconciler, put, connect, settle, eni, links };
}

test("an agent is told when it connects, and whenever something that concerns it changed; not twice the same", async () => {
  const { reconciler, put, connect, settle, eni } = await world();
  const early = connect(node);
  reconciler.start();
  await settle();
  assert.equal(JSON.stringify(early), "[[]]", "also that there is nothing");
  await put("network-interface", "eni-1", eni("10.0.1.4"));
  await settle();
  assert.deepEqual(
    early.at(-1)?.[0]?.interfaces.map(({ address }) => address),
    ["10.0.1.4"],
  );
  const late = connect(other);
  await settle();
  assert.equal(JSON.stringify(late), "[[]]");

  const rule = { id: "r", direction: "ingress", protocol: "tcp", fromPort: 80, toPort: 80, referencedGroupId: "sg-1" };
  await put("security-group", "sg-1", { vpcId: "vpc-1", rules: [rule] });
  await settle();
  assert.deepEqual(early.at(-1)?.[0]?.members, { "sg-1": ["10.0.1.4"] });
  // Another machine's task joins the group that this one's rules name.
  await put("network-interface", "eni-2", eni("10.0.1.5", other));
  await settle();
  assert.deepEqual(early.at(-1)?.[0]?.members, { "sg-1": ["10.0.1.4", "10.0.1.5"] });
  assert.equal(late.at(-1)?.[0]?.interfaces[0]?.address, "10.0.1.5");

  const count = early.length;
  await put("subnet", "subnet-1", { vpcId: "vpc-1", cidr: "10.0.1.0/24", tags: [{ key: "a", value: "b" }] });
  await put("vpc", "vpc-2", { cidr: "10.0.0.0/16", otherCidrs: [], ipv6: [], enableDnsSupport: true });
  await settle();
  assert.equal(early.length, count, "what alters nothing for it is not told");
  const again = connect(node);
  await settle();
  assert.deepEqual(again, [early.at(-1)], "a new connection is told everything");

  await put("network-interface", "eni-1", undefined);
  await settle();
  assert.deepEqual(again.at(-1), []);
  await reconciler.stop();
});

test("changes in a row are told together, the first at once", async () => {
  const { reconciler, put, connect, settle, eni } = await world();
  const told = connect(node);
  reconciler.start();
  await settle(100);
  const before = told.length;
  await put("network-interface", "eni-0", eni("10.0.1.4"));
  await settle(1);
  assert.equal(told.length, before + 1, "within a millisecond when all was quiet");
  for (let index = 1; index < 20; index++) await put("network-interface", `eni-${index}`, eni(`10.0.1.${4 + index}`));
  await settle(5);
  assert.equal(told.length, before + 1);
  await settle(20);
  assert.equal(told.length, before + 2);
  assert.equal(told.at(-1)?.[0]?.interfaces.length, 20);
  await reconciler.stop();
});
