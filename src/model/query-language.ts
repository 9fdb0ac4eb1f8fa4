import { linearPattern, PatternError } from "./linear-pattern.ts";
import { QueryError, tokenize, type Token } from "./query-tokens.ts";

export { QueryError };

/**
 * The cluster query language: `attribute:ecs.instance-type =~ t3.* and not(task:group == service:web)`. Pure: text → a predicate.
 * Source: ECS Developer Guide, "Create expressions to define container instances for Amazon ECS tasks".
 */
export interface QuerySubject {
  /** A container instance's attribute: undefined when it does not have it, "" when it has no value. */
  attribute(name: string): string | undefined;
  /** agentConnected, agentVersion, ec2InstanceId, registeredAt (ms since the epoch), runningTasksCount. */
  field(name: string): string | number | boolean | undefined;
  /** Groups of the tasks on the instance. */
  readonly groups: ReadonlySet<string>;
}

export type Query = (subject: QuerySubject) => boolean;

type FieldType = "text" | "number" | "boolean" | "version";

const fields: Readonly<Record<string, FieldType>> = {
  agentConnected: "boolean",
  agentVersion: "version",
  ec2InstanceId: "text",
  registeredAt: "number",
  runningTasksCount: "number",
};
const words: Readonly<Record<string, string>> = {
  equals: "==",
  not_equals: "!=",
  greater_than: ">",
  greater_than_equal: ">=",
  less_than: "<",
  less_than_equal: "<=",
  matches: "=~",
  not_matches: "!~",
  exists: "exists",
  not_exists: "!exists",
  in: "in",
  not_in: "!in",
  "!in": "!in",
  "!exists": "!exists",
};
const maxLength = 2000;
const maxDepth = 32;

/** Throws QueryError. */
export function parseQuery(text: string): Query {
  if (text.length > maxLength) throw new QueryError(`The expression is longer than ${maxLength} characters`, maxLength);
  const parser = new Parser(tokenize(text));
  return parser.whole();
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    return this.#tokens[this.#next++]!;
  }

  #fail(wanted: string): QueryError {
    return new QueryError(`Expected ${wanted}, found '${this.#peek().text}'`, this.#peek().at);
  }

  #is(...texts: string[]): boolean {
    return this.#peek().kind !== "string" && texts.includes(this.#peek().text.toLowerCase());
  }

  whole(): Query {
    const query = this.#or(0);
    if (this.#peek().kind !== "end") throw this.#fail("'and', 'or' or the end");
    return query;
  }

  #or(depth: number): Query {
    const parts = [this.#and(depth)];
    while (this.#is("or", "||")) {
      this.#take();
      parts.push(this.#and(depth));
    }
    return parts.length === 1 ? parts[0]! : (subject) => parts.some((part) => part(subject));
  }

  #and(depth: number): Query {
    const parts = [this.#not(depth)];
    while (this.#is("and", "&&")) {
      this.#take();
      parts.push(this.#not(depth));
    }
    return parts.length === 1 ? parts[0]! : (subject) => parts.every((part) => part(subject));
  }

  #not(depth: number): Query {
    if (depth > maxDepth) throw new QueryError("The expression nests too deep", this.#peek().at);
    if (this.#is("not", "!")) {
      this.#take();
      const inner = this.#not(depth + 1);
      return (subject) => !inner(subject);
    }
    if (this.#peek().kind === "(") {
      this.#take();
      const inner = this.#or(depth + 1);
      if (this.#peek().kind !== ")") throw this.#fail("')'");
      this.#take();
      return inner;
    }
    return this.#comparison();
  }

  #comparison(): Query {
    const subject = this.#peek();
    if (subject.kind !== "word") throw this.#fail("a subject such as attribute:name, task:group or agentConnected");
    this.#take();
    const operator = this.#operator();
    if (subject.text.startsWith("attribute:")) return this.#attribute(subject, operator);
    if (subject.text === "task:group") return this.#group(operator);
    const type = Object.hasOwn(fields, subject.text) ? fields[subject.text] : undefined;
    if (!type) throw new QueryError(`Unknown subject '${subject.text}'`, subject.at);
    return this.#field(subject.text, type, operator);
  }

  #operator(): { readonly text: string; readonly at: number } {
    const { text, at, kind } = this.#peek();
    const known =
      kind === "operator" && !["!", "&&", "||"].includes(text)
        ? (words[text] ?? text)
        : kind === "word"
          ? words[text.toLowerCase()]
          : undefined;
    if (!known) throw this.#fail("an operator such as ==, !=, =~, in or exists");
    this.#take();
    return { text: known, at };
  }

  #attribute(subject: Token, { text: operator, at }: { text: string; at: number }): Query {
    const name = subject.text.slice("attribute:".length);
    if (!/^[A-Za-z0-9_.\-/\\]{1,128}$/.test(name)) throw new QueryError(`Invalid attribute name '${name}'`, subject.at);
    if (operator === "exists") return ({ attribute }) => attribute(name) !== undefined;
    if (operator === "!exists") return ({ attribute }) => attribute(name) === undefined;
    const test = this.#test(operator, at);
    // What an instance does not have differs from everything.
    const absent = operator.startsWith("!");
    return ({ attribute }) => {
      const value = attribute(name);
      return value === undefined ? absent : test(value);
    };
  }

  #group({ text: operator, at }: { text: string; at: number }): Query {
    if (operator.endsWith("exists") || ["<", ">", "<=", ">="].includes(operator))
      throw new QueryError(`task:group can't be compared by ${operator}`, at);
    // A negated operator speaks of all tasks of the instance, the others of any.
    const negated = operator.startsWith("!");
    const test = this.#test(negated ? positive(operator) : operator, at);
    return ({ groups }) => negated !== [...groups].some(test);
  }

  #field(name: string, type: FieldType, { text: operator, at }: { text: string; at: number }): Query {
    if (operator === "exists") return ({ field }) => field(name) !== undefined;
    if (operator === "!exists") return ({ field }) => field(name) === undefined;
    const valueAt = this.#peek().at;
    if (type === "text" || type === "version" || (type === "boolean" && (operator === "=~" || operator === "!~"))) {
      const test = this.#test(operator, at, type === "version" ? versionOrder : order);
      return ({ field }) => test(String(field(name) ?? ""));
    }
    const read = (text: string): number => {
      const value =
        type === "boolean"
          ? ({ true: 1, false: 0 }[text.toLowerCase()] ?? Number.NaN)
          : name === "registeredAt"
            ? timeOf(text)
            : Number(text);
      if (Number.isNaN(value)) throw new QueryError(`'${text}' is no value for ${name}`, valueAt);
      return value;
    };
    const values = operator.endsWith("in") ? this.#list().map(read) : [read(this.#value())];
    const compare = numeric(operator);
    if (!compare) throw new QueryError(`${name} can't be compared by ${operator}`, at);
    return ({ field }) => {
      const value = field(name);
      return value !== undefined && compare(Number(value), values);
    };
  }

  #test(operator: string, at: number, compare = order): (value: string) => boolean {
    if (operator === "in" || operator === "!in") {
      const values = new Set(this.#list());
      return (value) => values.has(value) === (operator === "in");
    }
    const valueAt = this.#peek().at;
    const wanted = this.#value();
    switch (operator) {
      case "==":
        return (value) => value === wanted;
      case "!=":
        return (value) => value !== wanted;
      case ">":
        return (value) => compare(value, wanted) > 0;
      case ">=":
        return (value) => compare(value, wanted) >= 0;
      case "<":
        return (value) => compare(value, wanted) < 0;
      case "<=":
        return (value) => compare(value, wanted) <= 0;
      case "=~":
      case "!~": {
        const matches = patternOf(wanted, valueAt);
        return (value) => matches(value) === (operator === "=~");
      }
      default:
        throw new QueryError(`Unknown operator '${operator}'`, at);
    }
  }

  #value(): string {
    const token = this.#peek();
    if (token.kind !== "word" && token.kind !== "string") throw this.#fail("a value");
    this.#take();
    return token.text;
  }

  #list(): string[] {
    if (this.#peek().kind !== "[" && this.#peek().kind !== "(") throw this.#fail("a list such as [a, b]");
    const closing = this.#take().kind === "[" ? "]" : ")";
    const values = [this.#value()];
    while (this.#peek().kind === ",") {
      this.#take();
      values.push(this.#value());
    }
    if (this.#peek().kind !== closing) throw this.#fail(`',' or '${closing}'`);
    this.#take();
    return values;
  }
}

const positive = (operator: string) => ({ "!=": "==", "!~": "=~", "!in": "in" })[operator] ?? operator;

function numeric(operator: string): ((value: number, given: readonly number[]) => boolean) | undefined {
  const one = (test: (a: number, b: number) => boolean) => (value: number, given: readonly number[]) => test(value, given[0]!);
  return {
    "==": one((a, b) => a === b),
    "!=": one((a, b) => a !== b),
    ">": one((a, b) => a > b),
    ">=": one((a, b) => a >= b),
    "<": one((a, b) => a < b),
    "<=": one((a, b) => a <= b),
    in: (value: number, given: readonly number[]) => given.includes(value),
    "!in": (value: number, given: readonly number[]) => !given.includes(value),
  }[operator];
}

/** Numbers by size, everything else by its characters. */
function order(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (a.trim() !== "" && b.trim() !== "" && !Number.isNaN(x) && !Number.isNaN(y)) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** `1.9.0` is before `1.83.0`: part by part, numbers by size. */
function versionOrder(a: string, b: string): number {
  const [ours, theirs] = [a.split("."), b.split(".")];
  for (let index = 0; index < Math.max(ours.length, theirs.length); index++) {
    const difference = order(ours[index] ?? "0", theirs[index] ?? "0");
    if (difference !== 0) return difference;
  }
  return 0;
}

/** `2026-11-21`, a time of ISO 8601, or a span back from now is not for a pure function: times are absolute. */
function timeOf(text: string): number {
  return /^\d{4}-\d{2}-\d{2}([T ]|$)/.test(text) ? Date.parse(text.length === 10 ? `${text}T00:00:00Z` : text) : Number.NaN;
}

const mostVerdicts = 1000;

/** A pattern in Java's syntax; it matches the whole value. Many instances share their attributes' values: each is looked at once. */
function patternOf(text: string, at: number): (value: string) => boolean {
  try {
    const matches = linearPattern(text);
    const verdicts = new Map<string, boolean>();
    return (value) => {
      let verdict = verdicts.get(value);
      if (verdict !== undefined) return verdict;
      if (verdicts.size >= mostVerdicts) verdicts.clear();
      verdict = matches(value);
      verdicts.set(value, verdict);
      return verdict;
    };
  } catch (error) {
    if (error instanceof PatternError) throw new QueryError(`Invalid pattern '${text}': ${error.message}`, at);
    throw error;
  }
}
