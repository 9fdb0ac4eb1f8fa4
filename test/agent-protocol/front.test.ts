import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  DescribeTasksCommand,
  DiscoverPollEndpointCommand,
  ECSClient,
  ListTasksCommand,
  RunTaskCommand,
  StopTaskCommand,
  SubmitTaskStateChangeCommand,
  waitUntilTasksRunning,
  waitUntilTasksStopped,
} from "@aws-sdk/client-ecs";
import { WebSocket } from "ws";
import { sign } from "#agent/aws/sigv4.ts";
import type { FromServer } from "#agent-protocol/messages.ts";
import { createEcsTasks } from "#services/ecs/tasks/index.ts";
import { hex, scope } from "#test/simulation/records.ts";
import { accessKeyId, secretAccessKey, startServer, type TestServer } from "#test/support/http.ts";
import { until } from "#test/support/until.ts";
import { fillStore, instanceId } from "./server.ts";
import { StandardAgent } from "./standard-agent.ts";

/** The whole way through the real front door: the SDK's client on one side, a signed websocket on the other. */
let server: TestServer;
let ecs: ECSClient;

before(async () => {
  server = await startServer({
    async parts(deps) {
      await fillStore(deps.store);
      return [createEcsTasks(deps)];
    },
  });
  ecs = new ECSClient(server.sdk());
});
after(async () => {
  ecs?.destroy();
  await server?.close();
});

const signedHeaders = (url: URL, secret = secretAccessKey) =>
  sign({
    method: "GET",
    url,
    headers: {},
    body: "",
    service: "ecs",
    region: scope.region,
    credentials: { accessKeyId, secretAccessKey: secret },
    now: Date.now(),
  });

test("SDK and agent: discover, run, report, stop, with the SDK's waiters", async () => {
  const discovered = await ecs.send(new DiscoverPollEndpointCommand({ cluster: "default", containerInstance: instanceId }));
  assert.equal(discovered.endpoint, `${server.endpoint}/acs`);
  const url = new URL(StandardAgent.acsUrl(discovered.endpoint!));
  const http = new URL(url.href.replace("ws", "http"));
  const agent = await StandardAgent.connect(url.href, undefined, signedHeaders(http));
  await agent.until("manifest", () => agent.frames.find(({ type }: FromServer) => type === "TaskManifestMessage"));
  const arn = await until("a task was placed", async () => {
    const { tasks } = await ecs.send(new RunTaskCommand({ taskDefinition: "app", startedBy: "sdk" }));
    return tasks?.[0]?.taskArn;
  });
  const payload = await agent.payloadOf(arn, "RUNNING");
  assert.equal(payload.containers[0]!.name, "app");
  const report = (status: string, more: object = {}) =>
    ecs.send(
      new SubmitTaskStateChangeCommand({
        cluster: "default",
        task: arn,
        status,
        pullStartedAt: new Date(1000),
        containers: [
          {
            containerName: "app",
            status,
            runtimeId: "r",
            networkBindings: [{ bindIP: "0.0.0.0", containerPort: 80, hostPort: 32768, protocol: "tcp" }],
            ...more,
          },
        ],
      }),
    );
  assert.ok((await report("RUNNING")).acknowledgment);
  await waitUntilTasksRunning({ client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { tasks: [arn] });
  const running = (await ecs.send(new DescribeTasksCommand({ tasks: [arn] }))).tasks![0]!;
  assert.equal(running.pullStartedAt!.getTime(), 1000);
  assert.equal(running.containers![0]!.networkBindings![0]!.hostPort, 32768);
  assert.deepEqual((await ecs.send(new ListTasksCommand({ startedBy: "sdk" }))).taskArns, [arn]);
  await ecs.send(new StopTaskCommand({ task: arn }));
  await agent.payloadOf(arn, "STOPPED");
  await report("STOPPED", { exitCode: 137 });
  await waitUntilTasksStopped({ client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { tasks: [arn] });
  await agent.close();
});

test("errors reach the SDK as its own classes, with their members", async () => {
  await assert.rejects(ecs.send(new DescribeTasksCommand({ cluster: "nowhere", tasks: [hex(1)] })), { name: "ClusterNotFoundException" });
  await assert.rejects(ecs.send(new StopTaskCommand({ task: hex(1) })), {
    name: "InvalidParameterException",
    message: "The referenced task was not found.",
  });
});

test("a websocket that is not signed, or badly, is refused", async () => {
  const url = new URL(StandardAgent.acsUrl(`${server.endpoint}/acs`));
  const http = new URL(url.href.replace("ws", "http"));
  for (const headers of [{}, signedHeaders(http, "wrong")]) {
    const status = await new Promise((resolve) => {
      const socket = new WebSocket(url, { headers });
      socket.on("unexpected-response", (_request, response) => {
        resolve(response.statusCode);
        response.resume();
      });
      socket.on("open", () => resolve(101));
      socket.on("error", () => {});
    });
    assert.ok(status === 403 || status === 400, String(status));
  }
});

test("the AWS CLI runs, lists and waits", async () => {
  assert.deepEqual(JSON.parse(await server.aws("ecs", "list-tasks", "--desired-status", "RUNNING", "--output", "json")), { taskArns: [] });
  const answer = JSON.parse(await server.aws("ecs", "describe-tasks", "--tasks", hex(3), "--output", "json")) as {
    failures: { reason: string }[];
  };
  assert.equal(answer.failures[0]!.reason, "MISSING");
});
