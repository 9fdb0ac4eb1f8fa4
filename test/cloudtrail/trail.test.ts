/** Every call in CloudTrail's form, looked up through the SDK; no secret in any of it. */
import assert from "node:assert/strict";
import { appendFileSync, globSync, readFileSync, statSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  CloudTrailClient,
  type Event,
  LookupEventsCommand,
  type LookupEventsCommandInput,
  CreateTrailCommand,
} from "@aws-sdk/client-cloudtrail";
import { CreateClusterCommand, DescribeClustersCommand, ECSClient, RegisterTaskDefinitionCommand } from "@aws-sdk/client-ecs";
import { CreateAccessKeyCommand, CreateRoleCommand, CreateUserCommand } from "@aws-sdk/client-iam";
import { AssumeRoleCommand } from "@aws-sdk/client-sts";
import type { AuditedCall } from "#api/audit.ts";
import { serviceTable } from "#api/schema.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createCloudTrail } from "#services/cloudtrail/index.ts";
import { hidden, shown } from "#services/cloudtrail/redact.ts";
import { isKept, type TrailRecord } from "#services/cloudtrail/record.ts";
import { createTrail } from "#services/cloudtrail/trail.ts";
import { openTrailFiles } from "#services/cloudtrail/trail-files.ts";
import { createEcs } from "#services/ecs/index.ts";
import { accessKeyId } from "../support/http.ts";
import { account, type Iam, sdkCredentials, startIam, trust } from "../iam/support.ts";

const began = Date.now();
let it_: Iam;
let trail: CloudTrailClient;
let ecs: ECSClient;

before(async () => {
  it_ = await startIam({ more: (deps) => [createEcs(deps), createCloudTrail(deps)] });
  trail = new CloudTrailClient(it_.server.sdk());
  ecs = new ECSClient(it_.server.sdk());
});
after(async () => {
  trail.destroy();
  ecs.destroy();
  await it_.close();
});

const lookup = async (input: LookupEventsCommandInput) => (await trail.send(new LookupEventsCommand(input))).Events ?? [];
const by = (AttributeKey: string, AttributeValue: string) =>
  lookup({ LookupAttributes: [{ AttributeKey: AttributeKey as "EventId", AttributeValue }] });
const recordOf = (event: Event | undefined) => JSON.parse(event!.CloudTrailEvent!) as TrailRecord;

describe("a call's record", () => {
  test("says who, what, where from, and how it ended", async () => {
    await ecs.send(new CreateClusterCommand({ clusterName: "seen", tags: [{ key: "Team", value: "x" }] }));
    const [event] = await by("EventName", "CreateCluster");
    const record = recordOf(event);
    assert.equal(event!.Username, "root");
    assert.equal(event!.ReadOnly, "false");
    assert.equal(event!.AccessKeyId, accessKeyId);
    assert.equal(event!.EventSource, "ecs.amazonaws.com");
    assert.deepEqual(event!.Resources, [{ ResourceType: "AWS::ECS::Cluster", ResourceName: "seen" }]);
    const at = event!.EventTime!.getTime();
    assert.ok(at >= began - 1000 && at <= Date.now());
    assert.deepEqual(record.userIdentity, {
      type: "Root",
      principalId: account,
      arn: `arn:aws:iam::${account}:root`,
      accountId: account,
      accessKeyId,
    });
    assert.equal(record.eventVersion, "1.11");
    assert.equal(record.awsRegion, "us-east-1");
    assert.equal(record.sourceIPAddress, "127.0.0.1");
    assert.match(record.userAgent, /aws-sdk-js/);
    assert.deepEqual(record.requestParameters, { clusterName: "seen", tags: [{ key: "Team", value: "x" }] });
    assert.equal((record.responseElements as { cluster: { clusterName: string } }).cluster.clusterName, "seen");
    assert.equal(record.eventID, event!.EventId);
    assert.match(record.requestID, /^[0-9a-f-]{36}$/);
    assert.deepEqual(
      [record.eventType, record.managementEvent, record.recipientAccountId, record.eventCategory, record.readOnly, record.errorCode],
      ["AwsApiCall", true, account, "Management", false, undefined],
    );
  });

  test("of a role's session names the role and the session", async () => {
    await it_.iam.send(new CreateRoleCommand({ RoleName: "ci", AssumeRolePolicyDocument: trust({ AWS: account }) }));
    const RoleArn = `arn:aws:iam::${account}:role/ci`;
    const { Credentials } = await it_.sts.send(new AssumeRoleCommand({ RoleArn, RoleSessionName: "job-7" }));
    const credentials = sdkCredentials(Credentials!);
    const denied = new ECSClient({ ...it_.server.sdk(), credentials });
    await assert.rejects(denied.send(new DescribeClustersCommand({})), { name: "AccessDeniedException" });
    denied.destroy();
    const [event] = await by("Username", "job-7");
    const record = recordOf(event);
    assert.equal(record.eventName, "DescribeClusters");
    assert.equal(record.errorCode, "AccessDeniedException");
    assert.match(record.errorMessage!, /is not authorized to perform: ecs:DescribeClusters/);
    assert.equal(record.userIdentity["type"], "AssumedRole");
    const { sessionIssuer } = record.userIdentity["sessionContext"] as { sessionIssuer: Record<string, string> };
    assert.equal(sessionIssuer["arn"], RoleArn);
    assert.match(sessionIssuer["principalId"]!, /^AROA/);
    assert.equal((await by("AccessKeyId", credentials.accessKeyId))[0]!.EventId, event!.EventId);
    assert.ok((await by("ResourceName", RoleArn)).some(({ EventName }) => EventName === "AssumeRole"));
  });

  test("is there for those who proved nothing", async () => {
    const wrong = new ECSClient({ ...it_.server.sdk(), credentials: { accessKeyId: "AKIANOBODYNOBODYNOBO", secretAccessKey: "x" } });
    await assert.rejects(wrong.send(new DescribeClustersCommand({})), { name: "UnrecognizedClientException" });
    wrong.destroy();
    const [event] = await by("AccessKeyId", "AKIANOBODYNOBODYNOBO");
    assert.equal(recordOf(event).errorCode, "UnrecognizedClientException");
    assert.equal(recordOf(event).userIdentity["type"], "Unknown");
    await fetch(it_.server.endpoint, {
      method: "POST",
      headers: { "x-amz-target": "AmazonEC2ContainerServiceV20141113.ListServices", "content-type": "application/x-amz-json-1.1" },
      body: "{}",
    });
    assert.equal(recordOf((await by("EventName", "ListServices"))[0]).errorCode, "MissingAuthenticationTokenException");
  });

  test("has no secret: not of access keys, sessions, environments", async () => {
    await it_.iam.send(new CreateUserCommand({ UserName: "kim" }));
    const { AccessKey } = await it_.iam.send(new CreateAccessKeyCommand({ UserName: "kim" }));
    const { Credentials } = await it_.sts.send(
      new AssumeRoleCommand({ RoleArn: `arn:aws:iam::${account}:role/ci`, RoleSessionName: "job-8" }),
    );
    await ecs.send(
      new RegisterTaskDefinitionCommand({
        family: "f",
        containerDefinitions: [{ name: "c", image: "i", memory: 8, environment: [{ name: "DB_PASSWORD", value: "hunter2-in-the-open" }] }],
      }),
    );
    await lookup({ MaxResults: 1 });
    const text = globSync(join(it_.server.home, "trail/**/*.jsonl"))
      .map((path) => {
        assert.equal(statSync(path).mode & 0o777, 0o600);
        return readFileSync(path, "utf8");
      })
      .join("");
    for (const secret of [AccessKey!.SecretAccessKey!, Credentials!.SecretAccessKey!, Credentials!.SessionToken!, "hunter2-in-the-open"])
      assert.ok(!text.includes(secret));
    assert.ok(text.includes(AccessKey!.AccessKeyId!));
    assert.ok(text.includes(hidden));
  });
});

test("members that hold secrets are left out, in every service", () => {
  const cases: [service: string, operation: string, input: Record<string, unknown>][] = [
    ["secretsmanager", "CreateSecret", { Name: "n", SecretString: "s3cret", SecretBinary: Buffer.from("s3cret") }],
    ["secretsmanager", "PutSecretValue", { SecretId: "n", SecretString: "s3cret" }],
    ["ssm", "PutParameter", { Name: "n", Value: "s3cret", Tags: [{ Key: "k", Value: "kept" }] }],
    ["kms", "Encrypt", { KeyId: "k", Plaintext: Buffer.from("s3cret") }],
    ["iam", "CreateLoginProfile", { UserName: "u", Password: "s3cret" }],
    ["iam", "ChangePassword", { OldPassword: "s3cret", NewPassword: "s3cret" }],
    ["sts", "AssumeRoleWithWebIdentity", { RoleArn: "r", WebIdentityToken: "s3cret" }],
    ["acm", "ImportCertificate", { PrivateKey: Buffer.from("s3cret") }],
    ["ec2", "RunInstances", { UserData: "s3cret" }],
    ["ecs", "RunTask", { overrides: { containerOverrides: [{ name: "kept", environment: [{ name: "n", value: "s3cret" }] }] } }],
  ];
  for (const [service, operation, input] of cases) {
    const table = serviceTable(service);
    const text = JSON.stringify(shown(table, operation, table.operations[operation]!.i, input));
    assert.ok(!text.includes("s3cret") && !text.includes(Buffer.from("s3cret").toString("base64")), `${service} ${operation}: ${text}`);
    assert.ok(text.includes(hidden), `${service} ${operation}`);
  }
});

test("agents' data is no event, unless it was refused", () => {
  const call = { service: "logs", operation: "PutLogEvents", error: undefined };
  assert.equal(isKept(call), false);
  assert.equal(isKept({ ...call, error: { code: "AccessDeniedException", message: "" } }), true);
  assert.equal(isKept({ ...call, operation: "CreateLogStream" }), true);
});

describe("LookupEvents", () => {
  test("answers the AWS CLI, which names it otherwise than the SDK", async () => {
    const text = await it_.server.aws(
      "cloudtrail",
      "lookup-events",
      "--max-items",
      "1",
      "--query",
      "Events[0].EventName",
      "--output",
      "text",
    );
    assert.match(text, /^\w+/);
    assert.ok(!text.startsWith("None"));
  });

  test("pages through everything, newest first, each once", async () => {
    for (let i = 0; i < 7; i++) await assert.rejects(it_.iam.send(new CreateUserCommand({ UserName: "kim" })));
    const all: Event[] = [];
    let NextToken: string | undefined;
    let pages = 0;
    do {
      const page = await trail.send(
        new LookupEventsCommand({
          MaxResults: 3,
          NextToken,
          LookupAttributes: [{ AttributeKey: "EventName", AttributeValue: "CreateUser" }],
        }),
      );
      all.push(...(page.Events ?? []));
      NextToken = page.NextToken;
      pages++;
    } while (NextToken !== undefined && pages < 20);
    assert.equal(all.length, 8);
    assert.equal(new Set(all.map(({ EventId }) => EventId)).size, 8);
    assert.deepEqual(
      all.map(({ EventTime }) => -EventTime!.getTime()),
      all.map(({ EventTime }) => -EventTime!.getTime()).toSorted((a, b) => a - b),
    );
  });

  test("takes a range of time and each attribute", async () => {
    assert.deepEqual(await lookup({ StartTime: new Date(Date.now() + 60_000) }), []);
    assert.deepEqual(await lookup({ EndTime: new Date(began - 60_000) }), []);
    assert.ok((await lookup({ StartTime: new Date(began - 60_000), EndTime: new Date() })).length > 5);
    assert.ok((await by("ReadOnly", "true")).every(({ ReadOnly }) => ReadOnly === "true"));
    assert.ok((await by("EventSource", "iam.amazonaws.com")).every(({ EventSource }) => EventSource === "iam.amazonaws.com"));
    assert.ok((await by("ResourceType", "AWS::IAM::User")).length >= 8);
    const [event] = await by("ResourceName", "seen");
    assert.deepEqual(
      (await by("EventId", event!.EventId!)).map(({ EventId }) => EventId),
      [event!.EventId],
    );
    assert.deepEqual(await by("ResourceName", "see"), [], "whole names only");
  });

  test("refuses what AWS refuses", async () => {
    const name = (expected: string) => ({ name: expected });
    await assert.rejects(lookup({ MaxResults: 51 }), name("InvalidMaxResultsException"));
    await assert.rejects(by("Color", "red"), name("InvalidLookupAttributesException"));
    await assert.rejects(lookup({ StartTime: new Date(2), EndTime: new Date(1) }), name("InvalidTimeRangeException"));
    await assert.rejects(lookup({ NextToken: "made-up" }), name("InvalidNextTokenException"));
    const one = await trail.send(new LookupEventsCommand({ MaxResults: 1 }));
    await assert.rejects(
      trail.send(new LookupEventsCommand({ NextToken: one.NextToken, EndTime: new Date() })),
      name("InvalidNextTokenException"),
    );
    await assert.rejects(trail.send(new CreateTrailCommand({ Name: "t", S3BucketName: "b" })), name("NotImplemented"));
  });
});

describe("the files", () => {
  const call = (operation: string, more: Partial<AuditedCall> = {}): AuditedCall => ({
    requestId: "r",
    at: Date.UTC(2026, 0, 2, 3),
    service: "ecs",
    operation,
    principal: { account, arn: "", userId: account, accessKeyId: "" },
    account,
    region: "us-east-1",
    input: undefined,
    output: undefined,
    error: undefined,
    sourceIp: "",
    userAgent: "",
    host: "",
    accessKeyId: undefined,
    tls: undefined,
    ...more,
  });
  const place = { account, region: "us-east-1" };
  const withTrail = async (
    work: (made: {
      trail: ReturnType<typeof createTrail>;
      files: ReturnType<typeof openTrailFiles>;
      directory: string;
      clock: FakeClock;
    }) => Promise<void>,
  ) => {
    const directory = await mkdtemp(join(tmpdir(), "gantry-trail-"));
    const clock = new FakeClock();
    const files = openTrailFiles(directory);
    try {
      await work({ trail: createTrail({ files, clock, random: systemRandom, log: silentLogger, open: false }), files, directory, clock });
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  };
  const names = async (files: ReturnType<typeof openTrailFiles>) => {
    const found: string[] = [];
    for await (const { text } of files.linesBackward(place, "2026-01-02", undefined)) {
      try {
        found.push((JSON.parse(text) as TrailRecord).eventName);
      } catch {
        found.push("torn");
      }
    }
    return found;
  };

  test("a line that a crash has torn costs no other", () =>
    withTrail(async ({ trail: before_, directory }) => {
      before_.record(call("CreateCluster"));
      await before_.flush();
      appendFileSync(join(directory, account, "us-east-1", "2026-01-02.jsonl"), '{"eventName":"Torn');
      const files = openTrailFiles(directory);
      const again = createTrail({ files, clock: new FakeClock(), random: systemRandom, log: silentLogger, open: false });
      again.record(call("DeleteCluster"));
      await again.stop();
      assert.deepEqual(await names(files), ["DeleteCluster", "torn", "CreateCluster"]);
    }));

  test("are written by themselves, and at once when too many wait", () =>
    withTrail(async ({ trail: made, files, clock }) => {
      made.record(call("CreateCluster"));
      assert.deepEqual(await names(files), []);
      await clock.advance(200);
      await made.flush();
      assert.deepEqual(await names(files), ["CreateCluster"]);
      for (let i = 0; i < 2_000; i++) made.record(call("RunTask"));
      assert.equal((await names(files)).length, 2_001, "nothing waits any more, nothing is lost");
    }));

  test("cannot be filled by those who proved nothing", () =>
    withTrail(async ({ trail: made, files }) => {
      for (let i = 0; i < 5_000; i++) made.record(call("RunTask", { principal: undefined, error: { code: "x", message: "" } }));
      made.record(call("StopTask"));
      await made.flush();
      const found = await names(files);
      assert.equal(found.length, 201);
      assert.equal(found[0], "StopTask");
    }));

  test("of days that are over their time are removed", () =>
    withTrail(async ({ trail: made, files }) => {
      made.record(call("RunTask"));
      made.record(call("RunTask", { at: Date.UTC(2026, 0, 5) }));
      await made.flush();
      assert.equal(await files.removeBefore("2026-01-05"), 1);
      assert.deepEqual(await files.days(place), ["2026-01-05"]);
    }));
});
