import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { join, posix } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { detectHierarchy, directoriesOf, directoryOf } from "./hierarchy.ts";

/**
 * A task's own cgroup, parent of those of its containers: `/gantry-<instance>/<task>`. The task's limits stand here, the containers' beneath.
 * Nothing is remembered: what a crash left is found and removed by path.
 */
export interface TaskCgroup {
  /** Absolute within each hierarchy: `/gantry-1f3a/0d2c…`. */
  readonly parent: string;
  /** In vCPU, 0.25 = a quarter of a core. Limits that are undefined stay as they are; a new cgroup has none. */
  readonly cpuLimit?: number;
  readonly memoryMiB?: number;
  /** Processes and threads. */
  readonly pids?: number;
  /** Processes stand in it, who make what lies beneath: on version 2 its controllers are not handed down. */
  readonly leaf?: boolean;
}

const period = 100_000;

/** Makes the cgroup with its limits, or sets the limits of one that is there. */
export async function createTaskCgroup(
  { parent, cpuLimit, memoryMiB, pids, leaf = false }: TaskCgroup,
  hierarchy = detectHierarchy(),
): Promise<void> {
  checkPath(parent);
  if (hierarchy.version === 2) await makeUnified(hierarchy.root, parent, leaf);
  else for (const [controller, root] of hierarchy.controllers) await makeLegacy(controller, root, parent);

  const quota = cpuLimit === undefined ? undefined : Math.max(1000, Math.round(cpuLimit * period));
  const bytes = memoryMiB === undefined ? undefined : memoryMiB * 1024 * 1024;
  const cpu = directoryOf(hierarchy, "cpu", parent);
  const memory = directoryOf(hierarchy, "memory", parent);
  const processes = directoryOf(hierarchy, "pids", parent);
  if (processes && pids !== undefined) await writeFile(join(processes, "pids.max"), String(pids));
  if (hierarchy.version === 2) {
    if (quota !== undefined) await writeFile(join(cpu!, "cpu.max"), `${quota} ${period}`);
    if (bytes !== undefined) await writeFile(join(memory!, "memory.max"), String(bytes));
    return;
  }
  if (cpu && quota !== undefined) {
    await writeFile(join(cpu, "cpu.cfs_period_us"), String(period));
    await writeFile(join(cpu, "cpu.cfs_quota_us"), String(quota));
  }
  if (memory && bytes !== undefined) await writeFile(join(memory, "memory.limit_in_bytes"), String(bytes));
}

/** Removes the cgroup and all beneath it. What still runs inside keeps it: that is an error. No error when it is gone already. */
export async function removeTaskCgroup(parent: string, hierarchy = detectHierarchy()): Promise<void> {
  checkPath(parent);
  for (const directory of directoriesOf(hierarchy, parent)) await removeTree(directory);
}

/** The processes in the cgroup and all beneath it. */
export async function cgroupProcesses(path: string, hierarchy = detectHierarchy()): Promise<number[]> {
  checkPath(path);
  const found = new Set<number>();
  for (const directory of directoriesOf(hierarchy, path)) {
    for (const cgroup of await tree(directory)) {
      const text = await readFile(join(cgroup, "cgroup.procs"), "utf8").catch(() => "");
      for (const line of text.split("\n")) if (line !== "") found.add(Number(line));
    }
  }
  return [...found];
}

/** For `down --all`: ends every process below `/gantry-<instance>` and removes the whole tree. Returns how many processes it had to kill. */
export async function removeInstanceCgroup(path: string, hierarchy = detectHierarchy()): Promise<number> {
  const killed = new Set<number>();
  for (let attempt = 0; attempt < 50; attempt++) {
    const processes = await cgroupProcesses(path, hierarchy);
    if (processes.length === 0) break;
    for (const pid of processes) {
      killed.add(pid);
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
    await delay(20);
  }
  await removeTaskCgroup(path, hierarchy);
  return killed.size;
}

function checkPath(path: string): void {
  if (!path.startsWith("/") || path.endsWith("/") || posix.normalize(path) !== path) throw new Error(`not a cgroup of a task: ${path}`);
}

/** On version 1 a new cpuset has no processors and no memory nodes, and takes no process: filled from its parent, level by level. */
async function makeLegacy(controller: string, root: string, path: string): Promise<void> {
  let directory = root;
  for (const part of path.split("/").filter(Boolean)) {
    const above = directory;
    directory = join(directory, part);
    await mkdir(directory, { recursive: true });
    if (controller !== "cpuset") continue;
    for (const file of ["cpuset.cpus", "cpuset.mems"]) {
      const current = await readFile(join(directory, file), "utf8");
      if (current.trim() === "") await writeFile(join(directory, file), await readFile(join(above, file), "utf8"));
    }
  }
}

/** On version 2 a cgroup's controllers are those its parent hands down. */
async function makeUnified(root: string, path: string, leaf: boolean): Promise<void> {
  let directory = root;
  const parts = path.split("/").filter(Boolean);
  for (const part of parts) {
    const available = (await readFile(join(directory, "cgroup.controllers"), "utf8")).trim().split(/\s+/);
    const wanted = available.filter((name) => ["cpu", "cpuset", "memory", "pids", "io"].includes(name)).map((name) => `+${name}`);
    // One at a time: a controller that is refused must not keep back the others.
    for (const name of wanted) await writeFile(join(directory, "cgroup.subtree_control"), name).catch(() => undefined);
    directory = join(directory, part);
    await mkdir(directory, { recursive: true });
  }
  if (leaf) return;
  // The containers' cgroups lie beneath the last one.
  const available = (await readFile(join(directory, "cgroup.controllers"), "utf8")).trim().split(/\s+/).filter(Boolean);
  for (const name of available) await writeFile(join(directory, "cgroup.subtree_control"), `+${name}`).catch(() => undefined);
}

async function tree(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const below = await Promise.all(entries.filter((entry) => entry.isDirectory()).map((entry) => tree(join(directory, entry.name))));
  return [...below.flat(), directory];
}

async function removeTree(directory: string): Promise<void> {
  // Deepest first. A cgroup whose last process has just ended stays busy for a moment.
  for (const cgroup of await tree(directory)) {
    for (let attempt = 0; ; attempt++) {
      try {
        await rmdir(cgroup);
        break;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code === "ENOENT") break;
        if (code !== "EBUSY" || attempt >= 20) throw error;
        await delay(10);
      }
    }
  }
}
