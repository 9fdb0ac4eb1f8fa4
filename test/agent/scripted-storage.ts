import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TaskStorage } from "#agent/storage/storage.ts";

/** Plain directories in the place of disks. */
export class ScriptedStorage implements TaskStorage {
  readonly disks = new Map<string, { readonly directory: string; readonly gib: number }>();
  /** Why the next disks can't be made. */
  error: string | undefined;

  async ensure(task: string, gib: number): Promise<string> {
    if (this.error) throw new Error(this.error);
    let disk = this.disks.get(task);
    if (!disk) this.disks.set(task, (disk = { directory: mkdtempSync(join(tmpdir(), "gantry-disk-")), gib }));
    return disk.directory;
  }

  async remove(task: string): Promise<void> {
    this.disks.delete(task);
  }

  async reconcile(tasks: ReadonlySet<string>): Promise<void> {
    for (const task of this.disks.keys()) if (!tasks.has(task)) this.disks.delete(task);
  }

  async tearDown(): Promise<void> {
    this.disks.clear();
  }
}
