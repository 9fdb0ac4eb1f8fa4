import { compileComparison, readExpression, readLiteral, readOperator } from "./condition.ts";
import type { ScalarTest } from "./condition.ts";
import type { Reader } from "./reader.ts";

const NAME_ENDS = /[\s,\]=!<>&|()"%]/;
const VALUE_ENDS = /[\s,\]&|()]/;

/** `[ip, user, ..., status = 4* && status != 404, bytes > 1000]`: a test for each field of a message, `...` stands for any number of fields. */
export function parseFieldPattern(reader: Reader): (message: string) => boolean {
  if (!reader.take("[")) throw reader.fail();
  const fields: (ScalarTest | "...")[] = [];
  do fields.push(readField(reader));
  while (reader.take(","));
  if (!reader.take("]")) throw reader.fail();
  reader.space();
  if (!reader.done) throw reader.fail();
  return (message) => matchFields(fields, splitFields(message));
}

function readField(reader: Reader): ScalarTest | "..." {
  reader.space();
  if (reader.take("...")) {
    reader.space();
    return "...";
  }
  if (reader.next === "," || reader.next === "]") return () => true;
  let conditions = 0;
  let bare = 0;
  const test = readExpression<string>(reader, () => {
    reader.space();
    const name = reader.until(NAME_ENDS);
    if (!/^[\w.$-]+$/.test(name)) throw reader.fail();
    reader.space();
    conditions++;
    const operator = readOperator(reader);
    if (operator) return compileComparison(operator, readLiteral(reader, VALUE_ENDS), reader);
    bare++;
    return () => true;
  });
  // A name alone is a whole field; among conditions it says nothing.
  if (bare > 0 && conditions > 1) throw reader.fail();
  reader.space();
  return (value) => test(String(value));
}

/** Fields are separated by white space; what stands in brackets or quotation marks is one field, without them. */
export function splitFields(message: string): string[] {
  const fields: string[] = [];
  // Where no closing mark is left is remembered, or a message of opening ones would be searched to its end for each.
  const missing = new Set<string>();
  for (let at = 0; at < message.length;) {
    if (/\s/.test(message[at]!)) {
      at++;
      continue;
    }
    const close = message[at] === "[" ? "]" : message[at] === '"' ? '"' : undefined;
    const end = close === undefined || missing.has(close) ? -1 : message.indexOf(close, at + 1);
    if (close !== undefined && end < 0) missing.add(close);
    if (end > 0) {
      fields.push(message.slice(at + 1, end));
      at = end + 1;
    } else {
      const start = at;
      while (at < message.length && !/\s/.test(message[at]!)) at++;
      fields.push(message.slice(start, at));
    }
  }
  return fields;
}

/** Like a glob: only the last `...` need ever be tried again, so the time is at most fields × pattern. */
function matchFields(pattern: readonly (ScalarTest | "...")[], fields: readonly string[]): boolean {
  let at = 0;
  let field = 0;
  let star = -1;
  let starField = 0;
  while (field < fields.length) {
    const test = pattern[at];
    if (test === "...") {
      star = at++;
      starField = field;
    } else if (test?.(fields[field]!)) {
      at++;
      field++;
    } else if (star >= 0) {
      at = star + 1;
      field = ++starField;
    } else return false;
  }
  while (pattern[at] === "...") at++;
  return at === pattern.length;
}
