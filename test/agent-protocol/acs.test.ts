import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import type { RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import { WebSocket } from "ws";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import { hex, scope } from "#test/simulation/records.ts";
import { until } from "#test/support/until.ts";
import { type Disk, instanceId, newDisk, startTaskServer, type TaskServer } from "./server.ts";
import { StandardAgent } from "./standard-agent.ts";

/** What the shared facts say of ACS, spoken over real websockets by an agent with the standard agent's rules (none of its binaries is here). */
let disk: Disk;
let server: TaskServer;
let agent: StandardAgent;

const connect = (setUp?: (agent: StandardAgent) => void) => StandardAgent.connect(StandardAgent.acsUrl(`${server.endpoint}/acs`), setUp);
const run = async (count = 1) => (await server.call<RunTaskResponse>("RunTask", { taskDefinition: "app", count })).tasks!;
const describe = async (arn: string) => (await server.call<{ tasks: Task[] }>("DescribeTasks", { tasks: [arn] })).tasks[0]!;
const report = (arn: string, status: string, container: object = {}) =>
  server.call("SubmitTaskStateChange", {
    cluster: "default",
    task: arn,
    status,
    containers: [{ containerName: "app", status, ...container }],
  });
const connection = async () =>
  (await server.store.get<ConnectionRecord>(ecsKeys.connection(scope, "default", instanceId)))?.value.connected ?? false;
const countOf = (arn: string, of: StandardAgent) => of.payloads.flatMap(({ tasks }) => tasks).filter((task) => task.arn === arn).length;

before(async () => {
  disk = await newDisk();
});
beforeEach(async () => {
  if (!server) server = await startTaskServer(disk);
  if (!agent || agent.closed) {
    agent = await connect();
    await until("connected", connection);
  }
});
after(async () => {
  await agent?.close();
  await server?.stop();
  await disk.remove();
});

test("join: DiscoverPollEndpoint, heartbeat, manifest, connection record", async () => {
  const discovered = await server.call<Record<string, string>>("DiscoverPollEndpoint", { cluster: "default", containerInstance: "x" });
  assert.deepEqual(discovered, { endpoint: `${server.endpoint}/acs`, telemetryEndpoint: `${server.endpoint}/tcs` });
  await agent.until("heartbeat", () => agent.frames.find(({ type }) => type === "HeartbeatMessage"));
  await agent.until("manifest", () => agent.frames.find(({ type }) => type === "TaskManifestMessage"));
});

test("a task's life: payload, reports, stop, in AWS's shapes", async () => {
  const [task] = await run();
  assert.equal(task!.lastStatus, "PENDING");
  const arn = task!.taskArn!;
  const payload = await agent.payloadOf(arn, "RUNNING");
  assert.equal(payload.family, "app");
  assert.equal(payload.version, "1");
  const [app, side] = payload.containers;
  assert.deepEqual([app!.cpu, app!.memory, app!.essential, app!.healthCheckType, side!.essential], [64, 128, true, "docker", false]);
  assert.deepEqual(JSON.parse(app!.dockerConfig.config).Healthcheck, {
    Test: ["CMD-SHELL", "true"],
    Interval: 5e9,
    Timeout: 5e9,
    Retries: 3,
  });
  assert.equal(JSON.parse(app!.dockerConfig.hostConfig).NetworkMode, "bridge");
  await report(arn, "RUNNING", { runtimeId: "r1" });
  const running = await describe(arn);
  assert.deepEqual([running.lastStatus, running.desiredStatus, running.connectivity], ["RUNNING", "RUNNING", "CONNECTED"]);
  const stopping = await server.call<{ task: Task }>("StopTask", { task: arn, reason: "enough" });
  assert.deepEqual(
    [stopping.task.desiredStatus, stopping.task.stopCode, stopping.task.stoppedReason],
    ["STOPPED", "UserInitiated", "enough"],
  );
  const stop = await agent.payloadOf(arn, "STOPPED");
  assert.equal(stop.containers.length, 2);
  const numbers = agent.payloads.map(({ seqNum }) => seqNum);
  assert.deepEqual(
    numbers,
    numbers.toSorted((a, b) => a - b),
  );
  assert.equal(new Set(numbers).size, numbers.length);
  await report(arn, "STOPPED", { exitCode: 143 });
  await report(arn, "RUNNING", {});
  const stopped = await describe(arn);
  assert.deepEqual([stopped.lastStatus, stopped.stoppedReason, stopped.containers![0]!.exitCode], ["STOPPED", "enough", 143]);
  await assert.rejects(report(`${arn.slice(0, -1)}x`, "STOPPED"), { code: "InvalidParameterException" });
});

test("after a lost connection only what was not acknowledged comes again", async () => {
  const [known] = await run();
  await agent.payloadOf(known!.taskArn!, "RUNNING");
  await agent.heard();
  agent.acknowledge = false;
  const [unacknowledged] = await run();
  await agent.payloadOf(unacknowledged!.taskArn!, "RUNNING");
  agent.socket.terminate();
  await until("disconnected at once", async () => !(await connection()));
  const refused = await server.call<RunTaskResponse>("RunTask", { taskDefinition: "app" });
  assert.deepEqual(
    refused.failures!.map(({ reason }) => reason),
    ["AGENT"],
  );
  agent = await connect();
  await agent.payloadOf(unacknowledged!.taskArn!, "RUNNING");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(countOf(known!.taskArn!, agent), 0);
  assert.equal(countOf(unacknowledged!.taskArn!, agent), 1);
  for (const task of [known, unacknowledged]) await report(task!.taskArn!, "STOPPED");
});

test("a task that the agent cannot read keeps no other waiting and is not sent in a loop", async () => {
  const tasks = await run(3);
  const bad = tasks[1]!.taskArn!;
  agent.unreadable.add(bad);
  for (const task of tasks) await agent.payloadOf(task.taskArn!, "RUNNING");
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const task of tasks) assert.equal(countOf(task.taskArn!, agent), 1);
  for (const task of tasks) await report(task.taskArn!, "STOPPED");
});

test("a stop that was not confirmed comes again; the newer of two connections wins", async () => {
  const [task] = await run();
  const arn = task!.taskArn!;
  await agent.payloadOf(arn, "RUNNING");
  await server.call("StopTask", { task: arn });
  await agent.payloadOf(arn, "STOPPED");
  const older = agent;
  agent = await connect();
  await older.until("the older is closed", () => older.closed);
  await agent.payloadOf(arn, "STOPPED");
  assert.equal(await connection(), true);
  await report(arn, "STOPPED");
});

test("the manifest ends what the agent should not run, and nothing else", async () => {
  const [task] = await run();
  await agent.payloadOf(task!.taskArn!, "RUNNING");
  const stray = `arn:aws:ecs:us-east-1:000000000000:task/default/${hex(77)}`;
  agent.socket.close();
  agent = await connect((next) => {
    next.running.add(stray);
    next.running.add(task!.taskArn!);
  });
  const answer = await agent.until("verification", () => agent.frames.find(({ type }) => type === "TaskStopVerificationAck"));
  assert.deepEqual(
    (answer.message as unknown as { stopTasks: { taskArn: string }[] }).stopTasks.map(({ taskArn }) => taskArn),
    [stray],
  );
  assert.deepEqual([...agent.running], [task!.taskArn]);
  await report(task!.taskArn!, "STOPPED");
});

test("a graceful stop closes with 1000; a killed server finds everything again", async () => {
  const [task] = await run();
  const arn = task!.taskArn!;
  await agent.payloadOf(arn, "RUNNING");
  await report(arn, "RUNNING");
  const last = agent.payloads.at(-1)!.seqNum;
  await server.stop();
  await agent.until("close", () => agent.closed);
  assert.equal(agent.frames.at(-1)!.type, "CloseMessage");
  assert.ok([1000, 1001, 1006].includes(agent.closed!.code), String(agent.closed!.code));
  for (const kill of [true, false]) {
    server = await startTaskServer(disk);
    // Placement works before the agent is back: it was there when the server went.
    const [early] = await run();
    agent = await connect((next) => next.running.add(arn));
    await agent.payloadOf(early!.taskArn!, "RUNNING");
    const manifest = await agent.until("manifest", () => agent.frames.find(({ type }) => type === "TaskManifestMessage"));
    assert.ok((manifest.message as { timeline: number }).timeline > last);
    assert.ok(agent.running.has(arn));
    assert.equal((await describe(arn)).lastStatus, "RUNNING");
    await report(early!.taskArn!, "STOPPED");
    if (kill) await server.stop(true);
  }
  agent = await connect();
  await until("connected again", connection);
  await report(arn, "STOPPED");
});

test("who may not connect is told why", async () => {
  const refusal = (url: string) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const socket = new WebSocket(url);
      socket.on("unexpected-response", (_request, response) => {
        let body = "";
        response.on("data", (chunk: Buffer) => (body += chunk.toString()));
        response.on("end", () => resolve({ status: response.statusCode!, body }));
      });
      socket.on("open", () => reject(new Error("taken")));
      socket.on("error", () => {});
    });
  const url = (...more: string[]) => StandardAgent.acsUrl(`${server.endpoint}/acs`, ...more);
  const unknown = await refusal(url(hex(5)));
  assert.equal(unknown.status, 400);
  assert.deepEqual(Object.keys(JSON.parse(unknown.body) as object), ["InvalidInstanceException"]);
  const otherAccount = await refusal(url(`arn:aws:ecs:us-east-1:111111111111:container-instance/default/${instanceId}`));
  assert.match(otherAccount.body, /InvalidInstanceException/);
  assert.match(
    (await refusal(url(`arn:aws:ecs:us-east-1:000000000000:container-instance/nowhere/${instanceId}`))).body,
    /InvalidClusterException/,
  );
});

test("broken frames do no harm", async () => {
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    '{"type":1}',
    '{"type":"AckRequest"}',
    '{"type":"TaskStopVerificationMessage","message":{"stopCandidates":7}}',
    '{"type":"New","message":{}}',
  ])
    agent.socket.send(text);
  agent.socket.send(Buffer.from([0xff, 0xfe, 0]));
  const [task] = await run();
  await agent.payloadOf(task!.taskArn!, "RUNNING");
  await report(task!.taskArn!, "STOPPED");
  agent.socket.send("x".repeat(2 * 1024 * 1024));
  await agent.until("too long a frame ends the connection", () => agent.closed);
});

test("RunTask to the payload on the wire within a few ms; 20 at once", async (t) => {
  const median = (times: number[]) => times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!;
  const one = async () => {
    const started = performance.now();
    const [task] = await run();
    await agent.payloadOf(task!.taskArn!, "RUNNING");
    return { arn: task!.taskArn!, ms: performance.now() - started };
  };
  const single: { arn: string; ms: number }[] = [];
  for (let i = 0; i < 30; i++) single.push(await one());
  const together = await Promise.all(Array.from({ length: 20 }, one));
  t.diagnostic(
    `median ${median(single.map(({ ms }) => ms)).toFixed(1)} ms, of 20 at once ${median(together.map(({ ms }) => ms)).toFixed(1)} ms`,
  );
  // Some milliseconds, on a machine that has nothing else to do.
  assert.ok(median(single.map(({ ms }) => ms)) < 100);
  const arns = [...single, ...together].map(({ arn }) => arn);
  const started = performance.now();
  let described = 0;
  while (performance.now() - started < 500) {
    await server.call("DescribeTasks", { tasks: [arns[described % arns.length]!] });
    described++;
  }
  t.diagnostic(`${Math.round(described / 0.5)} DescribeTasks a second without HTTP`);
  assert.ok(described > 100, `${described}`);
});

test("a deregistered instance: tasks STOPPED, agent sent away and refused", async () => {
  const [task] = await run();
  await agent.payloadOf(task!.taskArn!, "RUNNING");
  const key = ecsKeys.containerInstance(scope, "default", instanceId);
  const record = (await server.store.get<ContainerInstanceRecord>(key))!.value;
  await server.store.transaction({ writes: [{ put: key, value: { ...record, status: "INACTIVE" } }] });
  await agent.until("dismissal", () => agent.frames.find(({ type }) => type === "InactiveInstanceException"));
  await agent.until("close", () => agent.closed);
  await until("stopped", async () => (await describe(task!.taskArn!)).lastStatus === "STOPPED");
  assert.match((await describe(task!.taskArn!)).stoppedReason!, /deregistration/);
  await assert.rejects(connect(), /400/);
  await server.store.transaction({ writes: [{ put: key, value: record }] });
});
