/** A whole server in this process, with instances whose agents say what a test has them say, a webhook, and roles. */
import assert from "node:assert/strict";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import * as Logs from "@aws-sdk/client-cloudwatch-logs";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Sdk from "@aws-sdk/client-eventbridge";
import * as Iam from "@aws-sdk/client-iam";
import * as Scheduler from "@aws-sdk/client-scheduler";
import { WebSocket } from "ws";
import { sign } from "#agent/aws/sigv4.ts";
import type { Clock } from "#platform/clock.ts";
import { createParts } from "#server/parts.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

export const scope = { account: "000000000000", region: "us-east-1" };
export const clusterArn = "arn:aws:ecs:us-east-1:000000000000:cluster/default";

export interface Hook {
  readonly url: string;
  readonly calls: { readonly method: string; readonly path: string; readonly headers: IncomingMessage["headers"]; readonly body: string }[];
  /** What it answers next; 200 when there is none. */
  readonly answers: { readonly status: number; readonly headers?: Readonly<Record<string, string>> }[];
  close(): Promise<void>;
}

export async function openHook(): Promise<Hook> {
  const calls: Hook["calls"] = [];
  const answers: Hook["answers"] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (data: Buffer) => (body += data.toString()));
    request.on("end", () => {
      calls.push({ method: request.method!, path: request.url!, headers: request.headers, body });
      const { status, headers = {} } = answers.shift() ?? { status: 200 };
      response.writeHead(status, headers).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    answers,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

export interface World {
  readonly server: TestServer;
  readonly events: Sdk.EventBridgeClient;
  readonly scheduler: Scheduler.SchedulerClient;
  readonly ecs: Ecs.ECSClient;
  readonly logs: Logs.CloudWatchLogsClient;
  readonly iam: Iam.IAMClient;
  /** A role that `service` may become, with what it may do; its ARN. */
  role(name: string, service: string, statements: readonly object[]): Promise<string>;
  /** An instance in the cluster `default` whose agent is connected. */
  addInstance(): Promise<string>;
  define(family: string, more?: Partial<Ecs.RegisterTaskDefinitionCommandInput>): Promise<string>;
  tasks(): Promise<Ecs.Task[]>;
  /** The lines of a log group, oldest first. */
  lines(group: string): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

/** An agent that takes what it is sent, and does nothing about it: what becomes of its tasks is said for it. */
function connectAgent({ endpoint, sdk }: TestServer, containerInstanceArn: string): WebSocket {
  const url = new URL("/acs/ws", endpoint);
  url.search = new URLSearchParams({ clusterArn: "default", containerInstanceArn, seqNum: "1" }).toString();
  const { credentials, region } = sdk();
  const { host: _, ...headers } = sign({ method: "GET", url, headers: {}, body: "", service: "ecs", region, credentials, now: Date.now() });
  url.protocol = "ws:";
  const socket = new WebSocket(url, { headers });
  socket.on("error", () => {});
  socket.on("message", (data) => {
    const { type, message } = JSON.parse((data as Buffer).toString()) as { type: string; message: { messageId: string } };
    const answer = { HeartbeatMessage: "HeartbeatAckRequest", PayloadMessage: "AckRequest" }[type];
    if (answer === undefined) return;
    const { messageId } = message;
    socket.send(JSON.stringify({ type: answer, message: { messageId, cluster: "default", containerInstance: containerInstanceArn } }));
  });
  return socket;
}

export async function openWorld(options: { readonly clock?: Clock } = {}): Promise<World> {
  const server = await startServer({ parts: createParts, ...options });
  const sdk = server.sdk();
  const events = new Sdk.EventBridgeClient(sdk);
  const scheduler = new Scheduler.SchedulerClient(sdk);
  const ecs = new Ecs.ECSClient(sdk);
  const logs = new Logs.CloudWatchLogsClient(sdk);
  const iam = new Iam.IAMClient(sdk);
  await ecs.send(new Ecs.CreateClusterCommand({}));
  const agents: WebSocket[] = [];
  return {
    server,
    events,
    scheduler,
    ecs,
    logs,
    iam,
    async role(RoleName, service, statements) {
      const trust = { Version: "2012-10-17", Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }] };
      const { Role } = await iam.send(new Iam.CreateRoleCommand({ RoleName, AssumeRolePolicyDocument: JSON.stringify(trust) }));
      const PolicyDocument = JSON.stringify({ Version: "2012-10-17", Statement: statements });
      if (statements.length > 0) await iam.send(new Iam.PutRolePolicyCommand({ RoleName, PolicyName: "does", PolicyDocument }));
      return Role!.Arn!;
    },
    async addInstance() {
      const number = (name: string, integerValue: number) => ({ name, type: "INTEGER", integerValue });
      const ports = { name: "PORTS", type: "STRINGSET", stringSetValue: ["22"] };
      const udp = { name: "PORTS_UDP", type: "STRINGSET", stringSetValue: [] };
      const totalResources = [number("CPU", 8192), number("MEMORY", 16_384), ports, udp];
      const { containerInstance } = await ecs.send(
        new Ecs.RegisterContainerInstanceCommand({
          totalResources,
          attributes: [
            { name: "ecs.capability.docker-remote-api.1.18" },
            { name: "ecs.availability-zone", value: "us-east-1a" },
            { name: "test.machine", value: String(agents.length + 1) },
          ],
        }),
      );
      const arn = containerInstance!.containerInstanceArn!;
      agents.push(connectAgent(server, arn));
      await until("its agent is connected", async () => {
        const { containerInstances } = await ecs.send(new Ecs.DescribeContainerInstancesCommand({ containerInstances: [arn] }));
        return containerInstances![0]!.agentConnected;
      });
      return arn;
    },
    async define(family, more = {}) {
      const containerDefinitions = [{ name: "main", image: "busybox", memory: 64 }];
      const { taskDefinition } = await ecs.send(new Ecs.RegisterTaskDefinitionCommand({ family, containerDefinitions, ...more }));
      return taskDefinition!.taskDefinitionArn!;
    },
    async tasks() {
      const { taskArns = [] } = await ecs.send(new Ecs.ListTasksCommand({}));
      if (taskArns.length === 0) return [];
      return (await ecs.send(new Ecs.DescribeTasksCommand({ tasks: taskArns, include: ["TAGS"] }))).tasks ?? [];
    },
    async lines(logGroupName) {
      const { events: found = [] } = await logs.send(new Logs.FilterLogEventsCommand({ logGroupName }));
      return found.map(({ message }) => JSON.parse(message!) as Record<string, unknown>);
    },
    async close() {
      for (const agent of agents) agent.terminate();
      for (const client of [events, scheduler, ecs, logs, iam]) client.destroy();
      await server.close();
    },
  };
}

export const ecsStatements = (passed: string) => [
  { Effect: "Allow", Action: ["ecs:RunTask", "ecs:TagResource"], Resource: "*" },
  { Effect: "Allow", Action: "iam:PassRole", Resource: passed },
];

/** Lets EventBridge write to log groups under /aws/events. */
export const logPolicy = JSON.stringify({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { Service: ["events.amazonaws.com", "delivery.logs.amazonaws.com"] },
      Action: ["logs:CreateLogStream", "logs:PutLogEvents"],
      Resource: "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/*:*",
    },
  ],
});

export const logGroupArn = (name: string) => `arn:aws:logs:us-east-1:000000000000:log-group:${name}`;

export const fails = (work: Promise<unknown>, name: string, message?: RegExp) =>
  assert.rejects(work, (error: Error) => {
    assert.equal(error.name, name, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
