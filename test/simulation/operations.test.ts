import assert from "node:assert/strict";
import { test } from "node:test";
import type { RunTaskRequest, RunTaskResponse, Task } from "@aws-sdk/client-ecs";
import type { ApiError } from "#api/contract.ts";
import { hex, scope } from "./records.ts";
import { SmallWorld } from "./support.ts";

const run = (world: SmallWorld, input: Partial<RunTaskRequest> = {}) =>
  world.call<RunTaskResponse>("RunTask", { taskDefinition: "app", ...input });

test("RunTask answers in AWS's shape", async () => {
  const world = new SmallWorld();
  const id = world.addInstance(1);
  world.define(
    "app",
    {
      cpu: "256",
      memory: "512",
      containerDefinitions: [
        { name: "app", image: "busybox" },
        { name: "b", image: "c", cpu: 3, memory: 5 },
      ],
    },
    {
      tags: [
        { key: "a", value: "1" },
        { key: "b", value: "2" },
      ],
    },
    2,
  );
  const { tasks, failures } = await run(world, {
    startedBy: "me",
    tags: [{ key: "b", value: "3" }],
    propagateTags: "TASK_DEFINITION",
    enableECSManagedTags: true,
    overrides: { containerOverrides: [{ name: "b", command: ["x"] }] },
  });
  assert.deepEqual(failures, []);
  const [task] = tasks!;
  const taskId = task!.taskArn!.split("/").at(-1)!;
  assert.match(taskId, /^[0-9a-f]{32}$/);
  const containers = task!.containers!;
  assert.ok(
    containers.every(({ containerArn }) => containerArn!.startsWith(`arn:aws:ecs:us-east-1:000000000000:container/default/${taskId}/`)),
  );
  const plain = JSON.parse(JSON.stringify({ ...task, containers: undefined })) as object;
  assert.deepEqual(plain, {
    attachments: [],
    attributes: [{ name: "ecs.cpu-architecture", value: "x86_64" }],
    availabilityZone: "us-east-1a",
    clusterArn: "arn:aws:ecs:us-east-1:000000000000:cluster/default",
    containerInstanceArn: `arn:aws:ecs:us-east-1:000000000000:container-instance/default/${id}`,
    cpu: "256",
    createdAt: "2026-01-01T00:00:00.000Z",
    desiredStatus: "RUNNING",
    enableExecuteCommand: false,
    group: "family:app",
    healthStatus: "UNKNOWN",
    inferenceAccelerators: [],
    lastStatus: "PENDING",
    launchType: "EC2",
    memory: "512",
    overrides: { containerOverrides: [{ name: "app" }, { name: "b", command: ["x"] }], inferenceAcceleratorOverrides: [] },
    startedBy: "me",
    tags: [
      { key: "a", value: "1" },
      { key: "b", value: "3" },
      { key: "aws:ecs:clusterName", value: "default" },
    ],
    taskArn: `arn:aws:ecs:us-east-1:000000000000:task/default/${taskId}`,
    taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/app:2",
    version: 1,
  });
  assert.deepEqual(
    containers.map(({ cpu, memory, lastStatus }) => [cpu, memory, lastStatus]),
    [
      ["0", undefined, "PENDING"],
      ["3", "5", "PENDING"],
    ],
  );
  const described = await world.call<{ tasks: Task[] }>("DescribeTasks", { tasks: [taskId], include: ["TAGS"] });
  assert.deepEqual(described.tasks, tasks);
});

test("what AWS refuses", async () => {
  const world = new SmallWorld();
  const expect = async (operation: string, input: object, code: string, message: RegExp | string) =>
    assert.rejects(world.call(operation, input), (error: ApiError) => {
      assert.equal(error.code, code);
      if (typeof message === "string") assert.equal(error.message, message);
      else assert.match(error.message, message);
      return true;
    });
  await expect("RunTask", { taskDefinition: "app" }, "InvalidParameterException", "No Container Instances were found in your cluster.");
  world.addInstance(1);
  world.define("old", { containerDefinitions: [{ name: "a", image: "i" }] }, { status: "INACTIVE" });
  world.define("fargate", { containerDefinitions: [{ name: "a", image: "i" }] }, { compatibilities: ["FARGATE"] });
  world.define("vpc", { networkMode: "awsvpc", containerDefinitions: [{ name: "a", image: "i" }] });
  world.define("efs", {
    volumes: [{ name: "v", efsVolumeConfiguration: { fileSystemId: "fs-1" } }],
    containerDefinitions: [{ name: "a", image: "i" }],
  });
  const cases: [object, string, RegExp | string][] = [
    [{ cluster: "nowhere" }, "ClusterNotFoundException", "Cluster not found."],
    [{ taskDefinition: "nothing" }, "ClientException", "TaskDefinition not found."],
    [{ taskDefinition: "app:9" }, "ClientException", "TaskDefinition not found."],
    [{ taskDefinition: "old:1" }, "ClientException", "TaskDefinition is inactive"],
    [{ taskDefinition: "fargate" }, "InvalidParameterException", /launch_type EC2/],
    [{ taskDefinition: "vpc" }, "InvalidParameterException", /Network Configuration must be provided/],
    [{ taskDefinition: "efs" }, "NotImplemented", /efsVolumeConfiguration/],
    [{ count: 0 }, "InvalidParameterException", /count/],
    [{ count: 11 }, "InvalidParameterException", /count/],
    [{ launchType: "FARGATE" }, "InvalidParameterException", "Task definition does not support launch_type FARGATE."],
    [{ launchType: "EXTERNAL" }, "NotImplemented", /EXTERNAL/],
    [
      { launchType: "EC2", capacityProviderStrategy: [{ capacityProvider: "x", weight: 1 }] },
      "InvalidParameterException",
      /both a launch type/,
    ],
    [{ capacityProviderStrategy: [{ capacityProvider: "x", weight: 1 }] }, "InvalidParameterException", /not associated with the cluster/],
    [{ platformVersion: "1.4.0" }, "InvalidParameterException", /platform version must be null/],
    [
      { networkConfiguration: { awsvpcConfiguration: { subnets: ["s"] } } },
      "InvalidParameterException",
      /Network Configuration is not valid/,
    ],
    [{ placementStrategy: [{ type: "binpack", field: "disk" }] }, "InvalidParameterException", /binpack/],
    [{ placementConstraints: [{ type: "distinctInstance", expression: "a == b" }] }, "InvalidParameterException", /distinctInstance/],
    [{ overrides: { containerOverrides: [{ name: "x" }] } }, "InvalidParameterException", /container named x/],
    [{ tags: [{ key: "aws:x", value: "" }] }, "InvalidParameterException", /aws:/],
    [{ clientToken: "" }, "InvalidParameterException", /clientToken/],
  ];
  for (const [input, code, message] of cases) await expect("RunTask", { taskDefinition: "app", ...input }, code, message);
  await expect("StopTask", { task: hex(5) }, "InvalidParameterException", "The referenced task was not found.");
  await expect("DescribeTasks", { tasks: ["short"] }, "InvalidParameterException", "taskId length should be one of [32,36]");
  await expect("DescribeTasks", { tasks: [] }, "InvalidParameterException", "Tasks cannot be empty.");
  await expect("ListTasks", { nextToken: "made up" }, "InvalidParameterException", /token/);
  await expect("ListTasks", { maxResults: 101 }, "InvalidParameterException", /maxResults/);
  await expect("ListTasks", { serviceName: "s" }, "ServiceNotFoundException", "Service not found.");
  assert.equal(world.disk.list("/ecs/000000000000/us-east-1/task/").length, 0);
});

test("failures name each instance, AWS's reason and what it lacked; the rest is placed", async () => {
  const world = new SmallWorld();
  world.addInstance(1, { cpu: 250 });
  world.addInstance(2, { memory: 90 });
  const { tasks, failures } = await run(world, { count: 5 });
  assert.equal(tasks!.length, 2);
  assert.deepEqual(
    failures!.map(({ reason }) => reason),
    ["RESOURCE:CPU", "RESOURCE:MEMORY"],
  );
  assert.match(failures![0]!.detail!, /3 of 5 tasks were not placed\. .*needs 100 CPU units, 50 of 250 are free/);
  assert.match(failures![0]!.arn!, /container-instance\/default\/0+1$/);
});

test("a clientToken starts its tasks once, also when asked for together; another request with it is a conflict", async () => {
  const world = new SmallWorld();
  world.addInstance(1);
  const answers = await Promise.all([1, 2, 3].map(() => run(world, { clientToken: "t", count: 2, tags: [{ key: "k", value: "v" }] })));
  const arns = answers.map(({ tasks }) => tasks!.map(({ taskArn }) => taskArn));
  assert.deepEqual(arns[1], arns[0]);
  assert.deepEqual(arns[2], arns[0]);
  await assert.rejects(run(world, { clientToken: "t", count: 1 }), (error: ApiError) => {
    assert.equal(error.code, "ConflictException");
    assert.deepEqual(error.members.resourceIds, arns[0]);
    return true;
  });
  assert.equal(world.disk.list("/ecs/000000000000/us-east-1/task/").length, 2);
});

test("StartTask: each instance for itself", async () => {
  const world = new SmallWorld();
  const [good, busy] = [world.addInstance(1), world.addInstance(2, { cpu: 10 })];
  const away = world.addInstance(3, {}, false);
  const input = {
    taskDefinition: "app",
    containerInstances: [good, busy, away, hex(9), `arn:aws:ecs:us-east-1:${scope.account}:container-instance/default/${good}`],
  };
  const { tasks, failures } = await world.call<RunTaskResponse>("StartTask", input);
  assert.deepEqual(
    tasks!.map(({ containerInstanceArn }) => containerInstanceArn!.split("/").at(-1)),
    [good, good],
  );
  assert.deepEqual(
    failures!.map(({ reason }) => reason),
    ["RESOURCE:CPU", "AGENT", "MISSING"],
  );
});

test("ListTasks filters and pages", async () => {
  const world = new SmallWorld();
  const first = world.addInstance(1);
  world.define("other", { containerDefinitions: [{ name: "a", image: "i", cpu: 1, memory: 10 }] });
  await run(world, { count: 7, startedBy: "me" });
  const { tasks } = await run(world, { taskDefinition: "other" });
  const stopped = tasks![0]!.taskArn!;
  const list = async (input: object) => (await world.call<{ taskArns: string[] }>("ListTasks", input)).taskArns;
  assert.equal((await list({})).length, 8);
  assert.equal((await list({ startedBy: "me" })).length, 7);
  assert.equal((await list({ family: "app" })).length, 7);
  assert.deepEqual(await list({ family: "other", containerInstance: first, launchType: "EC2" }), [stopped]);
  assert.deepEqual(await list({ launchType: "FARGATE" }), []);
  assert.deepEqual(await list({ containerInstance: hex(2) }), []);
  assert.deepEqual(await list({ desiredStatus: "STOPPED" }), []);
  await world.call("StopTask", { task: stopped });
  const again = await world.call<{ task: Task }>("StopTask", { task: stopped, reason: "once more" });
  assert.equal(again.task.stoppedReason, "Task stopped by user");
  assert.deepEqual(await list({ desiredStatus: "STOPPED" }), [stopped]);
  assert.equal((await list({})).length, 7);
  const seen: string[] = [];
  let nextToken: string | undefined;
  do {
    const page: { taskArns: string[]; nextToken?: string } = await world.call("ListTasks", { maxResults: 3, nextToken });
    seen.push(...page.taskArns);
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  assert.deepEqual(seen, await list({}));
});

test("DescribeTasks: what is missing is a failure; another cluster's task too", async () => {
  const world = new SmallWorld();
  world.addInstance(1);
  const { tasks } = await run(world);
  const arn = tasks![0]!.taskArn!;
  const elsewhere = arn.replace("/default/", "/elsewhere/");
  const { tasks: found, failures } = await world.call<RunTaskResponse>("DescribeTasks", { tasks: [hex(9), arn, elsewhere] });
  assert.deepEqual(
    found!.map(({ taskArn }) => taskArn),
    [arn],
  );
  assert.deepEqual(failures, [
    { arn: `arn:aws:ecs:us-east-1:000000000000:task/default/${hex(9)}`, reason: "MISSING" },
    { arn: elsewhere, reason: "MISSING" },
  ]);
});
