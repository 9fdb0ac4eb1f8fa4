/**
 * A service of 20 tasks on real containers against Swarm: 0 → 20, a rolling update of all 20, 20 → 0. In both cases the processes themselves say
 * that they run or end: each makes a file in a directory of the host's and removes it on SIGTERM, as its last act.
 * Ours are the whole calls that a user makes: RegisterTaskDefinition and CreateService (or UpdateService) against one `docker service …`.
 */
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import {
  CreateServiceCommand,
  DeleteServiceCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  UpdateServiceCommand,
  waitUntilServicesInactive,
  waitUntilServicesStable,
} from "@aws-sdk/client-ecs";
import { busyboxRoot, startDocker } from "./docker.ts";
import { filesAre } from "./files.ts";
import { pushRoot } from "./image.ts";
import { type Gantry, has, median, missing, report, startGantry, temporary } from "./support.ts";
import { swarmServices } from "./swarm.ts";

/** What is measured, on either side. Every call returns when the system has taken the order. */
export interface Services {
  create(directory: string, count: number, command: readonly string[]): Promise<void>;
  /** The same with VERSION=2 in the environment. */
  update(): Promise<void>;
  scaleToZero(): Promise<void>;
  /** Resolves when the system itself says that it is at rest with `count` tasks. */
  settled(count: number): Promise<void>;
  remove(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const rounds = 5;
const count = 20;

const script = `
f=/out/$VERSION-$(busybox cat /proc/sys/kernel/random/uuid)
trap 'busybox rm $f; exit 0' TERM
echo > $f
while :; do sleep 1000 & wait; done`;

async function gantryServices(gantry: Gantry, image: string): Promise<Services> {
  const ecs = new ECSClient({
    endpoint: gantry.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  const service = "bench";
  let made: { directory: string; command: readonly string[] } = { directory: "", command: [] };
  const define = (version: number) =>
    ecs.send(
      new RegisterTaskDefinitionCommand({
        family: "bench",
        networkMode: "bridge",
        volumes: [{ name: "out", host: { sourcePath: made.directory } }],
        containerDefinitions: [
          {
            name: "main",
            image,
            memory: 32,
            command: [...made.command],
            environment: [{ name: "VERSION", value: String(version) }],
            mountPoints: [{ sourceVolume: "out", containerPath: "/out" }],
          },
        ],
      }),
    );
  const waiting = { client: ecs, maxWaitTime: 60, minDelay: 1, maxDelay: 1 };
  return {
    async create(directory, desiredCount, command) {
      made = { directory, command };
      await define(1);
      const deploymentConfiguration = { minimumHealthyPercent: 100, maximumPercent: 200 };
      await ecs.send(new CreateServiceCommand({ serviceName: service, taskDefinition: "bench", desiredCount, deploymentConfiguration }));
    },
    async update() {
      await define(2);
      await ecs.send(new UpdateServiceCommand({ service, taskDefinition: "bench" }));
    },
    async scaleToZero() {
      await ecs.send(new UpdateServiceCommand({ service, desiredCount: 0 }));
    },
    async settled() {
      await waitUntilServicesStable(waiting, { services: [service] });
    },
    async remove() {
      await ecs.send(new DeleteServiceCommand({ service, force: true }));
      await waitUntilServicesInactive(waiting, { services: [service] });
    },
    async [Symbol.asyncDispose]() {},
  };
}

const phases = ["0 to 20 running", "rolling update of 20", "20 to 0"] as const;
const bounds = [0.4, 0.5, 0.5];

/** Milliseconds of each phase. */
async function round(services: Services, directory: string): Promise<number[]> {
  await mkdir(directory, { recursive: true });
  const has = (first: number, second: number) => (names: readonly string[]) =>
    names.filter((name) => name.startsWith("1-")).length === first && names.filter((name) => name.startsWith("2-")).length === second;
  const timed = async (wanted: (names: readonly string[]) => boolean, act: () => Promise<void>) => {
    const began = performance.now();
    const all = filesAre(directory, wanted, 90_000);
    await Promise.all([act(), all]);
    return performance.now() - began;
  };
  const up = await timed(has(count, 0), () => services.create(directory, count, ["sh", "-c", script]));
  await services.settled(count);
  const rolled = await timed(has(0, count), () => services.update());
  await services.settled(count);
  const down = await timed(has(0, 0), () => services.scaleToZero());
  await services.settled(0);
  await services.remove();
  const left = await readdir(directory);
  if (left.length > 0) throw new Error(`${left.length} processes are left, or were killed without a SIGTERM`);
  return [up, rolled, down];
}

async function main(): Promise<void> {
  if (!(await has("dockerd"))) {
    for (const phase of phases) missing(`service, ${phase}`, "docker service");
    return;
  }
  await using work = await temporary("services");
  const root = await busyboxRoot(work.path);
  await using docker = await startDocker();
  await docker.docker("import", root, "bench");
  await using swarm = await swarmServices(docker, "bench");
  await using gantry = await startGantry();
  const image = `localhost:${gantry.port}/bench:1`;
  await pushRoot(root, image, gantry);
  await using own = await gantryServices(gantry, image);
  const ours: number[][] = [];
  const theirs: number[][] = [];
  // Once unmeasured: the first pull, the first bridge.
  for (let i = -1; i < rounds; i++) {
    const our = await round(own, join(work.path, `our-${i}`));
    const their = await round(swarm, join(work.path, `their-${i}`));
    if (i < 0) continue;
    ours.push(our);
    theirs.push(their);
  }
  phases.forEach((phase, i) => {
    report({
      bench: `service, ${phase}, median of ${rounds}`,
      ours: median(ours.map((times) => times[i]!)),
      peer: median(theirs.map((times) => times[i]!)),
      peerName: "docker service",
      unit: "ms",
      bound: { most: bounds[i]! },
    });
  });
}

await main();
