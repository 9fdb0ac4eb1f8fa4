/** Issue 4 on real tasks: a size and a subnet, nothing else; an address, a kernel and a disk of its own for each. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { get } from "node:http";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeNetworkInterfacesCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type NetworkInterface,
  RevokeSecurityGroupIngressCommand,
  type Subnet,
} from "@aws-sdk/client-ec2";
import {
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeServicesCommand,
  ListContainerInstancesCommand,
  PutClusterCapacityProvidersCommand,
  type RunTaskCommandInput,
  type Task,
  UpdateServiceCommand,
  waitUntilServicesInactive,
  waitUntilServicesStable,
} from "@aws-sdk/client-ecs";
import {
  CreatePrivateDnsNamespaceCommand,
  CreateServiceCommand as CreateServiceDiscoveryCommand,
  DiscoverInstancesCommand,
  GetOperationCommand,
  ServiceDiscoveryClient,
} from "@aws-sdk/client-servicediscovery";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { fargateSize, openTasks, sh, sleep, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

const execute = promisify(execFile);
let gantry: RunningGantry;
let work: string;
let t: Tasks;
let ec2: EC2Client;
let subnets: Subnet[];

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-fargate-"));
  gantry = await startGantry({ open: true });
  t = await openTasks(gantry, work);
  ec2 = new EC2Client(ec2Options());
  subnets = (await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }))).Subnets!;
});
const ec2Options = () => ({
  endpoint: gantry.endpoint,
  region: "us-east-1",
  credentials: { accessKeyId: "test", secretAccessKey: "test" },
  maxAttempts: 1,
});
after(async () => {
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

function onFargate(
  more: { groups?: string[]; assignPublicIp?: "ENABLED" | "DISABLED"; subnet?: string } = {},
): Partial<RunTaskCommandInput> {
  const { groups, assignPublicIp = "DISABLED", subnet = subnets[0]!.SubnetId! } = more;
  return {
    launchType: "FARGATE",
    networkConfiguration: { awsvpcConfiguration: { subnets: [subnet], securityGroups: groups, assignPublicIp } },
  };
}
const addressOf = (task: Task) => task.attachments![0]!.details!.find(({ name }) => name === "privateIPv4Address")!.value!;
async function interfaceOf(task: Task): Promise<NetworkInterface> {
  const id = task.attachments![0]!.details!.find(({ name }) => name === "networkInterfaceId")!.value!;
  return (await ec2.send(new DescribeNetworkInterfacesCommand({ NetworkInterfaceIds: [id] }))).NetworkInterfaces![0]!;
}
function fetchText(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout: 2000 }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve(text));
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", reject);
  });
}
const serving = "mkdir -p /www && echo hello from $(hostname) >/www/index.html && httpd -f -p 8080 -h /www";

describe("one task", () => {
  test("its kernel is not the host's, and it sees no other's processes", async () => {
    const family = await t.define(
      [sh("cat /proc/version; ls -d /proc/[0-9]* | wc -l; hostname; cat /etc/resolv.conf; exit 7")],
      fargateSize,
    );
    const ended = await t.ended(await t.start(family, onFargate()));
    const lines = await ended.log();
    assert.equal(ended.container().exitCode, 7, JSON.stringify({ lines, task: ended.task }));
    assert.ok(!lines[0]!.includes(release()), lines[0]!);
    assert.ok(Number(lines[1]) <= 4, lines[1]!);
    assert.match(lines[2]!, /^ip-172-31-/);
    assert.ok(lines.includes("nameserver 172.31.0.2"));
    assert.equal(ended.task.containerInstanceArn, undefined);
  });

  test("two containers share localhost; a public address answers from this machine; the ENI is the task's", async () => {
    const { GroupId: group } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: "web", Description: "web" }));
    const family = await t.define(
      [
        { name: "main", ...sh(serving), portMappings: [{ containerPort: 8080 }] },
        { name: "peer", essential: false, ...sh("until wget -q -O - http://127.0.0.1:8080/; do sleep 0.1; done") },
      ],
      fargateSize,
    );
    const arn = await t.start(family, onFargate({ groups: [group!], assignPublicIp: "ENABLED" }));
    const task = await t.running(arn);
    const eni = await interfaceOf(task);
    assert.equal(eni.PrivateIpAddress, addressOf(task));
    assert.deepEqual(
      eni.Groups!.map(({ GroupId }) => GroupId),
      [group],
    );
    const url = `http://${eni.Association!.PublicIp}:8080/`;
    await assert.rejects(fetchText(url), "no rule lets anybody in yet");
    const rule = {
      GroupId: group!,
      IpPermissions: [{ IpProtocol: "tcp", FromPort: 8080, ToPort: 8080, IpRanges: [{ CidrIp: "0.0.0.0/0" }] }],
    };
    await ec2.send(new AuthorizeSecurityGroupIngressCommand(rule));
    const text = await eventually("the public address answers", () => fetchText(url));
    assert.match(text, /hello from ip-172-31-/);
    await ec2.send(new RevokeSecurityGroupIngressCommand(rule));
    await eventually("the rule is gone", () => assert.rejects(fetchText(url)));
    await t.until(arn, "the peer has ended", ({ containers }) =>
      containers!.some(({ name, exitCode }) => name === "peer" && exitCode === 0),
    );
    await t.stop(arn);
    const stopped = await t.ended(arn);
    assert.equal(stopped.task.attachments![0]!.status, "DELETED");
    assert.match((await stopped.log("peer")).join("\n"), /hello from/);
    const gone = await ec2.send(
      new DescribeNetworkInterfacesCommand({ Filters: [{ Name: "network-interface-id", Values: [eni.NetworkInterfaceId!] }] }),
    );
    assert.deepEqual(gone.NetworkInterfaces, []);
  });

  test("tasks reach each other across subnets, where the group lets them", async () => {
    const server = await t.define([sh(serving)], fargateSize);
    const first = await t.running(await t.start(server, onFargate()));
    const ask = `timeout 5 wget -q -O - http://${addressOf(first)}:8080/`;
    // A task that is RUNNING may not listen yet.
    const patient = await t.define([sh(`for i in $(seq 60); do ${ask} && exit 0; sleep 0.5; done; exit 1`)], fargateSize);
    const client = await t.define([sh(ask)], fargateSize);
    // The default group lets its own members in, from any subnet of the VPC.
    const ended = await t.ended(await t.start(patient, onFargate({ subnet: subnets[1]!.SubnetId })));
    assert.equal(ended.container().exitCode, 0, JSON.stringify(await ended.log()));
    const { GroupId: other } = await ec2.send(new CreateSecurityGroupCommand({ GroupName: "others", Description: "others" }));
    const shut = await t.ended(await t.start(client, onFargate({ groups: [other!] })));
    assert.notEqual(shut.container().exitCode, 0);
    await t.stop(first.taskArn!);
  });

  test("memory, processes and disk: who asks for too much hurts only itself", async () => {
    const neighbour = await t.running(await t.start(await t.define([sh(serving)], fargateSize), onFargate()));
    const hog = await t.define([sh("x=a; while :; do x=$x$x$x$x; done")], fargateSize);
    const bomb = await t.define([sh("n=0; while [ $n -lt 5000 ]; do sleep 30 & n=$((n+1)); done; wait")], fargateSize);
    const filler = await t.define([sh("dd if=/dev/zero of=/big bs=1M count=22528 2>&1 | tail -1; df -k / | tail -1; exit 0")], fargateSize);
    const bombing = await t.start(bomb, onFargate());
    const eaten = await t.ended(await t.start(hog, onFargate()), 240_000);
    assert.notEqual(eaten.container().exitCode, 0);
    // Of this Gantry alone: other tests fill the disk and empty it. A file that was removed is given back when no loop device holds it.
    const used = async () => {
      const [du, loops] = await Promise.all([
        execute("du", ["-skx", gantry.home]).catch((error: { stdout: string }) => error),
        execute("losetup", ["--list", "--noheadings", "--output", "BACK-FILE"]),
      ]);
      const held = loops.stdout.split("\n").filter((line) => line.startsWith(gantry.home) && line.includes("(deleted)"));
      assert.deepEqual(held, []);
      return Number.parseInt(du.stdout, 10);
    };
    const before = await used();
    const filling = await t.start(filler, onFargate());
    await sleep(5000);
    await t.stop(filling);
    await t.stop(bombing).catch(() => {});
    await Promise.all([t.ended(filling), t.ended(bombing)]);
    await eventually("the disk comes back", async () => assert.ok((await used()) - before < 1024 * 1024));
    assert.equal((await t.describe(neighbour.taskArn!)).lastStatus, "RUNNING");
    await t.stop(neighbour.taskArn!);
  });
});

describe("a service on Fargate", () => {
  test("three tasks in three zones; an update rolls; no container instance of it is ever seen", async () => {
    await t.ecs.send(
      new PutClusterCapacityProvidersCommand({
        cluster: "default",
        capacityProviders: ["FARGATE", "FARGATE_SPOT"],
        defaultCapacityProviderStrategy: [],
      }),
    );
    const v1 = await t.define([sh(serving)], fargateSize);
    const v2 = await t.define([sh(serving)], fargateSize);
    const awsvpcConfiguration = { subnets: subnets.map(({ SubnetId }) => SubnetId!) };
    await t.ecs.send(
      new CreateServiceCommand({
        serviceName: "web",
        taskDefinition: v1,
        desiredCount: 3,
        capacityProviderStrategy: [{ capacityProvider: "FARGATE", weight: 1 }],
        networkConfiguration: { awsvpcConfiguration },
      }),
    );
    const wait = { client: t.ecs, maxWaitTime: 240, minDelay: 1, maxDelay: 1 };
    await waitUntilServicesStable(wait, { services: ["web"] });
    const { services } = await t.ecs.send(new DescribeServicesCommand({ services: ["web"] }));
    assert.equal(services![0]!.platformVersion, "LATEST");
    const listed = JSON.parse(
      await gantry.shell("aws ecs describe-tasks --tasks $(aws ecs list-tasks --service-name web --query taskArns --output text)"),
    ) as { tasks: Task[] };
    assert.equal(listed.tasks.length, 3);
    assert.equal(new Set(listed.tasks.map(({ availabilityZone }) => availabilityZone)).size, 3);
    assert.ok(listed.tasks.every(({ containerInstanceArn, launchType }) => containerInstanceArn === undefined && launchType === "FARGATE"));
    await t.ecs.send(new UpdateServiceCommand({ service: "web", taskDefinition: v2 }));
    await waitUntilServicesStable(wait, { services: ["web"] });
    const cost = await gantry.gantry("cost", "--by", "service");
    assert.match(cost, /web/);
    const nodes = JSON.parse(await gantry.gantry("nodes", "--json")) as { serves: string[]; tasks: { fargate: number } }[];
    assert.ok(nodes[0]!.tasks.fargate >= 3);
    await t.ecs.send(new DeleteServiceCommand({ service: "web", force: true }));
    await waitUntilServicesInactive(wait, { services: ["web"] });
  });

  test("its tasks are found by name while they run, and not a moment longer", async () => {
    const cloudMap = new ServiceDiscoveryClient({ ...ec2Options(), disableHostPrefix: true });
    const { OperationId } = await cloudMap.send(new CreatePrivateDnsNamespaceCommand({ Name: "corp.internal", Vpc: subnets[0]!.VpcId! }));
    const { Operation } = await cloudMap.send(new GetOperationCommand({ OperationId: OperationId! }));
    const { Service: registry } = await cloudMap.send(
      new CreateServiceDiscoveryCommand({
        Name: "api",
        NamespaceId: Operation!.Targets!.NAMESPACE!,
        DnsConfig: { DnsRecords: [{ Type: "A", TTL: 5 }] },
        HealthCheckCustomConfig: {},
      }),
    );
    await t.ecs.send(
      new CreateServiceCommand({
        serviceName: "api",
        taskDefinition: await t.define([sh(serving)], fargateSize),
        desiredCount: 2,
        launchType: "FARGATE",
        networkConfiguration: { awsvpcConfiguration: { subnets: [subnets[0]!.SubnetId!] } },
        serviceRegistries: [{ registryArn: registry!.Arn! }],
      }),
    );
    const wait = { client: t.ecs, maxWaitTime: 240, minDelay: 1, maxDelay: 1 };
    await waitUntilServicesStable(wait, { services: ["api"] });
    const discover = new DiscoverInstancesCommand({ NamespaceName: "corp.internal", ServiceName: "api" });
    const found = await until("both are registered", async () => {
      const { Instances } = await cloudMap.send(discover);
      return Instances!.length === 2 && Instances;
    });
    const ask = "for i in $(seq 60); do timeout 10 wget -q -O - http://api.corp.internal:8080/ && break; sleep 0.5; done";
    const client = await t.define([sh(`${ask}; nslookup api.corp.internal`)], fargateSize);
    const asked = await t.ended(await t.start(client, onFargate()));
    const text = (await asked.log()).join("\n");
    assert.match(text, /hello from ip-172-31-/);
    for (const { Attributes } of found) assert.ok(text.includes(Attributes!.AWS_INSTANCE_IPV4!), text);
    await t.ecs.send(new DeleteServiceCommand({ service: "api", force: true }));
    await waitUntilServicesInactive(wait, { services: ["api"] });
    assert.deepEqual((await cloudMap.send(discover)).Instances, []);
  });

  test("the machine is its cluster's own instance too, without Fargate's tasks on its books", async () => {
    const { containerInstanceArns } = await t.ecs.send(new ListContainerInstancesCommand({}));
    assert.equal(containerInstanceArns!.length, 1);
  });
});

test("nothing of a VPC is left when its tasks are gone", async () => {
  await eventually("VPC namespaces are gone", async () => {
    const { stdout } = await execute("ip", ["netns", "list"]);
    const instance = createHash("sha256").update(gantry.home).digest("hex").slice(0, 8);
    assert.ok(!stdout.split("\n").some((line) => line.startsWith(`gantry-${instance}-vpc-`)), stdout);
  });
});
