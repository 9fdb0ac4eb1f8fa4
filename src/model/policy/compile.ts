import { type Check, compileCondition } from "./conditions.ts";
import type { Context } from "./context.ts";
import type { PolicyDocument, Selection, Statement } from "./document.ts";
import { glob, type Matcher, matcherOf } from "./pattern.ts";
import { fill, isFixed, type Template, templateOf } from "./variables.ts";

/** A statement made ready, once for each document. */
export interface CompiledStatement {
  readonly statement: Statement;
  /** Its place in the document, from 0. */
  readonly index: number;
  /** Lower-case action. */
  readonly matchesAction: Matcher;
  matchesResource(resource: string, context: Context): boolean;
  holds(context: Context): boolean;
  /** How its resources are written; undefined when it names none, or all but some. */
  readonly resources: readonly Template[] | undefined;
}

const compiled = new WeakMap<PolicyDocument, readonly CompiledStatement[]>();

export function compile(document: PolicyDocument): readonly CompiledStatement[] {
  let statements = compiled.get(document);
  if (!statements) {
    statements = document.statements.map((statement, index) => readyStatement(statement, index, document.version));
    compiled.set(document, statements);
  }
  return statements;
}

function readyStatement(statement: Statement, index: number, version: string): CompiledStatement {
  const checks = statement.conditions.map((condition): Check => compileCondition(condition, version));
  const { resource } = statement;
  const templates = resource?.patterns.map((pattern) => templateOf(pattern, version)) ?? [];
  return {
    statement,
    index,
    matchesAction: actionMatcher(statement.action),
    matchesResource: resource ? resourceMatcher(templates, resource.not) : () => true,
    holds: (context) => checks.every((check) => check(context)),
    resources: resource && !resource.not ? templates : undefined,
  };
}

/** Actions are compared without regard to case. */
function actionMatcher({ not, patterns }: Selection): Matcher {
  const matchers = patterns.map((pattern) => glob(pattern.toLowerCase()));
  return (action) => matchers.some((matches) => matches(action)) !== not;
}

function resourceMatcher(templates: readonly Template[], not: boolean): CompiledStatement["matchesResource"] {
  const fixed = templates.filter(isFixed).map(matcherOf);
  // What stands in a pattern must stand in the resource, whatever its variables are: most are told apart by that.
  const open = templates
    .filter((template) => !isFixed(template))
    .map((template) => ({ template, literals: template.flatMap((piece) => ("literal" in piece ? [piece.literal] : [])) }));
  return (resource, context) => {
    const matched =
      fixed.some((matches) => matches(resource)) ||
      open.some(({ template, literals }) => {
        if (!literals.every((literal) => resource.includes(literal))) return false;
        const pieces = fill(template, context);
        return pieces !== undefined && matcherOf(pieces)(resource);
      });
    return matched !== not;
  };
}
