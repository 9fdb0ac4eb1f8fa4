import assert from "node:assert/strict";
import { test } from "node:test";
import type { FromServer } from "#agent-protocol/messages.ts";
import type { ServiceConnectStateMessage } from "#agent-protocol/service-connect.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import { addressesOf, aliasesOf, type ConnectServiceRecord } from "#model/service-connect.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { Links, type Link } from "#reconcilers/links.ts";
import { createConnectReconciler } from "#reconcilers/service-connect/reconciler.ts";
import { MemoryDisk, openSession } from "../simulation/memory-store.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const node = "/ecs/000000000000/us-east-1/container-instance/default/one";

async function world() {
  const clock = new FakeClock();
  const { store } = openSession(new MemoryDisk());
  const links = new Links();
  const reconciler = createConnectReconciler({ store, clock, random: seededRandom(1), log: silentLogger, links });
  const instance = async (service: string, id: string, address: string | undefined, health = "HEALTHY") => {
    const key = cloudMapKeys.instance(scope, service, id);
    const value = {
      id,
      serviceId: service,
      attributes: { AWS_INSTANCE_IPV4: address, AWS_INSTANCE_PORT: "8080" },
      health,
      registeredAt: 1,
    };
    await store.transaction({ writes: [address === undefined ? { delete: key } : { put: key, value }] });
  };
  const connect = () => {
    const told: ServiceConnectStateMessage["services"][] = [];
    const link: Link = {
      id: links.nextId(),
      endpoint: "",
      send: (frame: FromServer) => void (frame.type === "ServiceConnectStateMessage" && told.push(frame.message.services)),
      close: () => {},
    };
    links.open(node, link);
    return { told, subscribe: (...services: string[]) => reconciler.subscribed(node, link, { messageId: "m", services }) };
  };
  const settle = async (ms = 25) => {
    for (let round = 0; round < 20; round++) await new Promise((resolve) => setImmediate(resolve));
    await clock.advance(ms);
  };
  await store.transaction({ writes: [{ put: node, value: { attributes: [{ name: "gantry.address", value: "192.0.2.7" }] } }] });
  return { reconciler, instance, connect, settle };
}

test("an agent is told the endpoints of what it has subscribed to, after each change of these and no other", async () => {
  const { reconciler, instance, connect, settle } = await world();
  await instance("srv-a", "t1", "10.0.0.1");
  reconciler.start();
  const { told, subscribe } = connect();
  subscribe("srv-b", "srv-a");
  await settle();
  const one = { address: "10.0.0.1", port: 8080 };
  assert.deepEqual(told, [
    [
      { id: "srv-a", endpoints: [one] },
      { id: "srv-b", endpoints: [] },
    ],
  ]);
  await instance("srv-a", "t2", "10.0.0.2");
  await instance("srv-a", "t3", "10.0.0.3", "UNHEALTHY");
  await instance("srv-b", "t4", "192.0.2.7");
  await instance("srv-c", "t5", "10.0.0.5");
  await settle();
  assert.deepEqual(told.at(-1), [
    { id: "srv-a", endpoints: [one, { address: "10.0.0.2", port: 8080 }] },
    { id: "srv-b", endpoints: [{ address: "127.0.0.1", port: 8080 }] },
  ]);
  const before = told.length;
  await instance("srv-c", "t5", undefined);
  await instance("srv-a", "t3", undefined);
  await settle();
  assert.equal(told.length, before);
  await instance("srv-a", "t1", undefined);
  await settle();
  assert.deepEqual(told.at(-1)![0]!.endpoints, [{ address: "10.0.0.2", port: 8080 }]);
  await reconciler.stop();
});

test("a connection that takes another's place is told all again, and the old one nothing", async () => {
  const { reconciler, instance, connect, settle } = await world();
  reconciler.start();
  const old = connect();
  old.subscribe("srv-a");
  await settle();
  const next = connect();
  await instance("srv-a", "t1", "10.0.0.1");
  await settle();
  assert.equal(old.told.length, 1);
  assert.equal(next.told.length, 0);
  next.subscribe("srv-a");
  await settle();
  assert.equal(next.told.at(-1)![0]!.endpoints.length, 1);
  await reconciler.stop();
});

test("names of a namespace: each once, in a fixed order, with an address for each name", () => {
  const record = (arn: string, namespaceId: string, ...names: [string, number][]): ConnectServiceRecord => ({
    ...{ arn, namespaceId, cluster: "c", service: arn, made: {} },
    endpoints: names.map(([dnsName, port]) => ({
      ...{ discoveryName: dnsName, cloudMapService: `srv-${arn}`, cloudMapArn: "", portName: "p", containerName: "a", containerPort: 1 },
      protocol: "http",
      aliases: [{ dnsName, port }],
    })),
  });
  const services = [record("b", "n", ["web", 80], ["api", 80]), record("a", "n", ["web", 80], ["web", 81]), record("c", "other", ["x", 1])];
  const aliases = aliasesOf(services, "n");
  assert.deepEqual(
    aliases.map(({ dnsName, port, cloudMapService }) => [dnsName, port, cloudMapService]),
    [
      ["api", 80, "srv-b"],
      ["web", 80, "srv-a"],
      ["web", 81, "srv-a"],
    ],
  );
  const names = aliases.map(({ dnsName }) => dnsName);
  assert.deepEqual(
    [...addressesOf(names, "own")],
    [
      ["api", "127.255.0.1"],
      ["web", "127.255.0.2"],
    ],
  );
  const many = [
    ...addressesOf(
      Array.from({ length: 600 }, (_, at) => String(at)),
      "bridge",
    ).values(),
  ];
  assert.equal(new Set(many).size, 600);
  assert.equal(many[0], "169.254.172.1");
  assert.equal(many[255], "169.254.173.0");
});
