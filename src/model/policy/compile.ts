import { type Check, compileCondition } from "./conditions.ts";
import type { Context } from "./context.ts";
import type { PolicyDocument, Selection, Statement } from "./document.ts";
import { glob, type Matcher, matcherOf } from "./pattern.ts";
import { fill, isFixed, type Template, templateOf } from "./variables.ts";

/** A statement made ready: what it says of a resource and of the rest of the request. The action has been looked at by then. */
export interface CompiledStatement {
  readonly statement: Statement;
  readonly index: number;
  matchesResource(resource: string, context: Context): boolean;
  holds(context: Context): boolean;
  /** All resources that it can match, when it names them without wildcards and variables. */
  readonly names: readonly string[] | undefined;
}

/** The statements of a policy that speak of one action, by what can be known of their resources beforehand. */
export interface Relevant {
  /** By the exact resource. */
  readonly named: ReadonlyMap<string, readonly CompiledStatement[]>;
  readonly others: readonly CompiledStatement[];
}

export interface CompiledPolicy {
  /** Lower-case action. */
  relevant(action: string, effect: Statement["effect"]): Relevant;
}

const compiled = new WeakMap<PolicyDocument, CompiledPolicy>();

/** Actions come out of operations' tables, but the simulator takes any: so many are remembered for each policy. */
const mostActions = 500;

export function compile(document: PolicyDocument): CompiledPolicy {
  let policy = compiled.get(document);
  if (!policy) {
    policy = makeReady(document);
    compiled.set(document, policy);
  }
  return policy;
}

function makeReady(document: PolicyDocument): CompiledPolicy {
  const statements = document.statements.map((statement, index) => ({
    action: actionMatcher(statement.action),
    effect: statement.effect,
    ready: readyStatement(statement, index, document.version),
  }));
  const known = { Allow: new Map<string, Relevant>(), Deny: new Map<string, Relevant>() };
  return {
    relevant(action, effect) {
      const cache = known[effect];
      let found = cache.get(action);
      if (!found) {
        found = sorted(statements.filter((each) => each.effect === effect && each.action(action)).map(({ ready }) => ready));
        if (cache.size >= mostActions) cache.clear();
        cache.set(action, found);
      }
      return found;
    },
  };
}

function sorted(statements: readonly CompiledStatement[]): Relevant {
  const named = new Map<string, CompiledStatement[]>();
  const others: CompiledStatement[] = [];
  for (const statement of statements) {
    if (!statement.names) others.push(statement);
    for (const name of new Set(statement.names)) {
      const list = named.get(name);
      if (list) list.push(statement);
      else named.set(name, [statement]);
    }
  }
  return { named, others };
}

/** Actions are compared without regard to case. */
function actionMatcher({ not, patterns }: Selection): Matcher {
  const matchers = patterns.map((pattern) => glob(pattern.toLowerCase()));
  return (action) => matchers.some((matches) => matches(action)) !== not;
}

function readyStatement(statement: Statement, index: number, version: string): CompiledStatement {
  const checks = statement.conditions.map((condition): Check => compileCondition(condition, version));
  const { resource } = statement;
  const templates = resource?.patterns.map((pattern) => templateOf(pattern, version)) ?? [];
  return {
    statement,
    index,
    matchesResource: resource ? resourceMatcher(templates, resource.not) : () => true,
    holds: (context) => checks.every((check) => check(context)),
    names: resource && !resource.not ? namesOf(templates) : undefined,
  };
}

function namesOf(templates: readonly Template[]): readonly string[] | undefined {
  const names: string[] = [];
  for (const template of templates) {
    let name = "";
    for (const piece of template) {
      if (!("literal" in piece)) return undefined;
      name += piece.literal;
    }
    names.push(name);
  }
  return names;
}

function resourceMatcher(templates: readonly Template[], not: boolean): CompiledStatement["matchesResource"] {
  const fixed = templates.filter(isFixed).map(matcherOf);
  const open = templates.filter((template) => !isFixed(template));
  return (resource, context) => {
    const matched =
      fixed.some((matches) => matches(resource)) ||
      open.some((template) => {
        const pieces = fill(template, context);
        return pieces !== undefined && matcherOf(pieces)(resource);
      });
    return matched !== not;
  };
}
