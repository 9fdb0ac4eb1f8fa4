/**
 * HAProxy's processes, each ours by its pid and its start time. A reload is a second process that takes the listening sockets over from the first
 * (`-x`) and then asks it to end what it has begun (`-sf`): no master process, nothing that a restart of ours would lose.
 */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, rmSync, statSync, truncateSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Clock } from "#platform/clock.ts";
import { sleep } from "#platform/clock.ts";
import { ask } from "./runtime-socket.ts";

export interface Process {
  readonly pid: number;
  /** In clock ticks since the machine's start (`/proc/<pid>/stat`): a pid alone may be another's by now. */
  readonly started: string;
  readonly socket: string;
  /** The namespace it was started in, by its inode. */
  readonly namespace: string | undefined;
}

export function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

export const isAlive = ({ pid, started }: Process) => startTime(pid) === started;

export function signal(process_: Process, name: NodeJS.Signals): void {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, name);
  } catch {
    // Gone meanwhile.
  }
}

export class HaproxyFailed extends Error {}

export interface StartOptions {
  readonly binary: string;
  readonly configuration: string;
  readonly socket: string;
  readonly logFile: string;
  /** Below /run/netns; it must exist. */
  readonly namespace: { readonly name: string; readonly inode: string } | undefined;
  readonly previous: Process | undefined;
  readonly clock: Clock;
  /** Inherited as descriptors 3 and 4. */
  readonly logs: readonly [events: number, access: number];
  readonly onExit: (process: Process, how: string) => void;
}

/** Resolves when the new process serves and the previous one has been told; throws with HAProxy's own words, and then the previous one serves on. */
export async function start(options: StartOptions): Promise<Process> {
  const { namespace, previous, socket, logFile } = options;
  const args = ["-db", "-f", options.configuration];
  if (previous && isAlive(previous)) args.push("-x", previous.socket, "-sf", String(previous.pid));
  const [file, all] = namespace ? ["nsenter", [`--net=/run/netns/${namespace.name}`, options.binary, ...args]] : [options.binary, args];
  rmSync(logFile, { force: true });
  const log = openSync(logFile, "a", 0o600);
  const child = spawn(file, all, { stdio: ["ignore", log, log, ...options.logs], detached: true });
  closeSync(log);
  child.unref();
  let ended: string | undefined;
  child.once("error", (error) => (ended ??= error.message));
  const started = (child.pid !== undefined && startTime(child.pid)) || "";
  const started_: Process = { pid: child.pid ?? 0, started, socket, namespace: namespace?.inode };
  child.once("exit", (code, by) => {
    ended ??= by ?? `status ${code}`;
    if (ready) options.onExit(started_, ended);
  });
  let ready = false;
  const deadline = options.clock.now() + 15_000;
  while (ended === undefined) {
    try {
      if ((await ask(socket, "show version", 1000)).includes(".")) {
        ready = true;
        if (ended === undefined) {
          if (previous) await silent(previous, options.clock);
          return started_;
        }
        break;
      }
    } catch {
      // Not yet.
    }
    if (options.clock.now() > deadline) {
      signal(started_, "SIGKILL");
      ended = "no answer within 15 s";
    } else await sleep(options.clock, 4);
  }
  throw new HaproxyFailed(`HAProxy did not start (${ended}): ${await alerts(logFile)}`);
}

/** The old process accepts no more once it has closed its own socket: from then on every new connection is the new one's. */
async function silent(previous: Process, clock: Clock): Promise<void> {
  for (let waited = 0; waited < 2000 && isAlive(previous); waited += 2) {
    if (
      await ask(previous.socket, "show version", 1000).then(
        () => false,
        () => true,
      )
    )
      return;
    await sleep(clock, 2);
  }
}

async function alerts(logFile: string): Promise<string> {
  const lines = (await readFile(logFile, "utf8").catch(() => "")).split("\n").filter((line) => line.includes("[ALERT]"));
  return lines.join("; ").slice(0, 2000);
}

/** HAProxy writes down every change of a server's state there, and we hear of it anyway: cut before it grows large. */
export function trimLog(logFile: string): void {
  if ((statSync(logFile, { throwIfNoEntry: false })?.size ?? 0) > 1_000_000) truncateSync(logFile);
}

/** SIGTERM, then SIGKILL after two seconds; connections end with it. */
export async function end(process_: Process, clock: Clock): Promise<void> {
  signal(process_, "SIGTERM");
  for (let waited = 0; isAlive(process_) && waited < 5000; waited += 10) {
    if (waited === 2000) signal(process_, "SIGKILL");
    await sleep(clock, 10);
  }
}
