/** EventBridge Scheduler through the SDK: schedules and groups, and what they do when they are due, with the rights of their role alone. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as Logs from "@aws-sdk/client-cloudwatch-logs";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Sdk from "@aws-sdk/client-eventbridge";
import * as Scheduler from "@aws-sdk/client-scheduler";
import { eventKeys } from "#model/events/records.ts";
import { until } from "../support/until.ts";
import { clusterArn, ecsStatements, fails, logGroupArn, logPolicy, openWorld, scope } from "../events/support.ts";

const world = await openWorld();
const { scheduler, ecs } = world;
after(() => world.close());
const TaskDefinitionArn = await world.define("job");
const RoleArn = await world.role("schedules", "scheduler.amazonaws.com", [
  ...ecsStatements("*"),
  { Effect: "Allow", Action: "ecs:UpdateService", Resource: "arn:aws:ecs:us-east-1:000000000000:service/default/web" },
  { Effect: "Allow", Action: "events:PutEvents", Resource: "*" },
]);
const target: Scheduler.Target = { Arn: clusterArn, RoleArn, EcsParameters: { TaskDefinitionArn } };
const FlexibleTimeWindow = { Mode: "OFF" } as const;
const create = (Name: string, ScheduleExpression: string, more: Partial<Scheduler.CreateScheduleCommandInput> = {}) =>
  scheduler.send(new Scheduler.CreateScheduleCommand({ Name, ScheduleExpression, Target: target, FlexibleTimeWindow, ...more }));
const get = (Name: string, GroupName?: string) => scheduler.send(new Scheduler.GetScheduleCommand({ Name, GroupName }));
/** An expression for so many milliseconds from now. */
const soon = (ms = 1000) => `at(${new Date(Date.now() + ms).toISOString().slice(0, 19)})`;

test("a schedule is what was created or updated, with AWS's defaults", async () => {
  const StartDate = new Date("2030-01-01T00:00:00Z");
  const { ScheduleArn } = await create("one", "cron(0 9 ? * MON-FRI *)", {
    ScheduleExpressionTimezone: "Europe/Berlin",
    Description: "d",
    StartDate,
  });
  assert.equal(ScheduleArn, "arn:aws:scheduler:us-east-1:000000000000:schedule/default/one");
  const { $metadata: _, CreationDate, LastModificationDate, ...found } = await get("one");
  assert.deepEqual(found, {
    Arn: ScheduleArn,
    GroupName: "default",
    Name: "one",
    ScheduleExpression: "cron(0 9 ? * MON-FRI *)",
    ScheduleExpressionTimezone: "Europe/Berlin",
    StartDate,
    Description: "d",
    State: "ENABLED",
    Target: { ...target, RetryPolicy: { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185 } },
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: "NONE",
  });
  assert.ok(CreationDate && LastModificationDate);
  const update = { Name: "one", ScheduleExpression: "rate(1 hour)", Target: target, State: "DISABLED" } as const;
  await scheduler.send(
    new Scheduler.UpdateScheduleCommand({ ...update, FlexibleTimeWindow: { Mode: "FLEXIBLE", MaximumWindowInMinutes: 15 } }),
  );
  const now = await get("one");
  assert.deepEqual(
    [now.Description, now.State, now.ScheduleExpressionTimezone, now.FlexibleTimeWindow],
    [undefined, "DISABLED", "UTC", { Mode: "FLEXIBLE", MaximumWindowInMinutes: 15 }],
  );
  await fails(create("one", "rate(1 hour)"), "ConflictException");
  await create("twice", "rate(1 hour)", { ClientToken: "t", State: "DISABLED" });
  await create("twice", "rate(1 hour)", { ClientToken: "t", State: "DISABLED" });
  const { Schedules } = await scheduler.send(new Scheduler.ListSchedulesCommand({}));
  assert.deepEqual(
    Schedules!.map(({ Name, State, Target }) => [Name, State, Target]),
    [
      ["one", "DISABLED", { Arn: clusterArn }],
      ["twice", "DISABLED", { Arn: clusterArn }],
    ],
  );
  for (const Name of ["one", "twice"]) await scheduler.send(new Scheduler.DeleteScheduleCommand({ Name }));
  await fails(get("one"), "ResourceNotFoundException", /Schedule one does not exist/);
});

test("what a schedule may not be", async () => {
  await fails(create("x", "cron(0 9 * * * *)"), "ValidationException", /Invalid Schedule Expression/);
  await fails(create("x", "rate(1 hour)", { ScheduleExpressionTimezone: "Mars/Olympus" }), "ValidationException", /timezone/);
  await fails(create("x", "rate(1 hour)", { FlexibleTimeWindow: { Mode: "FLEXIBLE" } }), "ValidationException");
  await fails(create("x", "rate(1 hour)", { GroupName: "none" }), "ResourceNotFoundException", /Schedule group none/);
  await fails(create("x", "rate(1 hour)", { Target: { ...target, EcsParameters: undefined } }), "ValidationException", /EcsParameters/);
  const lambda = { Arn: "arn:aws:lambda:us-east-1:000000000000:function:f", RoleArn };
  await fails(create("x", "rate(1 hour)", { Target: lambda }), "NotImplemented", /lambda/);
  const universal = (call: string, Input = "{}") =>
    create("x", "rate(1 hour)", { Target: { Arn: `arn:aws:scheduler:::aws-sdk:${call}`, RoleArn, Input } });
  await fails(universal("ecs:listTasks"), "ValidationException", /only reads/);
  await fails(universal("ecs:makeCoffee"), "ValidationException", /no operation/);
  await fails(universal("ecs:updateService", "nothing"), "ValidationException", /JSON/);
});

test("groups have tags, and take their schedules with them", async () => {
  const Tags = [{ Key: "a", Value: "1" }];
  const { ScheduleGroupArn } = await scheduler.send(new Scheduler.CreateScheduleGroupCommand({ Name: "team", Tags }));
  assert.deepEqual((await scheduler.send(new Scheduler.ListTagsForResourceCommand({ ResourceArn: ScheduleGroupArn }))).Tags, Tags);
  await scheduler.send(new Scheduler.TagResourceCommand({ ResourceArn: ScheduleGroupArn, Tags: [{ Key: "b", Value: "2" }] }));
  await scheduler.send(new Scheduler.UntagResourceCommand({ ResourceArn: ScheduleGroupArn, TagKeys: ["a"] }));
  assert.deepEqual((await scheduler.send(new Scheduler.ListTagsForResourceCommand({ ResourceArn: ScheduleGroupArn }))).Tags, [
    { Key: "b", Value: "2" },
  ]);
  await create("inside", "rate(1 hour)", { GroupName: "team" });
  const groups = await scheduler.send(new Scheduler.ListScheduleGroupsCommand({}));
  assert.deepEqual(
    groups.ScheduleGroups!.map(({ Name, State }) => [Name, State]),
    [
      ["default", "ACTIVE"],
      ["team", "ACTIVE"],
    ],
  );
  await fails(scheduler.send(new Scheduler.DeleteScheduleGroupCommand({ Name: "default" })), "ValidationException");
  await scheduler.send(new Scheduler.DeleteScheduleGroupCommand({ Name: "team" }));
  await fails(get("inside", "team"), "ResourceNotFoundException");
  assert.equal(await world.server.deps.store.get(eventKeys.scheduleTimer(scope, "team", "inside")), undefined);
});

test("a one-off schedule runs its task and is gone", async () => {
  await world.addInstance();
  const Input = JSON.stringify({
    containerOverrides: [{ name: "main", environment: [{ name: "AT", value: "<aws.scheduler.scheduled-time>" }] }],
  });
  const expression = soon(1500);
  await create("once", expression, { Target: { ...target, Input }, ActionAfterCompletion: "DELETE" });
  const [task] = await until("a task", async () => {
    const found = await world.tasks();
    return found.length > 0 && found;
  });
  assert.equal(task!.startedBy, "chronos-schedule/once");
  assert.deepEqual(task!.overrides!.containerOverrides![0]!.environment, [{ name: "AT", value: `${expression.slice(3, -1)}Z` }]);
  await fails(get("once"), "ResourceNotFoundException");
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal((await world.tasks()).length, 1);
});

test("a rate begins at once; a disabled schedule does nothing", async () => {
  const count = (await world.tasks()).length;
  await create("off", "rate(1 minute)", { State: "DISABLED" });
  await create("often", "rate(1 minute)");
  await until("its task", async () => (await world.tasks()).length === count + 1);
  await scheduler.send(new Scheduler.DeleteScheduleCommand({ Name: "often" }));
  assert.ok((await world.tasks()).every(({ startedBy }) => startedBy !== "chronos-schedule/off"));
});

test("a schedule puts an event", async () => {
  await world.logs.send(new Logs.PutResourcePolicyCommand({ policyName: "events", policyDocument: logPolicy }));
  await world.logs.send(new Logs.CreateLogGroupCommand({ logGroupName: "/aws/events/timed" }));
  await world.events.send(new Sdk.PutRuleCommand({ Name: "timed", EventPattern: '{"source":["clock"]}' }));
  await world.events.send(new Sdk.PutTargetsCommand({ Rule: "timed", Targets: [{ Id: "a", Arn: logGroupArn("/aws/events/timed") }] }));
  const Arn = "arn:aws:events:us-east-1:000000000000:event-bus/default";
  const Target = { Arn, RoleArn, Input: '{"n":1}', EventBridgeParameters: { Source: "clock", DetailType: "Tick" } };
  await create("tick", soon(), { Target });
  const [line] = await until("a line", async () => {
    const found = await world.lines("/aws/events/timed");
    return found.length > 0 && found;
  });
  assert.deepEqual([line!["source"], line!["detail-type"], line!["detail"]], ["clock", "Tick", { n: 1 }]);
});

test("a universal target is any operation, with the role's rights and no more", async () => {
  for (const serviceName of ["web", "other"])
    await ecs.send(new Ecs.CreateServiceCommand({ serviceName, taskDefinition: "job", desiredCount: 0, launchType: "EC2" }));
  const Target = (Service: string) => ({
    Arn: "arn:aws:scheduler:::aws-sdk:ecs:updateService",
    RoleArn,
    Input: JSON.stringify({ Service, DesiredCount: 2 }),
  });
  await create("scale-other", soon(), { Target: Target("other") });
  await create("scale-web", soon(), { Target: Target("web") });
  const desired = async (name: string) =>
    (await ecs.send(new Ecs.DescribeServicesCommand({ services: [name] }))).services![0]!.desiredCount;
  await until("two are wanted", async () => (await desired("web")) === 2);
  await until("nothing waits", async () => (await world.server.deps.store.list(eventKeys.deliveries)).entries.length === 0);
  assert.equal(await desired("other"), 0);
});

test("a rule with a schedule sends its Scheduled Event", async () => {
  const { server, events } = world;
  await events.send(new Sdk.PutRuleCommand({ Name: "hourly", ScheduleExpression: "rate(1 hour)" }));
  await world.logs.send(new Logs.CreateLogGroupCommand({ logGroupName: "/aws/events/hourly" }));
  await events.send(new Sdk.PutTargetsCommand({ Rule: "hourly", Targets: [{ Id: "a", Arn: logGroupArn("/aws/events/hourly") }] }));
  // An hour has gone by.
  const key = eventKeys.ruleTimer(scope, "default", "hourly");
  const { value } = (await server.deps.store.get<{ next: number; due: number; start: number }>(key))!;
  const past = { ...value, next: Date.now() - 5, due: Date.now() - 5, start: value.start - 3_600_000 };
  await server.deps.store.transaction({ writes: [{ put: key, value: past }] });
  const [line] = await until("a line", async () => {
    const found = await world.lines("/aws/events/hourly");
    return found.length > 0 && found;
  });
  assert.deepEqual(
    [line!["source"], line!["detail-type"], line!["resources"], line!["detail"]],
    ["aws.events", "Scheduled Event", ["arn:aws:events:us-east-1:000000000000:rule/hourly"], {}],
  );
  assert.ok((await server.deps.store.get<{ next: number }>(key))!.value.next > Date.now());
  await events.send(new Sdk.DisableRuleCommand({ Name: "hourly" }));
  assert.equal(await server.deps.store.get(key), undefined);
});
