import { compileComparison, readExpression, readLiteral, readOperator } from "./condition.ts";
import type { Scalar } from "./condition.ts";
import { Reader } from "./reader.ts";

/** A step of a selector: a member, an element, or any of them. */
type Step = string | number | typeof ANY;
const ANY = Symbol("any");

const NAME_ENDS = /[\s.[\]=!<>&|(){}"%,]/;
const VALUE_ENDS = /[\s&|(){}=<>]/;

/** `{ $.a.b[0] = "x" && ($.n >= 3 || $.gone NOT EXISTS) }`. A message that is no JSON never matches. */
export function parseJsonPattern(reader: Reader): (message: string) => boolean {
  if (!reader.take("{")) throw reader.fail();
  const test = readExpression<unknown>(reader, () => readCondition(reader));
  reader.space();
  if (!reader.take("}")) throw reader.fail();
  reader.space();
  if (!reader.done) throw reader.fail();
  return (message) => {
    if (!/^\s*[{[]/.test(message)) return false;
    let value: unknown;
    try {
      value = JSON.parse(message);
    } catch {
      return false;
    }
    return test(value);
  };
}

/** `$.a.b[0]` by itself: the values that it selects. Throws PatternError. */
export function parseSelector(text: string): (document: unknown) => unknown[] {
  const reader = new Reader(text);
  const steps = readSelector(reader);
  if (!reader.done) throw reader.fail();
  return (document) => select(document, steps);
}

function readCondition(reader: Reader): (document: unknown) => boolean {
  const steps = readSelector(reader);
  reader.space();
  if (reader.takeWord("NOT")) {
    reader.space();
    if (!reader.takeWord("EXISTS")) throw reader.fail();
    return (document) => select(document, steps).length === 0;
  }
  if (reader.takeWord("IS")) {
    reader.space();
    for (const [word, wanted] of [
      ["NULL", null],
      ["TRUE", true],
      ["FALSE", false],
    ] as const)
      if (reader.takeWord(word)) return (document) => select(document, steps).includes(wanted);
    throw reader.fail();
  }
  const operator = readOperator(reader);
  if (!operator) throw reader.fail();
  const literal = readLiteral(reader, VALUE_ENDS);
  const test = compileComparison(operator, literal, reader);
  // `= *` and `= "*"` ask whether the property is there, whatever it is.
  const anything = operator === "=" && literal.kind === "text" && literal.text === "*";
  return (document) => select(document, steps).some((value) => (isScalar(value) ? test(value) : anything));
}

function readSelector(reader: Reader): Step[] {
  if (!reader.take("$")) throw reader.fail();
  const steps: Step[] = [];
  for (;;) {
    if (reader.take(".")) {
      const name = reader.until(NAME_ENDS);
      if (name === "") throw reader.fail();
      steps.push(name === "*" ? ANY : name);
    } else if (reader.take("[")) {
      const quoted = reader.delimited();
      const text = quoted ? quoted.text : reader.until(/[\]\s]/);
      if (!reader.take("]")) throw reader.fail();
      if (quoted) steps.push(text);
      else if (text === "*") steps.push(ANY);
      else if (/^\d{1,9}$/.test(text)) steps.push(Number(text));
      else throw reader.fail();
    } else if (steps.length > 0) return steps;
    else throw reader.fail();
  }
}

function select(document: unknown, steps: readonly Step[]): unknown[] {
  let found = [document];
  for (const step of steps)
    found = found.flatMap((value) => {
      if (typeof value !== "object" || value === null) return [];
      if (step === ANY) return Object.values(value);
      if (typeof step === "number") return Array.isArray(value) && step < value.length ? [value[step] as unknown] : [];
      return !Array.isArray(value) && Object.hasOwn(value, step) ? [(value as Record<string, unknown>)[step]] : [];
    });
  return found;
}

function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value !== "object";
}
