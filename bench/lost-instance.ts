/**
 * Three machines, a service of 60 tasks, one machine dies: all its processes are killed at once and its network is cut. Measured is the time from there until 60 processes of the service run
 * again, by the kernel's own list of processes. The peer is a Docker Swarm of three nodes, as `docker swarm init` and `docker service create` make it: its nodes send a heartbeat each 5 s, and one
 * is down when three are missing; a task is started again 5 s after it was found dead (`--restart-delay`). Ours is as shipped too: an agent that answers no ping for 8 s is lost
 * (GANTRY_LOST_SECONDS). Twice ours: machines that joined by `./gantry join`, whose death nobody sees but by silence; and local EC2 instances, system containers, whose machine sees at once that all
 * their processes have ended. A Swarm knows no such instances: its nodes are the same in both.
 */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import {
  DescribeImagesCommand,
  DescribeInstancesCommand,
  EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from "@aws-sdk/client-ec2";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DeleteServiceCommand,
  DescribeContainerInstancesCommand,
  DescribeServicesCommand,
  ECSClient,
  ListContainerInstancesCommand,
  RegisterTaskDefinitionCommand,
} from "@aws-sdk/client-ecs";
import { tlsFiles, trust } from "#platform/tls.ts";
import { busyboxRoot } from "./docker.ts";
import { pushRoot } from "./image.ts";
import { layWire, type Machine, startMachine } from "./machine.ts";
import { has, median, missing, report, repository, run, startGantry, temporary } from "./support.ts";
import { startSwarm } from "./swarm-nodes.ts";

const rounds = 3;
const count = 60;
const bound = { most: 0.5 };
const names = {
  local: "3 local instances, 60 tasks, one killed: to 60 running",
  joined: "3 joined machines, 60 tasks, one killed and cut off: to 60 running",
};

/** No other process of this machine sleeps for so long. */
const seconds = String(900_000_000 + process.pid);
const command = ["sleep", seconds];

/** Processes of the service, whatever namespaces they are in. */
async function running(): Promise<number> {
  const text = `sleep\0${seconds}\0`;
  const lines = (await readdir("/proc"))
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => ""));
  return (await Promise.all(lines)).filter((line) => line === text).length;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(what: string, good: () => Promise<boolean>, limitSeconds = 120): Promise<void> {
  for (const end = performance.now() + limitSeconds * 1000; !(await good()); await pause(50))
    if (performance.now() > end) throw new Error(`not within ${limitSeconds} s: ${what} (${await running()} run)`);
}

const allRun = () => until(`${count} tasks`, async () => (await running()) === count);
const noneRuns = () => until("no task", async () => (await running()) === 0);

/** Milliseconds from the death to all running again. */
async function death(kill: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await kill();
  const left = await running();
  if (left < 5 || left > count - 5) throw new Error(`${left} of ${count} tasks were elsewhere: the nodes did not share them`);
  await allRun();
  return performance.now() - began;
}

interface Side {
  readonly ecs: ECSClient;
  readonly image: string;
}

async function serve({ ecs, image }: Side, cluster: string, service = "bench"): Promise<void> {
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "bench",
      networkMode: "bridge",
      containerDefinitions: [{ name: "main", image, memory: 16, stopTimeout: 2, command }],
    }),
  );
  await ecs.send(new CreateServiceCommand({ cluster, serviceName: service, taskDefinition: "bench", desiredCount: count }));
  await allRun();
  await until("the service is at rest", async () => {
    const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
    return services![0]!.runningCount === count && services![0]!.deployments![0]!.rolloutState === "COMPLETED";
  });
}

async function connected({ ecs }: Side, cluster: string, wanted: number): Promise<void> {
  await until(`${wanted} instances`, async () => {
    const { containerInstanceArns = [] } = await ecs.send(new ListContainerInstancesCommand({ cluster }));
    if (containerInstanceArns.length < wanted) return false;
    const { containerInstances = [] } = await ecs.send(
      new DescribeContainerInstancesCommand({ cluster, containerInstances: containerInstanceArns }),
    );
    return containerInstances.filter(({ agentConnected }) => agentConnected).length === wanted;
  });
}

async function localInstances(root: string): Promise<number[]> {
  await using gantry = await startGantry();
  const options = { endpoint: gantry.endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  const ec2 = new EC2Client(options);
  const side = { ecs: new ECSClient(options), image: `localhost:${gantry.port}/bench:1` };
  await pushRoot(root, side.image, gantry);
  const { Images } = await ec2.send(
    new DescribeImagesCommand({
      Owners: ["amazon"],
      Filters: [{ Name: "architecture", Values: [process.arch === "arm64" ? "arm64" : "x86_64"] }],
    }),
  );
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    const cluster = `round-${i}`;
    await side.ecs.send(new CreateClusterCommand({ clusterName: cluster }));
    const { Instances = [] } = await ec2.send(
      new RunInstancesCommand({
        ImageId: Images![0]!.ImageId,
        InstanceType: process.arch === "arm64" ? "t4g.medium" : "t3.medium",
        MinCount: 3,
        MaxCount: 3,
        UserData: Buffer.from(`#!/bin/bash\necho ECS_CLUSTER=${cluster} >> /etc/ecs/ecs.config\n`).toString("base64"),
      }),
    );
    const InstanceIds = Instances.map(({ InstanceId }) => InstanceId!);
    await connected(side, cluster, 3);
    await serve(side, cluster);
    times.push(await death(() => killInstance(gantry.home, InstanceIds[2]!)));
    await side.ecs.send(new DeleteServiceCommand({ cluster, service: "bench", force: true }));
    await ec2.send(new TerminateInstancesCommand({ InstanceIds }));
    await noneRuns();
    await until("the instances are gone", async () => {
      const { Reservations = [] } = await ec2.send(new DescribeInstancesCommand({ InstanceIds }));
      return Reservations.flatMap((each) => each.Instances ?? []).every(({ State }) => State?.Name === "terminated");
    });
  }
  return times;
}

/** With its first process all others of its process namespace end, at once. */
async function killInstance(home: string, id: string): Promise<void> {
  const kept = JSON.parse(await readFile(join(home, "instances", id, "instance.json"), "utf8")) as {
    machine: { pid: number };
    attachment: { namespace: string };
  };
  const { stdout } = await run("ip", ["-n", kept.attachment.namespace, "-o", "link"]);
  const links = [...stdout.matchAll(/^\d+: ([^:@]+)/gm)].map(([, name]) => name!).filter((name) => name !== "lo");
  const children = (await readFile(`/proc/${kept.machine.pid}/task/${kept.machine.pid}/children`, "utf8")).trim().split(" ").map(Number);
  for (const pid of children) process.kill(pid, "SIGKILL");
  for (const name of links) await run("ip", ["-n", kept.attachment.namespace, "link", "set", name, "down"]).catch(() => {});
}

async function joinedMachines(root: string): Promise<number[]> {
  await using wire = await layWire();
  await using home = await temporary("joined");
  const port = 4000 + (process.pid % 20_000);
  const env = { ...process.env, GANTRY_HOME: home.path, GANTRY_PORT: String(port), GANTRY_BIND: wire.address, GANTRY_TLS: "self" };
  const gantry = async (...args: string[]) => (await run(join(repository, "gantry"), args, { env, timeout: 120_000 })).stdout;
  const machines: Machine[] = [];
  try {
    await gantry("up", "--detach");
    trust(tlsFiles({ home: home.path, tls: { kind: "self", names: [] } })!.authority);
    const variables = JSON.parse(await gantry("env", "--json")) as Record<string, string>;
    const endpoint = variables.AWS_ENDPOINT_URL!;
    const credentials = { accessKeyId: variables.AWS_ACCESS_KEY_ID!, secretAccessKey: variables.AWS_SECRET_ACCESS_KEY! };
    const side = { ecs: new ECSClient({ endpoint, region: "us-east-1", credentials }), image: `localhost:${port}/bench:1` };
    await pushRoot(root, `${wire.address}:${port}/bench:1`, { endpoint, credentials });
    const line = (await gantry("token", "--quiet", "--cluster", "fleet", "--uses", "3")).trim();
    for (const index of [2, 3, 4]) {
      const machine = await startMachine(wire, index);
      machines.push(machine);
      await machine.gantry("join", line.split(" ").at(-1)!);
    }
    const victim = machines[2]!;
    const times: number[] = [];
    for (let i = 0; i < rounds; i++) {
      await connected(side, "fleet", 3);
      // A service that drains keeps its name.
      const service = `bench-${i}`;
      await serve(side, "fleet", service);
      times.push(await death(() => Promise.all([victim.cut(), victim.kill()])));
      await victim.boot();
      await victim.mend();
      await victim.gantry("up", "--detach");
      await side.ecs.send(new DeleteServiceCommand({ cluster: "fleet", service, force: true }));
      await noneRuns();
    }
    return times;
  } finally {
    for (const machine of machines) await machine[Symbol.asyncDispose]();
    await gantry("down", "--all");
  }
}

async function swarmNodes(root: string): Promise<number[]> {
  await using wire = await layWire();
  await using swarm = await startSwarm(wire, root, "bench");
  const [manager, , victim] = swarm.machines as [Machine, Machine, Machine];
  const nodes = async () => (await swarm.docker(manager, "node", "ls", "--format", "{{.Status}}")).trim().split("\n");
  const times: number[] = [];
  for (let i = 0; i < rounds; i++) {
    await until("three nodes", async () => (await nodes()).filter((state) => state === "Ready").length === 3);
    const limits = ["--no-resolve-image", "--limit-memory", "16m", "--stop-grace-period", "2s"];
    await swarm.docker(
      manager,
      "service",
      "create",
      "--detach",
      "--name",
      "bench",
      "--replicas",
      String(count),
      ...limits,
      "bench",
      ...command,
    );
    await allRun();
    const replicas = () => swarm.docker(manager, "service", "ls", "--format", "{{.Replicas}}");
    await until("the service is at rest", async () => (await replicas()).trim() === `${count}/${count}`);
    times.push(await death(() => Promise.all([victim.cut(), victim.kill()])));
    await swarm.docker(manager, "service", "rm", "bench");
    await noneRuns();
    await victim.boot();
    await victim.mend();
    await swarm.start(victim);
  }
  return times;
}

async function main(): Promise<void> {
  await using work = await temporary("lost");
  const root = await busyboxRoot(work.path);
  const only = process.argv[2];
  const measure = async (name: string, of: (tar: string) => Promise<number[]>) => {
    if (only !== undefined && only !== name) return [];
    const times = await of(root);
    process.stdout.write(`     ${name}: ${times.map((ms) => `${Math.round(ms)} ms`).join(", ")}\n`);
    return times;
  };
  const local = await measure("local", localInstances);
  const joined = await measure("joined", joinedMachines);
  if (!(await has("dockerd"))) {
    for (const name of Object.values(names)) missing(name, "Docker Swarm");
    return;
  }
  const swarm = await measure("swarm", swarmNodes);
  if (only !== undefined) return;
  const peer = { peer: median(swarm), peerName: "Docker Swarm, 3 nodes", unit: "ms", bound };
  report({ bench: `${names.local}, median of ${rounds}`, ours: median(local), ...peer });
  report({ bench: `${names.joined}, median of ${rounds}`, ours: median(joined), ...peer });
}

await main();
