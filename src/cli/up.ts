import { spawn } from "node:child_process";
import { closeSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "#platform/config.ts";
import { endpointOf } from "./commands.ts";
import { lastLines, openLog } from "./log-file.ts";
import { placesOf } from "./places.ts";
import { listenerOf } from "./processes.ts";
import { AlreadyRunning, isSupervised, readState, supervise } from "./supervisor.ts";

export interface UpOptions {
  readonly detach: boolean;
  readonly containerd: string | undefined;
}

const say = (text: string) => void process.stderr.write(`gantry: ${text}\n`);

/** `gantry up`: returns the exit code. In the foreground it returns when all has been stopped. */
export async function up(config: Config, options: UpOptions): Promise<number> {
  if (process.getuid?.() !== 0) {
    say("containers need root: run this as root");
    return 1;
  }
  await mkdir(config.home, { recursive: true, mode: 0o700 });
  if (await isSupervised(config)) {
    say(`already running at ${endpointOf(config)} (home ${config.home}); ./gantry status says how it is, ./gantry down stops it`);
    return 0;
  }
  return options.detach ? detached(config, options) : foreground(config, options);
}

async function foreground(config: Config, options: UpOptions): Promise<number> {
  const leftover = readState(config.home)?.children.server?.process;
  const taken = await listenerOf(config.port);
  if (taken && !(leftover && taken.includes(`(pid ${leftover.pid})`))) {
    say(`port ${config.port} is taken by ${taken}. Stop it, or choose another: GANTRY_PORT=4567 ./gantry up`);
    return 1;
  }
  try {
    const supervisor = await supervise(config, { containerd: options.containerd, progress: say });
    process.on("SIGINT", () => supervisor.stop());
    process.on("SIGTERM", () => supervisor.stop());
    process.on("SIGHUP", () => supervisor.stop());
    say(`ready at ${endpointOf(config)}. In another shell: eval "$(./gantry env)"`);
    await supervisor.ended;
    return 0;
  } catch (error) {
    say((error as Error).message);
    if (!(error instanceof AlreadyRunning)) say(`logs are in ${placesOf(config).logs}`);
    return 1;
  }
}

async function detached(config: Config, options: UpOptions): Promise<number> {
  const log = join(placesOf(config).logs, "supervisor.log");
  const output = openLog(log);
  const args = [...process.execArgv, process.argv[1]!, "up", ...(options.containerd ? ["--containerd", options.containerd] : [])];
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ["ignore", output, output],
    env: { ...process.env, GANTRY_OPEN: config.open ? "1" : "" },
  });
  closeSync(output);
  let code: number | undefined;
  child.once("exit", (status) => (code = status ?? 1));
  child.once("error", () => (code = 1));
  let shown = "";
  for (;;) {
    const state = readState(config.home);
    const mine = state?.supervisor.pid === child.pid ? state : undefined;
    const waiting = mine && Object.entries(mine.children).find(([, each]) => !each.ready)?.[0];
    if (waiting && waiting !== shown) {
      say(`starting ${waiting}`);
      shown = waiting;
    }
    if (mine?.phase === "running") break;
    if (code !== undefined) {
      for (const line of lastLines(log, 12)) process.stderr.write(`${line}\n`);
      return 1;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  child.unref();
  say(`running in the background at ${endpointOf(config)}. Next: eval "$(./gantry env)"`);
  return 0;
}
