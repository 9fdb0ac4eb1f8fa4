import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, realpathSync } from "node:fs";
import { open, readFile, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cgroupProcesses, createTaskCgroup, removeInstanceCgroup } from "../cgroups/cgroups.ts";
import { detectHierarchy, directoriesOf } from "../cgroups/hierarchy.ts";

/** One instance as the kernel has it: a cgroup with its type's limits, and in it the process that holds its namespaces. Commands only; what is to be is decided in instances.ts. */
export interface MachineProcess {
  readonly pid: number;
  /** The clock ticks at which it was started, and the boot: tells it from a later process of this number. */
  readonly started: string;
}

const script = new URL("boot.sh", import.meta.url).pathname;
const source = realpathSync(new URL("../../..", import.meta.url).pathname);

/** What the instance needs of this machine beside its system directories: Gantry's own source, its packages, Node. */
export function sourcesOf(): readonly string[] {
  const modules = join(source, "node_modules");
  const found = [source];
  try {
    const real = realpathSync(modules);
    if (!real.startsWith(`${source}/`)) found.push(real);
  } catch {
    // Without packages this process would not run.
  }
  const node = realpathSync(process.execPath);
  if (!node.startsWith("/usr/")) found.push(dirname(node));
  return found;
}

export const instanceMain = join(source, "src/agent/instance/main.ts");

const bootId = () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").slice(0, 8);

function startedAt(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? undefined : `${bootId()}-${fields[19]}`;
  } catch {
    return undefined;
  }
}

export const isAlive = ({ pid, started }: MachineProcess): boolean => startedAt(pid) === started;
/** This machine was started again since: the instance did not end, it was interrupted. */
export const isOfEarlierBoot = ({ started }: MachineProcess): boolean => !started.startsWith(bootId());

export interface MachineLimits {
  readonly cgroup: string;
  readonly vcpus: number;
  readonly memoryMiB: number;
}

/** Starts the machine in its directory, whose files are written. What an interrupted start left is ended first. */
export async function startMachine(directory: string, namespace: string, limits: MachineLimits): Promise<MachineProcess> {
  const { cgroup, vcpus, memoryMiB } = limits;
  await endMachine(directory, cgroup);
  await createTaskCgroup({ parent: cgroup, cpuLimit: vcpus, memoryMiB, pids: 32_768, leaf: true });
  const hierarchy = detectHierarchy();
  const procs = directoriesOf(hierarchy, cgroup).map((each) => join(each, "cgroup.procs"));
  const output = openSync(join(directory, "console.log"), "a", 0o600);
  const child = spawn("bash", [script, "enter", namespace, procs.join(":"), directory], {
    detached: true,
    stdio: ["ignore", output, output],
    env: { PATH: process.env.PATH ?? "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C.UTF-8" },
  });
  closeSync(output);
  const pid = await new Promise<number>((resolve, reject) => {
    child.once("spawn", () => resolve(child.pid!));
    child.once("error", reject);
  });
  child.unref();
  const started = startedAt(pid);
  if (started === undefined) throw new Error("the instance's first process ended at once");
  return { pid, started };
}

/** Asks process 1 to leave, as a power button does; true when it did within `graceMs`. */
export async function shutDownMachine(machine: MachineProcess, graceMs: number): Promise<boolean> {
  if (!isAlive(machine)) return true;
  const children = await readFile(`/proc/${machine.pid}/task/${machine.pid}/children`, "utf8").catch(() => "");
  for (const child of children.trim().split(" ").filter(Boolean)) {
    try {
      process.kill(Number(child), "SIGTERM");
    } catch {
      // It left by itself.
    }
  }
  for (let waited = 0; waited < graceMs; waited += 50) {
    if (!isAlive(machine)) return true;
    await delay(50);
  }
  return false;
}

/** Ends every process of the instance; its mounts go with them. The disk stays. Safe to repeat. */
export async function endMachine(_directory: string, cgroup: string): Promise<void> {
  await removeInstanceCgroup(cgroup);
}

export async function isEmpty(cgroup: string): Promise<boolean> {
  return (await cgroupProcesses(cgroup)).length === 0;
}

/** An overlay's work directory belongs to root with no permissions; all of it is below the instance's own directory. */
export async function removeMachineFiles(directory: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await rm(directory, { recursive: true, force: true, maxRetries: 3 });
      return;
    } catch (error) {
      // The kernel lets go of a mount a moment after its last process.
      if (attempt >= 20) throw error;
      await delay(50);
    }
  }
}

const consoleBytes = 64 * 1024;

/** The end of its console: GetConsoleOutput gives 64 KiB. */
export async function readConsole(directory: string): Promise<string> {
  const file = await open(join(directory, "console.log"), "r").catch(() => undefined);
  if (!file) return "";
  try {
    const { size } = await file.stat();
    const from = Math.max(0, size - consoleBytes);
    const buffer = Buffer.alloc(size - from);
    await file.read(buffer, 0, buffer.length, from);
    return buffer.toString("utf8");
  } finally {
    await file.close();
  }
}
