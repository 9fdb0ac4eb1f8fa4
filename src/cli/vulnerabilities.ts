import { stat } from "node:fs/promises";
import { openVulnerabilities } from "#vulnerabilities/database.ts";
import { importVulnerabilities } from "#vulnerabilities/import.ts";
import { vulnerabilityPlaces } from "#vulnerabilities/places.ts";

/** `gantry vulnerabilities import`: in this process, so that the server goes on undisturbed; its next scan reads the new file. */
export async function importOf(home: string, source: string, now: number, tell: (text: string) => void): Promise<string> {
  const { put, withdrawn, older, ecosystems } = await importVulnerabilities({
    home,
    source,
    now,
    progress: (count) => tell(`${count} records …`),
  });
  const counts = [`${put} records`, ...(older > 0 ? [`${older} known already`] : []), ...(withdrawn > 0 ? [`${withdrawn} withdrawn`] : [])];
  return `imported ${counts.join(", ")}; there are records for ${ecosystems.length} releases: ./gantry vulnerabilities status`;
}

/** `gantry vulnerabilities status`. */
export async function vulnerabilityStatus(home: string, now: number, json: boolean): Promise<string> {
  const database = openVulnerabilities(home);
  if (!database) {
    if (json) return JSON.stringify({ importedAt: null, ecosystems: [] });
    return "there is no vulnerability database: every scan fails and says so. Import one: ./gantry vulnerabilities import <file or URL of OSV records> (docs/scanning.md)";
  }
  const { importedAt, ecosystems } = database;
  database.close();
  if (json) return JSON.stringify({ importedAt: new Date(importedAt).toISOString(), ecosystems }, undefined, 2);
  const { size } = await stat(vulnerabilityPlaces(home).database);
  const width = Math.max(...ecosystems.map(({ name }) => name.length), 9);
  return [
    `imported ${age(now - importedAt)} ago, ${(size / 2 ** 20).toFixed(0)} MiB`,
    `${"RELEASE".padEnd(width)}  RECORDS  NEWEST`,
    ...ecosystems.map(({ name, records, modified }) => `${name.padEnd(width)}  ${String(records).padStart(7)}  ${modified.slice(0, 10)}`),
  ].join("\n");
}

function age(ms: number): string {
  const hours = Math.floor(ms / 3_600_000);
  if (hours >= 48) return `${Math.floor(hours / 24)} days`;
  return hours >= 1 ? `${hours} h` : `${Math.max(0, Math.floor(ms / 60_000))} min`;
}
