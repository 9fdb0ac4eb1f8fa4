import { splitFields } from "./field-pattern.ts";
import { parseSelector } from "./json-pattern.ts";

/** What a metric filter takes out of a message that matches: the text, or undefined when it is not there. */
export type Extract = (message: string) => string | undefined;

/** `$.a.b`, `$name` of a space-delimited pattern; anything else is taken as it is. Throws PatternError. Source: MetricTransformation, metricValue. */
export function compileExtract(text: string, pattern: string): Extract {
  if (text.startsWith("$.") || text.startsWith("$[")) {
    const select = parseSelector(text);
    return (message) => textOf(select(jsonOf(message))[0]);
  }
  if (!text.startsWith("$")) return () => text;
  const names = fieldNames(pattern);
  const at = names.indexOf(text.slice(1));
  const dots = names.indexOf("...");
  if (at < 0) {
    const number = /^\$(\d+)$/.exec(text);
    return number ? (message) => splitFields(message)[Number(number[1]) - 1] : () => undefined;
  }
  // Behind `...` fields are counted from the end.
  return dots >= 0 && at > dots ? (message) => splitFields(message).at(at - names.length) : (message) => splitFields(message)[at];
}

/** All that the pattern names, as TestMetricFilter shows it. */
export function extractAll(pattern: string): (message: string) => Record<string, string> {
  const trimmed = pattern.trim();
  const names = trimmed.startsWith("[")
    ? fieldNames(trimmed).flatMap((name, i) => (name === "..." ? [] : [`$${name === "" ? i + 1 : name}`]))
    : [];
  const selectors = trimmed.startsWith("{") ? (trimmed.match(/\$(?:\.[\w-]+|\[[^\]]*\])+/g) ?? []) : [];
  const extracts = [...names, ...selectors].map((name) => [name, compileExtract(name, trimmed)] as const);
  return (message) =>
    Object.fromEntries(
      extracts.flatMap(([name, extract]) => {
        const value = extract(message);
        return value === undefined ? [] : [[name, value] as const];
      }),
    );
}

/** In the order of the fields; one without a name is empty. */
function fieldNames(pattern: string): string[] {
  const inside = /^\s*\[(.*)\]\s*$/s.exec(pattern)?.[1];
  if (inside === undefined) return [];
  const parts = inside.match(/(?:"(?:[^"\\]|\\.)*"|%[^%]*%|[^,"%])+|(?<=,|^)(?=,|$)/g) ?? [];
  return parts.map((part) => (part.trim() === "..." ? "..." : (/^[\s(!]*([\w.$-]+)/.exec(part)?.[1] ?? "")));
}

function jsonOf(message: string): unknown {
  try {
    return JSON.parse(message);
  } catch {
    return undefined;
  }
}

function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}
