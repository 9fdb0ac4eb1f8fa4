/** Who may do what through the one door: AWS's errors in each protocol, for users, roles, boundaries, sessions. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CreateLogGroupCommand, CloudWatchLogsClient } from "@aws-sdk/client-cloudwatch-logs";
import { CreateTagsCommand, CreateVpcCommand, DescribeVpcsCommand, EC2Client } from "@aws-sdk/client-ec2";
import {
  CreateClusterCommand,
  DescribeClustersCommand,
  ECSClient,
  ListClustersCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
} from "@aws-sdk/client-ecs";
import { ListHostedZonesCommand, Route53Client } from "@aws-sdk/client-route-53";
import { GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { createRoute53 } from "#services/route53/index.ts";
import { createSts } from "#services/sts/index.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { account, allow, createPeople, deny, type Person, policy } from "./support.ts";

const people = createPeople();
let server: TestServer;
const root = people.root();

const as = (credentials: Person) => ({ ...server.sdk(), credentials });
const ecs = (who: Person) => new ECSClient(as(who));

interface Failure {
  readonly name: string;
  readonly message: string;
  readonly $metadata: { readonly httpStatusCode: number };
}

async function failure(asked: Promise<unknown>): Promise<readonly [string, number, string]> {
  try {
    await asked;
  } catch (error) {
    const { name, message, $metadata } = error as Failure;
    return [name, $metadata.httpStatusCode, message];
  }
  throw new Error("it was allowed");
}

before(async () => {
  server = await startServer({
    credentials: people.credentials,
    parts: (deps) => [people.part, createSts(deps), createEc2(deps), createEcs(deps), createLogs(deps), createRoute53(deps)],
  });
  const client = ecs(root);
  await client.send(new CreateClusterCommand({ clusterName: "prod", tags: [{ key: "stage", value: "prod" }] }));
  await client.send(new CreateClusterCommand({ clusterName: "test", tags: [{ key: "stage", value: "test" }] }));
  await client.send(
    new RegisterTaskDefinitionCommand({
      family: "app",
      taskRoleArn: `arn:aws:iam::${account}:role/app`,
      containerDefinitions: [{ name: "c", image: "i", memory: 10 }],
    }),
  );
});
after(() => server.close());

describe("AWS's errors", () => {
  const nobody = people.user("nobody", {});
  const arn = `arn:aws:iam::${account}:user/nobody`;

  test("JSON", async () => {
    assert.deepEqual(await failure(ecs(nobody).send(new ListClustersCommand({}))), [
      "AccessDeniedException",
      400,
      `User: ${arn} is not authorized to perform: ecs:ListClusters on resource: * because no identity-based policy allows the ecs:ListClusters action`,
    ]);
    assert.match(
      (await failure(new CloudWatchLogsClient(as(nobody)).send(new CreateLogGroupCommand({ logGroupName: "/a" }))))[2],
      /logs:CreateLogGroup on resource: arn:aws:logs:us-east-1:000000000000:log-group:\/a:log-stream: because/,
    );
  });
  test("EC2 Query", async () => {
    const [name, status, message] = await failure(new EC2Client(as(nobody)).send(new DescribeVpcsCommand({})));
    assert.deepEqual([name, status], ["UnauthorizedOperation", 403]);
    assert.equal(
      message,
      `You are not authorized to perform this operation. User: ${arn} is not authorized to perform: ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action`,
    );
  });
  test("REST XML", async () => {
    const [name, status] = await failure(new Route53Client(as(nobody)).send(new ListHostedZonesCommand({})));
    assert.deepEqual([name, status], ["AccessDenied", 403]);
  });
  test("Query", async () => {
    assert.equal((await new STSClient(as(nobody)).send(new GetCallerIdentityCommand({}))).Arn, arn);
  });
  test("which kind of policy it was", async () => {
    const why = async (who: Person) => (await failure(ecs(who).send(new ListClustersCommand({}))))[2].replace(/^.*on resource: \* /, "");
    const all = policy("all", allow("*"));
    assert.equal(
      await why(people.user("denied", { identity: [all, policy("d", deny("ecs:List*"))] })),
      "with an explicit deny in an identity-based policy",
    );
    assert.equal(
      await why(people.user("bounded", { identity: [all], boundary: policy("b", allow("logs:*")) })),
      "because no permissions boundary allows the ecs:ListClusters action",
    );
    assert.equal(
      await why(people.user("bound", { identity: [all], boundary: policy("b", allow("*"), deny("ecs:ListClusters")) })),
      "with an explicit deny in a permissions boundary",
    );
    const narrow = { Version: "2012-10-17", Statement: [allow("ecr:*")] };
    assert.equal(
      await why(people.role("narrow", { identity: [all], session: [narrow] })),
      "because no session policy allows the ecs:ListClusters action",
    );
  });
});

describe("what is allowed", () => {
  test("the root user all", async () => {
    assert.equal((await ecs(root).send(new ListClustersCommand({}))).clusterArns?.length, 2);
  });
  test("a user by resource", async () => {
    const who = people.user("reader", { identity: [policy("p", allow("ecs:DescribeClusters", `arn:aws:ecs:*:${account}:cluster/te*`))] });
    await ecs(who).send(new DescribeClustersCommand({ clusters: ["test"] }));
    const [, , message] = await failure(ecs(who).send(new DescribeClustersCommand({ clusters: ["test", "prod"] })));
    assert.match(message, /on resource: arn:aws:ecs:us-east-1:000000000000:cluster\/prod because/);
  });
  test("a role's session within its session policy", async () => {
    const session = { Version: "2012-10-17", Statement: [allow("ecs:ListClusters")] };
    const who = people.role("session", { identity: [policy("p", allow("ecs:*"))], session: [session] });
    await ecs(who).send(new ListClustersCommand({}));
    assert.match((await failure(ecs(who).send(new DescribeClustersCommand({}))))[2], /no session policy allows/);
  });
  test("by the resource's tags", async () => {
    const who = people.user("tagged", {
      identity: [
        policy("p", allow("ecs:*", "*", { Condition: { StringEquals: { "aws:ResourceTag/stage": "${aws:PrincipalTag/stage}" } } })),
      ],
      tags: { stage: "test" },
    });
    await ecs(who).send(new DescribeClustersCommand({ clusters: ["test"] }));
    await failure(ecs(who).send(new DescribeClustersCommand({ clusters: ["prod"] })));
  });
  test("by the tags of the request, which take the tagging action too", async () => {
    const condition = { Condition: { StringEquals: { "aws:RequestTag/owner": "${aws:username}" } } };
    const create = policy("p", allow("ec2:CreateVpc", "*", condition));
    const tags = (value: string) => ({
      CidrBlock: "10.9.0.0/16",
      TagSpecifications: [{ ResourceType: "vpc" as const, Tags: [{ Key: "owner", Value: value }] }],
    });
    const half = new EC2Client(as(people.user("half", { identity: [create] })));
    assert.match(
      (await failure(half.send(new CreateVpcCommand(tags("half")))))[2],
      /ec2:CreateTags on resource: arn:aws:ec2:us-east-1:000000000000:vpc\/\*/,
    );
    const whole = new EC2Client(
      as(
        people.user("whole", {
          identity: [
            create,
            policy("t", allow("ec2:CreateTags", "*", { Condition: { StringEquals: { "ec2:CreateAction": "CreateVpc" } } })),
          ],
        }),
      ),
    );
    const made = await whole.send(new CreateVpcCommand(tags("whole")));
    assert.match((await failure(whole.send(new CreateVpcCommand(tags("other")))))[2], /ec2:CreateVpc/);
    const more = whole.send(new CreateTagsCommand({ Resources: [made.Vpc!.VpcId!], Tags: [{ Key: "a", Value: "b" }] }));
    assert.match((await failure(more))[2], /ec2:CreateTags/);
  });
  test("by time, address and transport", async () => {
    const conditions = {
      IpAddress: { "aws:SourceIp": ["127.0.0.0/8"] },
      DateGreaterThan: { "aws:CurrentTime": "2020-01-01T00:00:00Z" },
      Bool: { "aws:SecureTransport": "false" },
      StringLike: { "aws:UserAgent": "*aws-sdk-js*" },
      Null: { "aws:TokenIssueTime": "true" },
    };
    const who = people.user("here", { identity: [policy("p", allow("ecs:ListClusters", "*", { Condition: conditions }))] });
    await ecs(who).send(new ListClustersCommand({}));
    const elsewhere = { ...conditions, NotIpAddress: { "aws:SourceIp": "127.0.0.1" } };
    const not = people.user("elsewhere", { identity: [policy("p", allow("ecs:ListClusters", "*", { Condition: elsewhere }))] });
    await failure(ecs(not).send(new ListClustersCommand({})));
  });
});

describe("roles that are handed over", () => {
  const definition = {
    family: "passed",
    taskRoleArn: `arn:aws:iam::${account}:role/app`,
    containerDefinitions: [{ name: "c", image: "i", memory: 10 }],
  };

  test("RegisterTaskDefinition takes iam:PassRole", async () => {
    const register = allow("ecs:RegisterTaskDefinition");
    const without = people.user("without", { identity: [policy("p", register)] });
    assert.match(
      (await failure(ecs(without).send(new RegisterTaskDefinitionCommand(definition))))[2],
      /iam:PassRole on resource: arn:aws:iam::000000000000:role\/app because no identity-based policy allows the iam:PassRole action/,
    );
    const pass = (service: string) =>
      people.user(`with-${service}`, {
        identity: [
          policy(
            "p",
            register,
            allow("iam:PassRole", `arn:aws:iam::${account}:role/a*`, { Condition: { StringEquals: { "iam:PassedToService": service } } }),
          ),
        ],
      });
    await ecs(pass("ecs-tasks.amazonaws.com")).send(new RegisterTaskDefinitionCommand(definition));
    await failure(ecs(pass("ec2.amazonaws.com")).send(new RegisterTaskDefinitionCommand(definition)));
  });

  test("RunTask takes it for the roles of the definition, and means the family's latest revision", async () => {
    const run = allow("ecs:RunTask", `arn:aws:ecs:us-east-1:${account}:task-definition/app:1`, {
      Condition: { ArnEquals: { "ecs:cluster": `arn:aws:ecs:us-east-1:${account}:cluster/test` } },
    });
    const without = people.user("runs", { identity: [policy("p", run)] });
    const start = { cluster: "test", taskDefinition: "app" };
    assert.match(
      (await failure(ecs(without).send(new RunTaskCommand(start))))[2],
      /iam:PassRole on resource: arn:aws:iam::000000000000:role\/app/,
    );
    const withRole = people.user("runs-with", { identity: [policy("p", run, allow("iam:PassRole"))] });
    assert.match((await failure(ecs(withRole).send(new RunTaskCommand(start))))[2], /^ECS was unable to assume the role/);
    assert.match((await failure(ecs(withRole).send(new RunTaskCommand({ ...start, cluster: "prod" }))))[2], /ecs:RunTask on resource/);
    const overridden = { ...start, overrides: { executionRoleArn: `arn:aws:iam::${account}:role/other` } };
    const app = people.user("runs-app", { identity: [policy("p", run, allow("iam:PassRole", `arn:aws:iam::${account}:role/app`))] });
    assert.match(
      (await failure(ecs(app).send(new RunTaskCommand(overridden))))[2],
      /iam:PassRole on resource: arn:aws:iam::000000000000:role\/other/,
    );
  });
});
