/**
 * A listener's rules for HAProxy: those on exact hosts and on paths that are exact or end in `*` become entries of two maps, found in logarithmic
 * time and changed without a reload; all others become lines that are tried in order. Pure.
 */
import type { Condition, Listener, Rule } from "./config.ts";
import { listenerName } from "./names.ts";
import { hasWildcard, patternExpression, queryExpression, quoted } from "./text.ts";

/** The default action's place: after every rule. */
export const defaultPriority = 50_001;

export interface RuleTables {
  /** `<listener>|<host or *>|<path>` to the lowest priority among all plain rules that match it. */
  readonly exact: Map<string, string>;
  /** `<listener>|<host or *>|<beginning of the path>`, likewise. */
  readonly prefix: Map<string, string>;
}

interface Plain {
  readonly host: string;
  readonly path: string;
  readonly isPrefix: boolean;
  readonly priority: number;
}

/** The rule as pairs of host and path, or undefined where it takes more than the maps can say. */
export function plainPairs(rule: Rule): Plain[] | undefined {
  let hosts: readonly string[] | undefined;
  let paths: readonly string[] | undefined;
  for (const condition of rule.conditions) {
    if (condition.field === "host-header" && !hosts && !condition.values.some(hasWildcard)) hosts = condition.values;
    else if (condition.field === "path-pattern" && !paths && condition.values.every(endsAtMost)) paths = condition.values;
    else return undefined;
  }
  const pairs: Plain[] = [];
  for (const host of hosts ?? ["*"])
    for (const path of paths ?? ["*"]) {
      const isPrefix = path.endsWith("*");
      pairs.push({ host: host.toLowerCase(), path: isPrefix ? path.slice(0, -1) : path, isPrefix, priority: rule.priority });
    }
  return pairs;
}

function endsAtMost(path: string): boolean {
  return !hasWildcard(path.endsWith("*") ? path.slice(0, -1) : path);
}

/**
 * The longest entry that begins a path is found first, so each entry holds the best priority among itself and every other entry that begins it: whatever
 * else matches the path begins that entry too.
 */
export function fillTables(tables: RuleTables, listener: Listener): void {
  const name = listenerName(listener.id);
  const byHost = new Map<string, Plain[]>();
  for (const pair of (listener.rules ?? []).flatMap((rule) => plainPairs(rule) ?? [])) {
    const list = byHost.get(pair.host);
    if (list) list.push(pair);
    else byHost.set(pair.host, [pair]);
  }
  for (const [host, pairs] of byHost) {
    const beginnings = new Map<string, number>();
    const whole = new Map<string, number>();
    for (const { path, isPrefix, priority } of pairs) {
      const table = isPrefix ? beginnings : whole;
      table.set(path, Math.min(table.get(path) ?? defaultPriority, priority));
    }
    const bestOf = (path: string, own: number) => {
      let best = own;
      for (let length = 0; length <= path.length; length++) best = Math.min(best, beginnings.get(path.slice(0, length)) ?? best);
      return String(best);
    };
    for (const [path, own] of beginnings) tables.prefix.set(`${name}|${host}|${path}`, bestOf(path, own));
    for (const [path, own] of whole) tables.exact.set(`${name}|${host}|${path}`, bestOf(path, own));
  }
}

/** Lines for the rules that are not plain, lowest priority first: each is passed over once a better one is known. */
export function ruleLines(listener: Listener): string[] {
  return (listener.rules ?? [])
    .filter((rule) => !plainPairs(rule))
    .toSorted((a, b) => a.priority - b.priority)
    .map(
      (rule) =>
        `http-request set-var(txn.p) int(${rule.priority}) if { var(txn.p) -m int gt ${rule.priority} } ${rule.conditions.map(conditionText).join(" ")}`,
    );
}

function conditionText(condition: Condition): string {
  const any = (values: readonly string[]) => values.map(quoted).join(" ");
  switch (condition.field) {
    case "host-header":
      return condition.values.some(hasWildcard)
        ? `{ var(txn.h) -m reg ${any(condition.values.map((value) => patternExpression(value.toLowerCase())))} }`
        : `{ var(txn.h) -m str ${any(condition.values.map((value) => value.toLowerCase()))} }`;
    case "path-pattern":
      return condition.values.some(hasWildcard)
        ? `{ path -m reg ${any(condition.values.map(patternExpression))} }`
        : `{ path -m str ${any(condition.values)} }`;
    case "http-header":
      return `{ req.fhdr(${condition.name}) -m reg -i ${any(condition.values.map(patternExpression))} }`;
    case "http-request-method":
      return `{ method ${any(condition.values)} }`;
    case "query-string":
      return `{ query -m reg -i ${any(condition.values.map(queryExpression))} }`;
    case "source-ip":
      return `{ src ${condition.values.join(" ")} }`;
  }
}
