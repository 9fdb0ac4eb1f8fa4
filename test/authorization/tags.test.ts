/** aws:ResourceTag of what lies in each service's own records. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as Logs from "@aws-sdk/client-cloudwatch-logs";
import * as Ec2 from "@aws-sdk/client-ec2";
import * as Ecs from "@aws-sdk/client-ecs";
import * as Elb from "@aws-sdk/client-elastic-load-balancing-v2";
import * as Map from "@aws-sdk/client-servicediscovery";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { createServiceDiscovery } from "#services/servicediscovery/index.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { account, allow, createPeople, type Person, policy } from "./support.ts";

const people = createPeople();
let server: TestServer;
const root = people.root();
const team = people.user("team", {
  identity: [policy("p", allow("*", "*", { Condition: { StringEquals: { "aws:ResourceTag/team": "a" } } }))],
});
const clients: { destroy(): void }[] = [];
const client = <T extends { destroy(): void }>(made: T): T => (clients.push(made), made);
const as = (credentials: Person) => ({ ...server.sdk(), credentials });
before(async () => {
  server = await startServer({
    credentials: people.credentials,
    parts: (deps) => [people.part, createEc2(deps), createElbv2(deps), createLogs(deps), createServiceDiscovery(deps), createEcs(deps)],
  });
});
after(async () => {
  for (const each of clients) each.destroy();
  await server.close();
});
const denied = (work: Promise<unknown>) => assert.rejects(work, /not authorized to perform/);

test("EC2", async () => {
  const [all, mine] = [client(new Ec2.EC2Client(as(root))), client(new Ec2.EC2Client(as(team)))];
  const make = async (value: string) => {
    const TagSpecifications = [{ ResourceType: "vpc" as const, Tags: [{ Key: "team", Value: value }] }];
    return (await all.send(new Ec2.CreateVpcCommand({ CidrBlock: "10.9.0.0/16", TagSpecifications }))).Vpc!.VpcId!;
  };
  const [a, b] = [await make("a"), await make("b")];
  await denied(mine.send(new Ec2.DeleteVpcCommand({ VpcId: b })));
  await mine.send(new Ec2.DeleteVpcCommand({ VpcId: a }));
});

test("Elastic Load Balancing", async () => {
  const [all, mine] = [client(new Elb.ElasticLoadBalancingV2Client(as(root))), client(new Elb.ElasticLoadBalancingV2Client(as(team)))];
  const vpcs = await client(new Ec2.EC2Client(as(root))).send(new Ec2.DescribeVpcsCommand({}));
  const make = async (Value: string) => {
    const input: Elb.CreateTargetGroupCommandInput = {
      Name: `g-${Value}`,
      Protocol: "HTTP",
      Port: 80,
      VpcId: vpcs.Vpcs![0]!.VpcId,
      Tags: [{ Key: "team", Value }],
    };
    return (await all.send(new Elb.CreateTargetGroupCommand(input))).TargetGroups![0]!.TargetGroupArn!;
  };
  const [a, b] = [await make("a"), await make("b")];
  await denied(mine.send(new Elb.DeleteTargetGroupCommand({ TargetGroupArn: b })));
  await mine.send(new Elb.DeleteTargetGroupCommand({ TargetGroupArn: a }));
});

test("CloudWatch Logs", async () => {
  const [all, mine] = [client(new Logs.CloudWatchLogsClient(as(root))), client(new Logs.CloudWatchLogsClient(as(team)))];
  for (const value of ["a", "b"]) await all.send(new Logs.CreateLogGroupCommand({ logGroupName: `/${value}`, tags: { team: value } }));
  const stream = (logGroupName: string) => mine.send(new Logs.CreateLogStreamCommand({ logGroupName, logStreamName: "s" }));
  await denied(stream("/b"));
  await stream("/a");
});

test("Cloud Map", async () => {
  const [all, mine] = [client(new Map.ServiceDiscoveryClient(as(root))), client(new Map.ServiceDiscoveryClient(as(team)))];
  for (const Value of ["a", "b"]) await all.send(new Map.CreateHttpNamespaceCommand({ Name: Value, Tags: [{ Key: "team", Value }] }));
  const { Namespaces } = await all.send(new Map.ListNamespacesCommand({}));
  const get = (name: string) => mine.send(new Map.GetNamespaceCommand({ Id: Namespaces!.find(({ Name }) => Name === name)!.Id }));
  await denied(get("b"));
  await get("a");
});

test("who launches a definition hands on its roles, by services too", async () => {
  const all = client(new Ecs.ECSClient(as(root)));
  await all.send(new Ecs.CreateClusterCommand({}));
  const containerDefinitions = [{ name: "c", image: "i", memory: 10 }];
  for (const family of ["plain", "with-role"]) {
    const taskRoleArn = family === "plain" ? undefined : `arn:aws:iam::${account}:role/app`;
    await all.send(new Ecs.RegisterTaskDefinitionCommand({ family, taskRoleArn, containerDefinitions }));
  }
  const deployer = people.user("deployer", { identity: [policy("p", allow("ecs:*"))] });
  const mine = client(new Ecs.ECSClient(as(deployer)));
  const create = (taskDefinition: string) => mine.send(new Ecs.CreateServiceCommand({ serviceName: "s", taskDefinition, desiredCount: 0 }));
  const passing = new RegExp(`iam:PassRole on resource: arn:aws:iam::${account}:role/app`);
  await assert.rejects(create("with-role"), passing);
  await create("plain");
  await assert.rejects(mine.send(new Ecs.UpdateServiceCommand({ service: "s", taskDefinition: "with-role" })), passing);
  await mine.send(new Ecs.UpdateServiceCommand({ service: "s", desiredCount: 0 }));
});
