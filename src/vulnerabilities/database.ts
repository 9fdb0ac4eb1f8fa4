import { existsSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import type { Ecosystem } from "#model/vulnerabilities/ecosystems.ts";
import type { Lookup } from "#model/vulnerabilities/findings.ts";
import { vulnerabilityPlaces } from "./places.ts";
import { advisoryReader, ecosystemsIn, type EcosystemRow, importedAt, isReadable } from "./tables.ts";

/** The database as it was when it was opened: an import puts another file in its place. */
export interface VulnerabilityDatabase {
  readonly importedAt: number;
  readonly ecosystems: readonly EcosystemRow[];
  lookup(ecosystem: Ecosystem): Lookup;
  close(): void;
}

/** Undefined: nothing was ever imported, or by a Gantry that wrote it otherwise. */
export function openVulnerabilities(home: string): VulnerabilityDatabase | undefined {
  const path = vulnerabilityPlaces(home).database;
  if (!existsSync(path)) return undefined;
  const db = new DatabaseSync(path, { readOnly: true });
  try {
    if (!isReadable(db)) {
      db.close();
      return undefined;
    }
    const read = advisoryReader(db);
    return {
      importedAt: importedAt(db),
      ecosystems: ecosystemsIn(db),
      lookup:
        ({ names }) =>
        (name) =>
          read(names, name),
      close: () => db.close(),
    };
  } catch (error) {
    db.close();
    throw error;
  }
}
