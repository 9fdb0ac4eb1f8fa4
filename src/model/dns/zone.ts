import { codes, type Answer, type Question, types } from "./message.ts";

/** A private zone as its resolvers are given it: whole, names in small letters without the last dot. */
export interface Zone {
  readonly name: string;
  /** Seconds for which an absence may be remembered. */
  readonly soaTtl: number;
  readonly sets: readonly RecordSet[];
}

/** All records of one name and type. Those of unhealthy instances are left out, unless all are: then they count as healthy. */
export interface RecordSet {
  readonly name: string;
  readonly type: "A" | "AAAA" | "SRV" | "CNAME";
  readonly ttl: number;
  /** An answer has one of the values, by chance. Absent: up to eight. */
  readonly one?: true;
  /** Addresses, names, or `<priority> <weight> <port> <name>`. */
  readonly values: readonly string[];
}

export interface ZoneAnswer {
  readonly code: number;
  readonly answers: readonly Answer[];
  /** The zone's SOA where there is nothing to answer with. */
  readonly authority?: readonly Answer[];
  /** The name at which a CNAME left our zones: its addresses are somebody else's to say. */
  readonly elsewhere?: string;
}

const mostValues = 8;
const mostAliases = 8;

export function isWithin(name: string, zone: string): boolean {
  return name === zone || name.endsWith(`.${zone}`);
}

/** Sets by name, made once for a zone. */
const indexes = new WeakMap<Zone, { readonly byName: ReadonlyMap<string, readonly RecordSet[]>; readonly above: ReadonlySet<string> }>();

function indexOf(zone: Zone) {
  let index = indexes.get(zone);
  if (index) return index;
  const byName = new Map<string, RecordSet[]>();
  const above = new Set<string>();
  for (const set of zone.sets) {
    const list = byName.get(set.name);
    if (list) {
      list.push(set);
      continue;
    }
    byName.set(set.name, [set]);
    for (let name = set.name; name !== zone.name && name !== "";) {
      above.add(name);
      name = name.slice(name.indexOf(".") < 0 ? name.length : name.indexOf(".") + 1);
    }
  }
  indexes.set(zone, (index = { byName, above }));
  return index;
}

/**
 * What the zones answer, the longest that holds the name first; undefined where none does. `random`: a number in [0, 1), what chooses and orders. Pure.
 * Source: RFC 1034, 2308; Amazon Route 53 Developer Guide, "Choosing a routing policy".
 */
export function answerZones(
  zones: readonly Zone[],
  question: Pick<Question, "name" | "type">,
  random: () => number,
): ZoneAnswer | undefined {
  const answers: Answer[] = [];
  let { name } = question;
  for (let step = 0; step <= mostAliases; step++) {
    const zone = zoneOf(zones, name);
    if (!zone) return step === 0 ? undefined : { code: codes.NOERROR, answers, elsewhere: name };
    const { byName, above } = indexOf(zone);
    const sets = byName.get(name) ?? [];
    const apex = name === zone.name;
    const found = answersOf(sets, name, question.type, random);
    if (apex && (question.type === types.SOA || question.type === types.ANY)) found.push(soaOf(zone));
    if (apex && (question.type === types.NS || question.type === types.ANY))
      found.push({ type: "NS", target: nameServer, ttl: nsTtl, name });
    if (found.length > 0) return { code: codes.NOERROR, answers: [...answers, ...found] };
    const alias = answersOf(sets, name, types.CNAME, random)[0];
    if (alias?.type !== "CNAME") {
      const there = apex || sets.length > 0 || above.has(name);
      return { code: there ? codes.NOERROR : codes.NXDOMAIN, answers, authority: [soaOf(zone)] };
    }
    answers.push(alias);
    name = alias.target;
  }
  return { code: codes.SERVFAIL, answers: [] };
}

function zoneOf(zones: readonly Zone[], name: string): Zone | undefined {
  let best: Zone | undefined;
  for (const zone of zones) if (isWithin(name, zone.name) && (!best || zone.name.length > best.name.length)) best = zone;
  return best;
}

function answersOf(sets: readonly RecordSet[], name: string, type: number, random: () => number): Answer[] {
  return sets
    .filter((set) => type === types[set.type] || type === types.ANY)
    .flatMap(({ type: kind, ttl, one, values }) =>
      some(values, one ? 1 : mostValues, random).map((value) => answerOf(kind, name, ttl, value)),
    );
}

/** `count` of them at most, in random order, without touching all of a long list. */
function some(values: readonly string[], count: number, random: () => number): string[] {
  const rest = values.slice();
  const size = Math.min(count, rest.length);
  for (let at = 0; at < size; at++) {
    const other = at + Math.floor(random() * (rest.length - at));
    [rest[at], rest[other]] = [rest[other]!, rest[at]!];
  }
  return rest.slice(0, size);
}

function answerOf(type: RecordSet["type"], name: string, ttl: number, value: string): Answer {
  if (type === "A" || type === "AAAA") return { type, address: value, ttl, name };
  if (type === "CNAME") return { type, target: value, ttl, name };
  const [priority = 0, weight = 0, port = 0] = value.split(" ", 3).map(Number);
  return { type, priority, weight, port, target: value.slice(value.lastIndexOf(" ") + 1), ttl, name };
}

/** As Route 53 shows them for private zones. */
export const nameServer = "ns-1536.awsdns-00.co.uk";
export const nsTtl = 172_800;
export const soa = { mailbox: "awsdns-hostmaster.amazon.com", serial: 1, refresh: 7_200, retry: 900, expire: 1_209_600, minimum: 86_400 };

const soaOf = ({ name, soaTtl }: Zone): Answer => ({ type: "SOA", ttl: soaTtl, name, primary: nameServer, ...soa });
