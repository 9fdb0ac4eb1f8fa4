import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { join } from "node:path";
import { systemClock } from "#platform/clock.ts";
import type { Config } from "#platform/config.ts";
import { loadIdentity } from "#platform/identity.ts";
import { systemRandom } from "#platform/random.ts";
import { Child, type ChildState } from "./child.ts";
import { agentCommand, agentConnected, awsClient, ownContainerd, serverAnswers, serverCommand, socketAnswers } from "./commands.ts";
import { placesOf } from "./places.ts";
import { endProcess, isAlive, nameProcess, type ProcessName } from "./processes.ts";

/** `<home>/supervisor.json`, written at each change: for `status`, and for the next supervisor when this one was killed. */
export interface SupervisorState {
  readonly supervisor: ProcessName;
  readonly port: number;
  readonly bind: string;
  readonly open: boolean;
  readonly containerdSocket: string;
  readonly ownContainerd: boolean;
  readonly phase: "starting" | "running" | "failed" | "stopping";
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

export class AlreadyRunning extends Error {}

export interface Supervisor {
  /** Resolves when all has been stopped. */
  readonly ended: Promise<void>;
  stop(): void;
}

/**
 * Starts containerd, server and agent in that order, each once the one before is ready, and keeps them running. Tasks belong to
 * containerd's shims: they run on whatever happens here.
 */
export async function supervise(config: Config, options: { containerd?: string; progress: (text: string) => void }): Promise<Supervisor> {
  const places = placesOf(config);
  const control = await takeControl(places.control);
  const identity = await loadIdentity(config.home, systemRandom);
  const own = options.containerd === undefined ? await ownContainerd(config) : undefined;
  const socket = own?.socket ?? options.containerd!;
  let phase: SupervisorState["phase"] = "starting";
  let failure: string | undefined;
  const children: Child[] = [];
  const save = () => {
    const state: SupervisorState = {
      supervisor: nameProcess(process.pid),
      port: config.port,
      bind: config.bind,
      open: config.open,
      containerdSocket: socket,
      ownContainerd: own !== undefined,
      phase,
      failure,
      children: Object.fromEntries(children.map((child) => [child.name, child.state])),
    };
    writeFileSync(`${places.state}.new`, JSON.stringify(state, undefined, 2), { mode: 0o600 });
    renameSync(`${places.state}.new`, places.state);
  };
  await endLeftovers(readState(config.home), options.progress);

  const ecs = awsClient(config, identity, "ecs");
  const child = (name: string, rest: Omit<ConstructorParameters<typeof Child>[0], "name" | "log" | "clock" | "changed">) =>
    new Child({ name, log: join(places.logs, `${name}.log`), clock: systemClock, changed: save, ...rest });
  if (own) {
    children.push(
      child("containerd", { command: async () => own, probe: () => socketAnswers(socket), readyTimeoutMs: 30_000, stopGraceMs: 10_000 }),
    );
  }
  const server = child("server", {
    command: async () => serverCommand(config),
    probe: async () => {
      const { pid } = await serverAnswers(config);
      if (pid !== server.state.process?.pid) throw new Error("another process answers on the port");
    },
    readyTimeoutMs: 30_000,
    stopGraceMs: 10_000,
  });
  children.push(server);
  children.push(
    child("agent", {
      command: async () => agentCommand(config, identity, socket),
      probe: async () => void (await agentConnected(config, ecs)),
      readyTimeoutMs: 60_000,
      stopGraceMs: 10_000,
    }),
  );
  save();

  let finish: () => void = () => {};
  const ended = new Promise<void>((resolve) => (finish = resolve));
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    phase = "stopping";
    save();
    for (const each of children.toReversed()) {
      options.progress(`stopping ${each.name}`);
      await each.stop();
    }
    control.server.close();
    finish();
  };
  control.onStop(() => void stop());

  try {
    for (const each of children) {
      const began = performance.now();
      options.progress(`starting ${each.name}`);
      await each.start();
      options.progress(`${each.name} is ready (${((performance.now() - began) / 1000).toFixed(1)} s)`);
    }
    phase = "running";
    save();
  } catch (error) {
    failure = (error as Error).message;
    phase = "failed";
    save();
    await stop();
    phase = "failed";
    save();
    throw error;
  }
  return { ended, stop: () => void stop() };
}

/** Server, agent and containerd of a supervisor that was killed: known by number and start time, never by name. */
async function endLeftovers(state: SupervisorState | undefined, progress: (text: string) => void): Promise<void> {
  if (!state || isAlive(state.supervisor)) return;
  for (const [name, { process: left }] of Object.entries(state.children).toReversed()) {
    if (!left || !isAlive(left)) continue;
    progress(`ending the ${name} that a killed supervisor left behind (pid ${left.pid})`);
    await endProcess(left, 10_000);
  }
}

/** The abstract socket is the lock: the kernel gives it to one process and takes it back when that process ends. */
function takeControl(path: string): Promise<{ server: Server; onStop: (action: () => void) => void }> {
  return new Promise((resolve, reject) => {
    let action = () => {};
    const server = createServer((connection) => {
      connection.on("error", () => connection.destroy());
      connection.on("data", (data) => {
        if (data.toString() === "stop") action();
      });
    });
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new AlreadyRunning("this Gantry is already running") : error),
    );
    server.listen(path, () => {
      server.unref();
      resolve({ server, onStop: (next) => (action = next) });
    });
  });
}

/** Asks the running supervisor to stop and waits until it is gone. False: none was running. */
export function askToStop(config: Config): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = createConnection(placesOf(config).control);
    let connected = false;
    connection.once("connect", () => {
      connected = true;
      connection.write("stop");
    });
    connection.once("error", () => resolve(connected));
    connection.once("close", () => resolve(connected));
  });
}

/** Whether a supervisor of this home is running. */
export function isSupervised(config: Config): Promise<boolean> {
  return socketAnswers(placesOf(config).control).then(
    () => true,
    () => false,
  );
}
