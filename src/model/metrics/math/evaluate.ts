import { absent, functions, type Window } from "./functions.ts";
import { type Expression, MathError, partsOf } from "./syntax.ts";
import { isArray, isSeries, operate, type Series, type Value } from "./values.ts";

export interface MathContext {
  readonly window: Window;
  /** What another query of the same question is worth, by its id; undefined when there is none. */
  readonly named: (id: string) => Value | undefined;
  /** Those that are metrics, for METRICS(). */
  readonly metrics: () => readonly { readonly id: string; readonly series: Series }[];
  /** What SEARCH found; the arguments as written. */
  readonly search: (call: SearchCall) => readonly Series[];
}

export interface SearchCall {
  readonly query: string;
  readonly statistic: string;
  /** Seconds; undefined: that of the expression. */
  readonly period: number | undefined;
}

/** Words that functions take as they are. */
const words = new Set(["REPEAT", "LINEAR", "ASC", "DESC", "AVG", "MIN", "MAX", "SUM", "STDDEV"]);

/** Throws MathError. */
export function evaluate(expression: Expression, context: MathContext): Value {
  switch (expression.kind) {
    case "number":
    case "text":
      return expression.value;
    case "name": {
      const value = context.named(expression.name);
      if (value !== undefined) return value;
      if (words.has(expression.name.toUpperCase())) return expression.name.toUpperCase();
      throw new MathError(`Undeclared variable ${expression.name}.`);
    }
    case "list":
      return expression.items.flatMap((item) => {
        const value = evaluate(item, context);
        if (isArray(value)) return [...value];
        if (isSeries(value)) return [value];
        throw new MathError("An array holds time series only.");
      });
    case "negative":
      return operate("*", evaluate(expression.of, context), -1);
    case "operation":
      return operate(expression.operator, evaluate(expression.left, context), evaluate(expression.right, context));
    case "call":
      return call(expression, context);
  }
}

function call(expression: Expression & { kind: "call" }, context: MathContext): Value {
  const { name } = expression;
  if (name === "SEARCH") return context.search(searchCall(expression));
  const items = expression.items.map((item) => evaluate(item, context));
  if (name === "METRICS") {
    const [part] = items;
    if (part !== undefined && typeof part !== "string") throw new MathError("METRICS takes a part of an id, as text.");
    return context
      .metrics()
      .filter(({ id }) => part === undefined || id.includes(part))
      .map(({ series }) => series);
  }
  const known = Object.hasOwn(functions, name) ? functions[name] : undefined;
  if (known) return known(items, context.window);
  if (Object.hasOwn(absent, name)) throw new MathError(`${name} is not available: Gantry has no ${absent[name]}.`);
  throw new MathError(`Unsupported function ${name}.`);
}

function searchCall({ items }: Expression & { kind: "call" }): SearchCall {
  const [query, statistic, period] = items;
  if (query?.kind !== "text" || statistic?.kind !== "text")
    throw new MathError("SEARCH takes a search expression and a statistic, as text, and a period.");
  if (period !== undefined && period.kind !== "number") throw new MathError("The period of SEARCH is a number.");
  return { query: query.value, statistic: statistic.value, period: period?.value };
}

/** All searches of an expression, so that their data can be read before it is evaluated. */
export const searchesOf = (expression: Expression): SearchCall[] =>
  [...partsOf(expression)].flatMap((part) => (part.kind === "call" && part.name === "SEARCH" ? [searchCall(part)] : []));

/** The other queries that an expression names. */
export const namesOf = (expression: Expression): string[] =>
  [...partsOf(expression)].flatMap((part) => (part.kind === "name" ? [part.name] : []));

/** METRICS() reads all that are metrics. */
export const usesMetrics = (expression: Expression): boolean =>
  [...partsOf(expression)].some((part) => part.kind === "call" && part.name === "METRICS");
