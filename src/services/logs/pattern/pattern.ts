import { badTerm } from "./errors.ts";
import { parseFieldPattern } from "./field-pattern.ts";
import { parseJsonPattern } from "./json-pattern.ts";
import { Reader } from "./reader.ts";
import { compileRegex } from "./regex.ts";

export type Matcher = (message: string) => boolean;

/**
 * Compiles a filter pattern. Pure; throws PatternError and nothing else. Source: "Filter pattern syntax for metric filters, subscription
 * filters, filter log events, and Live Tail" in the CloudWatch Logs user guide.
 */
export function parsePattern(pattern: string): Matcher {
  const reader = new Reader(pattern);
  reader.space();
  if (reader.done) return () => true;
  if (reader.next === "{") return parseJsonPattern(reader);
  if (reader.next === "[") return parseFieldPattern(reader);
  return parseTerms(reader);
}

/** All plain terms, none of the excluded ones; optional ones count only where there are no others: then one of them has to be there. */
function parseTerms(reader: Reader): Matcher {
  const required: Matcher[] = [];
  const excluded: Matcher[] = [];
  const optional: Matcher[] = [];
  for (; !reader.done; reader.space()) {
    const kind = reader.take("-") ? excluded : reader.take("?") ? optional : required;
    kind.push(readTerm(reader));
  }
  return (message) => {
    if (excluded.some((matches) => matches(message)) || !required.every((matches) => matches(message))) return false;
    return optional.length === 0 || required.length + excluded.length > 0 || optional.some((matches) => matches(message));
  };
}

function readTerm(reader: Reader): Matcher {
  const literal = reader.delimited();
  if (literal?.kind === "regex") return compileRegex(literal.text);
  if (literal) {
    if (literal.text === "") throw badTerm('""');
    return (message) => message.includes(literal.text);
  }
  const word = reader.until(/\s/);
  if (!/^[\p{L}\p{N}_]+$/u.test(word)) throw badTerm(word);
  return (message) => message.includes(word);
}
