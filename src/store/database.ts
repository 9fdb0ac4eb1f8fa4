import { chmodSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "./store.ts";

/** One row of the table of current values. */
export interface Row {
  readonly key: string;
  /** JSON. */
  readonly text: string;
  readonly created: number;
  readonly revision: number;
  readonly lease: string | undefined;
}

/** What one SQLite transaction writes: the final state of every key it touched. */
export interface Changes {
  readonly revision: number;
  readonly puts: readonly Row[];
  readonly deletes: readonly string[];
  readonly grants: readonly { readonly id: string; readonly ttlMs: number }[];
  readonly revokes: readonly string[];
}

export interface Loaded {
  readonly revision: number;
  readonly leases: readonly { readonly id: string; readonly ttlMs: number }[];
  readonly rows: IterableIterator<Row>;
}

const SCHEMA_VERSION = 2;

/** With a rowid, new entries stand one behind the other: a commit writes the pages that they fill, not a page for each key. */
const ENTRIES = `
  CREATE TABLE entries (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, value TEXT NOT NULL, created INTEGER NOT NULL, revision INTEGER NOT NULL, lease TEXT);`;

/** By the version that is found: what leads to the next, version 0 being an empty file. */
const MIGRATIONS: Readonly<Record<number, { readonly to: number; readonly sql: string }>> = {
  0: {
    to: 2,
    sql: `${ENTRIES}
  CREATE TABLE leases (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
  INSERT INTO state VALUES (1, 0);`,
  },
  1: {
    to: 2,
    sql: `ALTER TABLE entries RENAME TO former;${ENTRIES}
  INSERT INTO entries (key, value, created, revision, lease) SELECT key, value, created, revision, lease FROM former ORDER BY revision;
  DROP TABLE former;`,
  },
};

/** The file. Knows SQL and nothing of transactions' conditions; every call is synchronous, `commit` returns once the disk has it. */
export class Database {
  readonly #db: DatabaseSync;
  readonly #run: Record<
    "begin" | "commit" | "put" | "delete" | "grant" | "revoke" | "revision",
    (...values: (string | number | null)[]) => void
  >;

  constructor(path: string) {
    this.#db = open(path);
    const statement = (sql: string) => {
      const prepared = this.#db.prepare(sql);
      return (...values: (string | number | null)[]) => void prepared.run(...values);
    };
    this.#run = {
      begin: statement("BEGIN IMMEDIATE"),
      commit: statement("COMMIT"),
      put: statement(
        `INSERT INTO entries (key, value, created, revision, lease) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (key) DO UPDATE SET value = excluded.value, created = excluded.created, revision = excluded.revision, lease = excluded.lease`,
      ),
      delete: statement("DELETE FROM entries WHERE key = ?"),
      grant: statement("INSERT INTO leases VALUES (?, ?)"),
      revoke: statement("DELETE FROM leases WHERE id = ?"),
      revision: statement("UPDATE state SET revision = ?"),
    };
  }

  load(): Loaded {
    const { revision } = this.#db.prepare("SELECT revision FROM state").get() as { revision: number };
    const leases = this.#db.prepare("SELECT id, ttl_ms FROM leases").all() as { id: string; ttl_ms: number }[];
    return { revision, leases: leases.map(({ id, ttl_ms }) => ({ id, ttlMs: ttl_ms })), rows: this.#rows() };
  }

  *#rows(): IterableIterator<Row> {
    const all = this.#db.prepare("SELECT key, value, created, revision, lease FROM entries ORDER BY key");
    all.setReturnArrays(true);
    for (const row of all.iterate() as unknown as Iterable<[string, string, number, number, string | null]>)
      yield { key: row[0], text: row[1], created: row[2], revision: row[3], lease: row[4] ?? undefined };
  }

  /** All or nothing; throws a StoreError `Full` or `Failed` after the rollback. */
  commit(changes: Changes): void {
    const run = this.#run;
    try {
      run.begin();
      for (const { key, text, created, revision, lease } of changes.puts) run.put(key, text, created, revision, lease ?? null);
      for (const key of changes.deletes) run.delete(key);
      for (const { id, ttlMs } of changes.grants) run.grant(id, ttlMs);
      for (const id of changes.revokes) run.revoke(id);
      run.revision(changes.revision);
      run.commit();
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw storeError(error);
    }
  }

  close(): void {
    this.#db.close();
  }
}

function open(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    if (path !== ":memory:") mkdirSync(dirname(path), { recursive: true });
    db = new DatabaseSync(path);
    // Exclusive: one server at a time owns the file, and the index of the WAL lives in memory instead of a mapped file.
    // A checkpoint at 16 MiB instead of 4: under load the same pages are written again and again, and go into the file once.
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    db.exec("PRAGMA wal_autocheckpoint = 4000; PRAGMA journal_size_limit = 16777216");
    migrate(db, path);
    if (path !== ":memory:") chmodSync(path, 0o600);
    return db;
  } catch (error) {
    if (db?.isOpen) db.close();
    throw storeError(error, path);
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const versionOf = () => (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
  for (let version = versionOf(); version !== SCHEMA_VERSION; version = versionOf()) {
    const step = MIGRATIONS[version];
    if (!step) throw new StoreError("Failed", `${path} was written by a newer Gantry (schema ${version})`);
    db.exec(`BEGIN IMMEDIATE; ${step.sql} PRAGMA user_version = ${step.to}; COMMIT`);
  }
}

const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

function storeError(error: unknown, path?: string): StoreError {
  if (error instanceof StoreError) return error;
  const { errcode, message } = error as { errcode?: number; message: string };
  if (errcode === SQLITE_FULL) return new StoreError("Full", "the disk of the store is full", { cause: error });
  if (errcode === SQLITE_BUSY) return new StoreError("Failed", `${path ?? "the store"} is in use by another process`, { cause: error });
  return new StoreError("Failed", `the store failed: ${message}${path ? ` (${path})` : ""}`, { cause: error });
}

/** Results of sqlite3 after which nothing more may be written: a sync failed (the kernel may have dropped pages) or the file is damaged. */
const FATAL = new Set([1034, 1290, 11, 26]);

export function isFatal(error: StoreError): boolean {
  const code = (error.cause as { errcode?: number } | undefined)?.errcode;
  return code !== undefined && (FATAL.has(code) || FATAL.has(code & 0xff));
}
