import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

/**
 * Makes directories whose entries come and go with the containers, and tells ext4 to keep each entry's files in a place of their own (`chattr +T`). For a minute or more ext4
 * does not use a deleted file's inode again, and looks at all of these before it finds one for the next file: with everything in one place, where containers come and
 * go, that is a fifth of what a container's start costs. Other file systems know no such attribute and need none.
 */
export async function makeSpread(directories: readonly string[]): Promise<void> {
  for (const directory of directories) await mkdir(directory, { recursive: true, mode: 0o711 });
  await promisify(execFile)("chattr", ["-f", "+T", "--", ...directories], { timeout: 5000 }).catch(() => {});
}

/** Where each container gets a directory of its own: ours, and those of a containerd of our own. */
export function placesOfContainers(options: {
  readonly stateDirectory: string;
  readonly own?: { readonly root: string; readonly state: string };
  readonly namespace: string;
}): string[] {
  const bundles = join("io.containerd.runtime.v2.task", options.namespace);
  const { stateDirectory, own } = options;
  return [
    join(stateDirectory, "rootfs"),
    join(stateDirectory, "runc"),
    ...(own ? [join(own.root, bundles), join(own.state, bundles)] : []),
  ];
}
