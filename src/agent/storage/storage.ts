import { mkdir, readdir, readlink, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { createDisks } from "./disks.ts";
import { mounted } from "./mounts.ts";

/**
 * Disks of tasks: an ext4 file system of exactly the size asked for, in a sparse file, mounted through a loop device. What a task writes, in its containers' roots, its volumes and
 * its images' volumes, lies there and nowhere else: full, it says ENOSPC to this task only.
 *
 *     <home>/storage/disks/<random>.img   the file       <home>/storage/disks/<random>/   where it is mounted
 *     <home>/storage/tasks/<task>         a link to that directory: whose disk it is
 *
 * Nothing else is remembered: after a crash the links and the kernel's list of mounts are the truth. A few disks more than are used stand ready, of the size that was
 * asked for last, once any was.
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

/** Disks kept ready for the next tasks. */
const spareDisks = 4;
/** The next are made when the starts of the moment are over: they must not cost them anything. */
const spareAfterMs = 2000;

export function createTaskStorage(options: { readonly home: string; readonly clock: Clock; readonly log: Logger }): TaskStorage {
  const { home, clock, log } = options;
  const directory = join(home, "storage", "disks");
  const tasks = join(home, "storage", "tasks");
  const disks = createDisks(directory);
  const making = new Map<string, Promise<string>>();
  /** Of tasks that were asked for in this life: their mounts stand. */
  const placed = new Map<string, string>();
  const spares = new Set<string>();
  let spareGib: number | undefined;
  let preparing: Promise<void> = Promise.resolve();
  let closed = false;
  let cancelSpares = () => {};

  const prepareSpares = (gib: number): void => {
    cancelSpares();
    cancelSpares = clock.after(spareAfterMs, () => {
      preparing = preparing.then(() => fill(gib)).catch((error: unknown) => log.warn({ err: error }, "no disk could be made in advance"));
    });
  };

  const fill = async (gib: number): Promise<void> => {
    if (closed) return;
    if (spareGib !== gib) {
      for (const disk of spares) {
        spares.delete(disk);
        await disks.remove(disk);
      }
    }
    spareGib = gib;
    const one = () => disks.make(gib).then((disk) => void spares.add(disk));
    const made = await Promise.allSettled(Array.from({ length: spareDisks - spares.size }, one));
    const failed = made.find((each) => each.status === "rejected");
    if (failed) throw failed.reason;
    await disks.makeDirect();
  };

  const takeSpare = (gib: number): string | undefined => {
    const [disk] = spareGib === gib ? spares : [];
    if (disk !== undefined) spares.delete(disk);
    return disk;
  };

  const ensure = async (task: string, gib: number): Promise<string> => {
    const link = join(tasks, task);
    const known = await readlink(link).catch(() => undefined);
    if (known) {
      if ((await mounted([known])).length > 0) {
        placed.set(task, known);
        return known;
      }
      await disks.remove(known);
      await rm(link, { force: true });
    }
    const disk = takeSpare(gib) ?? (await disks.make(gib));
    await mkdir(tasks, { recursive: true, mode: 0o711 });
    await symlink(disk, link);
    placed.set(task, disk);
    prepareSpares(gib);
    return disk;
  };

  const remove = async (task: string): Promise<void> => {
    await making.get(task)?.catch(() => {});
    placed.delete(task);
    const link = join(tasks, task);
    const disk = await readlink(link).catch(() => undefined);
    if (!disk) return;
    await disks.remove(disk);
    await rm(link, { force: true });
  };

  const reconcile = async (known: ReadonlySet<string>): Promise<void> => {
    const kept = new Set<string>();
    for (const task of await list(tasks)) {
      if (known.has(task)) kept.add(await readlink(join(tasks, task)));
      else await remove(task);
    }
    await preparing;
    for (const disk of spares) kept.add(disk);
    const found = new Set((await list(directory)).map((name) => join(directory, name.replace(/\.img$/, ""))));
    for (const disk of found) if (!kept.has(disk)) await disks.remove(disk);
  };

  return {
    ensure(task, gib) {
      if (!/^[\w.-]+$/.test(task)) return Promise.reject(new Error(`not a task's name: ${task}`));
      const known = placed.get(task);
      if (known !== undefined) return Promise.resolve(known);
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
      cancelSpares();
      await preparing;
      spares.clear();
      await reconcile(new Set());
      await rm(join(home, "storage"), { recursive: true, force: true });
    },
  };
}

const list = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);
