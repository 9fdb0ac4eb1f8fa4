/** Images and OSV records as tests of scans need them. */
import { createHash } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pack, type Pack } from "tar-stream";
import { importVulnerabilities } from "#vulnerabilities/import.ts";

export type Entry =
  | { readonly name: string; readonly text: string | Buffer }
  | { readonly name: string; readonly type: "directory" | "symlink" | "link"; readonly linkname?: string };

/** The same files make the same layer. */
const mtime = new Date(0);

/** A layer of files. */
export function layer(...entries: readonly Entry[]): Promise<Buffer> {
  const tar: Pack = pack();
  for (const entry of entries) {
    if ("text" in entry) tar.entry({ name: entry.name, mtime }, entry.text);
    else tar.entry({ name: entry.name, type: entry.type, linkname: entry.linkname, mtime });
  }
  tar.finalize();
  return buffer(tar);
}

export const debian = (version = "12"): Entry => ({ name: "usr/lib/os-release", text: `ID=debian\nVERSION_ID="${version}"\n` });

export const status = (...packages: readonly (readonly [name: string, version: string, source?: string])[]): Entry => ({
  name: "var/lib/dpkg/status",
  text: packages
    .map(
      ([name, version, source]) =>
        `Package: ${name}\nStatus: install ok installed\n${source ? `Source: ${source}\n` : ""}Version: ${version}\n`,
    )
    .join("\n"),
});

export const apkInstalled = (...packages: readonly (readonly [name: string, version: string, origin?: string])[]): Entry => ({
  name: "lib/apk/db/installed",
  text: packages.map(([name, version, origin = name]) => `C:Q1=\nP:${name}\nV:${version}\nA:x86_64\no:${origin}\n`).join("\n"),
});

export const osv = (id: string, ecosystem: string, name: string, events: readonly object[], more: Record<string, unknown> = {}) => ({
  schema_version: "1.7.0",
  id,
  modified: "2026-11-01T10:00:00Z",
  details: `about ${id}`,
  references: [{ type: "ADVISORY", url: `https://example.com/${id}` }],
  affected: [{ package: { ecosystem, name }, ranges: [{ type: "ECOSYSTEM", events }] }],
  ...more,
});

export const fixed = (version: string) => [{ introduced: "0" }, { fixed: version }];

let files = 0;

/** As `gantry vulnerabilities import` does it. */
export async function importRecords(home: string, ...records: readonly object[]): Promise<void> {
  const source = join(home, `records-${++files}.json`);
  await mkdir(home, { recursive: true });
  await writeFile(source, JSON.stringify(records));
  await importVulnerabilities({ home, source, now: Date.now() });
}

export const sha256 = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/** A header of rpm's database, with name, version, release, epoch and source package. Source: RPM's manual, "Header structure". */
export function rpmHeader(fields: {
  readonly name: string;
  readonly version: string;
  readonly release: string;
  readonly epoch?: number;
  readonly source?: string;
}): Buffer {
  const text = (value: string) => Buffer.from(`${value}\0`);
  const entries: [tag: number, type: number, data: Buffer][] = [
    [1000, 6, text(fields.name)],
    [1001, 6, text(fields.version)],
    [1002, 6, text(fields.release)],
    ...(fields.source === undefined ? [] : [[1044, 6, text(fields.source)] as [number, number, Buffer]]),
  ];
  if (fields.epoch !== undefined) {
    const epoch = Buffer.alloc(4);
    epoch.writeUInt32BE(fields.epoch);
    // Numbers are aligned: it comes first.
    entries.unshift([1003, 4, epoch]);
  }
  let offset = 0;
  const index = entries.map(([tag, type, data]) => {
    const entry = Buffer.alloc(16);
    [tag, type, offset, 1].forEach((value, at) => entry.writeUInt32BE(value, at * 4));
    offset += data.length;
    return entry;
  });
  const sizes = Buffer.alloc(8);
  sizes.writeUInt32BE(entries.length, 0);
  sizes.writeUInt32BE(offset, 4);
  return Buffer.concat([sizes, ...index, ...entries.map(([, , data]) => data)]);
}
