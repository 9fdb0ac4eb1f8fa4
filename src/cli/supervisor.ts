import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import { Child, type ChildState, type Part } from "./child.ts";
import { takeLock } from "#platform/file-lock.ts";
import { placesOf } from "./places.ts";
import { endProcess, isAlive, nameProcess, type ProcessName } from "./processes.ts";

/** `<home>/supervisor.json`, written at each change: for `status` and `down`, and for the next supervisor when this one was killed. */
export interface SupervisorState {
  readonly supervisor: ProcessName;
  readonly port: number;
  readonly bind: string;
  readonly open: boolean;
  readonly tls?: Config["tls"];
  readonly containerdSocket: string;
  readonly ownContainerd: boolean;
  readonly phase: "starting" | "running" | "failed" | "stopping" | "stopped";
  readonly failure?: string;
  readonly children: Readonly<Record<string, ChildState>>;
}

export function readState(home: string): SupervisorState | undefined {
  try {
    return JSON.parse(readFileSync(placesOf({ home }).state, "utf8")) as SupervisorState;
  } catch {
    return undefined;
  }
}

/** The state of a supervisor that lives, or undefined. */
export function runningState(home: string): SupervisorState | undefined {
  const state = readState(home);
  return state && isAlive(state.supervisor) ? state : undefined;
}

/** Where this home's Gantry really listens: whoever started it may have been told another port than who asks now. */
export function effectiveConfig(config: Config): Config {
  const running = runningState(config.home);
  return running ? { ...config, port: running.port, bind: running.bind, open: running.open, tls: running.tls } : config;
}

export class AlreadyRunning extends Error {}

export interface SuperviseOptions {
  readonly config: Pick<Config, "home" | "port" | "bind" | "open" | "tls">;
  readonly containerd: { readonly socket: string; readonly own: boolean };
  /** Started in this order, each once the one before is ready; stopped in the opposite one. */
  readonly parts: readonly Part[];
  readonly progress: (text: string) => void;
  readonly ready: () => void;
  /** Stops everything. */
  readonly signal: AbortSignal;
}

/**
 * Keeps the parts running until the signal, then resolves when all are gone. Rejects when one could not be started; the others are
 * stopped then. Tasks belong to containerd's shims: they run on whatever happens here.
 */
export async function supervise({ config, containerd, parts, progress, ready, signal }: SuperviseOptions): Promise<void> {
  const places = placesOf(config);
  const lock = takeLock(places.lock);
  if (!lock) throw new AlreadyRunning(`another supervisor runs on ${config.home}`);
  // While all children wait to be started again, nothing else keeps this process alive.
  const alive = setInterval(() => {}, 1 << 30);
  let phase: SupervisorState["phase"] = "starting";
  let failure: string | undefined;
  let children: readonly Child[] = [];
  const save = () => {
    const state: SupervisorState = {
      supervisor: nameProcess(process.pid),
      port: config.port,
      bind: config.bind,
      open: config.open,
      ...(config.tls ? { tls: config.tls } : {}),
      containerdSocket: containerd.socket,
      ownContainerd: containerd.own,
      phase,
      failure,
      children: Object.fromEntries(children.map((child) => [child.name, child.state])),
    };
    writeFileSync(`${places.state}.new`, JSON.stringify(state, undefined, 2), { mode: 0o600 });
    renameSync(`${places.state}.new`, places.state);
  };
  const enter = (next: SupervisorState["phase"]) => {
    phase = next;
    save();
  };
  try {
    await endLeftovers(config.home, progress);
    children = parts.map(
      (part) => new Child({ ...part, log: join(places.logs, `${part.name}.log`), clock: systemClock, changed: save, progress }),
    );
    save();
    for (const child of children) {
      const began = performance.now();
      progress(`starting ${child.name}`);
      await startUnlessStopped(child, signal);
      if (signal.aborted) break;
      progress(`${child.name} is ready (${((performance.now() - began) / 1000).toFixed(1)} s)`);
    }
    if (!signal.aborted) {
      enter("running");
      ready();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    enter("stopping");
  } catch (error) {
    failure = (error as Error).message;
    enter("failed");
    throw error;
  } finally {
    for (const child of children.toReversed()) {
      if (child.state.process) progress(`stopping ${child.name}`);
      await child.stop();
    }
    enter(failure === undefined ? "stopped" : "failed");
    clearInterval(alive);
    lock.release();
  }
}

async function startUnlessStopped(child: Child, signal: AbortSignal): Promise<void> {
  const stop = () => void child.stop();
  signal.addEventListener("abort", stop, { once: true });
  try {
    if (!signal.aborted) await child.start();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Ends server, agent and containerd of a supervisor that was killed: known by number and start time, never by name. Call with the lock held, or none to take it. */
export async function endLeftovers(home: string, progress: (text: string) => void): Promise<void> {
  const state = readState(home);
  if (!state || (isAlive(state.supervisor) && state.supervisor.pid !== process.pid)) return;
  for (const [name, { process: left }] of Object.entries(state.children).toReversed()) {
    if (!left || !isAlive(left)) continue;
    progress(`ending the ${name} that a killed supervisor left behind (pid ${left.pid})`);
    await endProcess(left, 10_000);
  }
}

/** Asks the running supervisor to stop and waits until it is gone. False: none was running. */
export async function stopSupervisor(home: string, progress: (text: string) => void): Promise<boolean> {
  const state = runningState(home);
  if (!state) return false;
  process.kill(state.supervisor.pid, "SIGTERM");
  const shown = new Set<string>();
  while (isAlive(state.supervisor)) {
    const now = readState(home);
    const standing = Object.entries(now?.children ?? {}).findLast(([, child]) => child.process);
    if (now?.phase === "stopping" && standing && !shown.has(standing[0])) {
      progress(`stopping ${standing[0]}`);
      shown.add(standing[0]);
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return true;
}
