/** Metric math's grammar. Source: "Using math expressions with CloudWatch metrics": syntax and functions. */
export type Expression =
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "name"; readonly name: string }
  | { readonly kind: "list"; readonly items: readonly Expression[] }
  | { readonly kind: "negative"; readonly of: Expression }
  | { readonly kind: "operation"; readonly operator: Operator; readonly left: Expression; readonly right: Expression }
  | { readonly kind: "call"; readonly name: string; readonly items: readonly Expression[] };

export type Operator = "+" | "-" | "*" | "/" | "^" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "AND" | "OR";

/** The expression is wrong: the client's fault. */
export class MathError extends Error {}

const token =
  /\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|([A-Za-z_][A-Za-z0-9_]*)|(==|!=|<=|>=|&&|\|\||[-+*/^<>()[\],]))/y;

interface Token {
  readonly kind: "number" | "text" | "word" | "sign";
  readonly text: string;
}

function tokensOf(source: string): Token[] {
  const tokens: Token[] = [];
  token.lastIndex = 0;
  while (source.slice(token.lastIndex).trim() !== "") {
    const at = token.lastIndex;
    const match = token.exec(source);
    if (!match) throw new MathError(`Error in expression: unexpected input at position ${at + 1}`);
    if (match[1] !== undefined) tokens.push({ kind: "number", text: match[1] });
    else if (match[2] !== undefined) tokens.push({ kind: "text", text: match[2].slice(1, -1).replaceAll(/\\(.)/g, "$1") });
    else if (match[3] !== undefined) tokens.push({ kind: "word", text: match[3] });
    else tokens.push({ kind: "sign", text: match[4]! });
  }
  return tokens;
}

/** Loosest first. */
const ranks: readonly (readonly string[])[] = [["OR"], ["AND"], ["==", "!=", "<", "<=", ">", ">="], ["+", "-"], ["*", "/"]];
const aliases: Readonly<Record<string, string>> = { "&&": "AND", "||": "OR" };
const maxDepth = 100;

export function parseExpression(source: string): Expression {
  const tokens = tokensOf(source);
  let at = 0;
  let depth = 0;

  const fail = (what: string): never => {
    throw new MathError(`Error in expression '${source}': ${what}`);
  };
  const next = () => tokens[at];
  const operatorOf = (one: Token | undefined) =>
    one?.kind === "sign"
      ? (aliases[one.text] ?? one.text)
      : one?.kind === "word" && /^(and|or)$/i.test(one.text)
        ? one.text.toUpperCase()
        : undefined;
  const take = (text: string) => {
    if (next()?.kind !== "sign" || next()!.text !== text) return false;
    at += 1;
    return true;
  };
  const expect = (text: string) => {
    if (!take(text)) fail(`'${text}' is missing`);
  };
  const deeper = <T>(parse: () => T): T => {
    if (++depth > maxDepth) fail("it is nested too deeply");
    const result = parse();
    depth -= 1;
    return result;
  };

  function binary(rank: number): Expression {
    if (rank === ranks.length) return unary();
    let left = binary(rank + 1);
    for (;;) {
      const operator = operatorOf(next());
      if (operator === undefined || !ranks[rank]!.includes(operator)) return left;
      at += 1;
      left = { kind: "operation", operator: operator as Operator, left, right: binary(rank + 1) };
    }
  }

  function unary(): Expression {
    if (take("-")) return { kind: "negative", of: deeper(unary) };
    if (take("+")) return deeper(unary);
    const base = primary();
    return take("^") ? { kind: "operation", operator: "^", left: base, right: deeper(unary) } : base;
  }

  function primary(): Expression {
    const one = next();
    if (!one) return fail("it ends too early");
    at += 1;
    if (one.kind === "number") return { kind: "number", value: Number(one.text) };
    if (one.kind === "text") return { kind: "text", value: one.text };
    if (one.kind === "word")
      return take("(") ? { kind: "call", name: one.text.toUpperCase(), items: items(")") } : { kind: "name", name: one.text };
    if (one.text === "(") {
      const inner = deeper(() => binary(0));
      expect(")");
      return inner;
    }
    if (one.text === "[") return { kind: "list", items: items("]") };
    return fail(`unexpected '${one.text}'`);
  }

  function items(end: string): Expression[] {
    if (take(end)) return [];
    const list = [deeper(() => binary(0))];
    while (take(",")) list.push(deeper(() => binary(0)));
    expect(end);
    return list;
  }

  const whole = binary(0);
  if (at < tokens.length) fail(`unexpected '${tokens[at]!.text}'`);
  return whole;
}

/** Every part of it, itself first. */
export function* partsOf(expression: Expression): Generator<Expression> {
  yield expression;
  if (expression.kind === "list" || expression.kind === "call") for (const item of expression.items) yield* partsOf(item);
  else if (expression.kind === "negative") yield* partsOf(expression.of);
  else if (expression.kind === "operation") {
    yield* partsOf(expression.left);
    yield* partsOf(expression.right);
  }
}
