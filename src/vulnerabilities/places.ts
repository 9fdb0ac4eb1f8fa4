import { stat } from "node:fs/promises";
import { join } from "node:path";

/** Where the database of one Gantry is, and what an import needs beside it. */
export function vulnerabilityPlaces(home: string) {
  const directory = join(home, "vulnerabilities");
  return {
    directory,
    database: join(directory, "database.sqlite"),
    /** What is being imported; becomes the database by a rename. */
    next: join(directory, "next.sqlite"),
    /** What an https URL gave. */
    download: join(directory, "download.part"),
    lock: join(directory, "import.lock"),
  };
}

/** When the last import came to its end, by the file's own time: milliseconds since the epoch. Undefined: there was none. */
export async function databaseChangedAt(home: string): Promise<number | undefined> {
  try {
    return (await stat(vulnerabilityPlaces(home).database)).mtimeMs;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
