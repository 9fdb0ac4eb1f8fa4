/**
 * The control plane end to end: 1,000 agents (bench/agents.ts, in processes of their own) over real websockets, and a service of theirs that goes
 * from 0 to 20,000 running tasks and back. Server, agents and this process share the machine; the store is on its disk.
 * GANTRY_BENCH_PROFILE=<directory> writes the server's CPU profile there.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import {
  CreateClusterCommand,
  DescribeClustersCommand,
  ECSClient,
  RegisterTaskDefinitionCommand,
  RunTaskCommand,
} from "@aws-sdk/client-ecs";
import { end, report, repository, type Server, startServer, usageOf } from "./support.ts";

const agents = 1000;
const agentProcesses = 2;
const tasks = Number(process.env["GANTRY_BENCH_TASKS"] ?? 20_000);
const cluster = "bench";

async function startAgents(endpoint: string): Promise<{ children: readonly ChildProcess[]; [Symbol.asyncDispose](): Promise<void> }> {
  const children = Array.from({ length: agentProcesses }, () =>
    fork(join(repository, "bench/agents.ts"), [endpoint, cluster, String(agents / agentProcesses)]),
  );
  const ended = new AbortController();
  const all = {
    children,
    async [Symbol.asyncDispose]() {
      ended.abort();
      await Promise.all(children.map(end));
    },
  };
  try {
    await Promise.all(
      children.map((child) => once(child, "message", { signal: AbortSignal.any([ended.signal, AbortSignal.timeout(120_000)]) })),
    );
    return all;
  } catch (error) {
    await all[Symbol.asyncDispose]();
    throw error;
  }
}

/** Asks until `done`, a few times a second: asking must not be what is measured. */
async function until(done: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const began = performance.now();
  while (!(await done())) {
    if (performance.now() - began > timeoutMs) throw new Error(`not done after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

async function measured(server: Server, work: () => Promise<void>): Promise<{ seconds: number; cpu: number; peakMiB: number }> {
  const before = await usageOf(server.pid);
  const began = performance.now();
  await work();
  const seconds = (performance.now() - began) / 1000;
  const after = await usageOf(server.pid);
  return { seconds, cpu: after.cpuSeconds - before.cpuSeconds, peakMiB: after.peakMiB };
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
  await using children = await startAgents(server.endpoint);
  process.stdout.write(
    `     ${agents} agents in ${agentProcesses} processes connected in ${((performance.now() - began) / 1000).toFixed(1)} s\n`,
  );
  const running = async () => (await ecs.send(new DescribeClustersCommand({ clusters: [cluster] }))).clusters?.[0]?.runningTasksCount ?? 0;
  const up = await measured(server, async () => {
    let left = tasks;
    const some = async () => {
      while (left > 0) {
        left -= 10;
        const { failures } = await ecs.send(
          new RunTaskCommand({ cluster, taskDefinition: "bench", count: 10, placementStrategy: [{ type: "spread", field: "instanceId" }] }),
        );
        if (failures?.length) throw new Error(`not placed: ${JSON.stringify(failures[0])}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, some));
    await until(async () => (await running()) >= tasks, 300_000);
  });
  process.stdout.write(`     up: ${up.seconds.toFixed(1)} s, server ${up.cpu.toFixed(1)} s of CPU, at most ${up.peakMiB.toFixed(0)} MiB\n`);
  const agentsCpu = await Promise.all(children.children.map(async ({ pid = 0 }) => (await usageOf(pid)).cpuSeconds));
  process.stdout.write(`     agents: ${agentsCpu.map((each) => each.toFixed(1)).join(" and ")} s of CPU since their start\n`);
  report({
    bench: `service 0 to ${tasks} running, ${agents} agents`,
    ours: tasks / up.seconds,
    peer: undefined,
    peerName: "",
    unit: "tasks/s",
    bound: { least: 1000 },
  });
}

await main();
