import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ConnectionRecord } from "#model/ecs-records.ts";
import { scope } from "./records.ts";
import { SmallWorld } from "./support.ts";

const run = async (world: SmallWorld) => (await world.call<RunTaskResponse>("RunTask", { taskDefinition: "app" })).tasks![0]!.taskArn!;
const describe = async (world: SmallWorld, arn: string) =>
  (await world.call<{ tasks: Task[] }>("DescribeTasks", { tasks: [arn] })).tasks[0]!;
const connected = (world: SmallWorld, id: string) =>
  (world.disk.entries.get(ecsKeys.connection(scope, "default", id))?.value as ConnectionRecord | undefined)?.connected ?? false;

test("an agent that answered pings and falls silent is found out before it is lost; its last sign of life counts", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1, {}, false);
  await world.part.start!();
  const agent = world.connect(id);
  await world.clock.advance(21_000);
  assert.equal(connected(world, id), true);
  agent.answers = false;
  const cut = world.clock.now();
  await world.clock.advance(8_000);
  assert.equal(agent.open, false);
  const record = world.disk.entries.get(ecsKeys.connection(scope, "default", id))!.value as ConnectionRecord;
  assert.equal(record.connected, false);
  assert.ok(record.since <= cut && record.since > cut - 2_500, `${cut - record.since}`);
  await world.part.stop!();
});

test("one that never answers pings has its heartbeats, well under a minute apart, and is found out within 100 s", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1, {}, false);
  await world.part.start!();
  const agent = world.connect(id);
  agent.answers = false;
  await world.clock.advance(1000);
  assert.equal(connected(world, id), true);
  for (let i = 0; i < 10; i++) {
    await world.clock.advance(20_000);
    agent.say("HeartbeatAckRequest", { messageId: "h" });
  }
  assert.ok(agent.frames.filter(({ type }) => type === "HeartbeatMessage").length >= 10);
  assert.equal(agent.open, true);
  await world.clock.advance(100_000);
  assert.equal(agent.open, false);
  assert.equal(connected(world, id), false);
  await world.part.stop!();
});

test("a task that no connection ever acknowledges is not sent for ever: it is stopped, and says why", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1);
  await world.part.start!();
  let agent = world.connect(id);
  const arn = await run(world);
  let starts = 0;
  for (let i = 0; i < 6; i++) {
    for (let s = 0; s < 4; s++) {
      await world.clock.advance(10_000);
      agent.alive();
    }
    starts += agent.payloads.filter(({ tasks }) => tasks[0]!.desiredStatus === "RUNNING").length;
    agent.drop();
    agent = world.connect(id);
  }
  assert.equal(starts, 3);
  await world.clock.advance(1000);
  const task = await describe(world, arn);
  assert.equal(task.stopCode, "TaskFailedToStart");
  assert.match(task.stoppedReason!, /did not accept/);
  assert.equal(agent.payloads.at(-1)!.tasks[0]!.desiredStatus, "STOPPED");
  await world.part.stop!();
});

test("after a start agents have their time to come back, then they count as disconnected", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1);
  await world.part.start!();
  await world.clock.advance(5000);
  const early = await run(world);
  assert.equal(connected(world, id), true);
  await world.clock.advance(10_000);
  assert.equal(connected(world, id), false);
  const late = await world.call<RunTaskResponse>("RunTask", { taskDefinition: "app" });
  assert.deepEqual(
    late.failures!.map(({ reason }) => reason),
    ["AGENT"],
  );
  const agent = world.connect(id);
  await world.clock.advance(10);
  assert.deepEqual(
    agent.payloads.map(({ tasks }) => tasks[0]!.arn),
    [early],
  );
  await world.part.stop!();
});

test("stops go out before starts when an agent comes back", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1);
  await world.part.start!();
  const arns = [await run(world), await run(world), await run(world)];
  await world.call("StopTask", { task: arns[1] });
  const agent = world.connect(id);
  await world.clock.advance(10);
  assert.deepEqual(
    agent.payloads.map(({ tasks }) => tasks[0]!.desiredStatus),
    ["STOPPED", "RUNNING", "RUNNING"],
  );
  const manifest = agent.frames.find(({ type }) => type === "TaskManifestMessage")!.message as unknown as {
    tasks: object[];
    timeline: number;
  };
  assert.equal(manifest.tasks.length, 3);
  assert.ok(agent.payloads.every(({ seqNum }) => seqNum > manifest.timeline));
  await world.part.stop!();
});

test("a reset tells every agent that nothing is left to run, over the connection that stands", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1);
  await world.part.start!();
  const agent = world.connect(id);
  await world.clock.advance(10);
  const arn = await run(world);
  await world.clock.advance(10);
  const instanceKey = ecsKeys.containerInstance(scope, "default", id);
  const survivors = [{ put: instanceKey, value: world.disk.entries.get(instanceKey)!.value }, ...(await world.part.survivors!())];
  world.disk.apply({ writes: [{ deletePrefix: "/" }, ...survivors] });
  await world.part.reset!();
  const manifest = agent.frames.findLast(({ type }) => type === "TaskManifestMessage")!.message as unknown as {
    messageId: string;
    tasks: object[];
  };
  assert.deepEqual(manifest.tasks, []);
  agent.say("TaskStopVerificationMessage", {
    messageId: manifest.messageId,
    stopCandidates: [{ taskArn: arn, taskClusterArn: "default" }],
  });
  await world.clock.advance(10);
  const ack = agent.frames.at(-1)!;
  assert.equal(ack.type, "TaskStopVerificationAck");
  assert.equal((ack.message as unknown as { stopTasks: { taskArn: string }[] }).stopTasks[0]!.taskArn, arn);
  assert.equal(agent.open, true);
  assert.equal(connected(world, id), true);
  await world.part.stop!();
});
