import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { CloudWatchClient, ListMetricsCommand, PutMetricDataCommand } from "@aws-sdk/client-cloudwatch";
import { DescribeVpcsCommand, EC2Client, RunInstancesCommand } from "@aws-sdk/client-ec2";
import { DescribeTasksCommand, ECSClient, ListClustersCommand, RunTaskCommand } from "@aws-sdk/client-ecs";
import { CreateUserCommand, IAMClient } from "@aws-sdk/client-iam";
import { CreateHostedZoneCommand, GetHostedZoneCommand, Route53Client } from "@aws-sdk/client-route-53";
import { CreateScheduleCommand, GetScheduleCommand, SchedulerClient } from "@aws-sdk/client-scheduler";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { ApiError, type Handler, type RequestContext, type ServerPart } from "#api/contract.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { createSts } from "#services/sts/index.ts";
import { parseExposition } from "../support/exposition.ts";
import { accessKeyId, startServer, type TestServer } from "../support/http.ts";

let server: TestServer;
let seen: { input: Record<string, unknown>; context: RequestContext } | undefined;
const made = new Date("2026-03-04T05:06:07.000Z");

/** Each handler keeps what it was given and gives something back that has the types under test. */
function echo(service: string, answers: Record<string, unknown>): ServerPart {
  const handlers: Record<string, Handler> = {};
  for (const [operation, output] of Object.entries(answers)) {
    handlers[operation] = (input: never, context) => {
      seen = { input, context };
      if (output instanceof Error) throw output;
      return output;
    };
  }
  return { registrations: [{ service, handlers }] };
}

before(async () => {
  server = await startServer({
    parts: (deps) => [
      createSts(deps),
      echo("ecs", {
        DescribeTasks: {
          tasks: [{ taskArn: "arn:aws:ecs:us-east-1:000000000000:task/c/1", createdAt: made, containers: [{ exitCode: 0 }] }],
          failures: [],
        },
        RunTask: new ApiError("ClusterNotFoundException", "Cluster not found."),
        ListClusters: new Error("a bug"),
      }),
      echo("ec2", {
        DescribeVpcs: { Vpcs: [{ VpcId: "vpc-1", IsDefault: true, Tags: [{ Key: "a&b", Value: "<c>" }] }] },
        RunInstances: { Instances: [{ InstanceId: "i-1", LaunchTime: made }] },
      }),
      echo("cloudwatch", {
        PutMetricData: {},
        ListMetrics: { Metrics: [{ Namespace: "N", MetricName: "M", Dimensions: [{ Name: "d", Value: "v" }] }] },
      }),
      echo("scheduler", {
        CreateSchedule: { ScheduleArn: "arn:s" },
        GetSchedule: { Name: "s", CreationDate: made, ScheduleExpression: "rate(1 minute)" },
      }),
      echo("route53", {
        CreateHostedZone: {
          HostedZone: { Id: "/hostedzone/Z1", Name: "a.", CallerReference: "r", Config: { PrivateZone: true } },
          Location: "https://x",
          ChangeInfo: { Id: "c", Status: "INSYNC", SubmittedAt: made },
          DelegationSet: { NameServers: ["n1", "n2"] },
        },
        GetHostedZone: { HostedZone: { Id: "/hostedzone/Z1", Name: "a.", CallerReference: "r" } },
      }),
      echo("iam", { CreateUser: new ApiError("EntityAlreadyExists", "User with name x already exists.", 409) }),
    ],
  });
});
after(() => server.close());

describe("every protocol, by the SDK", () => {
  test("AWS JSON 1.1", async () => {
    const answer = await new ECSClient(server.sdk()).send(new DescribeTasksCommand({ cluster: "c", tasks: ["1"] }));
    assert.deepEqual(seen?.input, { cluster: "c", tasks: ["1"] });
    assert.equal(answer.tasks?.[0]?.createdAt?.getTime(), made.getTime());
    assert.equal(answer.tasks?.[0]?.containers?.[0]?.exitCode, 0);
    assert.equal(answer.$metadata.requestId, seen?.context.requestId);
    assert.equal(seen?.context.account, "000000000000");
    assert.equal(seen?.context.region, "us-east-1");
  });
  test("a JSON error has its type and message", async () => {
    await assert.rejects(
      new ECSClient(server.sdk()).send(new RunTaskCommand({ taskDefinition: "x" })),
      (error: Error) => error.name === "ClusterNotFoundException" && error.message === "Cluster not found.",
    );
  });
  test("a bug is InternalFailure without its text", async () => {
    await assert.rejects(
      new ECSClient(server.sdk()).send(new ListClustersCommand({})),
      (error: Error) => error.name === "InternalFailure" && !error.message.includes("a bug"),
    );
  });
  test("Query: STS and an IAM error", async () => {
    const who = await new STSClient(server.sdk()).send(new GetCallerIdentityCommand({}));
    assert.deepEqual([who.Account, who.Arn], ["000000000000", "arn:aws:iam::000000000000:root"]);
    await assert.rejects(new IAMClient(server.sdk()).send(new CreateUserCommand({ UserName: "x" })), (error: Error) =>
      error.name.startsWith("EntityAlreadyExists"),
    );
  });
  test("EC2 Query: nested lists in, lists and times out", async () => {
    const ec2 = new EC2Client(server.sdk());
    const vpcs = await ec2.send(new DescribeVpcsCommand({ VpcIds: ["vpc-1", "vpc-2"], Filters: [{ Name: "tag:a", Values: ["x", "y"] }] }));
    assert.deepEqual(seen?.input, { VpcIds: ["vpc-1", "vpc-2"], Filters: [{ Name: "tag:a", Values: ["x", "y"] }] });
    assert.deepEqual(vpcs.Vpcs?.[0]?.Tags, [{ Key: "a&b", Value: "<c>" }]);
    assert.equal(vpcs.Vpcs?.[0]?.IsDefault, true);
    const run = await ec2.send(
      new RunInstancesCommand({
        ImageId: "ami",
        MinCount: 1,
        MaxCount: 2,
        InstanceType: "t3.micro",
        TagSpecifications: [{ ResourceType: "instance", Tags: [{ Key: "k", Value: "v" }] }],
      }),
    );
    assert.equal(run.Instances?.[0]?.LaunchTime?.getTime(), made.getTime());
    assert.deepEqual(seen?.input["TagSpecifications" as never], [{ ResourceType: "instance", Tags: [{ Key: "k", Value: "v" }] }]);
  });
  test("CloudWatch: the SDK's protocol", async () => {
    const cloudwatch = new CloudWatchClient(server.sdk());
    await cloudwatch.send(new PutMetricDataCommand({ Namespace: "N", MetricData: [{ MetricName: "M", Value: 1.5, Timestamp: made }] }));
    assert.deepEqual(seen?.input, { Namespace: "N", MetricData: [{ MetricName: "M", Value: 1.5, Timestamp: made }] });
    assert.deepEqual((await cloudwatch.send(new ListMetricsCommand({}))).Metrics, [
      { Namespace: "N", MetricName: "M", Dimensions: [{ Name: "d", Value: "v" }] },
    ]);
  });
  test("REST-JSON: labels, query and body", async () => {
    const scheduler = new SchedulerClient(server.sdk());
    await scheduler.send(
      new CreateScheduleCommand({
        Name: "a b",
        ScheduleExpression: "rate(1 minute)",
        FlexibleTimeWindow: { Mode: "OFF" },
        Target: { Arn: "arn", RoleArn: "role" },
        StartDate: made,
      }),
    );
    assert.equal(seen?.input.Name, "a b");
    assert.equal((seen!.input.StartDate as Date).getTime(), made.getTime());
    const answer = await scheduler.send(new GetScheduleCommand({ Name: "s", GroupName: "g" }));
    assert.deepEqual(seen?.input, { Name: "s", GroupName: "g" });
    assert.equal(answer.CreationDate?.getTime(), made.getTime());
  });
  test("REST-XML: body, payload, header", async () => {
    const route53 = new Route53Client(server.sdk());
    const answer = await route53.send(
      new CreateHostedZoneCommand({ Name: "a.", CallerReference: "r", HostedZoneConfig: { PrivateZone: true, Comment: "1 < 2" } }),
    );
    assert.deepEqual(seen?.input, { Name: "a.", CallerReference: "r", HostedZoneConfig: { PrivateZone: true, Comment: "1 < 2" } });
    assert.deepEqual(answer.DelegationSet?.NameServers, ["n1", "n2"]);
    assert.equal(answer.Location, "https://x");
    assert.equal((await route53.send(new GetHostedZoneCommand({ Id: "Z1" }))).HostedZone?.Name, "a.");
    assert.deepEqual(seen?.input, { Id: "Z1" });
  });
  test("the AWS CLI: JSON, Query, EC2 and what it speaks to CloudWatch", async () => {
    assert.equal((JSON.parse(await server.aws("sts", "get-caller-identity")) as { Account: string }).Account, "000000000000");
    assert.equal((JSON.parse(await server.aws("ec2", "describe-vpcs")) as { Vpcs: { VpcId: string }[] }).Vpcs[0]?.VpcId, "vpc-1");
    assert.equal((JSON.parse(await server.aws("ecs", "describe-tasks", "--tasks", "1")) as { tasks: unknown[] }).tasks.length, 1);
    assert.equal(
      (JSON.parse(await server.aws("cloudwatch", "list-metrics")) as { Metrics: { Namespace: string }[] }).Metrics[0]?.Namespace,
      "N",
    );
  });
});

async function raw(
  path: string,
  init: RequestInit & { headers?: Record<string, string> },
): Promise<{ status: number; body: string; headers: Headers }> {
  const response = await fetch(`${server.endpoint}${path}`, init);
  return { status: response.status, body: await response.text(), headers: response.headers };
}

describe("without a valid signature", () => {
  const target = { "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListClusters" };
  const client = (overrides: object) => new ECSClient({ ...server.sdk(), ...overrides }).send(new ListClustersCommand({}));
  test("none at all", async () => {
    const { status, body } = await raw("/", { method: "POST", headers: target, body: "{}" });
    assert.equal(status, 400);
    assert.match(body, /MissingAuthenticationTokenException/);
  });
  test("an unknown key", () =>
    assert.rejects(client({ credentials: { accessKeyId: "AKIAUNKNOWN", secretAccessKey: "x" } }), {
      name: "UnrecognizedClientException",
      message: "The security token included in the request is invalid.",
    }));
  test("a wrong secret", () =>
    assert.rejects(client({ credentials: { accessKeyId, secretAccessKey: "wrong" } }), { name: "InvalidSignatureException" }));
  test("a session token that is not ours", () =>
    assert.rejects(client({ credentials: { ...server.sdk().credentials, sessionToken: "t" } }), { name: "UnrecognizedClientException" }));
  test("an incomplete header", async () => {
    const { body } = await raw("/", { method: "POST", headers: { ...target, authorization: "AWS4-HMAC-SHA256 Credential=a" }, body: "{}" });
    assert.match(body, /IncompleteSignatureException/);
  });
  test("a clock that is wrong by six minutes", () =>
    assert.rejects(
      client({ systemClockOffset: -6 * 60_000 }),
      (error: Error) => error.name === "InvalidSignatureException" && error.message.startsWith("Signature expired: "),
    ));
});

describe("bad input", () => {
  test("unknown operation, unknown target, known but not there", async () => {
    const open = await startServer({ open: true, parts: (deps) => [createSts(deps)] });
    try {
      const call = async (targetName: string, body = "{}") => {
        const response = await fetch(open.endpoint, {
          method: "POST",
          headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": targetName },
          body,
        });
        return [response.status, ((await response.json()) as { __type: string }).__type];
      };
      assert.deepEqual(await call("AmazonEC2ContainerServiceV20141113.Nope"), [400, "UnknownOperationException"]);
      assert.deepEqual(await call("AmazonEC2ContainerServiceV20141113.__proto__"), [400, "UnknownOperationException"]);
      assert.deepEqual(await call("Nope.Nope"), [400, "UnknownOperationException"]);
      assert.deepEqual(await call("AmazonEC2ContainerServiceV20141113.ListClusters"), [501, "NotImplemented"]);
      const form = await fetch(open.endpoint, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "Action=Nope&Version=2011-06-15",
      });
      assert.match(await form.text(), /<Code>InvalidAction<\/Code>/);
      // Whoever asks for what is not there must not fill the memory with series of it.
      for (const hostile of ['a"}b', "back\\slash", "x".repeat(5_000)]) await call(`AmazonEC2ContainerServiceV20141113.${hostile}`);
      await fetch(`${open.endpoint}/nowhere/${randomUUID()}`);
      const seen = parseExposition(await (await fetch(`${open.endpoint}/metrics`)).text()).get("gantry_requests_total")!;
      const named = [...seen.samples.values()].map(({ labels }) => `${labels.get("service")}:${labels.get("operation")}`);
      assert.deepEqual(named, ["ecs:", ":", "ecs:ListClusters", "sts:"]);
      const identity = await fetch(open.endpoint, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: "Action=GetCallerIdentity&Version=2011-06-15",
      });
      assert.match(await identity.text(), /<Account>000000000000<\/Account>/);
      const reset = await fetch(`${open.endpoint}/_gantry/reset`, { method: "POST" });
      assert.equal(reset.status, 200);
    } finally {
      await open.close();
    }
  });

  test("broken JSON, wrong types, missing members, deep nesting, long bodies", async () => {
    const open = await startServer({
      open: true,
      parts: () => [echo("ecs", { DescribeTasks: {}, CreateCluster: {}, RegisterTaskDefinition: {} })],
    });
    try {
      const call = async (operation: string, body: string) => {
        const response = await fetch(open.endpoint, {
          method: "POST",
          headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": `AmazonEC2ContainerServiceV20141113.${operation}` },
          body,
        });
        return [response.status, ((await response.json()) as { __type: string }).__type];
      };
      assert.deepEqual(await call("DescribeTasks", "{"), [400, "SerializationException"]);
      assert.deepEqual(await call("DescribeTasks", "[]"), [400, "SerializationException"]);
      assert.deepEqual(await call("DescribeTasks", '{"tasks":"one"}'), [400, "SerializationException"]);
      assert.deepEqual(await call("DescribeTasks", '{"tasks":[1]}'), [400, "SerializationException"]);
      assert.deepEqual(await call("DescribeTasks", "{}"), [400, "InvalidParameterException"]);
      assert.deepEqual(await call("RegisterTaskDefinition", '{"family":"f","containerDefinitions":[{"cpu":"two"}]}'), [
        400,
        "SerializationException",
      ]);
      assert.deepEqual(await call("CreateCluster", `${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`), [200, undefined]);
      assert.deepEqual(await call("DescribeTasks", `{"tasks":${"[".repeat(50_000)}${"]".repeat(50_000)}}`), [
        400,
        "SerializationException",
      ]);
      const long = await fetch(open.endpoint, {
        method: "POST",
        headers: { "content-type": "application/x-amz-json-1.1", "x-amz-target": "AmazonEC2ContainerServiceV20141113.CreateCluster" },
        body: Buffer.alloc(10 * 1024 * 1024 + 1, 32),
      }).catch((error: Error) => error);
      if (long instanceof Response) assert.equal(long.status, 413);
      assert.deepEqual(await call("CreateCluster", "{}"), [200, undefined]);
    } finally {
      await open.close();
    }
  });

  test("open mode: a key of 12 digits is the account; throttling says so", async () => {
    // No time passes: nobody gets a third request by being slow.
    const clock = new FakeClock(Date.now());
    const open = await startServer({ open: true, clock, config: { requestsPerSecond: 2 }, parts: (deps) => [createSts(deps)] });
    try {
      const sts = new STSClient({ ...open.sdk(), credentials: { accessKeyId: "123456789012", secretAccessKey: "x" } });
      assert.equal((await sts.send(new GetCallerIdentityCommand({}))).Account, "123456789012");
      await sts.send(new GetCallerIdentityCommand({}));
      await assert.rejects(
        sts.send(new GetCallerIdentityCommand({})),
        (error: Error) => error.name === "Throttling" || error.name === "ThrottlingException",
      );
    } finally {
      await open.close();
    }
  });

  test("health and metrics", async () => {
    assert.equal((await raw("/healthz", {})).status, 200);
    assert.match((await raw("/metrics", {})).body, /gantry_requests_total\{service="ecs",operation="DescribeTasks",status="200"\} \d+/);
    assert.equal((await raw("/_gantry/reset", { method: "POST" })).status, 403);
  });
});
