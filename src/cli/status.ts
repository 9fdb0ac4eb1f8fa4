import { statfs } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { agentConnected, awsClient, endpointOf, serverAnswers } from "./commands.ts";
import { lastLines } from "./log-file.ts";
import { placesOf } from "./places.ts";
import { isAlive, listenerOf } from "./processes.ts";
import { machineProblems } from "./machine.ts";
import { readState } from "./supervisor.ts";

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

/** What a person types first when something is wrong: each part, whether it is up, and if not, why. */
export async function status(config: Config): Promise<Status> {
  const state = readState(config.home);
  const running = state !== undefined && isAlive(state.supervisor);
  const parts: Part[] = [];
  if (running)
    parts.push({ name: "supervisor", ok: true, pid: state.supervisor.pid, detail: `${state.phase}${state.open ? ", open mode" : ""}` });
  else {
    const taken = await listenerOf(config.port);
    const why = state === undefined ? "never started here" : (state.failure ?? (state.phase === "stopping" ? "was stopped" : "was killed"));
    parts.push({
      name: "supervisor",
      ok: false,
      detail: "not running",
      problem: `${why}. Start it: ./gantry up --detach${taken ? `\n  port ${config.port} is in use by ${taken}` : ""}`,
    });
  }
  const answer = running || state ? await serverAnswers(config).catch((error: Error) => error) : undefined;
  for (const [name, child] of Object.entries(running ? state.children : {})) {
    const alive = child.process !== undefined && isAlive(child.process);
    const ok = alive && child.ready;
    const restarts = child.restarts > 0 ? `, restarted ${child.restarts} time${child.restarts === 1 ? "" : "s"}` : "";
    const said = child.lastEnd
      ? `${child.lastEnd.reason}${child.lastEnd.lines.map((line) => `\n  ${line}`).join("")}`
      : lastLines(join(placesOf(config).logs, `${name}.log`), 3).join("\n  ");
    parts.push({
      name,
      ok,
      pid: child.process?.pid,
      detail: alive ? `${child.ready ? "up" : "starting"}${restarts}` : "down",
      ...(ok ? {} : { problem: said || "no word from it yet" }),
    });
  }
  if (answer instanceof Error) {
    if (running) parts.push({ name: "api", ok: false, detail: endpointOf(config), problem: `does not answer: ${answer.message}` });
  } else if (answer) {
    for (const { name, detail, problem } of answer.parts)
      parts.push({ name, ok: problem === undefined, detail, ...(problem === undefined ? {} : { problem }) });
    parts.push(await instancePart(config));
  }
  parts.push(await diskPart(config));
  return { ok: parts.every((part) => part.ok), endpoint: endpointOf(config), home: config.home, parts };
}

async function instancePart(config: Config): Promise<Part> {
  const name = "container instance";
  try {
    const ecs = awsClient(config, await loadIdentity(config.home, systemRandom), "ecs");
    const arn = await agentConnected(config, ecs);
    const { containerInstances = [] } = await ecs.send<{
      containerInstances?: { status: string; runningTasksCount: number; pendingTasksCount: number }[];
    }>("DescribeContainerInstances", { cluster: config.cluster, containerInstances: [arn] });
    const [instance] = containerInstances;
    return {
      name,
      ok: true,
      detail: `${instance?.status}, agent connected, ${instance?.runningTasksCount} running and ${instance?.pendingTasksCount} pending tasks, cluster ${config.cluster}`,
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
