import { statfs } from "node:fs/promises";
import { join } from "node:path";
import { announcedIsolation } from "#agent/sandbox/isolation.ts";
import { type Config, isLoopback } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { agentConnected } from "./agent-connected.ts";
import { awsClient, endpointOf, openWire, serverAnswers } from "./commands.ts";
import { machineConnected } from "./join/parts.ts";
import { type Joined, readJoined } from "./join/state.ts";
import { lastLines } from "./log-file.ts";
import { placesOf } from "./places.ts";
import { isAlive, listenerOf } from "./processes.ts";
import { machineProblems } from "./machine.ts";
import { readState, type SupervisorState } from "./supervisor.ts";
import type { ChildState } from "./child.ts";

export interface Part {
  readonly name: string;
  readonly ok: boolean;
  readonly pid?: number;
  readonly detail: string;
  /** Why it is down, and what to do. */
  readonly problem?: string;
}

export interface Status {
  readonly ok: boolean;
  readonly endpoint: string;
  readonly home: string;
  readonly parts: readonly Part[];
}

/** What a person types first when something is wrong: each part, whether it is up, and if not, why. Works whatever runs or doesn't. */
export async function status(config: Config): Promise<Status> {
  const state = readState(config.home);
  const alive = state !== undefined && isAlive(state.supervisor);
  const parts: Part[] = [await supervisorPart(config, state)];
  for (const [name, child] of Object.entries(state?.children ?? {})) {
    if (alive) parts.push(childPart(config, name, child));
    else if (child.process && isAlive(child.process)) {
      const problem = "its supervisor was killed; ./gantry up takes over, ./gantry down ends it";
      parts.push({ name, ok: false, pid: child.process.pid, detail: "runs on by itself", problem });
    }
  }
  const joined = readJoined(config.home);
  if (joined) {
    parts.push(await joinedPart(config, joined), await machinePart(), await diskPart(config));
    return { ok: parts.every((part) => part.ok), endpoint: joined.urls[0]!, home: config.home, parts };
  }
  const server = state?.children.server?.process;
  if (server && isAlive(server)) {
    const answer = await serverAnswers(config).catch((error: Error) => error);
    if (answer instanceof Error)
      parts.push({ name: "api", ok: false, detail: endpointOf(config), problem: `does not answer: ${reason(answer)}` });
    else {
      for (const { name, detail, problem } of answer.parts)
        parts.push({ name, ok: problem === undefined, detail, ...(problem === undefined ? {} : { problem }) });
      parts.push(await instancePart(config));
    }
  }
  parts.push(...fargatePart(config), await machinePart(), await diskPart(config));
  return { ok: parts.every((part) => part.ok), endpoint: endpointOf(config), home: config.home, parts };
}

/** By the server's word, not this machine's. */
async function joinedPart(config: Config, joined: Joined): Promise<Part> {
  const name = "container instance";
  const where = `cluster ${joined.cluster} of ${joined.urls[0]}, as ${joined.machine}`;
  try {
    const { instance, tasks, running } = await machineConnected(config.home, joined);
    return {
      name,
      ok: true,
      detail: `${instance!.status}, agent connected, ${running} running and ${tasks - running} pending tasks, ${where}`,
    };
  } catch (error) {
    return { name, ok: false, detail: where, problem: reason(error as Error) };
  }
}

async function supervisorPart(config: Config, state: SupervisorState | undefined): Promise<Part> {
  const name = "supervisor";
  if (state && isAlive(state.supervisor)) {
    const wire = state.tls || readJoined(config.home) || isLoopback(state.bind) ? "" : `. ${openWire(state)}`;
    const detail = `${state.phase}${wire}${state.open ? ", open mode: any credentials" : ""}`;
    return { name, ok: state.phase === "running", pid: state.supervisor.pid, detail, ...(state.failure ? { problem: state.failure } : {}) };
  }
  const taken = readJoined(config.home) ? undefined : await listenerOf(config.port);
  const lines = [
    state === undefined ? `never started with this home (GANTRY_HOME is ${config.home})` : whyGone(state),
    "start it: ./gantry up --detach",
    ...(taken && !taken.includes(`(pid ${state?.children.server?.process?.pid})`) ? [`but port ${config.port} is taken by ${taken}`] : []),
  ];
  return { name, ok: false, detail: "not running", problem: lines.join("\n") };
}

function whyGone({ phase, failure }: SupervisorState): string {
  if (failure) return `it gave up: ${failure}`;
  return phase === "stopped" ? "it was stopped" : `it was killed while it was ${phase}`;
}

function childPart(config: Config, name: string, child: ChildState): Part {
  const alive = child.process !== undefined && isAlive(child.process);
  const ok = alive && child.ready;
  const restarts = child.restarts > 0 ? `, started again ${child.restarts} time${child.restarts === 1 ? "" : "s"}` : "";
  const ended = child.lastEnd && `the last time it ${child.lastEnd.reason} at ${new Date(child.lastEnd.at).toISOString()}`;
  const said = child.lastEnd?.lines ?? lastLines(join(placesOf(config).logs, `${name}.log`), 3);
  const problem = [child.waitingFor, ended, ...said.map((line) => `  ${line}`)].filter((line) => line !== undefined).join("\n");
  const detail = `${alive ? (child.ready ? "up" : "starting") : "down, being started again"}${restarts}`;
  return { name, ok, pid: child.process?.pid, detail, ...(ok ? {} : { problem: problem || "no word from it yet" }) };
}

async function machinePart(): Promise<Part> {
  const problems = await machineProblems();
  const name = "machine";
  return problems.length === 0
    ? { name, ok: true, detail: "containerd, runc, nftables, iproute2, overlay, cgroups" }
    : { name, ok: false, detail: "can't run containers", problem: problems.join("\n") };
}

/** What isolates Fargate tasks, as the agent found it. */
function fargatePart(config: Config): Part[] {
  const found = announcedIsolation(join(config.home, "agent"));
  if (!found) return [];
  const { detail, problem } = found;
  return [{ name: "fargate", ok: problem === undefined, detail, ...(problem === undefined ? {} : { problem }) }];
}

/** `fetch failed` says nothing; its cause does. */
const reason = (error: Error) => (error.cause instanceof Error ? error.cause.message : error.message);

async function instancePart(config: Config): Promise<Part> {
  const name = "container instance";
  try {
    const identity = await loadIdentity(config.home, systemRandom);
    const ecs = awsClient(config, identity, "ecs");
    const arn = await agentConnected(config, identity);
    const { containerInstances = [] } = await ecs.send<{
      containerInstances?: { status: string; runningTasksCount: number; pendingTasksCount: number }[];
    }>("DescribeContainerInstances", { cluster: config.cluster, containerInstances: [arn] });
    const [instance] = containerInstances;
    if (!instance) return { name, ok: true, detail: `agent connected, for Fargate alone, cluster ${config.cluster}` };
    return {
      name,
      ok: true,
      detail: `${instance.status}, agent connected, ${instance.runningTasksCount} running and ${instance.pendingTasksCount} pending tasks, cluster ${config.cluster}`,
    };
  } catch (error) {
    return { name, ok: false, detail: `cluster ${config.cluster}`, problem: (error as Error).message };
  }
}

async function diskPart(config: Config): Promise<Part> {
  for (let directory = config.home; ; directory = join(directory, "..")) {
    const disk = await statfs(directory).catch(() => undefined);
    if (!disk) {
      if (directory === "/") return { name: "disk", ok: false, detail: config.home, problem: "can't be read" };
      continue;
    }
    const free = disk.bavail * disk.bsize;
    const detail = `${(free / 2 ** 30).toFixed(1)} GiB free for ${config.home}`;
    return free > 512 * 2 ** 20
      ? { name: "disk", ok: true, detail }
      : { name: "disk", ok: false, detail, problem: "less than 512 MiB are free: pushes, pulls and logs will fail soon" };
  }
}

export function formatStatus({ ok, endpoint, home, parts }: Status): string {
  const width = Math.max(...parts.map((part) => part.name.length));
  const lines = parts.map(
    ({ name, ok: well, pid, detail, problem }) =>
      `${well ? "up  " : "DOWN"}  ${name.padEnd(width)}  ${detail}${pid ? ` (pid ${pid})` : ""}${problem ? `\n      ${problem.replaceAll("\n", "\n      ")}` : ""}`,
  );
  return `${ok ? "Gantry is well" : "Gantry is NOT well"} at ${endpoint}, home ${home}\n\n${lines.join("\n")}\n`;
}
