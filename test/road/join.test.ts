/** Issue 7: real machines join with `./gantry join` and one token; one that dies: its tasks are elsewhere in time, and when it comes back nothing runs twice. */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { CloudWatchLogsClient, CreateLogGroupCommand, GetLogEventsCommand } from "@aws-sdk/client-cloudwatch-logs";
import {
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
import { layWire, type Machine, startMachine, type Wire } from "../support/machine.ts";
import { makeRoot, sleep } from "../support/tasks.ts";

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

async function until<T>(what: string, look: () => Promise<T | undefined>, seconds = 30): Promise<T> {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) {
    const found = await look();
    if (found !== undefined) return found;
  }
  throw new Error(`not within ${seconds} s: ${what}`);
}

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

describe("machines join by a token", { skip: process.getuid?.() !== 0, timeout: 150_000 }, () => {
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
    const found = await instances();
    assert.deepEqual([...found.keys()].toSorted(), [one.address, two.address]);
    const attribute = (name: string) => found.get(one.address)!.attributes!.find((each) => each.name === name)?.value;
    assert.deepEqual([attribute("disk"), attribute("ecs.instance-type"), attribute("gantry.fargate")], ["ssd", "metal.one", "false"]);
    const cpus = found.get(one.address)!.registeredResources!.find(({ name }) => name === "CPU")!.integerValue;
    assert.equal(cpus, (await one.run(["nproc"])).trim() === "" ? 0 : Number(await one.run(["nproc"])) * 1024);
    assert.match(await one.gantry("status"), /up\s+container instance\s+ACTIVE, agent connected, 0 running/);
    assert.match(await gantry.gantry("nodes"), /m-[0-9a-f]{17}\s+fleet/);
    await assert.rejects(one.gantry("nodes"), /this machine has joined https:/);
    const secret = (JSON.parse(Buffer.from(first.slice(8), "base64url").toString()) as string[])[1]!;
    for (const file of await readdir(join(gantry.home, "log")))
      assert.ok(!(await readFile(join(gantry.home, "log", file), "utf8")).includes(secret), file);
    const trail = await gantry.shell(
      "aws cloudtrail lookup-events --lookup-attributes AttributeKey=EventName,AttributeValue=JoinMachine --output text",
    );
    assert.match(trail, /JoinMachine/);
    assert.ok(!trail.includes(secret));
  });

  test("images come over TLS, logs go back; what needs a VPC stays away, and says why", async () => {
    await define("hello", "echo hello from $(hostname)");
    const { tasks, failures } = await ecs.send(new RunTaskCommand({ cluster, taskDefinition: "hello" }));
    assert.deepEqual(failures, []);
    const { taskArn } = tasks![0]!;
    const task = await until("STOPPED", async () => {
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
