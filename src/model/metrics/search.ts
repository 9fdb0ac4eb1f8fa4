import type { MetricName } from "./identity.ts";
import { MathError } from "./math/syntax.ts";

/** Whether a metric is meant. */
export type Search = (metric: MetricName) => boolean;

interface Token {
  readonly kind: "word" | "quoted" | "sign";
  readonly text: string;
}

/**
 * `{Namespace, Dimension, …} terms`: exactly these dimensions; terms are joined by AND unless OR or NOT is between them; `property=value`, and in
 * quotes the whole value. A bare word means a metric that has all its parts, one behind the other, in a name or value. Throws MathError. Source: "Using
 * search expressions in graphs".
 */
export function parseSearch(source: string): Search {
  const tokens = tokensOf(source);
  let at = 0;
  const fail = (what: string): never => {
    throw new MathError(`Error in SEARCH expression '${source}': ${what}`);
  };
  const sign = (text: string) => tokens[at]?.kind === "sign" && tokens[at]!.text === text && Boolean(++at);
  const keyword = (text: string) => tokens[at]?.kind === "word" && tokens[at]!.text === text && Boolean(++at);
  const value = () => {
    const token = tokens[at];
    if (!token || token.kind === "sign") return fail("a word is missing");
    at += 1;
    return token;
  };

  function schema(): Search {
    if (!sign("{")) return () => true;
    const names = [value().text];
    while (sign(",")) names.push(value().text);
    if (!sign("}")) fail("'}' is missing");
    const [namespace, ...dimensions] = names;
    return (metric) =>
      metric.namespace === namespace &&
      metric.dimensions.length === dimensions.length &&
      metric.dimensions.every(({ name }) => dimensions.includes(name));
  }
  function any(): Search {
    const terms = [all()];
    while (keyword("OR")) terms.push(all());
    return terms.length === 1 ? terms[0]! : (metric) => terms.some((matches) => matches(metric));
  }
  function all(): Search {
    const terms: Search[] = [one()];
    while (
      at < tokens.length &&
      !(tokens[at]!.kind === "sign" && tokens[at]!.text === ")") &&
      !(tokens[at]!.kind === "word" && tokens[at]!.text === "OR")
    ) {
      keyword("AND");
      terms.push(one());
    }
    return (metric) => terms.every((matches) => matches(metric));
  }
  function one(): Search {
    if (keyword("NOT")) {
      const matches = one();
      return (metric) => !matches(metric);
    }
    if (sign("(")) {
      const inner = any();
      if (!sign(")")) fail("')' is missing");
      return inner;
    }
    const term = value();
    if (!sign("=")) return anywhere(term);
    if (!sign("(")) return property(term.text, value());
    const choices = [property(term.text, value())];
    while (!sign(")")) {
      if (at >= tokens.length) fail("')' is missing");
      if (!keyword("OR")) fail("only OR joins the values of a property");
      choices.push(property(term.text, value()));
    }
    return (metric) => choices.some((matches) => matches(metric));
  }

  const fits = schema();
  const matches = at < tokens.length ? any() : () => true;
  if (at < tokens.length) fail(`unexpected '${tokens[at]!.text}'`);
  return (metric) => fits(metric) && matches(metric);
}

function tokensOf(source: string): Token[] {
  return [...source.matchAll(/"((?:[^"\\]|\\.)*)"|([{}(),=])|([^\s{}(),="]+)/g)].map(([, quoted, sign, word]): Token => {
    if (quoted !== undefined) return { kind: "quoted", text: quoted.replaceAll(/\\(.)/g, "$1") };
    return sign !== undefined ? { kind: "sign", text: sign } : { kind: "word", text: word! };
  });
}

function anywhere(term: Token): Search {
  const matches = matcher(term);
  return ({ namespace, name, dimensions }) =>
    matches(namespace) || matches(name) || dimensions.some((each) => matches(each.name) || matches(each.value));
}

function property(name: string, term: Token): Search {
  const matches = matcher(term);
  if (name === "Namespace") return (metric) => matches(metric.namespace);
  if (name === "MetricName") return (metric) => matches(metric.name);
  return (metric) => metric.dimensions.some((each) => each.name === name && matches(each.value));
}

function matcher({ kind, text }: Token): (value: string) => boolean {
  if (kind === "quoted") return (value) => value === text;
  const wanted = partsOf(text);
  return (value) => {
    if (value.toLowerCase() === text.toLowerCase()) return true;
    const parts = partsOf(value);
    return parts.some((_, from) => wanted.every((part, i) => parts[from + i] === part)) || words(value).includes(text.toLowerCase());
  };
}

/** What stands between signs, whole. */
const words = (text: string) => text.toLowerCase().split(/[^\p{L}\p{N}]+/u);

/** Words, and the words that capitals and digits begin inside them. */
const partsOf = (text: string): string[] =>
  (text.match(/\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{N}+/gu) ?? [text]).map((part) => part.toLowerCase());
