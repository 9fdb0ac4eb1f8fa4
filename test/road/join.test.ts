/** Issue 7: real machines join with `./gantry join` and one token; one that dies: its tasks are elsewhere in time, and when it comes back nothing runs twice. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  DescribeImagesCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  StartInstancesCommand,
  StopInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeContainerInstancesCommand,
  DescribeServicesCommand,
  DescribeTasksCommand,
  ECSClient,
  ListContainerInstancesCommand,
  ListTasksCommand,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
} from "@aws-sdk/client-ecs";
import { tlsFiles, trust } from "#platform/tls.ts";
import { pushRoot } from "../../bench/image.ts";
import { type RunningGantry, startGantry } from "../support/gantry.ts";
import { layWire, type Machine, startMachine, type Wire } from "../../bench/machine.ts";
import { makeRoot, sleep } from "../support/tasks.ts";
import { eventually, until } from "../support/until.ts";

const cluster = "fleet";
const lostSeconds = 3;

let work: string;
let wire: Wire;
let gantry: RunningGantry;
let one: Machine;
let two: Machine;
let ecs: ECSClient;
let logs: CloudWatchLogsClient;
let image: string;

before(async () => {
  work = await mkdtemp(join(tmpdir(), "gantry-join-"));
  wire = await layWire();
  gantry = await startGantry({ env: { GANTRY_BIND: wire.address, GANTRY_TLS: "self", GANTRY_LOST_SECONDS: String(lostSeconds) } });
  trust(tlsFiles({ home: gantry.home, tls: { kind: "self", names: [] } })!.authority);
  const env = JSON.parse(await gantry.gantry("env", "--json")) as Record<string, string>;
  const credentials = { accessKeyId: env.AWS_ACCESS_KEY_ID!, secretAccessKey: env.AWS_SECRET_ACCESS_KEY! };
  const endpoint = env.AWS_ENDPOINT_URL!;
  assert.equal(endpoint, `https://${wire.address}:${gantry.port}`);
  ecs = new ECSClient({ endpoint, region: "us-east-1", credentials });
  logs = new CloudWatchLogsClient({ endpoint, region: "us-east-1", credentials });
  await logs.send(new CreateLogGroupCommand({ logGroupName: "/join" }));
  await pushRoot(await makeRoot(work), `${wire.address}:${gantry.port}/box:1`, { endpoint, credentials });
  image = `localhost:${gantry.port}/box:1`;
  [one, two] = [await startMachine(wire, 2), await startMachine(wire, 3)];
});
after(async () => {
  ecs?.destroy();
  logs?.destroy();
  for (const machine of [one, two]) await machine?.[Symbol.asyncDispose]();
  await gantry?.stop();
  await wire?.[Symbol.asyncDispose]();
  await rm(work, { recursive: true, force: true });
});

const token = async (...options: string[]) =>
  (await gantry.gantry("token", "--quiet", "--cluster", cluster, ...options)).trim().split(" ").at(-1)!;

/** What a failure is read with. */
async function fleet(): Promise<string> {
  const { services = [] } = await ecs.send(new DescribeServicesCommand({ cluster, services: ["web", "site"] }));
  const events = services.flatMap((service) =>
    service.events!.slice(0, 8).map(({ createdAt, message }) => `${createdAt!.toISOString()} ${message}`),
  );
  const agents = [...(await instances())].map(([address, { agentConnected, status }]) => `${address} ${status} ${agentConnected}`);
  const placed = [...(await tasksOn())].map(([address, ids]) => `${address} ${ids.join(" ")}`);
  return [new Date().toISOString(), ...agents, ...placed, ...events].join("\n");
}
const patience = { ms: 90_000, every: 100, seen: fleet };
const sees = <T>(what: string, look: () => Promise<T | undefined | false>) => until(what, look, patience);

async function define(family: string, script: string, more: object = {}): Promise<void> {
  const logConfiguration = {
    logDriver: "awslogs" as const,
    options: { "awslogs-group": "/join", "awslogs-region": "us-east-1", "awslogs-stream-prefix": family },
  };
  const container = { name: "main", image, memory: 32, stopTimeout: 2, command: ["sh", "-c", script], logConfiguration };
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family,
      containerDefinitions: [{ ...container, ...more }],
      volumes: [{ name: "seen", host: { sourcePath: work } }],
    }),
  );
}

/** Instances of the cluster, by their address. */
async function instances() {
  const { containerInstanceArns = [] } = await ecs.send(new ListContainerInstancesCommand({ cluster }));
  if (containerInstanceArns.length === 0) return new Map<string, never>();
  const { containerInstances = [] } = await ecs.send(
    new DescribeContainerInstancesCommand({ cluster, containerInstances: containerInstanceArns }),
  );
  return new Map(containerInstances.map((each) => [each.attributes!.find(({ name }) => name === "gantry.address")!.value!, each]));
}

describe("machines join by a token", { skip: process.getuid?.() !== 0, timeout: 480_000 }, () => {
  test("who has no good one is told why, and never sees it again", async () => {
    await assert.rejects(one.gantry("join", "gantry1.nonsense"), /this is not a join token: copy the whole line/);
    const short = await token("--ttl", "1s");
    await sleep(1100);
    await assert.rejects(one.gantry("join", short), /This token has expired/);
    const revoked = await token();
    const id = (await gantry.gantry("token", "list")).split(" ")[0]!;
    await gantry.gantry("token", "revoke", id);
    await assert.rejects(one.gantry("join", revoked), /This token lets nobody in: it was revoked/);
    const other = Buffer.from(JSON.stringify(["id", "secret", "x".repeat(43), `https://${wire.address}:${gantry.port}`])).toString(
      "base64url",
    );
    await assert.rejects(one.gantry("join", `gantry1.${other}`), /its authority's fingerprint differs/);
  });

  test("one line, and the machine is a container instance with its own size and attributes", async () => {
    const first = await token();
    const began = Date.now();
    await one.run([`${process.cwd()}/gantry`, "join", "-", "--attribute", "disk=ssd", "--instance-type", "metal.one"], { input: first });
    process.stderr.write(`joined in ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
    await assert.rejects(two.gantry("join", first), /This token has been used: it lets in one machine/);
    await one.gantry("join", first);
    await two.gantry("join", await token("--cluster", cluster));
    const found = await eventually("both are there", async () => {
      const all = await instances();
      assert.deepEqual([...all.keys()].toSorted(), [one.address, two.address]);
      return all;
    });
    const attribute = (name: string) => found.get(one.address)!.attributes!.find((each) => each.name === name)?.value;
    assert.deepEqual([attribute("disk"), attribute("ecs.instance-type"), attribute("gantry.fargate")], ["ssd", "metal.one", "false"]);
    const cpus = found.get(one.address)!.registeredResources!.find(({ name }) => name === "CPU")!.integerValue;
    assert.equal(cpus, (await one.run(["nproc"])).trim() === "" ? 0 : Number(await one.run(["nproc"])) * 1024);
    await eventually("its status", async () =>
      assert.match(await one.gantry("status"), /up\s+container instance\s+ACTIVE, agent connected, 0 running/),
    );
    assert.match(await gantry.gantry("nodes"), /m-[0-9a-f]{17}\s+fleet/);
    await assert.rejects(one.gantry("nodes"), /this machine has joined https:/);
    const secret = (JSON.parse(Buffer.from(first.slice(8), "base64url").toString()) as string[])[1]!;
    for (const file of await readdir(join(gantry.home, "log")))
      assert.ok(!(await readFile(join(gantry.home, "log", file), "utf8")).includes(secret), file);
    const trail = await eventually("the trail", async () => {
      const lookup = "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=JoinMachine --output text";
      const text = await gantry.shell(lookup);
      assert.match(text, /JoinMachine/);
      return text;
    });
    assert.ok(!trail.includes(secret));
  });

  test("images come over TLS, logs go back; what needs a VPC stays away, and says why", async () => {
    await define("hello", "echo hello from $(hostname)");
    const { tasks, failures } = await ecs.send(new RunTaskCommand({ cluster, taskDefinition: "hello" }));
    assert.deepEqual(failures, []);
    const { taskArn } = tasks![0]!;
    const task = await sees("STOPPED", async () => {
      const found = (await ecs.send(new DescribeTasksCommand({ cluster, tasks: [taskArn!] }))).tasks![0]!;
      return found.lastStatus === "STOPPED" ? found : undefined;
    });
    assert.equal(task.containers![0]!.exitCode, 0, JSON.stringify(task));
    const { events } = await logs.send(
      new GetLogEventsCommand({ logGroupName: "/join", logStreamName: `hello/main/${taskArn!.split("/").at(-1)}` }),
    );
    assert.match(events![0]!.message!, /^hello from/);

    await ecs.send(
      new RegisterTaskDefinitionCommand({
        family: "eni",
        networkMode: "awsvpc",
        containerDefinitions: [{ name: "main", image, memory: 32 }],
      }),
    );
    const subnets = [(await gantry.shell("aws ec2 describe-subnets --query 'Subnets[0].SubnetId' --output text")).trim()];
    const refused = await ecs.send(
      new RunTaskCommand({ cluster, taskDefinition: "eni", networkConfiguration: { awsvpcConfiguration: { subnets } } }),
    );
    assert.deepEqual(refused.tasks, []);
    assert.match(JSON.stringify(refused.failures), /ATTRIBUTE.*task-eni|task-eni/);
  });
});

/** Tasks of the service by their marks: each writes a line when it starts, and touches its file as long as it lives. */
async function seen(): Promise<{ readonly alive: readonly string[]; readonly starts: ReadonlyMap<string, number> }> {
  const alive: string[] = [];
  const starts = new Map<string, number>();
  for (const name of await readdir(work)) {
    const id = /^start-([0-9a-f]{32})$/.exec(name)?.[1];
    if (id === undefined) continue;
    starts.set(id, (await readFile(join(work, name), "utf8")).trim().split("\n").length);
    const { mtimeMs } = await stat(join(work, `alive-${id}`)).catch(() => ({ mtimeMs: 0 }));
    if (Date.now() - mtimeMs < 1_000) alive.push(id);
  }
  return { alive, starts };
}

const runs = `arn=$(wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task | sed 's/.*"TaskARN":"\\([^"]*\\)".*/\\1/')
id=\${arn##*/}
echo started >> /seen/start-$id
trap 'exit 0' TERM
while :; do touch /seen/alive-$id; sleep 0.2; done`;

async function tasksOn(): Promise<Map<string, string[]>> {
  const { taskArns = [] } = await ecs.send(new ListTasksCommand({ cluster, serviceName: "web" }));
  const tasks = taskArns.length === 0 ? [] : ((await ecs.send(new DescribeTasksCommand({ cluster, tasks: taskArns }))).tasks ?? []);
  const found = new Map<string, string[]>();
  for (const [address, { containerInstanceArn }] of await instances())
    found.set(
      address,
      tasks.filter((task) => task.containerInstanceArn === containerInstanceArn).map(({ taskArn }) => taskArn!.split("/").at(-1)!),
    );
  return found;
}

/** The service has its tasks, all of them live, each was started once, and that stays so. */
async function rests(count: number): Promise<void> {
  await sees(`${count} tasks and no more`, async () => {
    const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: ["web"] }));
    const { alive } = await seen();
    const { runningCount, pendingCount } = services![0]!;
    return alive.length === count && runningCount === count && pendingCount === 0 ? true : undefined;
  });
  const rested = Date.now() + 2_000;
  let most = 0;
  // A task that has no turn on a busy machine for a second looks dead.
  await eventually(`the same ${count}`, async () => {
    const { alive, starts } = await seen();
    most = Math.max(most, alive.length);
    assert.ok(Date.now() > rested, "and that stays so");
    assert.deepEqual([...new Set(starts.values())], [1], "no task was started twice");
    assert.equal(alive.length, count);
    const on = await tasksOn();
    assert.deepEqual([...on.values()].flat().toSorted(), alive.toSorted(), "who runs is who is known to run");
  });
  assert.equal(most, count, "never one too many");
}

test("a load balancer of the first machine reaches tasks of the others by their addresses", { timeout: 300_000 }, async () => {
  const vpc = (await gantry.shell("aws ec2 describe-vpcs --query 'Vpcs[0].VpcId' --output text")).trim();
  const subnets = (await gantry.shell("aws ec2 describe-subnets --query 'Subnets[].SubnetId' --output text")).trim().split(/\s+/).join(" ");
  const made = await gantry.shell(`
    group=$(aws elbv2 create-target-group --name web --protocol HTTP --port 80 --vpc-id ${vpc} --target-type instance \
      --health-check-interval-seconds 5 --health-check-timeout-seconds 2 --healthy-threshold-count 2 --query 'TargetGroups[0].TargetGroupArn' --output text)
    read -r balancer name <<<"$(aws elbv2 create-load-balancer --name web --subnets ${subnets} --query 'LoadBalancers[0].[LoadBalancerArn,DNSName]' --output text)"
    aws elbv2 create-listener --load-balancer-arn "$balancer" --protocol HTTP --port 80 --default-actions "Type=forward,TargetGroupArn=$group" >/dev/null
    security=$(aws elbv2 describe-load-balancers --names web --query 'LoadBalancers[0].SecurityGroups[0]' --output text)
    aws ec2 authorize-security-group-ingress --group-id "$security" --protocol tcp --port 80 --cidr 0.0.0.0/0 >/dev/null
    echo "$group $balancer $name"`);
  const [targetGroupArn, balancer, name] = made.trim().split(" ");
  await define("site", "mkdir /www; hostname >/www/index.html; exec httpd -f -p 80 -h /www", {
    portMappings: [{ containerPort: 80, hostPort: 0 }],
  });
  const loadBalancers = [{ targetGroupArn, containerName: "main", containerPort: 80 }];
  await ecs.send(new CreateServiceCommand({ cluster, serviceName: "site", taskDefinition: "site", desiredCount: 2, loadBalancers }));
  const answers = new Set<string>();
  await sees("answers of both", async () => {
    const answer = await fetch(`http://${name}/`).catch(() => undefined);
    if (answer?.status === 200) answers.add(await answer.text());
    return answers.size === 2 ? true : undefined;
  });
  await ecs.send(new DeleteServiceCommand({ cluster, service: "site", force: true }));
  await gantry.shell(`aws elbv2 delete-load-balancer --load-balancer-arn ${balancer}`);
});

test(
  "a local instance is a machine of its own: its agent, its images and its logs go by TLS; with it end its tasks",
  { timeout: 300_000 },
  async () => {
    const locals = "locals";
    const ec2 = new EC2Client({
      endpoint: `https://${wire.address}:${gantry.port}`,
      region: "us-east-1",
      credentials: ecs.config.credentials,
    });
    await ecs.send(new CreateClusterCommand({ clusterName: locals }));
    const { Images } = await ec2.send(
      new DescribeImagesCommand({ Owners: ["amazon"], Filters: [{ Name: "architecture", Values: ["x86_64"] }] }),
    );
    const UserData = Buffer.from(`#!/bin/bash\necho ECS_CLUSTER=${locals} >> /etc/ecs/ecs.config\n`).toString("base64");
    const began = Date.now();
    const { Instances } = await ec2.send(
      new RunInstancesCommand({ ImageId: Images![0]!.ImageId, InstanceType: "t3.micro", MinCount: 1, MaxCount: 1, UserData }),
    );
    const InstanceIds = [Instances![0]!.InstanceId!];
    const connected = async () => {
      const { containerInstanceArns = [] } = await ecs.send(new ListContainerInstancesCommand({ cluster: locals }));
      if (containerInstanceArns.length === 0) return false;
      const { containerInstances } = await ecs.send(
        new DescribeContainerInstancesCommand({ cluster: locals, containerInstances: containerInstanceArns }),
      );
      return containerInstances!.length === 1 && containerInstances![0]!.agentConnected === true;
    };
    const registered = () => sees("its agent is connected", connected);
    const becomes = (state: string) =>
      sees(state, async () => {
        const { Reservations } = await ec2.send(new DescribeInstancesCommand({ InstanceIds }));
        return Reservations![0]!.Instances![0]!.State!.Name === state ? true : undefined;
      });
    await registered();
    process.stderr.write(`a local instance registered in ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
    await define("local", "echo hello from $(hostname); exec sleep 300");
    const describe = async (taskArn: string) =>
      (await ecs.send(new DescribeTasksCommand({ cluster: locals, tasks: [taskArn] }))).tasks![0]!;
    const running = async () => {
      const { tasks, failures } = await ecs.send(new RunTaskCommand({ cluster: locals, taskDefinition: "local" }));
      assert.deepEqual(failures, []);
      const { taskArn } = tasks![0]!;
      await sees("RUNNING", async () => ((await describe(taskArn!)).lastStatus === "RUNNING" ? true : undefined));
      return taskArn!;
    };
    const ended = async (taskArn: string) => {
      const { stopCode, stoppedReason } = await sees("STOPPED", async () => {
        const found = await describe(taskArn);
        return found.lastStatus === "STOPPED" ? found : undefined;
      });
      return [stopCode, stoppedReason];
    };
    const first = await running();
    const logStreamName = `local/main/${first.split("/").at(-1)}`;
    const line = await sees("its log", async () =>
      logs.send(new GetLogEventsCommand({ logGroupName: "/join", logStreamName })).then(
        ({ events }) => events![0]?.message,
        () => undefined,
      ),
    );
    assert.match(line, /^hello from/);
    await ec2.send(new StopInstancesCommand({ InstanceIds }));
    assert.deepEqual(await ended(first), ["TerminationNotice", `Host EC2 (instance ${InstanceIds[0]}) stopped.`]);
    await becomes("stopped");
    await sees("its agent is away", async () => !(await connected()));
    await ec2.send(new StartInstancesCommand({ InstanceIds }));
    await registered();
    const second = await running();
    await ec2.send(new TerminateInstancesCommand({ InstanceIds }));
    await becomes("terminated");
    assert.deepEqual(await ended(second), ["TerminationNotice", `Host EC2 (instance ${InstanceIds[0]}) terminated.`]);
    const { taskArns } = await ecs.send(new ListTasksCommand({ cluster: locals, desiredStatus: "RUNNING" }));
    assert.deepEqual(taskArns, []);
    ec2.destroy();
  },
);

describe("a machine that dies", { skip: process.getuid?.() !== 0, timeout: 480_000 }, () => {
  before(async () => {
    await define("web", runs, { mountPoints: [{ sourceVolume: "seen", containerPath: "/seen" }] });
    await ecs.send(new CreateServiceCommand({ cluster, serviceName: "web", taskDefinition: "web", desiredCount: 4 }));
    await rests(4);
    assert.deepEqual(
      [...(await tasksOn()).values()].map(({ length }) => length),
      [2, 2],
    );
  });

  test("all its processes killed, its network cut: its tasks are on the other in time; it comes back, and nothing runs twice", async () => {
    const began = Date.now();
    const died = (await tasksOn()).get(one.address)!;
    await Promise.all([one.cut(), one.kill()]);
    await sees("four tasks on the other", async () => {
      const there = (await tasksOn()).get(two.address)!;
      const { alive } = await seen();
      return there.length === 4 && there.every((id) => alive.includes(id)) ? true : undefined;
    });
    const took = Date.now() - began;
    process.stderr.write(`all elsewhere after ${(took / 1000).toFixed(1)} s, lost after ${lostSeconds} s\n`);
    assert.ok(took < lostSeconds * 1000 + 10_000, `${took} ms`);
    await rests(4);
    await one.boot();
    await one.mend();
    await one.gantry("up", "--detach");
    await rests(4);
    await eventually("those of before are STOPPED, and it is connected", async () => {
      const { tasks } = await ecs.send(new DescribeTasksCommand({ cluster, tasks: died }));
      assert.deepEqual([...new Set(tasks!.map(({ lastStatus }) => lastStatus))], ["STOPPED"]);
      assert.ok((await instances()).get(one.address)!.agentConnected);
    });
  });

  test("its network is cut and its tasks live on: they end once it is back, those in their place stay", async () => {
    const old = (await tasksOn()).get(two.address)!;
    assert.equal(old.length, 4);
    await two.cut();
    await sees("four tasks on the other", async () => {
      const there = (await tasksOn()).get(one.address)!;
      const { alive } = await seen();
      return there.length === 4 && there.every((id) => alive.includes(id)) ? true : undefined;
    });
    // Those of a machine that is back before they are replaced are the service's again, and it chooses which go.
    await sees("the old ones are replaced", async () => ((await tasksOn()).get(two.address)!.length === 0 ? true : undefined));
    await eventually("nobody could tell them to end", async () => {
      const { alive } = await seen();
      assert.deepEqual(
        old.filter((id) => !alive.includes(id)),
        [],
      );
    });
    await two.mend();
    const began = Date.now();
    await sees("connected", async () => ((await instances()).get(two.address)!.agentConnected ? true : undefined));
    const connectedAt = Date.now();
    await sees("the old ones have ended", async () => ((await seen()).alive.some((id) => old.includes(id)) ? undefined : true));
    process.stderr.write(`back after ${connectedAt - began} ms, its old tasks ended ${Date.now() - connectedAt} ms later\n`);
    await rests(4);
  });

  test("leave: its tasks are elsewhere first, then nothing of Gantry is on it", async () => {
    await one.gantry("leave");
    await rests(4);
    await eventually("it is no instance any more", async () => assert.deepEqual([...(await instances()).keys()], [two.address]));
    assert.deepEqual(
      (await readdir(one.home)).filter((name) => !/^(log|run|supervisor\.)/.test(name)),
      [],
    );
    assert.doesNotMatch(await gantry.gantry("nodes"), new RegExp(`${one.address}`));
    await ecs.send(new DeleteServiceCommand({ cluster, service: "web", force: true }));
    await gantry.gantry("nodes", "remove", /m-[0-9a-f]{17}/.exec(await gantry.gantry("nodes"))![0]);
    await sees("it is no instance any more", async () => ((await instances()).size === 0 ? true : undefined));
    await eventually("it knows", () => assert.rejects(two.gantry("status"), /DOWN\s+container instance/));
  });
});
