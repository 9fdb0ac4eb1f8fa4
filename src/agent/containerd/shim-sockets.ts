import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";

/**
 * For `down --all`: a shim's socket lies in /run/containerd/s for the whole machine, and stays there when the shim is killed. Each container's
 * bundle below containerd's state directory names the one of its shim. To be called when no shim runs any more, before the
 * state directory is removed.
 */
export async function removeShimSockets(state: string): Promise<void> {
  const tasks = join(state, "io.containerd.runtime.v2.task");
  for (const namespace of await list(tasks)) {
    for (const container of await list(join(tasks, namespace))) {
      const address = await readFile(join(tasks, namespace, container, "address"), "utf8").catch(() => "");
      const path = /^unix:\/\/(\/run\/containerd\/s\/[0-9a-f]{64})\s*$/.exec(address)?.[1];
      if (path) await rm(path, { force: true });
    }
  }
}

const list = (directory: string): Promise<string[]> => readdir(directory).catch(() => []);
