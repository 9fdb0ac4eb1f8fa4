import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import { WebSocket } from "ws";
import { parseTelemetryFrame } from "#services/ecs/agent-endpoint/telemetry-frame.ts";
import { scope } from "#test/simulation/records.ts";
import { until } from "#test/support/until.ts";
import { type Disk, instanceId, newDisk, startTaskServer, type TaskServer } from "./server.ts";
import { StandardAgent } from "./standard-agent.ts";

let disk: Disk;
let server: TaskServer;
let acs: StandardAgent;
let socket: WebSocket;
const answers: { type: string }[] = [];

const instanceArn = `arn:aws:ecs:${scope.region}:${scope.account}:container-instance/default/${instanceId}`;

/** A frame as the standard agent sends it: signed headers, an empty line, the envelope. */
function send(type: string, message: object): void {
  const headers = "Authorization: AWS4-HMAC-SHA256 Credential=x\r\nHost: localhost\r\nX-Amz-Date: 20260101T000000Z\r\n\r\n";
  socket.send(headers + JSON.stringify({ type, message }));
}

async function answer(type: string): Promise<void> {
  const index = await until(type, () => {
    const found = answers.findIndex((each) => each.type === type);
    return found >= 0 ? found : undefined;
  });
  answers.splice(index, 1);
}

before(async () => {
  disk = await newDisk();
  server = await startTaskServer(disk);
  acs = await StandardAgent.connect(StandardAgent.acsUrl(`${server.endpoint}/acs`));
  await acs.until("manifest", () => acs.frames.find(({ type }) => type === "TaskManifestMessage"));
  const query = new URLSearchParams({
    agentHash: "a",
    agentVersion: "1",
    cluster: "default",
    containerInstance: instanceArn,
    dockerVersion: "x",
  });
  socket = new WebSocket(`${server.endpoint.replace("http", "ws")}/tcs/ws?${query}`);
  socket.on("message", (data) => answers.push(JSON.parse((data as Buffer).toString()) as { type: string }));
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
});
after(async () => {
  socket?.terminate();
  await acs?.close();
  await server?.stop();
  await disk.remove();
});

test("metrics, health and status are acknowledged; health reaches containers and task", async () => {
  const metadata = { cluster: "default", containerInstance: instanceArn, messageId: "m", idle: false, fin: true };
  await answer("HeartbeatMessage");
  const { tasks } = await server.call<RunTaskResponse>("RunTask", { taskDefinition: "app" });
  const taskArn = tasks![0]!.taskArn!;
  await server.call("SubmitTaskStateChange", { task: taskArn, status: "RUNNING", containers: [] });
  const taskMetrics = [{ taskArn, taskDefinitionFamily: "app", taskDefinitionVersion: "1", containerMetrics: [{ containerName: "app" }] }];
  send("PublishMetricsRequest", { metadata, taskMetrics, timestamp: 1 });
  await answer("AckPublishMetric");
  assert.equal(server.part.metrics(taskArn)!.task.containerMetrics[0]!.containerName, "app");
  const health = (healthStatus: string) => ({
    metadata,
    tasks: [
      {
        taskArn,
        taskDefinitionFamily: "app",
        taskDefinitionVersion: "1",
        containers: [{ containerName: "app", healthStatus, statusSince: 1 }],
      },
    ],
    timestamp: 1,
  });
  const describe = async () => (await server.call<{ tasks: Task[] }>("DescribeTasks", { tasks: [taskArn] })).tasks[0]!;
  for (const status of ["HEALTHY", "UNHEALTHY"]) {
    send("PublishHealthRequest", health(status));
    await answer("AckPublishHealth");
    const task = await describe();
    assert.deepEqual(
      [task.healthStatus, task.containers![0]!.healthStatus, task.containers![1]!.healthStatus],
      [status, status, "UNKNOWN"],
    );
  }
  const { version } = await describe();
  send("PublishHealthRequest", health("UNHEALTHY"));
  await answer("AckPublishHealth");
  assert.equal((await describe()).version, version);
  send("PublishInstanceStatusRequest", { metadata, statuses: [] });
  await answer("AckPublishInstanceStatus");
  for (const text of ["", "x", "A: b\r\n\r\n{", "A: b\r\n\r\nnull", '{"type":"PublishHealthRequest","message":{"tasks":3}}'])
    socket.send(text);
  send("PublishHealthRequest", { tasks: [{ taskArn: 7, containers: [{}] }] });
  send("PublishMetricsRequest", { taskMetrics: [null, 3, {}] });
  await answer("AckPublishMetric");
});

test("telemetry frames: with headers, with bare line feeds, plain; nothing else", () => {
  const envelope = '{"type":"T","message":{"a":"\\r\\n\\r\\n"}}';
  for (const text of [`Host: x\r\n\r\n${envelope}`, `Host: x\n\n${envelope}`, envelope])
    assert.deepEqual(parseTelemetryFrame(text), { type: "T", message: { a: "\r\n\r\n" } });
  for (const text of ["", "Host: x", `Host: x\r\n${envelope}`, '{"type":"T"}', '{"message":{}}'])
    assert.equal(parseTelemetryFrame(text), undefined);
});
