import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type OsRelease, parseOsRelease } from "#model/image-packages/os-release.ts";
import { type InstalledPackage, parseApkInstalled, parseDpkgStatus } from "#model/image-packages/packages.ts";
import { parseRpmHeader } from "#model/image-packages/rpm-header.ts";
import { ecosystemOf } from "#model/vulnerabilities/ecosystems.ts";
import { type Finding, findingsOf } from "#model/vulnerabilities/findings.ts";
import { openVulnerabilities } from "#vulnerabilities/database.ts";
import { type Files, UnreadableImage } from "./rootfs.ts";

export type Inspection =
  | { readonly kind: "complete"; readonly findings: readonly Finding[]; readonly sourceUpdatedAt: number; readonly importedAt: number }
  | { readonly kind: "failed"; readonly reason: string };

const osRelease = ["etc/os-release", "usr/lib/os-release"];
const apk = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];
const rpm = ["usr/lib/sysimage/rpm/rpmdb.sqlite", "var/lib/rpm/rpmdb.sqlite"];
const dpkg = "var/lib/dpkg/status";
const dpkgParts = /^var\/lib\/dpkg\/status\.d\/[^/]+$/;

/** Packages of an image: ten times those of a desktop. */
const mostPackages = 100_000;

/** What a scan reads of an image. */
export const isInspected = (path: string) =>
  path === dpkg ||
  osRelease.includes(path) ||
  apk.includes(path) ||
  rpm.includes(path) ||
  (dpkgParts.test(path) && !path.endsWith(".md5sums"));

/** ECR's own words. Source: Amazon ECR User Guide, "Troubleshooting image scanning". */
const unsupported = "UnsupportedImageError: The operating system and/or package manager are not supported.";

/** Compares what is installed in an image with what is known to be wrong. Where nothing is known it says so: that is no clean image. */
export async function inspect(files: Files, home: string): Promise<Inspection> {
  const release = osRelease
    .map((path) => files.get(path))
    .map((bytes) => bytes && parseOsRelease(bytes.toString("utf8")))
    .find((each) => each !== undefined);
  const ecosystem = release && ecosystemOf(release);
  const installed = ecosystem && (await packagesIn(files));
  if (!release || !ecosystem || !installed)
    return { kind: "failed", reason: `${unsupported}${release ? ` It is ${nameOf(release)}.` : ""}` };
  const database = openVulnerabilities(home);
  const known = database?.ecosystems.filter(({ name }) => ecosystem.names.includes(name)) ?? [];
  try {
    if (!database || known.length === 0)
      return {
        kind: "failed",
        reason: `There is no vulnerability database for ${ecosystem.names[0]!}, so nothing is known about this image. Import one with ./gantry vulnerabilities import <file or URL of OSV records> (docs/scanning.md), then start the scan again.`,
      };
    return {
      kind: "complete",
      findings: findingsOf(installed, ecosystem, database.lookup(ecosystem)),
      sourceUpdatedAt: Math.max(...known.map(({ modified }) => Date.parse(modified))),
      importedAt: database.importedAt,
    };
  } finally {
    database?.close();
  }
}

const nameOf = ({ id, versionId = "without a version" }: OsRelease) => `${id} ${versionId}`;

/** Undefined: there is no package database that we can read. */
async function packagesIn(files: Files): Promise<readonly InstalledPackage[] | undefined> {
  const found: InstalledPackage[][] = [];
  for (const [path, bytes] of files) {
    if (path === dpkg || dpkgParts.test(path)) found.push([...parseDpkgStatus(bytes.toString("utf8"), mostPackages + 1)]);
    else if (apk.includes(path)) found.push([...parseApkInstalled(bytes.toString("utf8"), mostPackages + 1)]);
    else if (rpm.includes(path)) found.push([...(await readRpm(bytes))]);
  }
  const all = found.flat();
  if (all.length > mostPackages) throw new UnreadableImage(`it has more than ${mostPackages} packages`);
  return found.length > 0 ? all : undefined;
}

/** SQLite reads files only, so it gets one for a moment. It is the image's: whatever is wrong with it is the image's fault. */
async function readRpm(bytes: Buffer): Promise<readonly InstalledPackage[]> {
  const directory = await mkdtemp(join(tmpdir(), "gantry-scan-"));
  try {
    const path = join(directory, "rpmdb.sqlite");
    // A database in WAL mode whose log is empty: as a read-only file it would want the log's index.
    const copy = Buffer.from(bytes);
    if (copy.length > 20) copy.fill(1, 18, 20);
    await writeFile(path, copy, { mode: 0o600 });
    const db = new DatabaseSync(path, { readOnly: true });
    try {
      const packages: InstalledPackage[] = [];
      for (const { blob } of db.prepare("SELECT blob FROM Packages").iterate() as Iterable<{ blob: unknown }>) {
        const found = blob instanceof Uint8Array ? parseRpmHeader(blob) : undefined;
        if (found) packages.push(found);
        if (packages.length > mostPackages) break;
      }
      return packages;
    } finally {
      db.close();
    }
  } catch (error) {
    throw new UnreadableImage(`its rpm database cannot be read: ${(error as Error).message}`);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
