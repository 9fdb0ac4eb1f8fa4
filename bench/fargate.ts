/**
 * RunTask FARGATE until the task's process runs, its image present, its network its own, against `docker run -d`: with gVisor against gVisor, with runc against
 * runc on Docker's bridge. Ours says that it runs by a line in its output; Docker's by a file in a directory of the host's, which Fargate's tasks can't have.
 */
import { readdirSync, statSync } from "node:fs";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { ECSClient, RegisterTaskDefinitionCommand, RunTaskCommand, StopTaskCommand, waitUntilTasksStopped } from "@aws-sdk/client-ecs";
import { busyboxRoot, type Docker, startDocker } from "./docker.ts";
import { pushRoot } from "./image.ts";
import { type Gantry, has, median, missing, report, startGantry, temporary } from "./support.ts";

const rounds = Number(process.env.ROUNDS ?? 20);
const batch = 50;
const theirScript = 'echo > "/out/$(/bin/busybox hostname)"; sleep 1000';

/**
 * Resolves when `look` finds `count`. It looks every few milliseconds, by calls that need no thread: Node's recursive watching took a fifth of both cores while fifty tasks started.
 */
async function until(count: number, look: () => number): Promise<void> {
  const end = performance.now() + 120_000;
  while (look() < count) {
    if (performance.now() > end) throw new Error(`only ${look()} of ${count} run after two minutes`);
    await new Promise((resolve) => setTimeout(resolve, count === 1 ? 2 : 20));
  }
}

/** How many tasks of the agent have written something. */
function speaking(tasks: string): number {
  const sizes = readdirSync(tasks).map((name) => statSync(join(tasks, name, "main", "stdout.0"), { throwIfNoEntry: false })?.size ?? 0);
  return sizes.filter((size) => size > 0).length;
}

interface Side {
  /** Starts `count`; resolves when all run. */
  start(count: number): Promise<void>;
  stop(): Promise<void>;
}

async function ours(gantry: Gantry): Promise<Side> {
  const options = { endpoint: gantry.endpoint, region: "us-east-1", credentials: { accessKeyId: "test", secretAccessKey: "test" } };
  const ecs = new ECSClient(options);
  const { Subnets: subnets } = await new EC2Client(options).send(new DescribeSubnetsCommand({}));
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "bench",
      networkMode: "awsvpc",
      cpu: "256",
      memory: "512",
      requiresCompatibilities: ["FARGATE"],
      containerDefinitions: [
        { name: "main", image: `localhost:${gantry.port}/bench:1`, command: ["sh", "-c", "echo running; sleep 1000"], stopTimeout: 2 },
      ],
    }),
  );
  const tasks = join(gantry.home, "agent", "tasks");
  let arns: string[] = [];
  return {
    async start(count) {
      const all = until(count, () => speaking(tasks));
      const answers = await Promise.all(
        Array.from({ length: Math.ceil(count / 10) }, () =>
          ecs.send(
            new RunTaskCommand({
              taskDefinition: "bench",
              launchType: "FARGATE",
              count: Math.min(count, 10),
              networkConfiguration: { awsvpcConfiguration: { subnets: [subnets![0]!.SubnetId!] } },
            }),
          ),
        ),
      );
      const failure = answers.flatMap((answer) => answer.failures ?? [])[0];
      if (failure) throw new Error(`not placed: ${failure.reason} ${failure.detail ?? ""}`);
      arns = answers.flatMap((answer) => answer.tasks ?? []).map((task) => task.taskArn ?? "");
      await all;
    },
    async stop() {
      await Promise.all(arns.map((task) => ecs.send(new StopTaskCommand({ task }))));
      await waitUntilTasksStopped({ client: ecs, maxWaitTime: 120, minDelay: 1, maxDelay: 1 }, { tasks: arns });
      // Until the agent has cleared away, what it wrote would count for the next.
      while ((await readdir(tasks)).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    },
  };
}

function theirs(docker: Docker, work: string, options: readonly string[]): Side {
  let round = 0;
  let ids: string[] = [];
  return {
    async start(count) {
      const out = join(work, `their-${options.join("")}-${round++}`);
      await mkdir(out, { recursive: true });
      const all = until(count, () => readdirSync(out).length);
      ids = await Promise.all(
        Array.from({ length: count }, async () =>
          (
            await docker.docker(
              "run",
              "-d",
              ...options,
              "-m",
              "512m",
              "--cpus",
              "0.25",
              "-v",
              `${out}:/out`,
              "bench",
              "sh",
              "-c",
              theirScript,
            )
          ).trim(),
        ),
      );
      await all;
    },
    async stop() {
      await docker.docker("rm", "-f", ...ids);
    },
  };
}

async function timed(side: Side, count: number): Promise<number> {
  const began = performance.now();
  await side.start(count);
  const ms = performance.now() - began;
  await side.stop();
  return ms;
}

async function compare(name: string, our: Side, their: Side, peerName: string, count: number, times: number, most: number): Promise<void> {
  const [ourMs, theirMs]: [number[], number[]] = [[], []];
  // Once unmeasured: the first pull, the first bridge.
  for (let round = -1; round < times; round++) {
    const [a, b] = [await timed(our, count), await timed(their, count)];
    if (round < 0) continue;
    ourMs.push(a);
    theirMs.push(b);
  }
  report({ bench: name, ours: median(ourMs), peer: median(theirMs), peerName, unit: "ms", bound: { most } });
}

async function main(): Promise<void> {
  for (const needed of ["dockerd", "runsc"]) {
    if (await has(needed)) continue;
    missing("RunTask FARGATE", needed);
    return;
  }
  await using work = await temporary("fargate");
  const root = await busyboxRoot(work.path);
  // This kernel is one that Debian's gVisor refuses to put its network stack on, without the work-round that ours has.
  const configuration = join(work.path, "daemon.json");
  await writeFile(configuration, JSON.stringify({ runtimes: { runsc: { path: "runsc", runtimeArgs: ["--network=none"] } } }));
  await using docker = await startDocker(["--config-file", configuration]);
  await docker.docker("import", root, "bench");
  // Fifty quarters of a CPU are more than a small machine promises by itself; all of them wait for the same two cores, as Docker's do.
  const common = { GANTRY_CPU_OVERCOMMIT: "16", GANTRY_MEMORY_OVERCOMMIT: "2", ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION: "1s" };
  {
    await using gantry = await startGantry(common);
    await pushRoot(root, `localhost:${gantry.port}/bench:1`, gantry);
    const [our, their] = [await ours(gantry), theirs(docker, work.path, ["--runtime=runsc", "--network", "none"])];
    const peer = "docker run -d --runtime=runsc --network none";
    await compare(`RunTask FARGATE, gVisor, own network, median of ${rounds}`, our, their, peer, 1, rounds, 1.2);
    await compare(`RunTask FARGATE, gVisor, ${batch} at once, median of 3`, our, their, peer, batch, 3, 0.5);
  }
  {
    await using gantry = await startGantry({ ...common, GANTRY_FARGATE_RUNTIME: "runc" });
    await pushRoot(root, `localhost:${gantry.port}/bench:1`, gantry);
    const [our, their] = [await ours(gantry), theirs(docker, work.path, [])];
    await compare(`RunTask FARGATE, runc, own network, median of ${rounds}`, our, their, "docker run -d", 1, rounds, 0.5);
    await compare(`RunTask FARGATE, runc, ${batch} at once, median of 3`, our, their, "docker run -d", batch, 3, 0.5);
  }
}

await main();
