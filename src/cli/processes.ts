import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";

/** A process told apart from a later one with the same number by when it was started: the boot, and the clock ticks since (/proc/<pid>/stat field 22). */
export interface ProcessName {
  readonly pid: number;
  readonly started: string;
}

const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8);

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : `${boot}-${fields[19]}`;
  } catch {
    return undefined;
  }
}

export function nameProcess(pid: number): ProcessName {
  return { pid, started: startTime(pid) ?? "" };
}

export function isAlive({ pid, started }: ProcessName): boolean {
  return started !== "" && startTime(pid) === started;
}

/** SIGTERM, then SIGKILL after `graceMs`. Resolves when the process is gone. */
export async function endProcess(process_: ProcessName, graceMs: number): Promise<void> {
  const deadline = Date.now() + graceMs;
  let killed = false;
  send(process_, "SIGTERM");
  while (isAlive(process_)) {
    if (!killed && Date.now() > deadline) {
      send(process_, "SIGKILL");
      killed = true;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function send(process_: ProcessName, signal: NodeJS.Signals): void {
  if (!isAlive(process_)) return;
  try {
    process.kill(process_.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Who listens on a TCP port of this machine: `name (pid)`, or undefined. Reads /proc only. */
export async function listenerOf(port: number): Promise<string | undefined> {
  const { readdir, readlink } = await import("node:fs/promises");
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  const inodes = new Set<string>();
  for (const file of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const lines = (await readFile(file, "utf8").catch(() => "")).split("\n").slice(1);
    for (const line of lines) {
      const fields = line.trim().split(/\s+/);
      if (fields[1]?.endsWith(`:${hex}`) && fields[3] === "0A") inodes.add(fields[9] ?? "");
    }
  }
  if (inodes.size === 0) return undefined;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
      const inode = /^socket:\[(\d+)\]$/.exec(target)?.[1];
      if (inode && inodes.has(inode)) return `${(await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "?")).trim()} (pid ${pid})`;
    }
  }
  return "a process of another network namespace or user";
}
