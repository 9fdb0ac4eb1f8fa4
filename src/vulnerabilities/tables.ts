import type { DatabaseSync } from "node:sqlite";
import type { Advisory } from "#model/vulnerabilities/findings.ts";
import type { OsvAffected, OsvRecord } from "#model/vulnerabilities/osv.ts";
import { ratingOf } from "#model/vulnerabilities/severity.ts";

const version = 1;

/**
 * `records`: one for each record, with what a finding says of it. `affected`: one for each package of a record in a release. `ecosystems`: made of the others at the end of an
 * import. Indices come last: they are made faster than kept.
 */
const tables = `
  CREATE TABLE records (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, modified TEXT NOT NULL, about TEXT NOT NULL);
  CREATE TABLE affected (ecosystem TEXT NOT NULL, package TEXT NOT NULL, record INTEGER NOT NULL, vulnerable TEXT NOT NULL);
  CREATE TABLE ecosystems (name TEXT PRIMARY KEY, records INTEGER NOT NULL, modified TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE import (number INTEGER PRIMARY KEY CHECK (number = 1), at INTEGER NOT NULL);
  CREATE INDEX affected_record ON affected (record);
  PRAGMA user_version = ${version}`;

const finish = `
  DELETE FROM ecosystems;
  INSERT INTO ecosystems SELECT ecosystem, count(DISTINCT record), max(modified) FROM affected JOIN records ON number = record GROUP BY ecosystem;
  CREATE INDEX IF NOT EXISTS affected_package ON affected (ecosystem, package)`;

type About = Pick<OsvRecord, "names" | "single" | "description" | "uri">;
type Vulnerable = Pick<Advisory, "ranges" | "versions" | "rating">;

/** 0: an empty file. */
export function versionOf(db: DatabaseSync): number {
  return (db.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

export function isReadable(db: DatabaseSync): boolean {
  return versionOf(db) === version;
}

export interface RecordWriter {
  /** Replaces what was known under the record's id, unless that is newer. A withdrawn record leaves nothing. */
  put(record: OsvRecord): "put" | "withdrawn" | "older";
  finish(now: number): void;
}

/** Writes into a database that nobody reads yet. */
export function recordWriter(db: DatabaseSync): RecordWriter {
  if (versionOf(db) === 0) db.exec(tables);
  const find = db.prepare("SELECT number, modified FROM records WHERE id = ?");
  const insert = db.prepare("INSERT INTO records (id, modified, about) VALUES (?, ?, ?)");
  const affect = db.prepare("INSERT INTO affected VALUES (?, ?, ?, ?)");
  const removals = [db.prepare("DELETE FROM affected WHERE record = ?"), db.prepare("DELETE FROM records WHERE number = ?")];
  return {
    put(record) {
      const known = find.get(record.id) as { number: number; modified: string } | undefined;
      if (known && Date.parse(known.modified) > Date.parse(record.modified)) return "older";
      if (known) for (const removal of removals) removal.run(known.number);
      if (record.withdrawn) return "withdrawn";
      const { names, single, description, uri } = record;
      const { lastInsertRowid } = insert.run(
        record.id,
        record.modified,
        JSON.stringify({ names, single, description, uri } satisfies About),
      );
      for (const each of record.affected)
        affect.run(each.ecosystem, each.name, lastInsertRowid, JSON.stringify(vulnerableOf(record, each)));
      return "put";
    },
    finish(now) {
      db.exec(finish);
      db.prepare("INSERT OR REPLACE INTO import VALUES (1, ?)").run(now);
    },
  };
}

const vulnerableOf = (record: OsvRecord, affected: OsvAffected): Vulnerable => ({
  ranges: affected.ranges,
  versions: affected.versions,
  rating: ratingOf(record, affected),
});

export interface EcosystemRow {
  readonly name: string;
  readonly records: number;
  /** Newest change of a record: RFC 3339. */
  readonly modified: string;
}

export const ecosystemsIn = (db: DatabaseSync): readonly EcosystemRow[] =>
  db.prepare("SELECT name, records, modified FROM ecosystems ORDER BY name").all() as unknown as EcosystemRow[];

/** Milliseconds since the epoch. */
export const importedAt = (db: DatabaseSync): number => (db.prepare("SELECT at FROM import").get() as { at: number }).at;

/** What the database says of a package, in any of these releases. */
export function advisoryReader(db: DatabaseSync): (ecosystems: readonly string[], name: string) => readonly Advisory[] {
  const select = db.prepare(
    "SELECT id, about, vulnerable FROM affected JOIN records ON number = record WHERE ecosystem = ? AND package = ? ORDER BY id",
  );
  return (ecosystems, name) =>
    ecosystems.flatMap((ecosystem) =>
      (select.all(ecosystem, name) as unknown as { id: string; about: string; vulnerable: string }[]).map(({ id, about, vulnerable }) => ({
        id,
        ...(JSON.parse(about) as About),
        ...(JSON.parse(vulnerable) as Vulnerable),
      })),
    );
}
