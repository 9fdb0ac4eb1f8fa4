import type { InstalledPackage } from "../image-packages/packages.ts";
import { comparisons } from "../versions/index.ts";
import { isAffected } from "./affected.ts";
import { type Ecosystem, namesOf } from "./ecosystems.ts";
import type { OsvAffected } from "./osv.ts";
import { type Rating, severities, type Severity, worse } from "./severity.ts";

/** One CVE in one package. */
export interface Finding extends Rating {
  readonly name: string;
  readonly description: string;
  readonly uri: string;
  readonly packageName: string;
  readonly packageVersion: string;
}

/** A row of the database: one record's word on one package. */
export interface Advisory extends Pick<OsvAffected, "ranges" | "versions"> {
  readonly id: string;
  readonly names: readonly string[];
  readonly single: boolean;
  readonly description: string;
  readonly uri: string;
  readonly rating: Rating;
}

/** What is known of a package under a name, in any of the ecosystem's releases that are meant. */
export type Lookup = (name: string) => readonly Advisory[];

/** What is known to be wrong with the packages; the worst first, then by name and package. Pure. */
export function findingsOf(installed: readonly InstalledPackage[], ecosystem: Ecosystem, lookup: Lookup): readonly Finding[] {
  const found = new Map<string, Finding>();
  const seen = new Set<string>();
  for (const each of installed)
    for (const { name, version } of namesOf(each, ecosystem)) {
      const once = `${name} ${version}`;
      if (seen.has(once)) continue;
      seen.add(once);
      for (const finding of ofPackage(lookup(name), name, version, ecosystem)) {
        // One flaw of one source is one finding, whatever binary package shows it.
        const key = `${finding.name} ${each.source} ${each.sourceVersion}`;
        const known = found.get(key);
        found.set(key, known ? { ...known, ...ratingIn(worse(known, finding)) } : finding);
      }
    }
  return [...found.values()].toSorted(
    (a, b) =>
      severities.indexOf(b.severity) - severities.indexOf(a.severity) || order(a.name, b.name) || order(a.packageName, b.packageName),
  );
}

/** A record about one CVE knows better than an advisory that fixes many at once: its word counts, for or against. */
function ofPackage(
  advisories: readonly Advisory[],
  packageName: string,
  packageVersion: string,
  { scheme }: Ecosystem,
): readonly Finding[] {
  const compare = comparisons[scheme];
  const judged = new Set(advisories.filter(({ single }) => single).flatMap(({ names }) => names));
  const found = new Map<string, Finding>();
  for (const advisory of advisories) {
    if (!isAffected(advisory, packageVersion, compare)) continue;
    for (const name of advisory.names) {
      if (!advisory.single && judged.has(name)) continue;
      const { description, uri, rating } = advisory;
      const known = found.get(name);
      found.set(name, { name, description, uri, packageName, packageVersion, ...(known ? worse(known, rating) : rating) });
    }
  }
  return [...found.values()];
}

const ratingIn = ({ severity, vector, score }: Rating): Rating => ({ severity, ...(vector === undefined ? {} : { vector, score }) });

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

/** How many of each severity; those that none has are left out. */
export function severityCounts(findings: readonly Finding[]): Partial<Record<Severity, number>> {
  const counts: Partial<Record<Severity, number>> = {};
  for (const { severity } of findings) counts[severity] = (counts[severity] ?? 0) + 1;
  return counts;
}
