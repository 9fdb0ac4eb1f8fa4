import { open } from "node:fs/promises";

/**
 * Makes the entries of directories durable. Callers that come while a directory is being synced share the next sync, so many renames into one
 * directory cost few.
 */
export interface DirectorySync {
  sync(directory: string): Promise<void>;
}

export function createDirectorySync(): DirectorySync {
  const running = new Map<string, { readonly current: Promise<void>; next: Promise<void> | undefined }>();

  function begin(directory: string): Promise<void> {
    const current = syncDirectory(directory).finally(() => {
      if (running.get(directory)?.current === current && !running.get(directory)?.next) running.delete(directory);
    });
    running.set(directory, { current, next: undefined });
    return current;
  }

  return {
    sync(directory) {
      const busy = running.get(directory);
      if (!busy) return begin(directory);
      // The one under way may have begun before the caller's change.
      busy.next ??= busy.current.then(
        () => begin(directory),
        () => begin(directory),
      );
      return busy.next;
    },
  };
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
