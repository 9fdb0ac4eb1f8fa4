/** The rules as AWS describes them, evaluated one after the other: what the generated configuration is held against. */
import type { Condition, Rule } from "#load-balancer/config.ts";

export interface Asked {
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** `*` any characters, `?` one. */
export function matches(pattern: string, text: string): boolean {
  let [p, t, star, mark] = [0, 0, -1, 0];
  while (t < text.length) {
    if (p < pattern.length && pattern[p] === "*") [star, mark, p] = [p, t, p + 1];
    else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) [p, t] = [p + 1, t + 1];
    else if (star >= 0) [p, mark, t] = [star + 1, mark + 1, mark + 1];
    else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}

function holds(condition: Condition, asked: Asked): boolean {
  const lower = (text: string) => text.toLowerCase();
  switch (condition.field) {
    case "host-header":
      return condition.values.some((value) => matches(lower(value), lower(asked.host.split(":")[0]!)));
    case "path-pattern":
      return condition.values.some((value) => matches(value, asked.path));
    case "http-header": {
      const value = asked.headers[lower(condition.name)];
      return value !== undefined && condition.values.some((each) => matches(lower(each), lower(value)));
    }
    case "http-request-method":
      return condition.values.includes(asked.method);
    case "query-string":
      return condition.values.some(({ key, value }) =>
        asked.query.split("&").some((pair) => {
          const at = pair.indexOf("=");
          const [name, own] = at < 0 ? ["", pair] : [pair.slice(0, at), pair.slice(at + 1)];
          if (key === undefined) return matches(lower(value), lower(own)) || matches(lower(value), lower(pair));
          return at >= 0 && matches(lower(key), lower(name)) && matches(lower(value), lower(own));
        }),
      );
    case "source-ip":
      return condition.values.some((block) => block === "127.0.0.0/8" || block === "127.0.0.1/32");
  }
}

/** The priority of the rule that decides, or undefined for the default action. */
export function decide(rules: readonly Rule[], asked: Asked): number | undefined {
  return rules.toSorted((a, b) => a.priority - b.priority).find((rule) => rule.conditions.every((condition) => holds(condition, asked)))
    ?.priority;
}
