import { DatabaseSync } from "node:sqlite";

/**
 * An exclusive lock on a file, or undefined when another process holds it. The kernel takes it back however its holder ends, SIGKILL
 * included. Node has no flock; SQLite's lock on an empty database is the same system call.
 */
export function takeLock(path: string): { release(): void } | undefined {
  const database = new DatabaseSync(path);
  try {
    database.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
    return { release: () => database.close() };
  } catch (error) {
    database.close();
    if (/locked/.test((error as Error).message)) return undefined;
    throw error;
  }
}
