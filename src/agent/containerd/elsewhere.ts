import { mkdir, readlink, rm, symlink } from "node:fs/promises";
import { join } from "node:path";

/**
 * A container's directory `<parent>/<id>`, made anew: what an earlier container of this id left is gone. With `elsewhere` (on the task's own disk) it is made there, and a link in
 * its place remembers it. Returns where it is.
 */
export async function makeDirectory(parent: string, id: string, elsewhere?: string): Promise<string> {
  await removeDirectory(parent, id);
  const link = join(parent, id);
  if (elsewhere === undefined) {
    await mkdir(link, { recursive: true, mode: 0o700 });
    return link;
  }
  await rm(elsewhere, { recursive: true, force: true });
  await mkdir(parent, { recursive: true });
  await symlink(elsewhere, link);
  await mkdir(elsewhere, { recursive: true, mode: 0o700 });
  return elsewhere;
}

/** No error when it isn't there, or the disk is gone. */
export async function removeDirectory(parent: string, id: string): Promise<void> {
  const link = join(parent, id);
  const elsewhere = await readlink(link).catch(() => undefined);
  if (elsewhere !== undefined) await rm(elsewhere, { recursive: true, force: true });
  await rm(link, { recursive: true, force: true });
}
