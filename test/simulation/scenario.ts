import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { DescribeTasksResponse, RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { World } from "./world.ts";
import { hex } from "./records.ts";

/** One life of a small cluster, drawn whole from its seed. */
export async function playScenario(seed: number): Promise<{ tasks: number; deaths: number; payloads: number; digest: string }> {
  const chaos = seed % 4 === 0 ? 0 : 0.3 + 0.7 * ((seed * 0.618) % 1);
  const instances = 1 + (seed % 4);
  const world = new World(seed, { instances, chaos });
  const { random } = world;
  const pick = (count: number) => Math.floor(random.next() * count);
  const accepted = new Set<string>();
  const tokens = new Map<string, Set<string>>();
  let deaths = 0;

  await world.startServer();
  for (const agent of world.agents) agent.start();
  await world.clock.advance(1000);

  const steps = 10 + pick(25);
  for (let step = 0; step < steps; step++) {
    if (!world.serverAlive && random.next() < 0.7) await world.startServer();
    await act(pick(10));
    await world.clock.advance(random.next() < 0.2 ? 30_000 * random.next() : 2000 * random.next());
    if (world.violations.length > 0) throw world.violations[0]!;
  }

  async function act(action: number): Promise<void> {
    if (action <= 3) {
      const taskDefinition = ["web", "batch-job", "batch-job", "big"][pick(4)]!;
      const token = random.next() < 0.4 ? `token-${pick(3)}-${taskDefinition}` : undefined;
      const count = token ? 2 : 1 + pick(4);
      noteStarted(await world.call<RunTaskResponse>("RunTask", { cluster: "sim", taskDefinition, count, clientToken: token }), token);
    } else if (action === 4) {
      const containerInstances = [world.agents[pick(instances)]!.instance, hex(999)];
      noteStarted(await world.call<RunTaskResponse>("StartTask", { cluster: "sim", taskDefinition: "batch-job", containerInstances }));
    } else if (action === 5 || action === 6) {
      const all = [...accepted];
      if (all.length > 0) await world.call("StopTask", { cluster: "sim", task: all[pick(all.length)], reason: "the scenario wants it" });
    } else if (action === 7 && chaos > 0) {
      const agent = world.agents[pick(instances)]!;
      if (random.next() < 0.5) agent.drop();
      else agent.fallSilent();
    } else if (action === 8 && chaos > 0) {
      deaths++;
      const way = pick(5);
      if (random.next() < 0.3) world.loseChangesAtWrite(pick(6));
      else if (way === 0) world.killServer();
      else if (way === 1) await world.stopServer();
      else if (way === 4) world.diskFull = !world.diskFull;
      else world.killAtWrite(pick(6), way === 2);
    } else if (action === 9) {
      if (random.next() < 0.2 && instances > 1) world.setInstanceStatus(world.agents[0]!.instance, "INACTIVE");
      else for (const agent of world.agents) if (!agent.connected) agent.start();
    }
  }

  function noteStarted(result: RunTaskResponse | ApiError | undefined, token?: string): void {
    if (result === undefined || result instanceof ApiError) return;
    const arns = (result.tasks ?? []).map(({ taskArn }) => taskArn!);
    for (const arn of arns) accepted.add(arn);
    if (token === undefined || arns.length === 0) return;
    const before = tokens.get(token);
    if (before) assert.deepEqual(new Set(arns), before, "one clientToken started two sets of tasks");
    tokens.set(token, new Set(arns));
  }

  // Everything heals: the server stays up, every machine answers.
  world.disarm();
  world.diskFull = false;
  for (const agent of world.agents) agent.chaos = 0;
  await world.startServer();
  for (const agent of world.agents) agent.start();
  await world.clock.advance(8 * 60_000);
  if (world.violations.length > 0) throw world.violations[0]!;

  await checkEnds(world, accepted);
  await checkRest(world);
  // An hour of heartbeats is most of a scenario's cost.
  if (seed % 5 === 0) await checkForgotten(world);
  if (world.violations.length > 0) throw world.violations[0]!;
  return { tasks: accepted.size, deaths, payloads: world.payloads, digest: digestOf(world) };
}

function digestOf(world: World): string {
  return createHash("sha256")
    .update(JSON.stringify(world.disk.list("")))
    .digest("hex");
}

/** Every task that was accepted ended in what was asked of it. */
async function checkEnds(world: World, accepted: ReadonlySet<string>): Promise<void> {
  const all = world.tasks();
  const known = new Set(all.map(({ task }) => task.arn));
  for (const arn of accepted) assert.ok(known.has(arn), `accepted and lost: ${arn}`);
  for (const { task, observation } of all) {
    const agent = world.agents.find(({ instance }) => instance === task.containerInstanceId)!;
    const status = observation?.lastStatus ?? "PENDING";
    const running = agent.running.includes(task.arn);
    if (task.desiredStatus === "STOPPED" || /-job:/.test(task.taskDefinitionArn)) assert.equal(status, "STOPPED", `${task.arn} was to end`);
    if (status === "STOPPED") {
      assert.ok(observation!.stopCode && observation!.reason && observation!.stoppedAt, "a stop without code, reason or time");
      if (!agent.dismissed) assert.equal(running, false, `${task.arn} is STOPPED but runs`);
    } else {
      assert.equal(status, "RUNNING", `${task.arn} neither runs nor ended`);
      assert.equal(running, true, `${task.arn} is RUNNING but does not run`);
    }
  }
  for (const agent of world.agents) {
    for (const [arn, count] of agent.starts) assert.ok(count <= 1, `${arn} was started ${count} times`);
    assert.equal(world.connection(agent.instance), !agent.dismissed, "the connection record says what is");
  }
  const arns = all.slice(0, 100).map(({ task }) => task.arn);
  if (arns.length === 0) return;
  const described = await world.call<DescribeTasksResponse>("DescribeTasks", { cluster: "sim", tasks: arns });
  assert.ok(described && !(described instanceof ApiError));
  assert.deepEqual(described.failures, []);
  for (const task of described.tasks!) checkView(task);
}

function checkView(task: Task): void {
  const stopped = task.lastStatus === "STOPPED";
  assert.equal(task.desiredStatus, stopped ? "STOPPED" : "RUNNING");
  assert.equal(task.stoppedAt !== undefined, stopped);
  assert.ok(task.containers!.every(({ lastStatus }) => lastStatus === task.lastStatus));
}

/** A quiet system comes to rest: no writes, no payloads. */
async function checkRest(world: World): Promise<void> {
  const before = { revision: world.disk.revision, payloads: world.payloads };
  await world.clock.advance(5 * 60_000);
  assert.deepEqual({ revision: world.disk.revision, payloads: world.payloads }, before, "the system does not come to rest");
}

/** What has stopped vanishes after its hour, and leaves nothing. */
async function checkForgotten(world: World): Promise<void> {
  const living = world.tasks().filter(({ observation }) => observation?.lastStatus !== "STOPPED");
  await world.clock.advance(60 * 60_000);
  assert.deepEqual(world.tasks(), living);
  assert.equal(world.disk.list("/ecs/000000000000/us-east-1/task-observed/").length, living.length);
  assert.equal(world.disk.list(ecsKeys.expiries("task")).length, 0);
}
