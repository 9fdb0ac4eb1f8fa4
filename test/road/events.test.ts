/** Issue 7, "Events", on a whole Gantry: what a container does is told to a log group and a webhook, a pushed image runs a task, and so does the clock, also when the server was killed meanwhile. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { CreateLogGroupCommand, FilterLogEventsCommand, PutResourcePolicyCommand } from "@aws-sdk/client-cloudwatch-logs";
import { DescribeTasksCommand, ListTasksCommand, type Task } from "@aws-sdk/client-ecs";
import * as Sdk from "@aws-sdk/client-eventbridge";
import { CreateRoleCommand, IAMClient, PutRolePolicyCommand } from "@aws-sdk/client-iam";
import { CreateScheduleCommand, GetScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { clusterArn, type Hook, logGroupArn, logPolicy, openHook } from "../events/support.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { openTasks, sh, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let hook: Hook;
let events: Sdk.EventBridgeClient;
let scheduler: SchedulerClient;
let RoleArn: string;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-events-"));
  gantry = await startGantry({ open: true });
  t = await openTasks(gantry, work);
  hook = await openHook();
  const options = { endpoint: gantry.endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  events = new Sdk.EventBridgeClient(options);
  scheduler = new SchedulerClient(options);
  const iam = new IAMClient(options);
  const document = (statement: object) => JSON.stringify({ Version: "2012-10-17", Statement: [{ Effect: "Allow", ...statement }] });
  const trust = document({ Principal: { Service: ["events.amazonaws.com", "scheduler.amazonaws.com"] }, Action: "sts:AssumeRole" });
  RoleArn = (await iam.send(new CreateRoleCommand({ RoleName: "events", AssumeRolePolicyDocument: trust }))).Role!.Arn!;
  const PolicyDocument = document({ Action: ["ecs:RunTask", "iam:PassRole", "events:InvokeApiDestination"], Resource: "*" });
  await iam.send(new PutRolePolicyCommand({ RoleName: "events", PolicyName: "p", PolicyDocument }));
  iam.destroy();
});
after(async () => {
  events?.destroy();
  scheduler?.destroy();
  await hook?.close();
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

const listen = async (Name: string, pattern: object, ...Targets: Sdk.Target[]) => {
  await events.send(new Sdk.PutRuleCommand({ Name, EventPattern: JSON.stringify(pattern) }));
  await events.send(new Sdk.PutTargetsCommand({ Rule: Name, Targets }));
};
const arnOf = (family: string) => `arn:aws:ecs:us-east-1:000000000000:task-definition/${family}`;
const startedBy = async (name: string): Promise<Task[]> => {
  const { taskArns: running = [] } = await t.ecs.send(new ListTasksCommand({ startedBy: name }));
  const { taskArns: stopped = [] } = await t.ecs.send(new ListTasksCommand({ startedBy: name, desiredStatus: "STOPPED" }));
  const tasks = [...new Set([...running, ...stopped])];
  return tasks.length === 0 ? [] : (await t.ecs.send(new DescribeTasksCommand({ tasks }))).tasks!;
};

test("a task's life is told to a log group and a webhook", { timeout: 240_000 }, async () => {
  await t.logs.send(new CreateLogGroupCommand({ logGroupName: "/aws/events/tasks" }));
  await t.logs.send(new PutResourcePolicyCommand({ policyName: "events", policyDocument: logPolicy }));
  const ApiKeyAuthParameters = { ApiKeyName: "x-api-key", ApiKeyValue: "sesame" };
  const { ConnectionArn } = await events.send(
    new Sdk.CreateConnectionCommand({ Name: "hook", AuthorizationType: "API_KEY", AuthParameters: { ApiKeyAuthParameters } }),
  );
  const { ApiDestinationArn } = await events.send(
    new Sdk.CreateApiDestinationCommand({ Name: "hook", ConnectionArn, InvocationEndpoint: hook.url, HttpMethod: "POST" }),
  );
  const InputTransformer = {
    InputPathsMap: { code: "$.detail.containers[0].exitCode", task: "$.detail.taskArn" },
    InputTemplate: '{"text": "<task> ended with <code>"}',
  };
  await listen(
    "all",
    { source: ["aws.ecs"], "detail-type": ["ECS Task State Change"] },
    { Id: "log", Arn: logGroupArn("/aws/events/tasks") },
  );
  await listen(
    "failed",
    { source: ["aws.ecs"], detail: { lastStatus: ["STOPPED"], containers: { exitCode: [{ "anything-but": 0 }] } } },
    { Id: "hook", Arn: ApiDestinationArn, RoleArn, InputTransformer },
  );
  const { task } = await t.run([sh("exit 7")]);
  await until("the webhook was called", () => hook.calls.length > 0);
  assert.deepEqual(JSON.parse(hook.calls[0]!.body), { text: `${task.taskArn} ended with 7` });
  assert.equal(hook.calls[0]!.headers["x-api-key"], "sesame");
  const details = await until("all of it is in the log", async () => {
    const { events: lines = [] } = await t.logs.send(new FilterLogEventsCommand({ logGroupName: "/aws/events/tasks" }));
    const found = lines.map(({ message }) => (JSON.parse(message!) as { detail: { lastStatus: string; version: number } }).detail);
    return ["PENDING", "STOPPED"].every((status) => found.some(({ lastStatus }) => lastStatus === status)) && found;
  });
  const inOrder = details.toSorted((a, b) => a.version - b.version);
  assert.equal(inOrder[0]!.lastStatus, "PENDING");
  assert.equal(inOrder.at(-1)!.lastStatus, "STOPPED");
  assert.equal(new Set(details.map(({ version }) => version)).size, details.length);
});

test("a pushed image runs a task of it", { timeout: 240_000 }, async () => {
  const family = await t.define([sh("echo pushed")]);
  const pattern = {
    source: ["aws.ecr"],
    detail: { "action-type": ["PUSH"], result: ["SUCCESS"], "repository-name": ["box"], "image-tag": ["2"] },
  };
  await listen("pushed", pattern, { Id: "run", Arn: clusterArn, RoleArn, EcsParameters: { TaskDefinitionArn: arnOf(family) } });
  const here = `docker://localhost:${gantry.port}/box`;
  await gantry.shell(
    `skopeo copy --src-tls-verify=false --dest-tls-verify=false --src-creds AWS:open --dest-creds AWS:open ${here}:1 ${here}:2`,
  );
  const [task] = await until("its task", async () => {
    const found = await startedBy("events-rule/pushed");
    return found.length > 0 && found;
  });
  assert.deepEqual(await (await t.ended(task!.taskArn!)).log(), ["pushed"]);
});

test("a schedule runs its task once, though the server is killed before its time", { timeout: 240_000 }, async () => {
  const family = await t.define([sh("echo $AT")]);
  const { parts } = await gantry.status();
  const at = new Date(Date.now() + 5000).toISOString().slice(0, 19);
  const Input = JSON.stringify({
    containerOverrides: [{ name: "main", environment: [{ name: "AT", value: "<aws.scheduler.scheduled-time>" }] }],
  });
  await scheduler.send(
    new CreateScheduleCommand({
      Name: "once",
      ScheduleExpression: `at(${at})`,
      FlexibleTimeWindow: { Mode: "OFF" },
      ActionAfterCompletion: "DELETE",
      Target: { Arn: clusterArn, RoleArn, Input, EcsParameters: { TaskDefinitionArn: arnOf(family) } },
    }),
  );
  process.kill(parts.find(({ name }) => name === "server")!.pid!, "SIGKILL");
  const [task] = await until("its task", async () => {
    const found = await startedBy("chronos-schedule/once").catch(() => []);
    return found.length > 0 && found;
  });
  assert.deepEqual(await (await t.ended(task!.taskArn!)).log(), [`${at}Z`]);
  assert.equal((await startedBy("chronos-schedule/once")).length, 1);
  await eventually("the schedule is gone", () =>
    assert.rejects(scheduler.send(new GetScheduleCommand({ Name: "once" })), { name: "ResourceNotFoundException" }),
  );
});
