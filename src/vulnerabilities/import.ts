import { copyFile, mkdir, open, rename, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { OsvError, parseOsv } from "#model/vulnerabilities/osv.ts";
import { takeLock } from "#platform/file-lock.ts";
import { vulnerabilityPlaces } from "./places.ts";
import { documentsOf } from "./documents.ts";
import { ecosystemsIn, type EcosystemRow, recordWriter, versionOf, isReadable } from "./tables.ts";

export interface Imported {
  readonly put: number;
  readonly withdrawn: number;
  /** Known already as they are, or newer. */
  readonly older: number;
  /** The releases that there are now. */
  readonly ecosystems: readonly EcosystemRow[];
}

export interface ImportOptions {
  readonly home: string;
  /** A .zip or .json file, a directory with such, or an http(s) URL of one. */
  readonly source: string;
  readonly now: number;
  /** Records read so far. */
  readonly progress?: (count: number) => void;
}

/**
 * Adds OSV records to the database, in a copy that takes its place by one rename: who reads sees the old one or the new one, whole, and a crash leaves the old one. What a killed import left
 * is overwritten by the next. Throws OsvError when the source holds no records.
 */
export async function importVulnerabilities({ home, source, now, progress }: ImportOptions): Promise<Imported> {
  const places = vulnerabilityPlaces(home);
  await mkdir(places.directory, { recursive: true, mode: 0o700 });
  const lock = takeLock(places.lock);
  if (!lock) throw new OsvError("another import is under way");
  try {
    for (const path of [places.next, `${places.next}-journal`]) await rm(path, { force: true });
    if (isUsable(places.database)) await copyFile(places.database, places.next);
    const imported = await fill(places.next, documentsOf(source, places.download), now, progress);
    await sync(places.next);
    await rename(places.next, places.database);
    await sync(places.directory);
    return imported;
  } finally {
    for (const path of [places.next, places.download]) await rm(path, { force: true });
    lock.release();
  }
}

async function fill(
  path: string,
  documents: AsyncIterable<unknown>,
  now: number,
  progress: ((count: number) => void) | undefined,
): Promise<Imported> {
  const db = new DatabaseSync(path);
  try {
    // Nobody reads the file before it is synced and renamed: it needs no journal.
    db.exec("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -32768; BEGIN");
    const writer = recordWriter(db);
    const counts = { put: 0, withdrawn: 0, older: 0 };
    let read = 0;
    for await (const document of documents) {
      counts[writer.put(parseOsv(document))]++;
      if (++read % 1000 === 0) progress?.(read);
    }
    if (read === 0) throw new OsvError("there are no OSV records in it");
    writer.finish(now);
    db.exec("COMMIT");
    return { ...counts, ecosystems: ecosystemsIn(db) };
  } finally {
    db.close();
  }
}

function isUsable(path: string): boolean {
  if (!existsSync(path)) return false;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    if (isReadable(db)) return true;
    if (versionOf(db) === 0) return false;
    throw new OsvError(`${path} was written by another version of Gantry: remove it, and import everything again`);
  } finally {
    db.close();
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
