import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { type Config, isLoopback } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { prepareTls, tlsFiles, trust } from "#platform/tls.ts";
import { renewAgentCredentials, renewEveryMs } from "./agent-credentials.ts";
import { endpointOf, openWire } from "./commands.ts";
import { lastLines, openLog, rotateLog } from "./log-file.ts";
import { machineProblems } from "./machine.ts";
import { renewMachineCredentials } from "./join/machine-credentials.ts";
import { joinedParts } from "./join/parts.ts";
import { readJoined } from "./join/state.ts";
import { partsOf } from "./parts.ts";
import { placesOf } from "./places.ts";
import { type ProcessName, isAlive, listenerOf } from "./processes.ts";
import { AlreadyRunning, readState, runningState, supervise } from "./supervisor.ts";

export interface UpOptions {
  readonly detach: boolean;
  /** Socket of an existing containerd, or undefined for one of our own. */
  readonly containerd: string | undefined;
}

const say = (text: string) => void process.stderr.write(`gantry: ${text}\n`);

/** `gantry up`: returns the exit code. In the foreground it returns when all has been stopped. */
export async function up(config: Config, options: UpOptions): Promise<number> {
  const problems = await machineProblems();
  if (process.getuid?.() !== 0) problems.unshift("containers need root: run this as root");
  for (const problem of problems) say(problem);
  if (problems.length > 0) return 1;
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  const joined = readJoined(config.home);
  if (!joined) {
    await prepareTls(config, systemRandom, Date.now());
    trust(tlsFiles(config)?.authority);
  }
  if (!joined && !config.tls && !isLoopback(config.bind)) say(openWire(config));
  const running = runningState(config.home);
  if (running) {
    if (!options.detach) {
      say(
        `already running ${joined ? `for ${joined.urls[0]}` : `at ${endpointOf({ ...running, tls: running.tls })}`} (home ${config.home}); ./gantry status says how it is, ./gantry down stops it`,
      );
      return 0;
    }
    return untilReady(config, running.supervisor, "already running");
  }
  const taken = joined ? undefined : await portProblem(config);
  if (taken) {
    say(taken);
    return 1;
  }
  return options.detach ? detached(config, options) : foreground(config, options);
}

/** Who has the port, unless it is the server of a supervisor that was killed: the new one ends that first. */
async function portProblem(config: Config): Promise<string | undefined> {
  const left = readState(config.home)?.children.server?.process;
  const taken = await listenerOf(config.port);
  if (!taken || (left && isAlive(left) && taken.includes(`(pid ${left.pid})`))) return undefined;
  return `port ${config.port} is taken by ${taken}. Stop it, or choose another port: GANTRY_PORT=${config.port + 1} ./gantry up`;
}

async function foreground(config: Config, options: UpOptions): Promise<number> {
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(name, () => stop.abort());
  try {
    const joined = readJoined(config.home);
    const identity = joined ? undefined : await loadIdentity(config.home, systemRandom);
    const { containerd, engine, server, agent } = joined
      ? await joinedParts(config, joined, options.containerd)
      : await partsOf(config, identity!, options.containerd);
    const renewal = (): Promise<unknown> =>
      joined ? renewMachineCredentials(config.home, joined) : renewAgentCredentials(config, identity!);
    const renew = setInterval(() => void renewal().catch((error: Error) => say(error.message)), renewEveryMs);
    stop.signal.addEventListener("abort", () => clearInterval(renew), { once: true });
    await supervise({
      config,
      containerd,
      parts: [engine, server, agent].filter((part) => part !== undefined),
      progress: say,
      ready: () =>
        say(
          joined
            ? `ready, in the cluster ${joined.cluster} of ${joined.urls[0]}`
            : `ready at ${endpointOf(config)}. In another shell: eval "$(./gantry env)"`,
        ),
      signal: stop.signal,
    });
    return 0;
  } catch (error) {
    say((error as Error).message);
    if (!(error instanceof AlreadyRunning)) say(`logs are in ${placesOf(config).logs}`);
    return 1;
  }
}

async function detached(config: Config, options: UpOptions): Promise<number> {
  const log = join(placesOf(config).logs, "supervisor.log");
  rotateLog(log);
  const output = openLog(log);
  const args = [
    ...process.execArgv,
    "--max-semi-space-size=1",
    "--optimize-for-size",
    process.argv[1]!,
    "up",
    ...(options.containerd ? ["--containerd", options.containerd] : []),
  ];
  const env = { ...process.env, GANTRY_HOME: config.home, GANTRY_PORT: String(config.port), GANTRY_OPEN: config.open ? "1" : "" };
  const child = spawn(process.execPath, args, { detached: true, stdio: ["ignore", output, output], env, cwd: "/" });
  closeSync(output);
  let over = false;
  child.once("exit", () => (over = true));
  child.once("error", () => (over = true));
  const began = Date.now();
  while (!over && runningState(config.home)?.supervisor.pid !== child.pid && Date.now() - began < 30_000) await pause();
  const state = readState(config.home);
  if (over || !state || state.supervisor.pid !== child.pid) return failed(config);
  child.unref();
  return untilReady(config, state.supervisor, "running in the background");
}

/** Shows what is being waited for until all is ready; 1 when the supervisor has given up, with its last words. */
async function untilReady(config: Config, supervisor: ProcessName, how: string): Promise<number> {
  let shown = "";
  for (;;) {
    const state = readState(config.home);
    if (!isAlive(supervisor) || !state || state.phase === "failed") return failed(config);
    if (state.phase === "running") break;
    const waiting = Object.entries(state.children).find(([, each]) => !each.ready);
    const text = waiting ? `${state.phase} ${waiting[0]}` : "";
    if (text !== shown && text) say(text);
    shown = text;
    await pause();
  }
  const joined = readJoined(config.home);
  say(
    joined
      ? `${how}, in the cluster ${joined.cluster} of ${joined.urls[0]} (home ${config.home})`
      : `${how} at ${endpointOf(config)} (home ${config.home}). Next: eval "$(./gantry env)"`,
  );
  return 0;
}

function failed(config: Config): number {
  const { failure } = readState(config.home) ?? {};
  const log = join(placesOf(config).logs, "supervisor.log");
  if (failure) say(failure);
  else for (const line of lastLines(log, 12)) process.stderr.write(`${line}\n`);
  say(`not started. Logs are in ${placesOf(config).logs}`);
  return 1;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 25));
