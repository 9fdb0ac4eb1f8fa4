import type { Context } from "./context.ts";
import type { Condition } from "./document.ts";
import { operators } from "./operators.ts";
import type { Matcher, Piece } from "./pattern.ts";
import { fill, isFixed, type Template, templateOf } from "./variables.ts";

export type Check = (context: Context) => boolean;

/** A condition, made ready. */
export function compileCondition(condition: Condition, version: string): Check {
  const { operator: name, set, ifExists, values } = condition;
  const key = condition.key.toLowerCase();
  const operator = operators.get(name);
  if (!operator) throw new Error(`not an operator: ${name}`);
  if (name === "Null") return checkNull(key, values);
  const { negated } = operator;
  const fits = anyOf(
    values.map((value) => templateOf(value, operator.variables ? version : "")),
    (pieces) => operator.compile(pieces),
  );
  return (context) => {
    const given = context.get(key);
    // A key that is not there: ForAllValues has nothing to object to, ForAnyValue nothing to find.
    if (!given) return ifExists || (set ? set === "ForAllValues" : negated);
    const holds = fits(context);
    if (set === "ForAllValues") return given.every((value) => holds(value) !== negated);
    if (set === "ForAnyValue") return given.some((value) => holds(value) !== negated);
    return given.some(holds) !== negated;
  };
}

function checkNull(key: string, values: readonly string[]): Check {
  const wanted = values.map((value) => value.toLowerCase());
  return (context) => wanted.includes(context.has(key) ? "false" : "true");
}

type Compile = (pieces: readonly Piece[]) => Matcher;

/** One matcher for all the values of a policy; those without variables are made only once. */
function anyOf(templates: readonly Template[], compile: Compile): (context: Context) => Matcher {
  const fixed = templates.filter(isFixed).map(compile);
  const open = templates.filter((template) => !isFixed(template));
  const closed: Matcher = (value) => fixed.some((matches) => matches(value));
  if (open.length === 0) return () => closed;
  return (context) => {
    const filled = open.flatMap((template) => {
      const pieces = fill(template, context);
      return pieces ? [compile(pieces)] : [];
    });
    return (value) => closed(value) || filled.some((matches) => matches(value));
  };
}
