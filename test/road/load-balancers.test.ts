/** Issue 5 on real tasks: a load balancer's name answers from its targets, security groups hold, nothing is lost when targets come and go. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { cp, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import {
  AuthorizeSecurityGroupIngressCommand,
  CreateSecurityGroupCommand,
  DescribeSubnetsCommand,
  EC2Client,
  type IpPermission,
  RevokeSecurityGroupIngressCommand,
  type Subnet,
} from "@aws-sdk/client-ec2";
import {
  CreateListenerCommand,
  CreateLoadBalancerCommand,
  CreateTargetGroupCommand,
  DeleteLoadBalancerCommand,
  DeleteTargetGroupCommand,
  DeregisterTargetsCommand,
  DescribeTargetHealthCommand,
  ElasticLoadBalancingV2Client,
  type LoadBalancer,
  ModifyTargetGroupAttributesCommand,
  RegisterTargetsCommand,
  type TargetHealth,
} from "@aws-sdk/client-elastic-load-balancing-v2";
import type { Task } from "@aws-sdk/client-ecs";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { fargateSize, openClient, openTasks, sh, type Tasks } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

let gantry: RunningGantry;
let work: string;
let t: Tasks;
let ec2: EC2Client;
let elb: ElasticLoadBalancingV2Client;
let subnets: Subnet[];
let publicGroup: string;
let taskGroup: string;
let tasks: Task[];
let group: string;
let balancer: LoadBalancer;

const addressOf = (task: Task) => task.attachments![0]!.details!.find(({ name }) => name === "privateIPv4Address")!.value!;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-balancers-"));
  gantry = await startGantry({ open: true });
  t = await openTasks(gantry, work);
  ec2 = new EC2Client(openClient(gantry));
  elb = new ElasticLoadBalancingV2Client(openClient(gantry));
  subnets = (await ec2.send(new DescribeSubnetsCommand({ Filters: [{ Name: "default-for-az", Values: ["true"] }] }))).Subnets!;
  publicGroup = await securityGroup("public");
  taskGroup = await securityGroup("behind");
  await allow(publicGroup, { IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "0.0.0.0/0" }] });
  // Only the load balancer reaches the tasks.
  await allow(taskGroup, { IpProtocol: "tcp", FromPort: 8080, ToPort: 8080, UserIdGroupPairs: [{ GroupId: publicGroup }] });
  const family = await t.define([sh("mkdir -p /www && hostname >/www/index.html && httpd -f -p 8080 -h /www")], fargateSize);
  const run = () => t.start(family, fargate([taskGroup]));
  tasks = await Promise.all((await Promise.all([run(), run()])).map((arn) => t.running(arn)));
});
after(async () => {
  if (process.env.KEEP_LOGS) await cp(join(gantry.home, "log"), process.env.KEEP_LOGS, { recursive: true }).catch(() => {});
  await gantry?.stop();
  await rm(work, { recursive: true, force: true });
});

async function securityGroup(name: string): Promise<string> {
  return (await ec2.send(new CreateSecurityGroupCommand({ GroupName: name, Description: name }))).GroupId!;
}
const allow = (id: string, permission: IpPermission) =>
  ec2.send(new AuthorizeSecurityGroupIngressCommand({ GroupId: id, IpPermissions: [permission] }));
const fargate = (groups: string[]) => ({
  launchType: "FARGATE" as const,
  networkConfiguration: { awsvpcConfiguration: { subnets: [subnets[0]!.SubnetId!], securityGroups: groups } },
});

/** Fails after so long without a word: where nobody is to answer, that need not be long. */
const shutMs = 1500;
function fetchText(url: string, { agent = new Agent(), timeout = 20_000 } = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = get(url, { timeout, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode!, text: text.trim() }));
      response.on("error", reject);
    });
    request.on("timeout", () => request.destroy(new Error("timeout")));
    request.on("error", reject);
  });
}

async function healthOf(TargetGroupArn: string): Promise<Record<string, TargetHealth>> {
  const { TargetHealthDescriptions } = await elb.send(new DescribeTargetHealthCommand({ TargetGroupArn }));
  return Object.fromEntries(TargetHealthDescriptions!.map(({ Target, TargetHealth }) => [Target!.Id!, TargetHealth!]));
}

async function newGroup(name: string): Promise<string> {
  const { TargetGroups } = await elb.send(
    new CreateTargetGroupCommand({
      Name: name,
      Protocol: "HTTP",
      Port: 8080,
      VpcId: subnets[0]!.VpcId,
      TargetType: "ip",
      HealthCheckIntervalSeconds: 5,
      HealthCheckTimeoutSeconds: 2,
      HealthyThresholdCount: 2,
    }),
  );
  const arn = TargetGroups![0]!.TargetGroupArn!;
  const Attributes = [{ Key: "deregistration_delay.timeout_seconds", Value: "5" }];
  await elb.send(new ModifyTargetGroupAttributesCommand({ TargetGroupArn: arn, Attributes }));
  return arn;
}

async function newBalancer(Name: string, more: { Scheme?: "internal"; SecurityGroups?: string[] } = {}): Promise<LoadBalancer> {
  const { LoadBalancers } = await elb.send(
    new CreateLoadBalancerCommand({ Name, Subnets: subnets.map(({ SubnetId }) => SubnetId!), SecurityGroups: [publicGroup], ...more }),
  );
  return LoadBalancers![0]!;
}

const forward = (balancerArn: string, targetGroup: string) =>
  elb.send(
    new CreateListenerCommand({
      LoadBalancerArn: balancerArn,
      Protocol: "HTTP",
      Port: 80,
      DefaultActions: [{ Type: "forward", TargetGroupArn: targetGroup }],
    }),
  );

/** HAProxy's of this Gantry. */
async function proxies(): Promise<number[]> {
  const found: number[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (/^\S*haproxy\0/.test(line) && line.includes(`${gantry.home}/`)) found.push(Number(pid));
  }
  return found;
}

test("a load balancer answers by its name from both tasks, soon after they are registered", async () => {
  balancer = await newBalancer("web");
  await eventually("its name is known", async () =>
    assert.match(await readFile("/etc/hosts", "utf8"), new RegExp(`^\\S+ ${balancer.DNSName!}$`, "m")),
  );
  group = await newGroup("web");
  await forward(balancer.LoadBalancerArn!, group);
  await eventually("nobody answers yet", async () => assert.equal((await fetchText(`http://${balancer.DNSName!}/`)).status, 503));
  const began = Date.now();
  await elb.send(new RegisterTargetsCommand({ TargetGroupArn: group, Targets: tasks.map((task) => ({ Id: addressOf(task) })) }));
  await eventually("a target answers", async () => assert.equal((await fetchText(`http://${balancer.DNSName!}/`)).status, 200), {
    every: 20,
  });
  const took = Date.now() - began;
  await eventually("both are healthy", async () =>
    assert.deepEqual(
      Object.values(await healthOf(group)).map(({ State }) => State),
      ["healthy", "healthy"],
    ),
  );
  const seen = new Set<string>();
  for (let n = 0; n < 20; n++) seen.add((await fetchText(`http://${balancer.DNSName!}/`)).text);
  assert.equal(seen.size, 2);
  assert.match(await gantry.shell(`curl -sS http://${balancer.DNSName!}/`), /^ip-172-31-/);
  process.stderr.write(`first answer ${took} ms after the registration\n`);
  assert.ok(took < 1500, `first answer after ${took} ms`);
});

test("security groups: of the load balancer for its clients, of the tasks for the load balancer", async () => {
  const world = { IpProtocol: "tcp", FromPort: 80, ToPort: 80, IpRanges: [{ CidrIp: "0.0.0.0/0" }] };
  await ec2.send(new RevokeSecurityGroupIngressCommand({ GroupId: publicGroup, IpPermissions: [world] }));
  await eventually("clients are shut out", () => assert.rejects(fetchText(`http://${balancer.DNSName!}/`, { timeout: shutMs })));
  await allow(publicGroup, world);
  await eventually("clients are let in", async () => assert.equal((await fetchText(`http://${balancer.DNSName!}/`)).status, 200));

  const other = await securityGroup("others");
  const shut = await t.running(
    await t.start(
      await t.define([sh("mkdir -p /www && echo shut >/www/index.html && httpd -f -p 8080 -h /www")], fargateSize),
      fargate([other]),
    ),
  );
  await elb.send(new RegisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: addressOf(shut) }] }));
  await eventually("the load balancer does not reach it", async () => {
    const health = (await healthOf(group))[addressOf(shut)];
    assert.deepEqual([health?.State, health?.Reason], ["unhealthy", "Target.Timeout"]);
  });
  await elb.send(new DeregisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: addressOf(shut) }] }));
  await t.stop(shut.taskArn!);
});

test("an internal one, beside it on port 80, is reached from tasks of the VPC by its name, and by nobody whom its groups keep out", async () => {
  const insiders = await securityGroup("insiders");
  await allow(insiders, { IpProtocol: "tcp", FromPort: 80, ToPort: 80, UserIdGroupPairs: [{ GroupId: taskGroup }] });
  await allow(taskGroup, { IpProtocol: "tcp", FromPort: 8080, ToPort: 8080, UserIdGroupPairs: [{ GroupId: insiders }] });
  const internal = await newBalancer("inside", { Scheme: "internal", SecurityGroups: [insiders] });
  const own = await newGroup("inside");
  await forward(internal.LoadBalancerArn!, own);
  const target = addressOf(tasks[0]!);
  await elb.send(new RegisterTargetsCommand({ TargetGroupArn: own, Targets: [{ Id: target }] }));
  await eventually("its target is healthy", async () => assert.equal((await healthOf(own))[target]?.State, "healthy"));
  await assert.rejects(fetchText(`http://${internal.DNSName!}/`, { timeout: shutMs }));
  assert.equal((await fetchText(`http://${balancer.DNSName!}/`)).status, 200);
  // A static busybox resolves names by nslookup only.
  const asks = `ip=$(nslookup ${internal.DNSName!} | sed -n 's/^Address: //p' | head -1); echo $ip; for i in 1 2 3; do printf 'GET / HTTP/1.0\\r\\n\\r\\n' | timeout 3 nc $ip 80 | grep ^ip- && exit 0; done; exit 1`;
  const client = await t.define([sh(asks)], fargateSize);
  const [inside, outside] = await Promise.all(
    [taskGroup, await securityGroup("strangers")].map(async (each) => t.ended(await t.start(client, fargate([each])))),
  );
  const lines = await inside!.log();
  assert.equal(inside!.container().exitCode, 0, JSON.stringify(lines));
  assert.match(lines[0]!, /^172\.31\./);
  assert.match(lines[1]!, /^ip-172-31-/);
  assert.match((await outside!.log())[0]!, /^172\.31\./);
  assert.notEqual(outside!.container().exitCode, 0);
  await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: internal.LoadBalancerArn! }));
  await elb.send(new DeleteTargetGroupCommand({ TargetGroupArn: own }));
});

test("a target deregistered under load loses no request; HAProxy killed is back within seconds", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const answers = new Map<string, number>();
  let over = false;
  const load = Array.from({ length: 4 }, async () => {
    while (!over) {
      const key = await fetchText(`http://${balancer.DNSName!}/`, { agent }).then(
        ({ status, text }) => `${status} ${text}`,
        (error: Error) => `failed: ${error.message}`,
      );
      answers.set(key, (answers.get(key) ?? 0) + 1);
    }
  });
  after(() => (over = true));
  await until("both targets have answered", () => answers.size === 2, { seen: () => [...answers.keys()].join() });
  const gone = addressOf(tasks[0]!);
  await elb.send(new DeregisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: gone }] }));
  assert.equal((await healthOf(group))[gone]?.State, "draining");
  await eventually("it is gone", async () => assert.equal((await healthOf(group))[gone], undefined));
  await elb.send(new RegisterTargetsCommand({ TargetGroupArn: group, Targets: [{ Id: gone }] }));
  await eventually("it is healthy again", async () => assert.equal((await healthOf(group))[gone]?.State, "healthy"));
  over = true;
  await Promise.all(load);
  agent.destroy();
  assert.deepEqual(
    [...answers.keys()].filter((each) => !each.startsWith("200 ip-172-31-")),
    [],
  );
  assert.equal(answers.size, 2, "both targets have answered");

  const pids = await proxies();
  assert.ok(pids.length > 0);
  for (const pid of pids) process.kill(pid, "SIGKILL");
  const killed = Date.now();
  await eventually("it answers again", async () =>
    assert.equal((await fetchText(`http://${balancer.DNSName!}/`, { timeout: shutMs })).status, 200),
  );
  const away = Date.now() - killed;
  process.stderr.write(`HAProxy was away for ${away} ms\n`);
  assert.ok(away < 2_000, `${away} ms`);
});

test("the agent killed: HAProxy runs on, and its successor takes it over", async () => {
  const pids = await proxies();
  const { parts } = await gantry.status();
  const pidOf = (name: string) => parts.find((part) => part.name === name)!.pid!;
  // The new agent's HAProxy takes the listening sockets from the one before (`-x`): nobody sees it.
  const answers = new Set<number>();
  let asked = 0;
  let over = false;
  after(() => (over = true));
  const load = (async () => {
    for (; !over; asked++) answers.add((await fetchText(`http://${balancer.DNSName!}/`)).status);
  })();
  const more = async () => {
    const before = asked;
    await until("more answers", () => asked > before + 5);
  };
  // Who would start the next agent at once stands still meanwhile.
  process.kill(pidOf("supervisor"), "SIGSTOP");
  try {
    process.kill(pidOf("agent"), "SIGKILL");
    await more();
    assert.deepEqual(await proxies(), pids);
  } finally {
    process.kill(pidOf("supervisor"), "SIGCONT");
  }
  await eventually("the agent is back", async () => {
    const now = await gantry.status();
    assert.ok(now.ok && now.parts.find(({ name }) => name === "agent")!.pid !== pidOf("agent"), JSON.stringify(now));
  });
  await more();
  over = true;
  await load;
  assert.deepEqual([...answers], [200]);
  await eventually("health is as before", async () =>
    assert.deepEqual(
      Object.values(await healthOf(group)).map(({ State }) => State),
      ["healthy", "healthy"],
    ),
  );
});

test("nothing is left when the last one is deleted", async () => {
  await elb.send(new DeleteLoadBalancerCommand({ LoadBalancerArn: balancer.LoadBalancerArn! }));
  const instance = createHash("sha256").update(gantry.home).digest("hex").slice(0, 8);
  await eventually("process, names, link are gone", async () => {
    assert.deepEqual(await proxies(), []);
    assert.ok(!(await readFile("/etc/hosts", "utf8")).includes(instance));
    assert.ok(!(await readdir("/sys/class/net")).includes(`g${instance.slice(0, 6)}-lb0`));
    assert.ok(!(await readdir("/run/netns")).includes(`gantry-${instance}-host`));
  });
  await Promise.all(tasks.map(({ taskArn }) => t.stop(taskArn!)));
});
