import { spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, mkdirSync, openSync, closeSync, writeFileSync } from "node:fs";
import { delimiter, join, dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "#platform/log.ts";

/** A containerd of Gantry's own: everything it keeps is below `home`, so that several run side by side and one can be removed whole. */
export interface ContainerdCommand {
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly socket: string;
  readonly root: string;
  readonly state: string;
}

export class ContainerdMissing extends Error {}

/** sun_path holds 108 bytes with its end; containerd puts `.ttrpc` behind the name for a second socket. */
const longestSocket = 107 - ".ttrpc".length;

/** The directory for sockets: `<home>/run`, or one below /run named after the home where that is too long for a socket's address. */
export function socketDirectory(home: string): string {
  const own = join(home, "run");
  if (Buffer.byteLength(join(own, "containerd.sock")) <= longestSocket) return own;
  return join("/run/gantry", createHash("sha256").update(home).digest("hex").slice(0, 16));
}

/** Where a containerd of our own has its things. */
export function placesOfContainerd(home: string): { readonly root: string; readonly state: string; readonly socket: string } {
  const run = socketDirectory(home);
  return { root: join(home, "containerd", "root"), state: join(run, "containerd"), socket: join(run, "containerd.sock") };
}

/** Whatever Gantry doesn't use costs memory and start-up time: Kubernetes' interface, other snapshotters, checkpoints, tracing. */
const disabledPlugins = [
  "io.containerd.grpc.v1.cri",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.restart",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.monitor.v1.cgroups",
];

/** What a containerd of our own is told, and the directories that have to be there. */
export function containerdConfig(home: string): { readonly text: string; readonly directories: readonly string[] } {
  const { root, state, socket } = placesOfContainerd(home);
  const text = [
    "version = 2",
    `root = ${JSON.stringify(root)}`,
    `state = ${JSON.stringify(state)}`,
    `disabled_plugins = ${JSON.stringify(disabledPlugins)}`,
    "oom_score = -999",
    "",
    "[grpc]",
    `  address = ${JSON.stringify(socket)}`,
    "",
    // A removed container's files go with the next collection: soon, not after the hundredth change as by default.
    '[plugins."io.containerd.gc.v1.scheduler"]',
    "  deletion_threshold = 1",
    '  schedule_delay = "1s"',
    "",
  ].join("\n");
  return { text, directories: [home, join(home, "containerd"), dirname(socket), state] };
}

/** Writes config.toml and says how to run it; the caller spawns and supervises. */
export function containerdCommand(options: { readonly home: string; readonly binary?: string }): ContainerdCommand {
  const { root, state, socket } = placesOfContainerd(options.home);
  const { text, directories } = containerdConfig(options.home);
  for (const each of directories) mkdirSync(each, { recursive: true, mode: 0o711 });
  const config = join(options.home, "containerd", "config.toml");
  writeFileSync(config, text);
  return {
    file: findBinary(options.binary ?? "containerd"),
    args: ["--config", config, "--log-level", "warn"],
    env: {},
    socket,
    root,
    state,
  };
}

function findBinary(name: string): string {
  const places = name.includes("/")
    ? [name]
    : [...(process.env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/local/bin", "/usr/sbin"].map((place) => join(place, name));
  for (const place of places) {
    try {
      accessSync(place, constants.X_OK);
      return place;
    } catch {
      // Not there.
    }
  }
  throw new ContainerdMissing(`${name} is not installed: on Debian, apt-get install containerd runc`);
}

export interface RunningContainerd extends ContainerdCommand {
  readonly process: ChildProcess;
  /** SIGTERM, then SIGKILL after five seconds. Containers run on, held by their shims. */
  stop(): Promise<void>;
}

/** Starts it and waits until it answers, `timeoutMs` at most. Its log goes to `<home>/containerd/containerd.log`. */
export async function startContainerd(options: {
  home: string;
  binary?: string;
  log: Logger;
  timeoutMs?: number;
}): Promise<RunningContainerd> {
  const command = containerdCommand(options);
  const output = openSync(join(options.home, "containerd", "containerd.log"), "a");
  const child = spawn(command.file, command.args, { stdio: ["ignore", output, output], env: { ...process.env, ...command.env } });
  closeSync(output);
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.once("error", (error) => options.log.error({ error: error.message }, "containerd did not start"));
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill("SIGTERM");
    const late = delay(5000, "late", { ref: false });
    if ((await Promise.race([exited, late])) === "late") child.kill("SIGKILL");
    await exited;
  };
  try {
    await answering(command.socket, () => child.exitCode !== null || child.signalCode !== null, options.timeoutMs ?? 15_000);
  } catch (error) {
    await stop();
    throw error;
  }
  return { ...command, process: child, stop };
}

/** Resolves when containerd answers on `socket`; throws when `ended()` or the time is over. */
export async function answering(socket: string, ended: () => boolean, timeoutMs: number): Promise<void> {
  const until = Date.now() + timeoutMs;
  let last = "no socket";
  // Loaded here: the supervisor needs the command only, and lives in half the memory without the client.
  const { connectContainerd } = await import("./client.ts");
  while (Date.now() < until) {
    if (ended()) throw new Error("containerd ended while it started: see containerd.log");
    if (existsSync(socket)) {
      const containerd = connectContainerd({ socket, namespace: "gantry", snapshotter: "overlayfs" });
      try {
        await containerd.version.version({}, { timeoutMs: 2000 });
        return;
      } catch (error) {
        last = (error as Error).message;
      } finally {
        containerd.close();
      }
    }
    await delay(20);
  }
  throw new Error(`containerd did not answer within ${timeoutMs} ms: ${last}`);
}
