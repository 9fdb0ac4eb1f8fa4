import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, rm, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { gather } from "../gather.ts";
import { command } from "../network/commands.ts";
import { isDirect, loopsOf, loopsOver, mounted } from "./mounts.ts";
import { makeTemplate, writeImage, type Template } from "./template.ts";

const run = promisify(execFile);

/** Disks in one directory: `<random>.img`, mounted at `<random>`. */
export interface Disks {
  /** A new one, mounted; its directory. Many that are asked for at the same time are mounted by one process. */
  make(gib: number): Promise<string>;
  /** By its directory. No error when it, or a part of it, isn't there. */
  remove(disk: string): Promise<void>;
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
    await command("mount", ["--all", "--fstab", table]).catch((error: Error) => (complaint = error.message));
    await rm(table, { force: true });
    const stand = await mounted(disks);
    return disks.map((disk) => (stand.includes(disk) ? undefined : new Error(aboutOne(complaint, disk))));
  };
  const mount = gather(mostAtOnce, mountAll);
  const remove = gather(mostAtOnce, removeAll);

  return {
    async make(gib) {
      await mkdir(directory, { recursive: true, mode: 0o711 });
      const disk = join(directory, randomBytes(8).toString("hex"));
      try {
        const template = await templateOf(gib);
        await Promise.all([writeImage(`${disk}.img`, template), mkdir(disk)]);
        await mount(disk);
      } catch (error) {
        await remove(disk).catch(() => {});
        const { stderr = "", message } = error as Error & { stderr?: string };
        throw new Error(`a disk of ${gib} GiB for the task could not be made: ${stderr.trim() || message}`, { cause: error });
      }
      return disk;
    },
    remove,
    async makeDirect() {
      const devices = await loopsOf(`${directory}/`);
      const direct = await Promise.all(devices.map(isDirect));
      const left = devices.filter((_device, at) => !direct[at]);
      // Not every file system of a machine can; without it all works the same.
      const script = 'for device; do losetup --direct-io=on "$device"; done';
      if (left.length > 0) await run("nice", ["sh", "-c", script, "sh", ...left], { timeout: 60_000 }).catch(() => {});
    },
  };
}

/** Mounts, devices, files, in this order. A mount that is still in use goes when its last user does. */
async function removeAll(disks: readonly string[]): Promise<readonly (Error | undefined)[]> {
  let stand = await mounted(disks);
  for (let attempt = 0; attempt <= 5 && stand.length > 0; attempt++) {
    await run("umount", [...(attempt === 0 ? [] : ["--lazy"]), "--", ...stand], { timeout: 20_000 }).catch(() => {});
    stand = await mounted(stand);
  }
  // A crash between the device's making and its mount: nothing else would let go of it.
  const left = await loopsOver(disks.map((disk) => `${disk}.img`));
  for (const device of left) await run("losetup", ["--detach", device], { timeout: 20_000 }).catch(() => {});
  return Promise.all(
    disks.map(async (disk) => {
      if (stand.includes(disk)) return new Error(`${disk} cannot be unmounted`);
      await rm(`${disk}.img`, { force: true });
      return rmdir(disk).then(
        () => undefined,
        (error: NodeJS.ErrnoException) => (error.code === "ENOENT" ? undefined : error),
      );
    }),
  );
}

/** A path in a table of mounts, see fstab(5). */
const escape = (path: string): string =>
  path.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);

function aboutOne(complaint: string, disk: string): string {
  const lines = complaint.split("\n").filter((line) => line.includes(disk));
  return (lines.length > 0 ? lines.join(" ") : complaint).trim() || "it was not mounted";
}
