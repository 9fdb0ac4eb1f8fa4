import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gather } from "../gather.ts";
import { isDirect, loopsOf, mountsBelow } from "./mounts.ts";
import { makeTemplate, writeImage, type Template } from "./template.ts";

const run = promisify(execFile);

/** Disks in one directory: `<random>.img`, mounted at `<random>`. */
export interface Disks {
  /** A new one, mounted; its directory. Many that are asked for at the same time are mounted by one process. */
  make(gib: number): Promise<string>;
  /** Their pages stand in the machine's memory once, as the task's own, and not again as the file's. It takes a process each, so not while tasks start. */
  makeDirect(): Promise<void>;
}

/** So few that a start waits for no more than a moment for those with which its own is mounted. */
const mostAtOnce = 16;

export function createDisks(directory: string): Disks {
  const templates = new Map<number, Promise<Template>>();

  const templateOf = (gib: number): Promise<Template> => {
    let template = templates.get(gib);
    if (!template) {
      template = makeTemplate(join(directory, `${randomBytes(8).toString("hex")}.img`), gib);
      templates.set(gib, template);
      template.catch(() => templates.delete(gib));
    }
    return template;
  };

  const mountAll = async (disks: readonly string[]): Promise<readonly (Error | undefined)[]> => {
    const table = join(directory, `${randomBytes(8).toString("hex")}.img`);
    await writeFile(
      table,
      disks.map((disk) => `${escape(`${disk}.img`)} ${escape(disk)} ext4 loop,noatime,discard,noinit_itable 0 0\n`).join(""),
    );
    let complaint = "";
    // By its status it says that some failed, not which.
    await run("mount", ["--all", "--fstab", table], { timeout: 60_000, killSignal: "SIGKILL" }).catch(
      (error: Error & { stderr?: string }) => {
        complaint = error.stderr?.trim() || error.message;
      },
    );
    await rm(table, { force: true });
    const mounted = await mountsBelow(directory);
    return disks.map((disk) => (mounted.has(disk) ? undefined : new Error(aboutOne(complaint, disk))));
  };
  const mount = gather(mostAtOnce, mountAll);

  return {
    async make(gib) {
      await mkdir(directory, { recursive: true, mode: 0o711 });
      const disk = join(directory, randomBytes(8).toString("hex"));
      try {
        const template = await templateOf(gib);
        await Promise.all([writeImage(`${disk}.img`, template), mkdir(disk)]);
        await mount(disk);
      } catch (error) {
        await removeDisk(disk).catch(() => {});
        const { stderr = "", message } = error as Error & { stderr?: string };
        throw new Error(`a disk of ${gib} GiB for the task could not be made: ${stderr.trim() || message}`, { cause: error });
      }
      return disk;
    },
    async makeDirect() {
      const devices = await loopsOf(`${directory}/`);
      const direct = await Promise.all(devices.map(isDirect));
      for (const device of devices.filter((_device, at) => !direct[at]))
        // Not every file system of a machine can; without it all works the same.
        await run("nice", ["losetup", "--direct-io=on", device], { timeout: 60_000 }).catch(() => {});
    },
  };
}

/** Mount, device, file, in this order. A mount that is still in use goes when its last user does. */
export async function removeDisk(disk: string): Promise<void> {
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

/** A path in a table of mounts, see fstab(5). */
const escape = (path: string): string =>
  path.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);

function aboutOne(complaint: string, disk: string): string {
  const lines = complaint.split("\n").filter((line) => line.includes(disk));
  return (lines.length > 0 ? lines.join(" ") : complaint).trim() || "it was not mounted";
}
