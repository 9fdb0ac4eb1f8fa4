/**
 * RunTask until the container's process runs, the image present, against `docker run -d` on Docker's bridge. In both cases the process
 * itself says that it runs: it makes a file in a directory of the host's, and inotify tells us.
 */
import { watch } from "node:fs";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { ECSClient, RegisterTaskDefinitionCommand, RunTaskCommand, StopTaskCommand, waitUntilTasksStopped } from "@aws-sdk/client-ecs";
import { busyboxRoot, startDocker } from "./docker.ts";
import { has, median, missing, report, startGantry, temporary } from "./support.ts";
import { pushRoot } from "./image.ts";

const rounds = 50;
const batch = 20;

/** Resolves when `count` files are in `directory`. */
async function filesIn(directory: string, count: number, timeoutMs: number): Promise<void> {
  const signal = AbortSignal.timeout(timeoutMs);
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(directory, { signal }, () => void look());
    watcher.on("error", reject);
    const look = async () => {
      if ((await readdir(directory)).length < count) return;
      watcher.close();
      resolve();
    };
    void look();
  });
}

async function timed(directory: string, count: number, start: () => Promise<void>): Promise<number> {
  await mkdir(directory, { recursive: true });
  const began = performance.now();
  const all = filesIn(directory, count, 60_000);
  await start();
  await all;
  return performance.now() - began;
}

const script = 'echo > "/out/$(cat /proc/sys/kernel/random/uuid)"; sleep 1000';

async function main(): Promise<void> {
  if (!(await has("dockerd"))) {
    missing("RunTask", "docker run -d");
    return;
  }
  await using work = await temporary("run-task");
  const root = await busyboxRoot(work.path);
  await using docker = await startDocker();
  await docker.docker("import", root, "bench");
  await using gantry = await startGantry();
  await pushRoot(root, `localhost:${gantry.port}/bench:1`, gantry);
  const ecs = new ECSClient({
    endpoint: gantry.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });

  const define = (family: string, sourcePath: string) =>
    ecs.send(
      new RegisterTaskDefinitionCommand({
        family,
        networkMode: "bridge",
        volumes: [{ name: "out", host: { sourcePath } }],
        containerDefinitions: [
          {
            name: "main",
            image: `localhost:${gantry.port}/bench:1`,
            memory: 32,
            command: ["sh", "-c", script],
            mountPoints: [{ sourceVolume: "out", containerPath: "/out" }],
            stopTimeout: 2,
          },
        ],
      }),
    );
  const stop = async (arns: readonly string[]) => {
    await Promise.all(arns.map((task) => ecs.send(new StopTaskCommand({ task }))));
    await waitUntilTasksStopped({ client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 1 }, { tasks: [...arns] });
  };
  const runTasks = async (family: string, count: number) => {
    const answers = await Promise.all(
      Array.from({ length: Math.ceil(count / 10) }, () =>
        ecs.send(new RunTaskCommand({ taskDefinition: family, count: Math.min(count, 10) })),
      ),
    );
    const failure = answers.flatMap((answer) => answer.failures ?? [])[0];
    if (failure) throw new Error(`not placed: ${failure.reason} ${failure.detail ?? ""}`);
    return answers.flatMap((answer) => answer.tasks ?? []).map((task) => task.taskArn ?? "");
  };

  const ours: number[] = [];
  const theirs: number[] = [];
  // Once unmeasured: the first pull, the first bridge.
  for (let round = -1; round < rounds; round++) {
    const our = join(work.path, `our-${round}`);
    await define("one", our);
    let arns: readonly string[] = [];
    const ourMs = await timed(our, 1, async () => {
      arns = await runTasks("one", 1);
    });
    const their = join(work.path, `their-${round}`);
    let id = "";
    const theirMs = await timed(their, 1, async () => {
      id = (await docker.docker("run", "-d", "-m", "32m", "-v", `${their}:/out`, "bench", "sh", "-c", script)).trim();
    });
    if (round >= 0) {
      ours.push(ourMs);
      theirs.push(theirMs);
    }
    await stop(arns);
    await docker.docker("rm", "-f", id);
  }
  report({
    bench: `RunTask to process started, median of ${rounds}`,
    ours: median(ours),
    peer: median(theirs),
    peerName: "docker run -d",
    unit: "ms",
    bound: { most: 0.5 },
  });

  const ourBatch: number[] = [];
  const theirBatch: number[] = [];
  for (let round = 0; round < 3; round++) {
    const our = join(work.path, `our-batch-${round}`);
    await define("many", our);
    let arns: readonly string[] = [];
    ourBatch.push(
      await timed(our, batch, async () => {
        arns = await runTasks("many", batch);
      }),
    );
    await stop(arns);
    const their = join(work.path, `their-batch-${round}`);
    let ids: string[] = [];
    theirBatch.push(
      await timed(their, batch, async () => {
        ids = await Promise.all(
          Array.from({ length: batch }, () => docker.docker("run", "-d", "-m", "32m", "-v", `${their}:/out`, "bench", "sh", "-c", script)),
        );
      }),
    );
    await docker.docker("rm", "-f", ...ids.map((id) => id.trim()));
  }
  report({
    bench: `RunTask, ${batch} at once`,
    ours: median(ourBatch),
    peer: median(theirBatch),
    peerName: "docker run -d",
    unit: "ms",
    bound: { most: 0.4 },
  });
}

await main();
