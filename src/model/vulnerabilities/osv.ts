/** What we keep of a record in the OSV format. Source: https://ossf.github.io/osv-schema/. */
export interface OsvRecord {
  readonly id: string;
  /** As it stands there: RFC 3339. */
  readonly modified: string;
  readonly withdrawn: boolean;
  /** The CVEs that it is about; its own id when it names none. */
  readonly names: readonly string[];
  /** It is about this one CVE, not an advisory that fixes several. */
  readonly single: boolean;
  readonly description: string;
  readonly uri: string;
  readonly severity: readonly OsvSeverity[];
  /** A word of its database: `HIGH`, `Important`. */
  readonly word?: string;
  readonly affected: readonly OsvAffected[];
}

export interface OsvSeverity {
  readonly type: string;
  readonly score: string;
}

export interface OsvAffected {
  /** e.g. `Debian:12`. */
  readonly ecosystem: string;
  readonly name: string;
  readonly ranges: readonly (readonly OsvEvent[])[];
  readonly versions: readonly string[];
  readonly severity: readonly OsvSeverity[];
  /** Debian's urgency, Ubuntu's priority. */
  readonly urgency?: string;
}

export type OsvEvent = { readonly introduced: string } | { readonly fixed: string } | { readonly lastAffected: string };

export class OsvError extends Error {}

const longestDescription = 4000;

/** Reads one record. Throws OsvError; what it does not know it leaves out. */
export function parseOsv(value: unknown): OsvRecord {
  const root = objectOf(value);
  const id = root && textOf(root.id);
  const modified = root && textOf(root.modified);
  if (!root || !id || !modified || id.length > 500 || Number.isNaN(Date.parse(modified)))
    throw new OsvError("it is no OSV record: it has no id, or no time of its last change");
  const own = /CVE-\d{4}-\d+$/.exec(id)?.[0];
  const others = [...listOf(root.aliases), ...listOf(root.upstream)].filter((each): each is string => typeof each === "string");
  const cves = [...new Set(others.filter((each) => /^CVE-\d{4}-\d+$/.test(each)))];
  const references = listOf(root.references).flatMap((each) => {
    const { type, url } = objectOf(each) ?? {};
    return typeof url === "string" && /^https?:/.test(url) ? [{ type, url }] : [];
  });
  const word = textOf(objectOf(root.database_specific)?.severity);
  return {
    id,
    modified,
    withdrawn: textOf(root.withdrawn) !== undefined,
    names: own ? [own] : cves.length > 0 ? cves : [id],
    single: own !== undefined || cves.length === 1,
    description: (textOf(root.details) ?? textOf(root.summary) ?? "").slice(0, longestDescription),
    uri:
      (references.find(({ type }) => type === "ADVISORY") ?? references[0])?.url ??
      `https://osv.dev/vulnerability/${encodeURIComponent(id)}`,
    severity: severitiesOf(root.severity),
    ...(word === undefined ? {} : { word }),
    affected: listOf(root.affected).flatMap(affectedOf),
  };
}

function affectedOf(value: unknown): OsvAffected[] {
  const { package: named, ranges, versions, severity, ecosystem_specific: specific } = objectOf(value) ?? {};
  const { ecosystem, name } = objectOf(named) ?? {};
  if (typeof ecosystem !== "string" || typeof name !== "string" || !ecosystem || !name) return [];
  const more = objectOf(specific);
  const urgency = textOf(more?.urgency) ?? textOf(more?.ubuntu_priority);
  return [
    {
      ecosystem,
      name,
      ranges: listOf(ranges).flatMap((each) => {
        const range = objectOf(each);
        return range?.type === "ECOSYSTEM" ? [listOf(range.events).flatMap(eventOf)] : [];
      }),
      versions: listOf(versions).filter((each): each is string => typeof each === "string"),
      severity: severitiesOf(severity),
      ...(urgency === undefined ? {} : { urgency }),
    },
  ];
}

function eventOf(value: unknown): OsvEvent[] {
  const { introduced, fixed, last_affected: lastAffected } = objectOf(value) ?? {};
  if (typeof introduced === "string") return [{ introduced }];
  if (typeof fixed === "string") return [{ fixed }];
  return typeof lastAffected === "string" ? [{ lastAffected }] : [];
}

const severitiesOf = (value: unknown): OsvSeverity[] =>
  listOf(value).flatMap((each) => {
    const { type, score } = objectOf(each) ?? {};
    return typeof type === "string" && typeof score === "string" ? [{ type, score }] : [];
  });

const objectOf = (value: unknown) =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
