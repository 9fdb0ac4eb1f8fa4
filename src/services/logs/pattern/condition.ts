import { compileRegex } from "./regex.ts";
import type { Literal, Reader } from "./reader.ts";

export type Operator = "=" | "!=" | "<" | "<=" | ">" | ">=";
export type Scalar = string | number | boolean | null;
export type ScalarTest = (value: Scalar) => boolean;

/** `a && b || (c)` over whatever `condition` reads; `&&` binds closer. */
export function readExpression<T>(reader: Reader, condition: () => (value: T) => boolean): (value: T) => boolean {
  const primary = (): ((value: T) => boolean) => {
    reader.space();
    if (!reader.take("(")) return condition();
    const inner = readExpression(reader, condition);
    reader.space();
    if (!reader.take(")")) throw reader.fail();
    return inner;
  };
  const chain = (token: string, part: () => (value: T) => boolean, all: boolean) => {
    const parts = [part()];
    for (reader.space(); reader.take(token); reader.space()) parts.push(part());
    if (parts.length === 1) return parts[0]!;
    return all ? (value: T) => parts.every((test) => test(value)) : (value: T) => parts.some((test) => test(value));
  };
  return chain("||", () => chain("&&", primary, true), false);
}

export function readOperator(reader: Reader): Operator | undefined {
  for (const operator of ["!=", "<=", ">=", "=", "<", ">"] as const) if (reader.take(operator)) return operator;
  return undefined;
}

/** A value to compare with: quoted, a regular expression, or bare up to a character that ends it. */
export function readLiteral(reader: Reader, ends: RegExp): Literal {
  reader.space();
  const delimited = reader.delimited();
  if (delimited) return delimited;
  const text = reader.until(ends);
  if (text === "") throw reader.fail();
  return { kind: "text", text, quoted: false };
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$/;

/** The test of one comparison. Numbers compare as numbers, everything else as text in which `*` stands for any characters. */
export function compileComparison(operator: Operator, literal: Literal, reader: Reader): ScalarTest {
  if (operator === "=" || operator === "!=") {
    const equals = equality(literal);
    return operator === "=" ? equals : (value) => !equals(value);
  }
  if (literal.kind === "regex" || literal.quoted || !NUMBER.test(literal.text)) throw reader.fail();
  const wanted = Number(literal.text);
  const compare = {
    "<": (n: number) => n < wanted,
    "<=": (n: number) => n <= wanted,
    ">": (n: number) => n > wanted,
    ">=": (n: number) => n >= wanted,
  }[operator];
  return (value) => {
    const number = toNumber(value);
    return number !== undefined && compare(number);
  };
}

function equality(literal: Literal): ScalarTest {
  if (literal.kind === "regex") {
    const matches = compileRegex(literal.text);
    return (value) => matches(String(value));
  }
  const matches = compileWildcard(literal.text);
  if (literal.quoted || !NUMBER.test(literal.text)) return (value) => matches(String(value));
  const wanted = Number(literal.text);
  return (value) => toNumber(value) === wanted || matches(String(value));
}

function toNumber(value: Scalar): number | undefined {
  if (typeof value === "number") return value;
  return typeof value === "string" && NUMBER.test(value) ? Number(value) : undefined;
}

/** `*` stands for any characters. Linear in the text: the first place of each piece is as good as any later one. */
export function compileWildcard(pattern: string): (text: string) => boolean {
  const pieces = pattern.split("*");
  if (pieces.length === 1) return (text) => text === pattern;
  const first = pieces[0]!;
  const last = pieces.at(-1)!;
  const middle = pieces.slice(1, -1);
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    let at = first.length;
    for (const piece of middle) {
      const found = text.indexOf(piece, at);
      if (found < 0) return false;
      at = found + piece.length;
    }
    return at <= text.length - last.length;
  };
}
