/** Interfaces of tasks, as ECS takes and releases them inside its own transactions. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord, SubnetRecord, TaskNetwork } from "#model/vpc-records.ts";
import { systemClock } from "#platform/clock.ts";
import { seededRandom } from "#platform/random.ts";
import { checkAwsvpc } from "#reconcilers/vpc/awsvpc.ts";
import { VpcError } from "#reconcilers/vpc/errors.ts";
import { interfacesOf, releaseTaskInterface, takeTaskInterface } from "#reconcilers/vpc/interfaces.ts";
import { changeVpc, ensureDefaultVpc, writeSubnet, writeVpc } from "#reconcilers/vpc/make-vpc.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { ListOptions, Store } from "#store/store.ts";
import { createWriter, type Writer } from "#store/unit.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const random = seededRandom(7);
const making = { random, now: 1, publicPool: "198.18.0.0/24" };
let directory: string;
let store: Store;
let writer: Writer;
let small: SubnetRecord;
let large: SubnetRecord;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), "gantry-vpc-"));
  store = await openSqliteStore({ path: join(directory, "store.sqlite"), clock: systemClock, freeze: true });
  writer = createWriter(store);
  [small, large] = await changeVpc(writer, scope, async (unit) => {
    const { vpc } = await writeVpc(unit, scope, random, { cidr: "10.0.0.0/16" });
    const zone = zonesOf(scope.region)[0]!;
    return [
      await writeSubnet(unit, scope, random, { vpcId: vpc.id, cidr: "10.0.0.0/28", zone }),
      await writeSubnet(unit, scope, random, {
        vpcId: vpc.id,
        cidr: "10.0.16.0/20",
        zone,
        ipv6: { associationId: "a", cidr: "fd00:1:2:3::/64" },
      }),
    ];
  });
});
after(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

const take = (subnetId: string, queue = "tasks", assignPublicIp = false, by = writer) =>
  by.run(queue, (unit) =>
    takeTaskInterface(unit, scope, { subnetId, groups: [], assignPublicIp, task: { arn: "arn:task", node: "/node" } }, making),
  );
const release = (network: TaskNetwork, queue = "tasks") =>
  writer.run(queue, (unit) => releaseTaskInterface(unit, scope, network.networkInterfaceId));
const keys = async (prefix: string) => (await store.list(prefix)).entries.map(({ key }) => key.slice(prefix.length));

test("a /28 has 11 addresses; what comes back is given out last; at the end nothing is left", async () => {
  const taken = await Promise.all(Array.from({ length: 11 }, () => take(small.id)));
  assert.deepEqual(
    taken.map(({ privateIp }) => privateIp).toSorted((a, b) => Number(a.split(".")[3]) - Number(b.split(".")[3])),
    Array.from({ length: 11 }, (_, at) => `10.0.0.${at + 4}`),
  );
  await assert.rejects(take(small.id), (error) => error instanceof VpcError && error.code === "InsufficientFreeAddressesInSubnet");
  const [first] = taken;
  assert.deepEqual(
    { ...first, attachmentId: "", networkInterfaceId: "", mac: "" },
    {
      attachmentId: "",
      networkInterfaceId: "",
      mac: "",
      vpcId: small.vpcId,
      subnetId: small.id,
      subnetCidr: "10.0.0.0/28",
      gateway: "10.0.0.1",
      resolver: "10.0.0.2",
      privateIp: "10.0.0.4",
      privateDnsName: "ip-10-0-0-4.ec2.internal",
    },
  );
  const record = (await store.get<NetworkInterfaceRecord>(vpcKeys.one(scope, "network-interface", first!.networkInterfaceId)))!.value;
  assert.equal(record.description, `arn:aws:ecs:us-east-1:000000000000:attachment/${first!.attachmentId}`);
  assert.equal(record.groups.length, 1);
  assert.deepEqual(record.task, { arn: "arn:task", node: "/node" });
  for (const network of taken.slice(0, 3)) await release(network);
  const again = [];
  for (let count = 0; count < 3; count++) again.push((await take(small.id)).privateIp);
  assert.deepEqual(again, ["10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  for (const network of [...taken, ...taken]) await release(network);
  assert.equal((await keys(vpcKeys.addresses(scope, small.id))).length, 3);
  await writer.run("tasks", async (unit) => {
    for (const { id } of await interfacesOf(unit, scope)) await releaseTaskInterface(unit, scope, id);
  });
  assert.deepEqual(await keys(vpcKeys.addresses(scope, small.id)), []);
});

test("several in one transaction, and from several queues at once: no address twice, public ones neither", async () => {
  const many = await writer.run("one", async (unit) => {
    const made: TaskNetwork[] = [];
    for (let count = 0; count < 10; count++)
      made.push(
        await takeTaskInterface(unit, scope, { subnetId: large.id, groups: [], assignPublicIp: true, task: { arn: "", node: "" } }, making),
      );
    return made;
  });
  const others = await Promise.all(Array.from({ length: 200 }, (_, at) => take(large.id, `queue ${at % 20}`, true)));
  const all = [...many, ...others];
  for (const name of ["privateIp", "publicIp", "networkInterfaceId", "mac"] as const)
    assert.equal(new Set(all.map((network) => network[name])).size, 210, name);
  await Promise.all(all.map((network, at) => release(network, `queue ${at % 7}`)));
  assert.deepEqual([await keys(vpcKeys.addresses(scope, large.id)), await keys(vpcKeys.publicAddresses())], [[], []]);
  assert.deepEqual(await keys(vpcKeys.of(scope, "network-interface")), []);
});

/** A writer that counts the records it reads. */
function counting(): { readonly by: Writer; readonly read: () => number } {
  let count = 0;
  const by = createWriter({
    get(key) {
      count++;
      return store.get(key);
    },
    async list<T>(prefix: string, options?: ListOptions) {
      const page = await store.list<T>(prefix, options);
      count += page.entries.length;
      return page;
    },
    transaction: (transaction) => store.transaction(transaction),
    watch: (prefix, options) => store.watch(prefix, options),
    lease: (ttl) => store.lease(ttl),
    close: () => store.close(),
  });
  return { by, read: () => count };
}

test("a full /20 is taken in short steps, and with 4,000 in use most of the next ones read a few records, as the first did", async () => {
  const reads = async () => {
    const { by, read } = counting();
    const network = await take(large.id, "tasks", false, by);
    await release(network);
    return read();
  };
  const first = await reads();
  const all: TaskNetwork[] = [];
  for (let batch = 0; batch < 40; batch++) all.push(...(await Promise.all(Array.from({ length: 100 }, () => take(large.id)))));
  assert.equal(new Set(all.map(({ privateIp }) => privateIp)).size, 4000);
  const now: number[] = [];
  for (let round = 0; round < 20; round++) now.push(await reads());
  // A few probes: where they find nothing all are read, which must not be what most of them do.
  assert.ok(first > 0 && now.toSorted((a, b) => a - b)[10]! <= first + 24, `${first} records at first, now ${now.join(" ")}`);
  const rest = await Promise.all(Array.from({ length: 91 }, () => take(large.id)));
  await assert.rejects(take(large.id), VpcError);
  await writer.run("tasks", async (unit) => {
    for (const { networkInterfaceId } of [...all, ...rest]) await releaseTaskInterface(unit, scope, networkInterfaceId);
  });
});

test("a refusal in the midst of a transaction leaves nothing of it, and the unit goes on", async () => {
  const ends = await writer.run("tasks", async (unit) => {
    const request = { groups: [], assignPublicIp: true, task: { arn: "", node: "" } };
    const tiny = { ...making, publicPool: "198.19.255.0/31" };
    const error = await takeTaskInterface(unit, scope, { ...request, subnetId: small.id }, tiny).catch((thrown: unknown) => thrown);
    assert.ok(error instanceof VpcError && error.code === "InsufficientAddressCapacity");
    return takeTaskInterface(unit, scope, { ...request, subnetId: large.id }, making);
  });
  assert.deepEqual(await keys(vpcKeys.addresses(scope, small.id)), []);
  await release(ends);
});

test("the default VPC: once, for every region, even when many ask at the same moment", async () => {
  const there = { account: "000000000000", region: "ap-southeast-2" };
  await Promise.all(Array.from({ length: 5 }, () => ensureDefaultVpc({ store, writer: createWriter(store) }, there, random)));
  for (const [kind, count] of [
    ["vpc", 1],
    ["subnet", 3],
    ["route-table", 1],
    ["security-group", 1],
    ["network-acl", 1],
    ["internet-gateway", 1],
    ["dhcp-options", 1],
  ] as const)
    assert.equal((await keys(vpcKeys.of(there, kind))).length, count, kind);
  const subnets = (await store.list<SubnetRecord>(vpcKeys.of(there, "subnet"))).entries.map(({ value }) => value);
  assert.deepEqual(
    subnets.map(({ cidr, availabilityZone, availabilityZoneId }) => `${cidr} ${availabilityZone} ${availabilityZoneId}`).toSorted(),
    ["172.31.0.0/20 ap-southeast-2a apse2-az1", "172.31.16.0/20 ap-southeast-2b apse2-az2", "172.31.32.0/20 ap-southeast-2c apse2-az3"],
  );
});

test("awsvpcConfiguration is checked with ECS's words", async () => {
  const read = async <T>(key: string) => (await store.get<T>(key))?.value;
  const refused = (message: string) => (error: Error & { code?: string }) => {
    assert.deepEqual([error.code, error.message], ["InvalidParameterException", message]);
    return true;
  };
  const good = await checkAwsvpc(read, scope, { subnets: [small.id, large.id, small.id], assignPublicIp: "ENABLED" });
  assert.deepEqual([good.subnets.length, good.groups, good.assignPublicIp], [2, [good.vpc.defaultGroupId], true]);
  await assert.rejects(
    checkAwsvpc(read, scope, { subnets: ["subnet-x"] }),
    refused(
      "Error retrieving subnet information for [subnet-x]: The subnet ID 'subnet-x' does not exist (ErrorCode: InvalidSubnetID.NotFound)",
    ),
  );
  await assert.rejects(
    checkAwsvpc(read, scope, { subnets: [small.id], securityGroups: ["sg-x"] }),
    refused(
      "Error retrieving security group information for [sg-x]: The security group 'sg-x' does not exist (ErrorCode: InvalidGroup.NotFound)",
    ),
  );
  await assert.rejects(checkAwsvpc(read, scope, { subnets: [] }), refused("subnets can not be empty."));
  const six = Array.from({ length: 6 }, (_, at) => `sg-${at}`);
  await assert.rejects(
    checkAwsvpc(read, scope, { subnets: [small.id], securityGroups: six }),
    refused("securityGroups can have at most 5 items."),
  );
});
