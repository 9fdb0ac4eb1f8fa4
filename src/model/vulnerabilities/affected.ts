import type { CompareVersions } from "../versions/index.ts";
import type { OsvAffected, OsvEvent } from "./osv.ts";

/** Whether a version is one that the record speaks of. Source: OSV schema, "Evaluation". */
export function isAffected(
  { ranges, versions }: Pick<OsvAffected, "ranges" | "versions">,
  version: string,
  compare: CompareVersions,
): boolean {
  return versions.includes(version) || ranges.some((events) => isWithin(events, version, compare));
}

/** The last event that the version has reached decides. `introduced: "0"` comes before every version; of events at one version, what introduces comes first. */
function isWithin(events: readonly OsvEvent[], version: string, compare: CompareVersions): boolean {
  const sorted = events.toSorted((a, b) => compareAt(a, b, compare) || rankOf(a) - rankOf(b));
  let within = false;
  for (const event of sorted) {
    if ("introduced" in event) {
      if (event.introduced === "0" || compare(version, event.introduced) >= 0) within = true;
    } else if ("fixed" in event) {
      if (compare(version, event.fixed) >= 0) within = false;
    } else if (compare(version, event.lastAffected) > 0) within = false;
  }
  return within;
}

const versionOf = (event: OsvEvent) => ("introduced" in event ? event.introduced : "fixed" in event ? event.fixed : event.lastAffected);
const isStart = (event: OsvEvent) => "introduced" in event && event.introduced === "0";
const rankOf = (event: OsvEvent) => ("introduced" in event ? 0 : 1);

function compareAt(a: OsvEvent, b: OsvEvent, compare: CompareVersions): number {
  if (isStart(a) || isStart(b)) return Number(isStart(b)) - Number(isStart(a));
  return compare(versionOf(a), versionOf(b));
}
