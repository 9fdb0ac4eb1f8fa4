import { watch } from "node:fs";
import { readdir } from "node:fs/promises";

/** Resolves when the names in `directory` are as wanted; inotify tells of changes. Rejects after `timeoutMs`. */
export async function filesAre(directory: string, wanted: (names: readonly string[]) => boolean, timeoutMs: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(directory, { signal: AbortSignal.timeout(timeoutMs) }, () => void look());
    const look = async () => {
      const names = await readdir(directory);
      if (!wanted(names)) return;
      watcher.close();
      resolve();
    };
    watcher.on("error", (error) => {
      readdir(directory).then(
        (names) => reject(new Error(`after ${timeoutMs} ms there are ${names.length} files in ${directory}`, { cause: error })),
        reject,
      );
    });
    look().catch(reject);
  });
}
