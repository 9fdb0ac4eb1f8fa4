import { holdsAddress, parseAddress, parseBlock } from "../cidr.ts";
import { arnGlob, type Matcher, matcherOf, type Piece } from "./pattern.ts";

/** How one value of a policy is compared with one of the request. */
export interface Operator {
  /** `StringNotEquals` and its kin: true when none of the policy's values fits, and when the key is not there. */
  readonly negated: boolean;
  /** Whether `${…}` is filled in. The numeric, date, Boolean, binary and address operators take no variables. */
  readonly variables: boolean;
  /** Made once for each value. A value that makes no sense fits nothing. */
  compile(pieces: readonly Piece[]): Matcher;
}

const never: Matcher = () => false;

/** Wildcards are plain characters to operators without `Like`. */
const textOf = (pieces: readonly Piece[]) => pieces.map((piece) => ("wild" in piece ? piece.wild : piece.literal)).join("");

const equal = (pieces: readonly Piece[]): Matcher => {
  const wanted = textOf(pieces);
  return (value) => value === wanted;
};

const equalIgnoringCase = (pieces: readonly Piece[]): Matcher => {
  const wanted = textOf(pieces).toLowerCase();
  return (value) => value.toLowerCase() === wanted;
};

type Compare = (value: number, wanted: number) => boolean;

const ordered = (read: (text: string) => number) => (compare: Compare) => {
  return (pieces: readonly Piece[]): Matcher => {
    const wanted = read(textOf(pieces));
    // NaN is neither equal to nor beside anything.
    return (value) => compare(read(value), wanted);
  };
};

function numberOf(text: string): number {
  return /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/.test(text) ? Number(text) : Number.NaN;
}

/** ISO 8601 of some precision, or seconds since the epoch. */
function dateOf(text: string): number {
  if (/^\d{5,}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^\d{4}(-\d{2}(-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?)?)?$/.test(text)) return Number.NaN;
  const zoned = /T.*(Z|[+-]\d{2}:?\d{2})$/.test(text) || !text.includes("T") ? text : `${text}Z`;
  return Date.parse(
    zoned.replace(/([+-]\d{2})(\d{2})$/, (all, hours: string, minutes: string) => (text.includes("T") ? `${hours}:${minutes}` : all)),
  );
}

const numeric = ordered(numberOf);
const date = ordered(dateOf);
const less: Compare = (value, wanted) => value < wanted;
const lessEqual: Compare = (value, wanted) => value <= wanted;
const greater: Compare = (value, wanted) => value > wanted;
const greaterEqual: Compare = (value, wanted) => value >= wanted;
const same: Compare = (value, wanted) => value === wanted;

const bool = (pieces: readonly Piece[]): Matcher => {
  const wanted = textOf(pieces).toLowerCase();
  return wanted === "true" || wanted === "false" ? (value) => value.toLowerCase() === wanted : never;
};

const binary = (pieces: readonly Piece[]): Matcher => {
  const wanted = bytesOf(textOf(pieces));
  return wanted === undefined ? never : (value) => bytesOf(value) === wanted;
};

/** The bytes that a base64 text stands for, as text. */
function bytesOf(text: string): string | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 === 1) return undefined;
  try {
    return atob(text);
  } catch {
    return undefined;
  }
}

const address = (pieces: readonly Piece[]): Matcher => {
  const text = textOf(pieces);
  const alone = parseAddress(text);
  const block = parseBlock(alone ? `${text}/${alone.family === 4 ? 32 : 128}` : text);
  return block ? (value) => holdsAddress(block, plainAddress(value)) : never;
};

/** An IPv4 client of a socket for both families is an IPv4 client. */
const plainAddress = (text: string) => text.replace(/^::ffff:(?=\d+\.)/i, "");

function pair(name: string, negatedName: string, compile: Operator["compile"], variables: boolean): [string, Operator][] {
  return [
    [name, { negated: false, variables, compile }],
    [negatedName, { negated: true, variables, compile }],
  ];
}

const one = (name: string, compile: Operator["compile"]): [string, Operator] => [name, { negated: false, variables: false, compile }];

/** All but `Null`, which asks whether the key is there. Source: IAM User Guide, "IAM JSON policy elements: Condition operators". */
export const operators: ReadonlyMap<string, Operator> = new Map([
  ...pair("StringEquals", "StringNotEquals", equal, true),
  ...pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", equalIgnoringCase, true),
  ...pair("StringLike", "StringNotLike", matcherOf, true),
  ...pair("ArnEquals", "ArnNotEquals", arnGlob, true),
  ...pair("ArnLike", "ArnNotLike", arnGlob, true),
  ...pair("NumericEquals", "NumericNotEquals", numeric(same), false),
  one("NumericLessThan", numeric(less)),
  one("NumericLessThanEquals", numeric(lessEqual)),
  one("NumericGreaterThan", numeric(greater)),
  one("NumericGreaterThanEquals", numeric(greaterEqual)),
  ...pair("DateEquals", "DateNotEquals", date(same), false),
  one("DateLessThan", date(less)),
  one("DateLessThanEquals", date(lessEqual)),
  one("DateGreaterThan", date(greater)),
  one("DateGreaterThanEquals", date(greaterEqual)),
  one("Bool", bool),
  one("BinaryEquals", binary),
  ...pair("IpAddress", "NotIpAddress", address, false),
  ["Null", { negated: false, variables: false, compile: bool }],
]);
