import { pageOf } from "#api/pagination.ts";
import type { Question } from "./context.ts";
import { ec2Errors } from "./errors.ts";
import { checkId, type Kind, notFound } from "./kinds.ts";

/** Ids, filters and pages of every Describe operation. Source: Amazon EC2 API Reference, "List and filter your resources". */

type Value = string | number | boolean | undefined;
type Values = Value | readonly Value[];

/** By the filter's name: the values that an item has for it. A filter holds when one of them matches one of its own. */
export type FilterTable<T> = Readonly<Record<string, (item: T) => Values>>;

interface Filter {
  readonly Name?: string;
  readonly Values?: readonly string[];
}

interface ApiTag {
  readonly Key?: string;
  readonly Value?: string;
}

export interface Listing<T> {
  readonly operation: string;
  /** All that are there, in the order of their ids. */
  readonly items: readonly T[];
  readonly id: (item: T) => string;
  readonly tags?: (item: T) => readonly ApiTag[] | undefined;
  readonly table: FilterTable<T>;
  readonly input: { readonly MaxResults?: number; readonly NextToken?: string };
  readonly filters: readonly Filter[] | undefined;
  /** Those that the request names, each of which must be there. */
  readonly ids?: readonly string[];
  readonly kind?: Kind;
  readonly most?: number;
}

export function describe<T>({ deps, scope }: Question, listing: Listing<T>): { items: T[]; NextToken?: string } {
  const { operation, items, id, table, input, filters, ids = [], kind, most = 1000 } = listing;
  const limit = input.MaxResults;
  if (limit !== undefined && ids.length > 0)
    throw ec2Errors.combination(`The parameter ${kind ?? "resource"} IDs cannot be used with the parameter maxResults`);
  if (limit !== undefined && (limit < 5 || limit > most))
    throw ec2Errors.invalid(`Value ( ${limit} ) for parameter maxResults is invalid. Expecting a value between 5 and ${most}.`);
  const found = named(items, id, ids, kind);
  const holds = conditions(filters ?? [], table, listing.tags);
  const matching = found.filter((item) => holds.every((condition) => condition(item)));
  if (limit === undefined && input.NextToken === undefined) return { items: matching };
  const page = pageOf(deps.sealer, matching, id, {
    scope: JSON.stringify([operation, scope.account, scope.region, filters]),
    limit: limit ?? most,
    token: input.NextToken,
    badToken: ec2Errors.badToken,
  });
  return { items: [...page.items], ...(page.nextToken === undefined ? {} : { NextToken: page.nextToken }) };
}

function named<T>(items: readonly T[], id: (item: T) => string, ids: readonly string[], kind: Kind | undefined): readonly T[] {
  if (ids.length === 0) return items;
  if (kind) for (const each of ids) checkId(kind, each);
  const wanted = new Set(ids);
  const found = items.filter((item) => wanted.has(id(item)));
  if (kind && found.length < wanted.size) {
    const there = new Set(found.map(id));
    throw notFound(kind, ...[...wanted].filter((each) => !there.has(each)));
  }
  return found;
}

/** Of a Describe that knows no tags, ids or pages. */
export const matches = <T>(items: readonly T[], filters: readonly Filter[] | undefined, table: FilterTable<T>): T[] => {
  const holds = conditions(filters ?? [], table, undefined);
  return items.filter((item) => holds.every((condition) => condition(item)));
};

function conditions<T>(filters: readonly Filter[], table: FilterTable<T>, tags: Listing<T>["tags"]): ((item: T) => boolean)[] {
  return filters.map(({ Name: name = "", Values: wanted = [] }) => {
    const values = valuesOf(name, table, tags);
    if (!values) throw ec2Errors.invalid(`The filter '${name}' is invalid`);
    if (wanted.length === 0) throw ec2Errors.invalid(`The filter '${name}' has no value`);
    const patterns = wanted.map(pattern);
    return (item) => {
      const own = values(item);
      return (Array.isArray(own) ? own : [own as Value]).some(
        (value: Value) => value !== undefined && patterns.some((match) => match(String(value))),
      );
    };
  });
}

function valuesOf<T>(name: string, table: FilterTable<T>, tags: Listing<T>["tags"]): ((item: T) => Values) | undefined {
  if (tags && name.startsWith("tag:")) {
    const key = name.slice(4);
    return (item) => (tags(item) ?? []).filter(({ Key }) => Key === key).map(({ Value = "" }) => Value);
  }
  if (tags && name === "tag-key") return (item) => (tags(item) ?? []).map(({ Key }) => Key);
  if (tags && name === "tag-value") return (item) => (tags(item) ?? []).map(({ Value = "" }) => Value);
  return Object.hasOwn(table, name) ? table[name] : undefined;
}

/** `*` is any text, `?` any character, a backslash takes the next one as it is. Linear in the text for each star, so no pattern can stall us. */
function pattern(text: string): (value: string) => boolean {
  if (!/[*?\\]/.test(text)) return (value) => value === text;
  const parts: { readonly any?: "one" | "many"; readonly character?: string }[] = [];
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === "*") parts.push({ any: "many" });
    else if (character === "?") parts.push({ any: "one" });
    else if (character === "\\" && at + 1 < text.length) parts.push({ character: text[++at]! });
    else parts.push({ character });
  }
  return (value) => {
    let [at, next, star, from] = [0, 0, -1, 0];
    while (at < value.length) {
      const part = parts[next];
      if (part?.any === "many") [star, from] = [next++, at];
      else if (part && (part.any === "one" || part.character === value[at])) [at, next] = [at + 1, next + 1];
      else if (star >= 0) [next, at] = [star + 1, ++from];
      else return false;
    }
    while (parts[next]?.any === "many") next++;
    return next === parts.length;
  };
}
