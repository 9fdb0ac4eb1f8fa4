/**
 * A child process of control-plane.ts: several hundred agents that only talk. Each registers, connects to ACS, acknowledges what it gets and
 * answers manifests and heartbeats as the standard agent does; a task's containers run at once and stop at once.
 * Arguments: endpoint, cluster, number of agents. Tells its parent `{ connected }` when all are there, ends with the parent's channel.
 */
import { Agent, request } from "node:http";
import { once } from "node:events";
import { WebSocket } from "ws";
import type { FromAgent, FromServer, PayloadTask } from "#agent-protocol/messages.ts";
import { openHeaders } from "./support.ts";

const [endpoint = "", cluster = "", count = "0"] = process.argv.slice(2);
const pool = new Agent({ keepAlive: true, maxSockets: 128, scheduling: "lifo" });

function call(operation: string, input: unknown): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const body = Buffer.from(JSON.stringify(input));
    const headers = { ...openHeaders("ecs", `AmazonEC2ContainerServiceV20141113.${operation}`), "content-length": body.length };
    const sent = request(endpoint, { method: "POST", agent: pool, headers }, (response) => {
      const parts: Buffer[] = [];
      response.on("data", (part: Buffer) => parts.push(part));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(parts).toString();
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${operation}: ${response.statusCode} ${text}`));
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** As a real agent: until it is taken. */
async function submit(change: unknown): Promise<void> {
  for (let attempt = 0; attempt < 60; attempt++) {
    try {
      await call("SubmitTaskStateChange", change);
      return;
    } catch (error) {
      // The server does not know the task (any more): the report is dropped.
      if (String(error).includes("InvalidParameterException")) return;
      if (attempt === 0) process.stderr.write(`a report is tried again: ${String(error)}\n`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

const totalResources = [
  { name: "CPU", type: "INTEGER", integerValue: 4096 },
  { name: "MEMORY", type: "INTEGER", integerValue: 8192 },
  { name: "PORTS", type: "STRINGSET", stringSetValue: ["22", "2375", "2376", "51678", "51679"] },
  { name: "PORTS_UDP", type: "STRINGSET", stringSetValue: [] },
];

/** What a standard agent of a Linux machine says of itself, as far as it counts for its number (about 55). */
const attributes = [
  { name: "ecs.os-type", value: "linux" },
  { name: "ecs.cpu-architecture", value: "x86_64" },
  ...Array.from({ length: 50 }, (_, i) => ({ name: `ecs.capability.bench-${i}` })),
];

async function start(index: number): Promise<void> {
  const answer = await call("RegisterContainerInstance", {
    cluster,
    totalResources,
    attributes: [...attributes, { name: "ecs.availability-zone", value: `us-east-1${"abc"[index % 3]}` }],
    versionInfo: { agentVersion: "1.83.0", agentHash: "bench", dockerVersion: "DockerVersion: 28.0.0" },
  });
  const arn = (answer as { containerInstance: { containerInstanceArn: string } }).containerInstance.containerInstanceArn;
  const query = new URLSearchParams({
    clusterArn: cluster,
    containerInstanceArn: arn,
    agentVersion: "1.83.0",
    agentHash: "bench",
    protocolVersion: "2",
    seqNum: "1",
    sendCredentials: "true",
  });
  const socket = new WebSocket(`${endpoint.replace("http", "ws")}/acs/ws?${query}`, {
    headers: openHeaders("ecs", "Poll"),
    perMessageDeflate: false,
  });
  /** Tasks that run here. */
  const running = new Map<string, readonly string[]>();
  const send = (frame: FromAgent) => socket.send(JSON.stringify(frame));
  socket.on("message", (data: Buffer) => receive(JSON.parse(data.toString()) as FromServer));
  socket.on("close", (code) => {
    if (process.connected) process.stderr.write(`an agent was disconnected: ${code}\n`);
  });
  await once(socket, "open");

  function receive(frame: FromServer): void {
    switch (frame.type) {
      case "HeartbeatMessage":
        send({ type: "HeartbeatAckRequest", message: { messageId: frame.message.messageId } });
        return;
      case "PayloadMessage": {
        const { messageId, tasks } = frame.message;
        for (const task of tasks) take(task);
        send({ type: "AckRequest", message: { messageId, cluster, containerInstance: arn } });
        return;
      }
      case "TaskManifestMessage": {
        const { messageId, clusterArn } = frame.message;
        send({ type: "AckRequest", message: { messageId, cluster, containerInstance: arn } });
        const listed = new Set(frame.message.tasks.filter((each) => each.desiredStatus === "RUNNING").map(({ taskArn }) => taskArn));
        const stopCandidates = [...running.keys()]
          .filter((taskArn) => !listed.has(taskArn))
          .map((taskArn) => ({ taskArn, taskClusterArn: clusterArn }));
        if (stopCandidates.length > 0) send({ type: "TaskStopVerificationMessage", message: { messageId, stopCandidates } });
        return;
      }
      case "TaskStopVerificationAck":
        for (const { taskArn } of frame.message.stopTasks) stop(taskArn, running.get(taskArn) ?? []);
        return;
      default:
        return;
    }
  }

  function take(task: PayloadTask): void {
    const containers = task.containers.map(({ name }) => name);
    if (task.desiredStatus === "STOPPED") stop(task.arn, containers);
    else if (!running.has(task.arn)) {
      running.set(task.arn, containers);
      const now = Date.now() / 1000;
      void submit({
        cluster,
        task: task.arn,
        status: "RUNNING",
        pullStartedAt: now,
        pullStoppedAt: now,
        containers: containers.map((containerName) => ({ containerName, status: "RUNNING", runtimeId: task.arn.slice(-32) })),
      });
    }
  }

  function stop(task: string, containers: readonly string[]): void {
    running.delete(task);
    void submit({
      cluster,
      task,
      status: "STOPPED",
      executionStoppedAt: Date.now() / 1000,
      containers: containers.map((containerName) => ({ containerName, status: "STOPPED", exitCode: 143 })),
    });
  }
}

process.once("disconnect", () => process.exit(0));
let next = 0;
async function startSome(): Promise<void> {
  while (next < Number(count)) await start(next++);
}
await Promise.all(Array.from({ length: 16 }, startSome));
process.send?.({ connected: Number(count) });
