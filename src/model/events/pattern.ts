import { anythingBut, type Test, tests } from "./value-tests.ts";

/**
 * EventBridge's event patterns, read once and matched often. Source: EventBridge User Guide, "Creating event patterns" and "Comparison operators
 * for use in event patterns"; what is refused is said in the words that it uses.
 */

/** The ways to choose a branch of each `$or`: one must fit as a whole. */
export interface Pattern {
  readonly branches: readonly PatternNode[];
}

/** All fields of an object. */
export type PatternNode = readonly PatternField[];

export interface PatternField {
  readonly name: string;
  /** From the event's root. */
  readonly path: readonly string[];
  readonly leaf?: Leaf;
  readonly below?: PatternNode;
}

/** One of these must be true of one of the field's values. */
export interface Leaf {
  readonly exact: ReadonlySet<unknown>;
  readonly tests: readonly Test[];
  /** The field may be missing in the whole event. */
  readonly absent: boolean;
}

/** What is wrong with a pattern. */
export class PatternError extends Error {}

const or = "$or";
const operators = new Set(["exactly", "prefix", "suffix", "numeric", "anything-but", "exists", "cidr", "equals-ignore-case", "wildcard"]);

/** Throws PatternError. */
export function parsePattern(text: string): Pattern {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PatternError((error as Error).message);
  }
  if (!isObject(value)) throw new PatternError("Filter is not an object");
  return { branches: parseObject([new Map()], value, [], false).map((conditions) => treeOf([...conditions.values()], 0)) };
}

const mostBranches = 1000;

/** What must hold in one branch, by path. A field that is named again counts as it is named last. */
type Conditions = ReadonlyMap<string, Condition>;

interface Condition {
  readonly path: readonly string[];
  readonly leaf: Leaf;
}

/** `before`: the branches so far. */
function parseObject(
  before: readonly Conditions[],
  value: Readonly<Record<string, unknown>>,
  path: readonly string[],
  insideOr: boolean,
): readonly Conditions[] {
  let branches = before;
  const entries = Object.entries(value);
  if (entries.length === 0) throw new PatternError("Empty objects are not allowed");
  for (const [name, below] of entries) {
    if (name === or) {
      branches = parseOr(branches, below, path);
      continue;
    }
    if (insideOr && operators.has(name)) throw new PatternError(`${name} is Ruler reserved fieldName which cannot be used inside ${or}.`);
    const here = [...path, name];
    if (Array.isArray(below)) {
      const condition = { path: here, leaf: parseLeaf(below) };
      branches = branches.map((conditions) => new Map([...conditions, [JSON.stringify(here), condition]]));
    } else if (isObject(below)) branches = parseObject(branches, below, here, insideOr);
    else throw new PatternError(`"${name}" must be an object or an array`);
  }
  return branches;
}

function parseOr(before: readonly Conditions[], value: unknown, path: readonly string[]): readonly Conditions[] {
  if (!Array.isArray(value)) throw new PatternError(`It must be an Array followed with ${or}.`);
  const branches: Conditions[] = [];
  for (const each of value as readonly unknown[]) {
    if (!isObject(each)) throw new PatternError(`Only JSON object is allowed in array of ${or} relationship.`);
    branches.push(...parseObject(before, each, path, true));
    if (branches.length > mostBranches) throw new PatternError(`The ${or} relationships come to more than ${mostBranches} combinations`);
  }
  if (value.length < 2) throw new PatternError(`There must have at least 2 Objects in ${or} relationship.`);
  return branches;
}

function treeOf(conditions: readonly Condition[], depth: number): PatternNode {
  const byName = Map.groupBy(conditions, ({ path }) => path[depth]!);
  return [...byName].map(([name, inside]) => {
    const leaf = inside.find(({ path }) => path.length === depth + 1)?.leaf;
    const deeper = inside.filter(({ path }) => path.length > depth + 1);
    return {
      name,
      path: inside[0]!.path.slice(0, depth + 1),
      ...(leaf ? { leaf } : {}),
      ...(deeper.length > 0 ? { below: treeOf(deeper, depth + 1) } : {}),
    };
  });
}

function parseLeaf(values: readonly unknown[]): Leaf {
  if (values.length === 0) throw new PatternError("Empty arrays are not allowed");
  const exact = new Set<unknown>();
  const found: Test[] = [];
  let absent = false;
  for (const value of values) {
    if (isObject(value)) {
      const test = parseTest(value);
      if (test === "absent") absent = true;
      else if (typeof test === "string") exact.add(test.slice(1));
      else found.push(test);
    } else if (Array.isArray(value)) throw new PatternError("Match value must be String, number, true, false, or null");
    else exact.add(value);
  }
  return { exact, tests: found, absent };
}

/** `=text`: exactly that. */
function parseTest(value: Readonly<Record<string, unknown>>): Test | "absent" | `=${string}` {
  const entries = Object.entries(value);
  const [first] = entries;
  if (!first) throw new PatternError("Match expression name not found");
  const [operator, operand] = first;
  const only = () => {
    if (entries.length > 1) throw new PatternError("Only one key allowed in match expression");
  };
  const textOf = (given: unknown, called = operator): string => {
    if (typeof given !== "string") throw new PatternError(`${called} match pattern must be a string`);
    only();
    return given;
  };
  switch (operator) {
    case "exactly":
      return `=${textOf(operand, "exact")}`;
    case "prefix":
    case "suffix": {
      if (!isObject(operand)) return tests[operator](textOf(operand));
      only();
      const [nested] = Object.entries(operand);
      if (Object.keys(operand).length !== 1 || nested![0] !== "equals-ignore-case")
        throw new PatternError(`Unsupported ${operator} pattern: ${nested?.[0] ?? ""}`);
      if (typeof nested![1] !== "string") throw new PatternError("equals-ignore-case match pattern must be a string");
      return tests[operator](nested![1], true);
    }
    case "equals-ignore-case":
      return tests.equalsIgnoreCase(textOf(operand));
    case "wildcard":
      return tests.wildcard(wildcardParts(textOf(operand)));
    case "cidr":
      return cidrTest(textOf(operand, "cidr"));
    case "exists":
      if (typeof operand !== "boolean") throw new PatternError("exists match pattern must be either true or false.");
      only();
      return operand ? tests.present : "absent";
    case "numeric":
      if (!Array.isArray(operand)) throw new PatternError("Value of numeric must be an array.");
      if (entries.length > 1) throw new PatternError("Too many elements in numeric expression");
      return numericTest(operand);
    case "anything-but":
      only();
      return anythingButTest(operand);
    default:
      throw new PatternError(`Unrecognized match type ${operator}`);
  }
}

function cidrTest(text: string): Test {
  const test = tests.cidr(text);
  if (!test)
    throw new PatternError(
      text.includes("/") ? `Malformed CIDR, improper IP address or mask: ${text}` : "Malformed CIDR, one '/' required",
    );
  return test;
}

const furthest = 5_000_000_000;

function numberOf(value: unknown, operator: string): number {
  if (typeof value !== "number") throw new PatternError(`Value of ${operator === "=" ? "equals" : operator} must be numeric`);
  if (Math.abs(value) > furthest) throw new PatternError("Value must be between -5.0E9 and 5.0E9, inclusive");
  return value;
}

function numericTest([operator, first, second, last, ...rest]: readonly unknown[]): Test {
  if (typeof operator !== "string") throw new PatternError(`Invalid member in numeric match: ${JSON.stringify(operator) ?? "]"}`);
  if (!/^([<>]=?|=)$/.test(operator)) throw new PatternError(`Unrecognized numeric range operator: ${operator}`);
  const value = numberOf(first, operator);
  if (operator === "=") {
    if (second !== undefined) throw new PatternError("Too many elements in numeric expression");
    return tests.range({ low: value, high: value, lowOpen: false, highOpen: false });
  }
  if (operator.startsWith("<")) {
    if (second !== undefined) throw new PatternError("Too many elements in numeric expression");
    return tests.range({ low: -Infinity, high: value, lowOpen: false, highOpen: operator === "<" });
  }
  const lowOpen = operator === ">";
  if (second === undefined) return tests.range({ low: value, high: Infinity, lowOpen, highOpen: false });
  if (typeof second !== "string") throw new PatternError(`Bad value in numeric range: ${JSON.stringify(second)}`);
  if (second !== "<" && second !== "<=") throw new PatternError(`Bad numeric range operator: ${second}`);
  const high = numberOf(last, second);
  if (rest.length > 0) throw new PatternError("Too many terms in numeric range expression");
  if (value >= high) throw new PatternError("Bottom must be less than top");
  return tests.range({ low: value, high, lowOpen, highOpen: second === "<" });
}

function anythingButTest(operand: unknown): Test {
  if (!isObject(operand)) {
    const list: readonly unknown[] = Array.isArray(operand) ? operand : [operand];
    if (!Array.isArray(operand) && typeof operand !== "string" && typeof operand !== "number")
      throw new PatternError("Value of anything-but must be an array or single string/number value.");
    for (const each of list)
      if (typeof each !== "string" && typeof each !== "number")
        throw new PatternError("Inside anything but list, start|null|boolean is not supported.");
    if (new Set(list.map((each) => typeof each)).size !== 1)
      throw new PatternError("Inside anything but list, either all values are number or string, mixed type is not supported");
    const values = new Set(list);
    return anythingBut((value) => values.has(value));
  }
  const entries = Object.entries(operand);
  const [first] = entries;
  if (!first) throw new PatternError("Anything-But expression name not found");
  const [operator, given] = first;
  if (!["prefix", "suffix", "wildcard", "equals-ignore-case"].includes(operator))
    throw new PatternError(`Unsupported anything-but pattern: ${operator}`);
  if (entries.length > 1) throw new PatternError("Only one key allowed in match expression");
  const texts: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (texts.length === 0 || texts.some((each) => typeof each !== "string"))
    throw new PatternError(
      operator === "prefix" || operator === "suffix"
        ? "prefix/suffix match pattern must be a string"
        : `Inside anything-but/${operator} list, number|start|null|boolean is not supported.`,
    );
  if ((operator === "prefix" || operator === "suffix") && texts.includes("")) throw new PatternError("Null prefix/suffix not allowed");
  const makers: Readonly<Record<string, (text: string) => Test>> = {
    prefix: tests.prefix,
    suffix: tests.suffix,
    wildcard: (text) => tests.wildcard(wildcardParts(text)),
    "equals-ignore-case": tests.equalsIgnoreCase,
  };
  const excluded = (texts as readonly string[]).map((text) => makers[operator]!(text));
  return anythingBut((value) => excluded.some((test) => test(value)));
}

/** What stands between the stars. `\*` and `\\` are a star and a backslash. */
function wildcardParts(text: string): readonly string[] {
  const parts = [""];
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!;
    if (letter === "\\") {
      const next = text[at + 1];
      // Positions count the quote that AWS puts before the text.
      if (next !== "*" && next !== "\\") throw new PatternError(`Invalid escape character at pos ${at + 1}`);
      parts[parts.length - 1] += next;
      at++;
    } else if (letter === "*") {
      if (text[at + 1] === "*") throw new PatternError(`Consecutive wildcard characters at pos ${at + 1}`);
      parts.push("");
    } else parts[parts.length - 1] += letter;
  }
  return parts;
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
