/**
 * The control plane end to end: 1,000 agents (bench/agents.ts, in processes of their own) over real websockets, and a service of theirs that goes
 * from 0 to 20,000 running tasks and back. Measured from CreateService until DescribeServices tells of 20,000 running. Server, agents and this
 * process share the machine; the store is on its disk. The server is in open mode; agents hold no telemetry connection.
 * GANTRY_BENCH_TASKS changes the number, GANTRY_BENCH_PROFILE=<directory> writes the server's CPU profile there.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { end, report, repository, type Server, startServer, usageOf } from "./support.ts";

const agents = 1000;
const agentProcesses = 2;
const tasks = Number(process.env["GANTRY_BENCH_TASKS"] ?? 20_000);
const cluster = "bench";
const service = "bench";

async function startAgents(endpoint: string): Promise<{ children: readonly ChildProcess[]; [Symbol.asyncDispose](): Promise<void> }> {
  const children = Array.from({ length: agentProcesses }, () =>
    fork(join(repository, "bench/agents.ts"), [endpoint, cluster, String(agents / agentProcesses)]),
  );
  const all = {
    children,
    async [Symbol.asyncDispose]() {
      await Promise.all(children.map(end));
    },
  };
  try {
    await Promise.all(children.map((child) => once(child, "message", { signal: AbortSignal.timeout(120_000) })));
    return all;
  } catch (error) {
    await all[Symbol.asyncDispose]();
    throw error;
  }
}

interface Measured {
  readonly seconds: number;
  readonly text: string;
}

async function measured(server: Server, work: () => Promise<void>): Promise<Measured> {
  const before = await usageOf(server.pid);
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const { cpuSeconds, peakMiB } = await usageOf(server.pid);
  const cpu = cpuSeconds - before.cpuSeconds;
  return { seconds, text: `${seconds.toFixed(1)} s, server ${cpu.toFixed(1)} s of CPU, at most ${peakMiB.toFixed(0)} MiB` };
}

async function main(): Promise<void> {
  const profile = process.env["GANTRY_BENCH_PROFILE"];
  await using server = await startServer(profile ? ["--cpu-prof", `--cpu-prof-dir=${profile}`] : []);
  const ecs = new ECSClient({
    endpoint: server.endpoint,
    region: "us-east-1",
    credentials: { accessKeyId: "test", secretAccessKey: "test" },
  });
  await ecs.send(new CreateClusterCommand({ clusterName: cluster }));
  await ecs.send(
    new RegisterTaskDefinitionCommand({
      family: "bench",
      networkMode: "bridge",
      containerDefinitions: [{ name: "main", image: "busybox", cpu: 64, memory: 128, environment: [{ name: "A", value: "b" }] }],
    }),
  );
  const began = performance.now();
  await using started = await startAgents(server.endpoint);
  const connected = (performance.now() - began) / 1000;
  process.stdout.write(`     ${agents} agents in ${agentProcesses} processes connected in ${connected.toFixed(1)} s\n`);

  /** Asks a few times a second: asking must not be what is measured. */
  const running = async (count: number) => {
    const give = performance.now() + 300_000;
    for (;;) {
      const { services } = await ecs.send(new DescribeServicesCommand({ cluster, services: [service] }));
      const now = services?.[0];
      if (now?.runningCount === count) return;
      if (performance.now() > give) {
        const events = (now?.events ?? []).slice(0, 3).map(({ message }) => message);
        throw new Error(`${now?.runningCount} of ${count} tasks run, ${now?.pendingCount} are pending: ${events.join(" ")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  };

  const up = await measured(server, async () => {
    await ecs.send(
      new CreateServiceCommand({
        cluster,
        serviceName: service,
        taskDefinition: "bench",
        desiredCount: tasks,
        placementStrategy: [
          { type: "spread", field: "attribute:ecs.availability-zone" },
          { type: "spread", field: "instanceId" },
        ],
      }),
    );
    await running(tasks);
  });
  const ofAgents = await Promise.all(started.children.map(async ({ pid = 0 }) => (await usageOf(pid)).cpuSeconds));
  process.stdout.write(
    `     0 to ${tasks}: ${up.text}; agents ${ofAgents.map((each) => each.toFixed(1)).join(" and ")} s since their start\n`,
  );
  report({
    bench: `service 0 to ${tasks} running, ${agents} agents`,
    ours: tasks / up.seconds,
    peer: undefined,
    peerName: "",
    unit: "tasks/s",
    bound: { least: 1000 },
  });
  const down = await measured(server, async () => {
    await ecs.send(new UpdateServiceCommand({ cluster, service, desiredCount: 0 }));
    await running(0);
  });
  process.stdout.write(`     ${tasks} to 0: ${down.text}; ${(tasks / down.seconds).toFixed(0)} tasks/s\n`);
}

await main();
