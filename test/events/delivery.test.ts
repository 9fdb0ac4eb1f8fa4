/** Events come to their targets: by PutEvents, from ECS, ECR and alarms, in AWS's shapes; with the target's rights and no others; again after failures. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import * as CloudWatch from "@aws-sdk/client-cloudwatch";
import * as Logs from "@aws-sdk/client-cloudwatch-logs";
import * as Ecr from "@aws-sdk/client-ecr";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Sdk from "@aws-sdk/client-eventbridge";
import { eventKeys } from "#model/events/records.ts";
import { until } from "../support/until.ts";
import { clusterArn, ecsStatements, logGroupArn, logPolicy, openHook, openWorld, scope } from "./support.ts";

const world = await openWorld();
const hook = await openHook();
const { events, ecs, logs } = world;
after(async () => {
  await hook.close();
  await world.close();
});
await logs.send(new Logs.PutResourcePolicyCommand({ policyName: "events", policyDocument: logPolicy }));
const group = async (name: string) => {
  await logs.send(new Logs.CreateLogGroupCommand({ logGroupName: name }));
  return logGroupArn(name);
};
const listen = async (Name: string, pattern: object, ...Targets: Sdk.Target[]) => {
  await events.send(new Sdk.PutRuleCommand({ Name, EventPattern: JSON.stringify(pattern) }));
  await events.send(new Sdk.PutTargetsCommand({ Rule: Name, Targets }));
};
const put = async (Source: string, Detail: object, more: Partial<Sdk.PutEventsRequestEntry> = {}) =>
  events.send(new Sdk.PutEventsCommand({ Entries: [{ Source, DetailType: "thing", Detail: JSON.stringify(Detail), ...more }] }));
const waiting = async () => (await world.server.deps.store.list(eventKeys.deliveries)).entries;

test("an event of one's own comes to a log group as it is, or as a template makes it", async () => {
  const arn = await group("/aws/events/own");
  const InputTransformer = { InputPathsMap: { n: "$.detail.n" }, InputTemplate: '{"number": <n>, "rule": "<aws.events.rule-name>"}' };
  await listen(
    "own",
    { source: ["my.app"], detail: { n: [{ numeric: [">", 1] }] } },
    { Id: "all", Arn: arn },
    { Id: "some", Arn: arn, InputTransformer },
  );
  const { Entries, FailedEntryCount } = await put("my.app", { n: 2 }, { Resources: ["r"], Time: new Date() });
  assert.equal(FailedEntryCount, 0);
  await put("my.app", { n: 1 });
  await put("other.app", { n: 2 });
  const lines = await until("two lines", async () => {
    const found = await world.lines("/aws/events/own");
    return found.length >= 2 && found;
  });
  assert.equal(lines.length, 2);
  const whole = lines.find((line) => "detail" in line)!;
  assert.deepEqual(
    [
      whole["id"],
      whole["source"],
      whole["detail-type"],
      whole["account"],
      whole["region"],
      whole["resources"],
      whole["detail"],
      whole["version"],
    ],
    [Entries![0]!.EventId, "my.app", "thing", "000000000000", "us-east-1", ["r"], { n: 2 }, "0"],
  );
  assert.match(String(whole["time"]), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.deepEqual(
    lines.find((line) => "number" in line),
    { number: 2, rule: "own" },
  );
  await until("nothing waits", async () => (await waiting()).length === 0);
});

test("what PutEvents refuses, it refuses entry by entry", async () => {
  const entry = { Source: "my.app", DetailType: "t", Detail: "{}" };
  const { Entries, FailedEntryCount } = await events.send(
    new Sdk.PutEventsCommand({
      Entries: [
        entry,
        { ...entry, Source: "aws.ecs" },
        { ...entry, Detail: "{" },
        { ...entry, DetailType: undefined },
        { ...entry, EventBusName: "none" },
      ],
    }),
  );
  assert.equal(FailedEntryCount, 4);
  assert.deepEqual(
    Entries!.map(({ ErrorCode }) => ErrorCode),
    [undefined, "NotAuthorizedForSourceException", "MalformedDetail", "InvalidArgument", "ResourceNotFoundException"],
  );
});

test("a log group whose policy does not let EventBridge write gets nothing, and nobody tries again", async () => {
  await listen("closed", { source: ["closed"] }, { Id: "a", Arn: await group("/elsewhere") });
  await put("closed", {});
  await until("it was given up", async () => (await waiting()).length === 0);
  assert.deepEqual(await world.lines("/elsewhere"), []);
});

test("a rule without targets, or disabled, keeps nothing in the store", async () => {
  await events.send(new Sdk.PutRuleCommand({ Name: "nobody", EventPattern: JSON.stringify({ source: ["nobody"] }) }));
  const { store } = world.server.deps;
  const stop = new AbortController();
  const touched: string[] = [];
  const changes = store.watch("/events", { signal: stop.signal });
  const watching = (async () => {
    for await (const { events: keys } of changes) touched.push(...keys.map(({ key }) => key));
  })();
  await put("nobody", {});
  await events.send(new Sdk.DisableRuleCommand({ Name: "nobody" }));
  await events.send(new Sdk.PutTargetsCommand({ Rule: "nobody", Targets: [{ Id: "a", Arn: logGroupArn("/aws/events/own") }] }));
  await put("nobody", {});
  // The last change: what came before it has been told.
  await events.send(new Sdk.RemoveTargetsCommand({ Rule: "nobody", Ids: ["a"] }));
  await until("three changes of the rule", () => touched.length >= 3);
  stop.abort();
  await watching;
  const rule = eventKeys.rule(scope, "default", "nobody");
  assert.deepEqual(touched, [rule, rule, rule]);
});

test("a task is run by the target's role, once, with the input as its overrides", async () => {
  await world.addInstance();
  const TaskDefinitionArn = await world.define("job");
  const role = await world.role("events-role", "events.amazonaws.com", ecsStatements("*"));
  const EcsParameters: Sdk.EcsParameters = {
    TaskDefinitionArn,
    TaskCount: 2,
    LaunchType: "EC2",
    Group: "mine",
    PropagateTags: "TASK_DEFINITION",
    EnableExecuteCommand: false,
    Tags: [{ Key: "why", Value: "event" }],
    PlacementStrategy: [{ type: "spread", field: "instanceId" }],
  };
  const InputTransformer = {
    InputPathsMap: { word: "$.detail.word" },
    InputTemplate: '{"containerOverrides": [{"name": "main", "command": ["echo", <word>]}]}',
  };
  await listen("run", { source: ["run"] }, { Id: "t", Arn: clusterArn, RoleArn: role, EcsParameters, InputTransformer });
  await put("run", { word: "hello" });
  const tasks = await until("two tasks", async () => {
    const found = await world.tasks();
    return found.length >= 2 && found;
  });
  assert.equal(tasks.length, 2);
  const [task] = tasks;
  assert.deepEqual(
    [task!.startedBy, task!.group, task!.launchType, task!.overrides!.containerOverrides![0]!.command, task!.tags],
    ["events-rule/run", "mine", "EC2", ["echo", "hello"], [{ key: "why", value: "event" }]],
  );
});

test("a role that does not trust EventBridge, or may not run tasks, runs none", async () => {
  const before = (await world.tasks()).length;
  const EcsParameters = {
    TaskDefinitionArn: await world.define("secret-job", { taskRoleArn: await world.role("task-role", "ecs-tasks.amazonaws.com", []) }),
  };
  const distrusting = await world.role("distrusting", "lambda.amazonaws.com", ecsStatements("*"));
  const powerless = await world.role("powerless", "events.amazonaws.com", ecsStatements("arn:aws:iam::000000000000:role/other"));
  await listen(
    "no-rights",
    { source: ["no-rights"] },
    { Id: "a", Arn: clusterArn, RoleArn: distrusting, EcsParameters },
    { Id: "b", Arn: clusterArn, RoleArn: powerless, EcsParameters },
    { Id: "c", Arn: clusterArn, RoleArn: "arn:aws:iam::000000000000:role/none", EcsParameters },
  );
  await put("no-rights", {});
  await until("they were given up", async () => (await waiting()).length === 0);
  assert.equal((await world.tasks()).length, before);
});

test("a webhook is called with its connection's secrets, and again when it fails; never with a role that may not", async () => {
  const AuthParameters: Sdk.CreateConnectionAuthRequestParameters = {
    ApiKeyAuthParameters: { ApiKeyName: "x-api-key", ApiKeyValue: "s3cret" },
    InvocationHttpParameters: {
      QueryStringParameters: [{ Key: "token", Value: "hidden", IsValueSecret: true }],
      BodyParameters: [{ Key: "from", Value: "gantry" }],
    },
  };
  const { ConnectionArn } = await events.send(
    new Sdk.CreateConnectionCommand({ Name: "hook", AuthorizationType: "API_KEY", AuthParameters }),
  );
  const { ApiDestinationArn } = await events.send(
    new Sdk.CreateApiDestinationCommand({ Name: "hook", ConnectionArn, InvocationEndpoint: `${hook.url}/in/*`, HttpMethod: "PUT" }),
  );
  const invoke = [{ Effect: "Allow", Action: "events:InvokeApiDestination", Resource: ApiDestinationArn }];
  const may = await world.role("may-call", "events.amazonaws.com", invoke);
  const mayNot = await world.role("may-not-call", "events.amazonaws.com", []);
  const HttpParameters = { PathParameterValues: ["a b"], HeaderParameters: { "X-Rule": "hooked" } };
  const RetryPolicy = { MaximumRetryAttempts: 2 };
  await listen(
    "hooked",
    { source: ["hooked"] },
    { Id: "yes", Arn: ApiDestinationArn, RoleArn: may, HttpParameters, InputPath: "$.detail", RetryPolicy },
    { Id: "no", Arn: ApiDestinationArn, RoleArn: mayNot },
  );
  hook.answers.push({ status: 503 });
  await put("hooked", { n: 1 });
  await until("it was called twice", () => hook.calls.length === 2);
  await until("nothing waits", async () => (await waiting()).length === 0);
  const [first, second] = hook.calls;
  assert.deepEqual(first!.body, second!.body);
  assert.deepEqual(JSON.parse(second!.body), { n: 1, from: "gantry" });
  assert.deepEqual(
    [second!.method, second!.path, second!.headers["x-api-key"], second!.headers["x-rule"], second!.headers["content-type"]],
    ["PUT", "/in/a%20b?token=hidden", "s3cret", "hooked", "application/json; charset=utf-8"],
  );
  hook.calls.length = 0;
  hook.answers.push({ status: 400 });
  await put("hooked", { n: 2 });
  await until("it was given up", async () => hook.calls.length > 0 && (await waiting()).length === 0);
  assert.equal(hook.calls.length, 1);
});

test("another bus gets the event as it is, by a role that may put events there, and sends it no further", async () => {
  const { EventBusArn } = await events.send(new Sdk.CreateEventBusCommand({ Name: "audit" }));
  const RoleArn = await world.role("forwards", "events.amazonaws.com", [
    { Effect: "Allow", Action: "events:PutEvents", Resource: EventBusArn },
  ]);
  await listen("forward", { source: ["round"] }, { Id: "bus", Arn: EventBusArn, RoleArn });
  await events.send(
    new Sdk.PutRuleCommand({ Name: "all", EventBusName: "audit", EventPattern: JSON.stringify({ source: [{ prefix: "" }] }) }),
  );
  const Targets = [
    { Id: "logs", Arn: await group("/aws/events/audit") },
    { Id: "back", Arn: "arn:aws:events:us-east-1:000000000000:event-bus/default", RoleArn },
  ];
  await events.send(new Sdk.PutTargetsCommand({ Rule: "all", EventBusName: "audit", Targets }));
  const { Entries } = await put("round", { a: 1 });
  const [line] = await until("a line", async () => {
    const found = await world.lines("/aws/events/audit");
    return found.length > 0 && found;
  });
  assert.equal(line!["id"], Entries![0]!.EventId);
  await until("nothing waits", async () => (await waiting()).length === 0);
  assert.equal((await world.lines("/aws/events/audit")).length, 1);
});

test("ECS tells of each change of a task, counting up, and of its instance", async () => {
  await world.addInstance();
  const Arn = await group("/aws/events/ecs");
  await listen("tasks", { source: ["aws.ecs"] }, { Id: "logs", Arn });
  const { tasks } = await ecs.send(new Ecs.RunTaskCommand({ taskDefinition: "job" }));
  const { taskArn, containers } = tasks![0]!;
  const submit = (status: string, more: object) =>
    ecs.send(
      new Ecs.SubmitTaskStateChangeCommand({
        cluster: "default",
        task: taskArn,
        status,
        containers: [{ containerName: containers![0]!.name, status, ...more }],
      }),
    );
  await submit("RUNNING", { runtimeId: "abc" });
  await submit("STOPPED", { exitCode: 0 });
  const ofTask = () =>
    world.lines("/aws/events/ecs").then((lines) => lines.filter((line) => line["detail-type"] === "ECS Task State Change"));
  const told = await until("three events", async () => {
    const found = await ofTask();
    return found.length >= 3 && found;
  });
  const details = told
    .map(({ detail }) => detail as Record<string, unknown>)
    .toSorted((a, b) => Number(a["version"]) - Number(b["version"]));
  assert.deepEqual(
    details.map(({ lastStatus, version }) => [lastStatus, version]),
    [
      ["PENDING", 1],
      ["RUNNING", 2],
      ["STOPPED", 3],
    ],
  );
  const last = details[2]!;
  assert.deepEqual(
    [last["taskArn"], last["desiredStatus"], last["stopCode"], last["clusterArn"]],
    [taskArn, "STOPPED", "EssentialContainerExited", clusterArn],
  );
  assert.equal((last["containers"] as { exitCode: number }[])[0]!.exitCode, 0);
  assert.deepEqual(told[0]!["resources"], [taskArn]);
  for (const name of ["createdAt", "updatedAt", "stoppedAt", "startedAt"]) assert.match(String(last[name]), /^\d{4}-.*Z$/, name);
  assert.ok(!("tags" in last));
  const { containerInstanceArns } = await ecs.send(new Ecs.ListContainerInstancesCommand({}));
  const { containerInstances } = await ecs.send(new Ecs.DescribeContainerInstancesCommand({ containerInstances: containerInstanceArns }));
  const ofInstances = async () =>
    (await world.lines("/aws/events/ecs")).filter((line) => line["detail-type"] === "ECS Container Instance State Change");
  const home = containerInstances!.find(({ containerInstanceArn }) => containerInstanceArn === tasks![0]!.containerInstanceArn)!;
  await until("the instance's newest", async () =>
    (await ofInstances()).some(({ detail }) => {
      const { containerInstanceArn, version } = detail as Record<string, unknown>;
      return containerInstanceArn === home.containerInstanceArn && version === home.version;
    }),
  );
  await until("nothing waits", async () => (await waiting()).length === 0);
  const instances = await ofInstances();
  assert.ok(instances.length >= 2);
  const remaining = instances.map(
    ({ detail }) =>
      (detail as { remainingResources: { name: string; integerValue: number }[] }).remainingResources.find(({ name }) => name === "MEMORY")!
        .integerValue,
  );
  assert.ok(new Set(remaining).size > 1, "what remains changes");
  // Whoever copies the state by events knows the newest by its version, which is the API's.
  for (const { containerInstanceArn, version } of containerInstances!) {
    const own = instances
      .map(({ detail }) => detail as Record<string, unknown>)
      .filter((each) => each["containerInstanceArn"] === containerInstanceArn);
    const versions = own.map((each) => Number(each["version"]));
    assert.equal(new Set(versions).size, versions.length, versions.join());
    if (versions.length > 0) assert.equal(Math.max(...versions), version);
  }
});

test("ECS tells of services: their deployments, and when they are steady", async () => {
  await ecs.send(new Ecs.CreateServiceCommand({ serviceName: "web", taskDefinition: "job", desiredCount: 1, launchType: "EC2" }));
  const task = await until("its task", async () => (await world.tasks()).find(({ group: of }) => of === "service:web"));
  await ecs.send(
    new Ecs.SubmitTaskStateChangeCommand({
      cluster: "default",
      task: task.taskArn,
      status: "RUNNING",
      containers: [{ containerName: "main", status: "RUNNING" }],
    }),
  );
  const told = await until("steady", async () => {
    const lines = (await world.lines("/aws/events/ecs")).filter((line) => /Service|Deployment/.test(String(line["detail-type"])));
    return lines.length >= 3 && lines;
  });
  const details = told.map((line) => ({
    type: line["detail-type"],
    ...(line["detail"] as Record<string, string>),
    resources: line["resources"] as string[],
  }));
  assert.deepEqual(
    new Set(
      details.map(({ type, eventName, eventType }: Record<string, unknown>) => `${String(type)} ${String(eventType)} ${String(eventName)}`),
    ),
    new Set([
      "ECS Deployment State Change INFO SERVICE_DEPLOYMENT_IN_PROGRESS",
      "ECS Deployment State Change INFO SERVICE_DEPLOYMENT_COMPLETED",
      "ECS Service Action INFO SERVICE_STEADY_STATE",
    ]),
  );
  for (const { resources } of details) assert.deepEqual(resources, ["arn:aws:ecs:us-east-1:000000000000:service/default/web"]);
  await ecs.send(new Ecs.DeleteServiceCommand({ service: "web", force: true }));
});

test("ECR tells of images that come and go, by their tags", async () => {
  const ecr = new Ecr.ECRClient(world.server.sdk());
  const Arn = await group("/aws/events/ecr");
  await listen("images", { source: ["aws.ecr"], "detail-type": ["ECR Image Action"] }, { Id: "logs", Arn });
  const repositoryName = "team/app";
  await ecr.send(new Ecr.CreateRepositoryCommand({ repositoryName }));
  const blob = Buffer.from("{}");
  const { uploadId } = await ecr.send(new Ecr.InitiateLayerUploadCommand({ repositoryName }));
  await ecr.send(new Ecr.UploadLayerPartCommand({ repositoryName, uploadId, partFirstByte: 0, partLastByte: 1, layerPartBlob: blob }));
  const digest = `sha256:${(await import("node:crypto")).createHash("sha256").update(blob).digest("hex")}`;
  await ecr.send(new Ecr.CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [digest] }));
  const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest, size: 2 };
  const imageManifest = JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [] });
  const push = (imageTag: string) => ecr.send(new Ecr.PutImageCommand({ repositoryName, imageManifest, imageTag }));
  const { image } = await push("one");
  await push("two");
  await ecr.send(new Ecr.BatchDeleteImageCommand({ repositoryName, imageIds: [{ imageTag: "one" }] }));
  await ecr.send(new Ecr.BatchDeleteImageCommand({ repositoryName, imageIds: [{ imageDigest: image!.imageId!.imageDigest }] }));
  const told = await until("four events", async () => {
    const found = await world.lines("/aws/events/ecr");
    return found.length >= 4 && found;
  });
  const details = told.map(({ detail }) => detail as Record<string, string>);
  assert.deepEqual(details.map((detail) => `${detail["action-type"]} ${detail["image-tag"]}`).toSorted(), [
    "DELETE one",
    "DELETE two",
    "PUSH one",
    "PUSH two",
  ]);
  assert.deepEqual(details[0], {
    result: "SUCCESS",
    "repository-name": repositoryName,
    "image-digest": image!.imageId!.imageDigest,
    "action-type": details[0]!["action-type"],
    "image-tag": details[0]!["image-tag"],
    "manifest-media-type": "application/vnd.oci.image.manifest.v1+json",
    "artifact-media-type": "application/vnd.oci.image.config.v1+json",
  });
  ecr.destroy();
});

test("CloudWatch tells of an alarm's new state", async () => {
  const cloudwatch = new CloudWatch.CloudWatchClient(world.server.sdk());
  const Arn = await group("/aws/events/alarms");
  await listen("alarms", { source: ["aws.cloudwatch"], detail: { state: { value: ["ALARM"] } } }, { Id: "logs", Arn });
  await cloudwatch.send(
    new CloudWatch.PutMetricAlarmCommand({
      AlarmName: "cpu high",
      AlarmDescription: "d",
      Namespace: "mine",
      MetricName: "cpu",
      Dimensions: [{ Name: "host", Value: "a" }],
      Period: 60,
      Statistic: "Average",
      EvaluationPeriods: 1,
      Threshold: 5,
      ComparisonOperator: "GreaterThanThreshold",
    }),
  );
  await cloudwatch.send(
    new CloudWatch.SetAlarmStateCommand({ AlarmName: "cpu high", StateValue: "ALARM", StateReason: "test", StateReasonData: '{"a":1}' }),
  );
  const [line] = await until("a line", async () => {
    const found = await world.lines("/aws/events/alarms");
    return found.length > 0 && found;
  });
  assert.deepEqual(line!["resources"], ["arn:aws:cloudwatch:us-east-1:000000000000:alarm:cpu high"]);
  const detail = line!["detail"] as {
    alarmName: string;
    state: Record<string, string>;
    previousState: Record<string, string>;
    configuration: unknown;
  };
  assert.deepEqual(
    [detail.alarmName, detail.state["value"], detail.state["reason"], detail.state["reasonData"], detail.previousState["value"]],
    ["cpu high", "ALARM", "test", '{"a":1}', "INSUFFICIENT_DATA"],
  );
  assert.match(detail.state["timestamp"]!, /\+0000$/);
  assert.deepEqual(detail.configuration, {
    description: "d",
    metrics: [
      {
        id: "m1",
        metricStat: { metric: { namespace: "mine", name: "cpu", dimensions: { host: "a" } }, period: 60, stat: "Average" },
        returnData: true,
      },
    ],
  });
  cloudwatch.destroy();
});
