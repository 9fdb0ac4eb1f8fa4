import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, readFile, readlink, rm, rmdir, symlink } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";

const run = promisify(execFile);
const script = new URL("disk.sh", import.meta.url).pathname;

/**
 * Disks of tasks: an ext4 file system of exactly the size asked for, in a sparse file, mounted through a loop device. What a task writes, in its containers' roots, its volumes and
 * its images' volumes, lies there and nowhere else: full, it says ENOSPC to this task only.
 *
 *     <home>/storage/disks/<random>.img   the file       <home>/storage/disks/<random>/   where it is mounted
 *     <home>/storage/tasks/<task>         a link to that directory: whose disk it is
 *
 * Nothing else is remembered: after a crash the links and the kernel's list of mounts are the truth. One disk more than is used stands ready, of the size that was asked for
 * last, once any was.
 */
export interface TaskStorage {
  /** Directory of the task's disk, made if it isn't there. A disk that lost its mount (the machine was restarted) is made anew, empty. `gib` is ignored for one that is there. */
  ensure(task: string, gib: number): Promise<string>;
  /** No error when it has none. What still uses it keeps it until it ends. */
  remove(task: string): Promise<void>;
  /** After a restart: disks of tasks that are not in `tasks` are removed. */
  reconcile(tasks: ReadonlySet<string>): Promise<void>;
  /** Removes everything, disks of running tasks too. */
  tearDown(): Promise<void>;
}

/** The next disk is made when the starts of the moment are over: it must not cost them anything. */
const spareAfterMs = 1000;

export function createTaskStorage(options: { readonly home: string; readonly clock: Clock; readonly log: Logger }): TaskStorage {
  const { home, clock, log } = options;
  const disks = join(home, "storage", "disks");
  const tasks = join(home, "storage", "tasks");
  const making = new Map<string, Promise<string>>();
  let spare: { readonly gib: number; readonly disk: Promise<string | undefined> } | undefined;
  let closed = false;
  let cancelSpare = () => {};

  const makeDisk = async (gib: number): Promise<string> => {
    await mkdir(disks, { recursive: true, mode: 0o711 });
    const disk = join(disks, randomBytes(8).toString("hex"));
    try {
      await run("sh", [script, `${disk}.img`, disk, String(gib)], { timeout: 60_000, killSignal: "SIGKILL" });
    } catch (error) {
      await removeDisk(disk).catch(() => {});
      const { stderr = "", message } = error as Error & { stderr?: string };
      throw new Error(`a disk of ${gib} GiB for the task could not be made: ${stderr.trim() || message}`, { cause: error });
    }
    return disk;
  };

  const prepareSpare = (gib: number): void => {
    cancelSpare();
    cancelSpare = clock.after(spareAfterMs, () => {
      if (closed || spare) return;
      const disk = makeDisk(gib).catch((error: unknown) => {
        log.warn({ err: error }, "no disk could be made in advance");
        return undefined;
      });
      spare = { gib, disk };
    });
  };

  const takeSpare = async (gib: number): Promise<string | undefined> => {
    const taken = spare;
    spare = undefined;
    if (!taken) return undefined;
    const disk = await taken.disk;
    if (!disk || taken.gib === gib) return disk;
    await removeDisk(disk);
    return undefined;
  };

  const ensure = async (task: string, gib: number): Promise<string> => {
    const link = join(tasks, task);
    const known = await readlink(link).catch(() => undefined);
    if (known) {
      if ((await mountsBelow(disks)).has(known)) return known;
      await removeDisk(known);
      await rm(link, { force: true });
    }
    const disk = (await takeSpare(gib)) ?? (await makeDisk(gib));
    await mkdir(tasks, { recursive: true, mode: 0o711 });
    await symlink(disk, link);
    prepareSpare(gib);
    return disk;
  };

  const remove = async (task: string): Promise<void> => {
    await making.get(task)?.catch(() => {});
    const link = join(tasks, task);
    const disk = await readlink(link).catch(() => undefined);
    if (!disk) return;
    await removeDisk(disk);
    await rm(link, { force: true });
  };

  const reconcile = async (known: ReadonlySet<string>): Promise<void> => {
    const kept = new Set<string>();
    for (const task of await list(tasks)) {
      if (known.has(task)) kept.add(await readlink(join(tasks, task)));
      else await remove(task);
    }
    const own = await spare?.disk;
    if (own) kept.add(own);
    const found = new Set((await list(disks)).map((name) => join(disks, name.replace(/\.img$/, ""))));
    for (const disk of found) if (!kept.has(disk)) await removeDisk(disk);
  };

  return {
    ensure(task, gib) {
      if (!/^[\w.-]+$/.test(task)) return Promise.reject(new Error(`not a task's name: ${task}`));
      let work = making.get(task);
      if (!work) {
        work = ensure(task, gib).finally(() => making.delete(task));
        making.set(task, work);
      }
      return work;
    },
    remove,
    reconcile,
    async tearDown() {
      closed = true;
      cancelSpare();
      await spare?.disk;
      spare = undefined;
      await reconcile(new Set());
      await rm(join(home, "storage"), { recursive: true, force: true });
    },
  };
}

/** Mount, device, file, in this order. A mount that is still in use goes when its last user does. */
async function removeDisk(disk: string): Promise<void> {
  const file = `${disk}.img`;
  for (let attempt = 0; (await mountsBelow(disk)).size > 0; attempt++) {
    if (attempt > 5) throw new Error(`${disk} cannot be unmounted`);
    await run("umount", attempt === 0 ? ["--", disk] : ["--lazy", "--", disk], { timeout: 20_000 }).catch(() => {});
  }
  // A crash between the device's making and its mount: nothing else would let go of it.
  for (const device of await loopsOf(file)) await run("losetup", ["--detach", device], { timeout: 20_000 }).catch(() => {});
  await rm(file, { force: true });
  await rmdir(disk).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
}

/** Loop devices over a file, or over any file below a directory that ends with a slash. */
export async function loopsOf(path: string): Promise<string[]> {
  const found: string[] = [];
  for (const name of await list("/sys/block")) {
    if (!name.startsWith("loop")) continue;
    const backing = (await readFile(`/sys/block/${name}/loop/backing_file`, "utf8").catch(() => "")).trimEnd();
    if (backing === path || (path.endsWith("/") && backing.startsWith(path))) found.push(`/dev/${name}`);
  }
  return found;
}

async function mountsBelow(directory: string): Promise<Set<string>> {
  const found = new Set<string>();
  for (const line of (await readFile("/proc/self/mountinfo", "utf8")).split("\n")) {
    const point = line.split(" ")[4]?.replace(/\\([0-7]{3})/g, (_all, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
    if (point === directory || point?.startsWith(`${directory}/`)) found.add(point);
  }
  return found;
}

const list = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);
