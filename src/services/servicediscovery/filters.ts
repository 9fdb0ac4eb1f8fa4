import type { FilterCondition } from "@aws-sdk/client-servicediscovery";
import { errors } from "./errors.ts";

/** How a filter's values may be compared. Source: AWS Cloud Map API Reference, "NamespaceFilter", "ServiceFilter", "OperationFilter". */
export interface FilterKind<T> {
  readonly conditions: readonly FilterCondition[];
  readonly value: (item: T) => string | undefined;
  /** The values that may be asked for. */
  readonly only?: readonly string[];
}

interface Filter {
  readonly Name?: string;
  readonly Values?: readonly string[];
  readonly Condition?: string;
}

/** Those that all filters let through. Throws InvalidInput for a filter that there is not. Pure. */
export function filtered<T>(
  items: readonly T[],
  filters: readonly Filter[] | undefined,
  kinds: Readonly<Record<string, FilterKind<T>>>,
): readonly T[] {
  const tests = (filters ?? []).map((filter) => testOf(filter, kinds));
  return items.filter((item) => tests.every((test) => test(item)));
}

function testOf<T>(
  { Name = "", Values = [], Condition = "EQ" }: Filter,
  kinds: Readonly<Record<string, FilterKind<T>>>,
): (item: T) => boolean {
  const kind = Object.hasOwn(kinds, Name) ? kinds[Name] : undefined;
  if (!kind) throw errors.invalid(`Filter name must be one of [${Object.keys(kinds).join(", ")}]: ${Name}`);
  if (!(kind.conditions as readonly string[]).includes(Condition))
    throw errors.invalid(`Condition ${Condition} is not supported for filter ${Name}; those that are: [${kind.conditions.join(", ")}]`);
  const count = Condition === "BETWEEN" ? Values.length === 2 : Condition === "IN" ? Values.length > 0 : Values.length === 1;
  if (!count) throw errors.invalid(`Filter ${Name} with condition ${Condition} has a wrong number of values: ${Values.length}`);
  const strange = kind.only && Condition !== "BEGINS_WITH" ? Values.find((value) => !kind.only?.includes(value)) : undefined;
  if (strange !== undefined) throw errors.invalid(`Value of filter ${Name} must be one of [${kind.only?.join(", ")}]: ${strange}`);
  const [first = "", second = ""] = Values;
  if (Condition === "BETWEEN") {
    const [from, to] = [timeOf(first), timeOf(second)];
    return (item) => Number(kind.value(item)) >= from && Number(kind.value(item)) <= to;
  }
  if (Condition === "BEGINS_WITH") return (item) => kind.value(item)?.startsWith(first) ?? false;
  return (item) => Values.includes(kind.value(item) ?? "");
}

/** Seconds or milliseconds since the epoch, in milliseconds. */
function timeOf(text: string): number {
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) throw errors.invalid(`Not a Unix time: ${text}`);
  return value < 1e11 ? value * 1000 : value;
}
