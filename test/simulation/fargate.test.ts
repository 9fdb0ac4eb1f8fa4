/** Fargate as its users see it, and the machines as they never do. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DescribeTasksResponse, RunTaskRequest, RunTaskResponse } from "@aws-sdk/client-ecs";
import type { ApiError } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { AllocationRecord, TaskRecord } from "#model/ecs-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord, SubnetRecord } from "#model/vpc-records.ts";
import { seededRandom } from "#platform/random.ts";
import { ensureDefaultVpc } from "#reconcilers/vpc/make-vpc.ts";
import { createWriter } from "#store/unit.ts";
import { openSession } from "./memory-store.ts";
import { clusterRecord, hex, instanceRecord, scope } from "./records.ts";
import { SmallWorld } from "./support.ts";

const other = { account: "000000000000", region: "eu-west-1" };

async function fargateWorld(machines: readonly { n: number; cpu?: number; memory?: number; mark?: string }[] = [{ n: 1 }]) {
  const world = new SmallWorld();
  const { store } = openSession(world.disk);
  await ensureDefaultVpc({ store, writer: createWriter(store) }, scope, seededRandom(3));
  // The machines are registered elsewhere, as they may well be: in another region's cluster.
  world.put(ecsKeys.cluster(other, "machines"), {
    ...clusterRecord("machines"),
    arn: "arn:aws:ecs:eu-west-1:000000000000:cluster/machines",
  });
  for (const { n, cpu = 2048, memory = 8192, mark = "true" } of machines) {
    const record = instanceRecord("machines", hex(n), { cpu, memory, attributes: { "gantry.fargate": mark } });
    world.put(ecsKeys.containerInstance(other, "machines", hex(n)), record);
    world.put(ecsKeys.connection(other, "machines", hex(n)), { connected: true, since: 0 });
    world.put(ecsKeys.fargateNode(other, "machines", hex(n)), { ...other, cluster: "machines", id: hex(n) });
  }
  world.put(ecsKeys.cluster(scope, "default"), { ...clusterRecord("default"), capacityProviders: ["FARGATE", "FARGATE_SPOT"] });
  world.define(
    "web",
    { networkMode: "awsvpc", cpu: "512", memory: "1024", containerDefinitions: [{ name: "web", image: "busybox", essential: true }] },
    { compatibilities: ["EC2", "FARGATE"] },
  );
  const subnets = (await store.list<SubnetRecord>(vpcKeys.of(scope, "subnet"))).entries.map(({ value }) => value);
  const awsvpcConfiguration = { subnets: subnets.map(({ id }) => id) };
  const run = (input: Partial<RunTaskRequest> = {}) =>
    world.call<RunTaskResponse>("RunTask", {
      taskDefinition: "web",
      networkConfiguration: { awsvpcConfiguration },
      ...(input.capacityProviderStrategy ? {} : { launchType: "FARGATE" }),
      ...input,
    });
  const allocation = async (n: number) => (await store.get<AllocationRecord>(ecsKeys.allocation(other, "machines", hex(n))))?.value;
  return { world, store, run, subnets, allocation };
}

const spot = { capacityProviderStrategy: [{ capacityProvider: "FARGATE_SPOT", weight: 1 }] };
const idOf = (arn: string | undefined) => arn!.split("/").at(-1)!;

test("a task has its size, its interface and no machine", async () => {
  const { run, subnets, world, store } = await fargateWorld();
  const { tasks, failures } = await run({
    networkConfiguration: { awsvpcConfiguration: { subnets: [subnets[1]!.id], assignPublicIp: "ENABLED" } },
  });
  assert.deepEqual(failures, []);
  const [task] = tasks!;
  assert.equal(task!.containerInstanceArn, undefined);
  assert.equal(task!.launchType, "FARGATE");
  assert.equal(task!.platformVersion, "1.4.0");
  assert.equal(task!.platformFamily, "Linux");
  assert.deepEqual(task!.ephemeralStorage, { sizeInGiB: 20 });
  assert.equal(task!.availabilityZone, subnets[1]!.availabilityZone);
  const [attachment] = task!.attachments!;
  const detail = (name: string) => attachment!.details!.find((each) => each.name === name)?.value;
  assert.equal(attachment!.type, "ElasticNetworkInterface");
  assert.equal(detail("subnetId"), subnets[1]!.id);
  const address = detail("privateIPv4Address")!;
  assert.deepEqual(task!.containers![0]!.networkInterfaces, [{ attachmentId: attachment!.id, privateIpv4Address: address }]);
  const record = (await store.get<NetworkInterfaceRecord>(vpcKeys.one(scope, "network-interface", detail("networkInterfaceId")!)))!.value;
  assert.equal(record.privateIps[0], address);
  assert.deepEqual(record.task, { arn: task!.taskArn, node: ecsKeys.containerInstance(other, "machines", hex(1)) });
  assert.ok(record.publicIp);
  assert.ok(await store.get(vpcKeys.address(scope, subnets[1]!.id, address)));

  // The agent of the machine reports the end: share, interface and address are given back.
  await world.call("SubmitTaskStateChange", { task: task!.taskArn, cluster: "machines", status: "STOPPED", containers: [] }, other);
  assert.equal(await store.get(ecsKeys.allocation(other, "machines", hex(1))), undefined);
  assert.equal(await store.get(vpcKeys.one(scope, "network-interface", record.id)), undefined);
  assert.equal(await store.get(vpcKeys.address(scope, subnets[1]!.id, address)), undefined);
  const { tasks: after } = await world.call<DescribeTasksResponse>("DescribeTasks", { tasks: [task!.taskArn!] });
  assert.equal(after![0]!.lastStatus, "STOPPED");
  assert.equal(after![0]!.attachments![0]!.status, "DELETED");
});

test("an agent of another account has no say", async () => {
  const { run, world } = await fargateWorld();
  const { tasks } = await run();
  const stranger = { account: "111111111111", region: "eu-west-1" };
  await assert.rejects(
    world.call("SubmitTaskStateChange", { task: tasks![0]!.taskArn, cluster: "machines", status: "STOPPED", containers: [] }, stranger),
    { code: "InvalidParameterException" },
  );
});

test("tasks spread over the subnets' zones, each with an address of its own", async () => {
  const { run } = await fargateWorld([{ n: 1, cpu: 8192, memory: 16_384 }]);
  const { tasks } = await run({ count: 9 });
  const zones = Map.groupBy(tasks!, ({ availabilityZone }) => availabilityZone);
  assert.deepEqual(
    [...zones.values()].map(({ length }) => length),
    [3, 3, 3],
  );
  assert.equal(new Set(tasks!.map(({ containers }) => containers![0]!.networkInterfaces![0]!.privateIpv4Address)).size, 9);
});

test("no room: as Fargate says it, with what the machines lacked and without their names", async () => {
  const { run } = await fargateWorld([{ n: 1, cpu: 1024, memory: 8192 }]);
  const { tasks, failures } = await run({ count: 3 });
  assert.equal(tasks!.length, 2);
  const [failure] = failures!;
  assert.match(failure!.reason!, /^Capacity is unavailable at this time\. Please try again later or in a different availability zone$/);
  assert.match(failure!.detail!, /1 of 3 tasks were not placed\. Fargate's machines: .*CPU/);
  assert.doesNotMatch(JSON.stringify(failures), /container-instance|i-0000/);
});

test("no machine is marked: the detail says so", async () => {
  const { run } = await fargateWorld([]);
  const { failures } = await run();
  assert.match(failures![0]!.detail!, /No machine is marked as Fargate capacity/);
});

test("the dispatcher tells the machine's agent, and its manifest names the task with its own cluster", async () => {
  const { run, world } = await fargateWorld();
  const agent = world.connect(hex(1), ecsKeys.containerInstance(other, "machines", hex(1)));
  await world.part.start?.();
  const { tasks } = await run();
  await world.part.idle();
  const sent = agent.payloads.flatMap((payload) => payload.tasks);
  assert.equal(sent.length, 1);
  assert.equal(sent[0]!.arn, tasks![0]!.taskArn);
  assert.equal(sent[0]!.taskClusterArn, "arn:aws:ecs:us-east-1:000000000000:cluster/default");
  assert.equal(sent[0]!.isolation, "FARGATE");
  assert.equal(sent[0]!.ephemeralStorage, 20);
  const [eni] = sent[0]!.elasticNetworkInterfaces!;
  assert.match(eni!.subnetGatewayIpv4Address, /^172\.31\.\d+\.1\/20$/);
  assert.deepEqual(eni!.domainNameServers, ["172.31.0.2"]);
  const again = world.connect(hex(1), ecsKeys.containerInstance(other, "machines", hex(1)));
  await world.part.idle();
  const manifest = again.frames.find((frame) => frame.type === "TaskManifestMessage");
  assert.deepEqual((manifest!.message as { readonly tasks: readonly object[] }).tasks, [
    { taskArn: tasks![0]!.taskArn, taskClusterArn: "arn:aws:ecs:us-east-1:000000000000:cluster/default", desiredStatus: "RUNNING" },
  ]);
  await world.part.stop?.();
});

test("Spot tasks leave, with two minutes, when others need the room; no new ones come meanwhile", async () => {
  const { run, store, world, allocation } = await fargateWorld([{ n: 1, cpu: 1024, memory: 8192 }]);
  const agent = world.connect(hex(1), ecsKeys.containerInstance(other, "machines", hex(1)));
  await world.part.start?.();
  const first = await run({ ...spot, count: 2 });
  assert.deepEqual(
    first.tasks!.map(({ capacityProviderName }) => capacityProviderName),
    ["FARGATE_SPOT", "FARGATE_SPOT"],
  );
  assert.deepEqual(
    Object.values((await allocation(1))!.tasks).map((task) => task.spot),
    [true, true],
  );
  await world.clock.advance(1000);
  const { tasks, failures } = await run();
  assert.deepEqual(tasks, []);
  assert.match(failures![0]!.detail!, /1 of them will find room once Spot tasks that were asked to leave have gone/);
  const records = await Promise.all(
    first.tasks!.map(async ({ taskArn }) => (await store.get<TaskRecord>(ecsKeys.task(scope, "default", idOf(taskArn))))!.value),
  );
  const leaving = records.filter(({ desiredStatus }) => desiredStatus === "STOPPED");
  assert.equal(leaving.length, 1);
  assert.deepEqual(leaving[0]!.stop, { at: world.clock.now(), code: "SpotInterruption", reason: "Your Spot Task was interrupted." });
  await world.part.idle();
  const stop = agent.payloads.flatMap((payload) => payload.tasks).find(({ desiredStatus }) => desiredStatus === "STOPPED");
  assert.equal(stop!.containers[0]!.stopTimeout, 120);
  // Asked once more, nobody else has to leave: the room is on its way.
  await run();
  const still = await store.get<TaskRecord>(ecsKeys.task(scope, "default", records.find(({ id }) => id !== leaving[0]!.id)!.id));
  assert.equal(still!.value.desiredStatus, "RUNNING");
  await world.call("SubmitTaskStateChange", { task: leaving[0]!.arn, status: "STOPPED", containers: [] }, other);
  assert.equal((await run(spot)).tasks!.length, 0);
  assert.equal((await run()).tasks!.length, 1);
  await world.part.stop?.();
});

test("what Fargate refuses", async () => {
  const { run, world, subnets } = await fargateWorld();
  const network = { awsvpcConfiguration: { subnets: [subnets[0]!.id] } };
  const cases: [Partial<RunTaskRequest>, string, RegExp][] = [
    [{ taskDefinition: "app", networkConfiguration: undefined }, "InvalidParameterException", /does not support launch_type FARGATE/],
    [{ networkConfiguration: undefined }, "InvalidParameterException", /Network Configuration must be provided/],
    [{ networkConfiguration: { awsvpcConfiguration: { subnets: [] } } }, "InvalidParameterException", /subnets can not be empty/],
    [
      { networkConfiguration: { awsvpcConfiguration: { subnets: ["subnet-none"] } } },
      "InvalidParameterException",
      /InvalidSubnetID\.NotFound/,
    ],
    [{ platformVersion: "9.9.9" }, "PlatformUnknownException", /platform version/],
    [
      { placementConstraints: [{ type: "distinctInstance" }] },
      "InvalidParameterException",
      /Placement constraints are not supported with FARGATE/,
    ],
    [{ placementStrategy: [{ type: "random" }] }, "InvalidParameterException", /Placement strategies are not supported with FARGATE/],
    [{ overrides: { cpu: "300" } }, "ClientException", /No Fargate configuration exists for given values: 300 CPU, 1024 memory/],
    [{ overrides: { ephemeralStorage: { sizeInGiB: 201 } } }, "ClientException", /between 20 GiB and 200 GiB/],
    [
      { launchType: "EC2", networkConfiguration: { awsvpcConfiguration: { ...network.awsvpcConfiguration, assignPublicIp: "ENABLED" } } },
      "InvalidParameterException",
      /Assign public IP is not supported/,
    ],
  ];
  for (const [input, code, message] of cases)
    await assert.rejects(run({ networkConfiguration: network, ...input }), (error: ApiError) => {
      assert.equal(error.code, code, JSON.stringify(input));
      assert.match(error.message, message);
      return true;
    });
  await assert.rejects(
    run({
      capacityProviderStrategy: [
        { capacityProvider: "FARGATE", weight: 1 },
        { capacityProvider: "mine", weight: 1 },
      ],
    }),
    { code: "InvalidParameterException" },
  );
  assert.deepEqual(world.disk.list("/ecs/000000000000/us-east-1/task/"), []);
});

test("base and weight divide tasks over FARGATE and FARGATE_SPOT", async () => {
  const { run } = await fargateWorld([{ n: 1, cpu: 8192, memory: 32_768 }]);
  const { tasks } = await run({
    count: 10,
    capacityProviderStrategy: [
      { capacityProvider: "FARGATE", base: 2, weight: 1 },
      { capacityProvider: "FARGATE_SPOT", weight: 3 },
    ],
  });
  const by = Map.groupBy(tasks!, ({ capacityProviderName }) => capacityProviderName);
  assert.deepEqual([by.get("FARGATE")!.length, by.get("FARGATE_SPOT")!.length], [4, 6]);
});

test("a subnet without a free address: the reason is the interface, and nothing is left", async () => {
  const { run, world, store, subnets, allocation } = await fargateWorld();
  const tiny: SubnetRecord = { ...subnets[0]!, cidr: "172.31.0.0/28" };
  world.put(vpcKeys.one(scope, "subnet", tiny.id), tiny);
  const network = { awsvpcConfiguration: { subnets: [tiny.id] } };
  world.define(
    "small",
    { networkMode: "awsvpc", cpu: "256", memory: "512", containerDefinitions: [{ name: "a", image: "busybox", essential: true }] },
    { compatibilities: ["EC2", "FARGATE"] },
  );
  // A /28 has 16 addresses, of which EC2 keeps five.
  await Promise.all(
    Array.from({ length: 11 }, (_, index) =>
      store.transaction({
        compare: [],
        writes: [{ put: vpcKeys.address(scope, tiny.id, `172.31.0.${4 + index}`), value: { networkInterface: "eni-x" } }],
      }),
    ),
  );
  const { tasks, failures } = await run({ taskDefinition: "small", networkConfiguration: network });
  assert.deepEqual(tasks, []);
  assert.equal(failures![0]!.reason, "RESOURCE:ENI");
  assert.equal(await allocation(1), undefined);
});

test("after a reset the machines are Fargate's capacity still", async () => {
  const { world, store } = await fargateWorld();
  const { survivingMachines } = await import("#services/ecs/survivors.ts");
  const key = ecsKeys.fargateNode(other, "machines", hex(1));
  const before = (await store.get(key))!.value;
  world.disk.apply({ writes: [{ deletePrefix: "/" }, ...(await survivingMachines(store, 0))] });
  assert.deepEqual((await store.get(key))?.value, before);
});

test("the state of an interface is taken note of, that of an unknown attachment is not", async () => {
  const { run, world } = await fargateWorld();
  const { tasks } = await run();
  const [attachment] = tasks![0]!.attachments!;
  const attachmentArn = `arn:aws:ecs:us-east-1:000000000000:attachment/${attachment!.id}`;
  const submit = (arn: string) =>
    world.call("SubmitAttachmentStateChanges", { cluster: "machines", attachments: [{ attachmentArn: arn, status: "ATTACHED" }] }, other);
  assert.deepEqual(await submit(attachmentArn), { acknowledgment: "ACK" });
  await assert.rejects(submit(`${attachmentArn}0`), { code: "InvalidParameterException" });
});
