/** The words of the cluster query language. */

/** `position` counts characters from 0. */
export class QueryError extends Error {
  readonly position: number;
  constructor(message: string, position: number) {
    super(`${message} at position ${position}`);
    this.name = "QueryError";
    this.position = position;
  }
}

export interface Token {
  readonly kind: "word" | "string" | "operator" | "(" | ")" | "[" | "]" | "," | "end";
  readonly text: string;
  readonly at: number;
}

/** Ends with a token of kind `end`. Throws QueryError. */
export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const rest = text.slice(at);
    const space = /^\s+/.exec(rest);
    if (space) {
      at += space[0].length;
      continue;
    }
    const isPattern = matching.has(tokens.at(-1)?.text.toLowerCase() ?? "") && tokens.at(-1)?.kind !== "string";
    const quoted = /^"((?:[^"\\]|\\.)*)"|^'((?:[^'\\]|\\.)*)'/.exec(rest);
    if (quoted) {
      const inner = quoted[1] ?? quoted[2] ?? "";
      // A pattern's backslashes are the pattern's own, but for those before quotes.
      tokens.push({ kind: "string", text: inner.replace(isPattern ? /\\(["'])/g : /\\(.)/g, "$1"), at });
      at += quoted[0].length;
      continue;
    }
    if (isPattern) {
      const text = barePattern(rest);
      if (text === "") throw new QueryError("Expected a pattern", at);
      tokens.push({ kind: "word", text, at });
      at += text.length;
      continue;
    }
    const mark = /^[()[\],]/.exec(rest);
    if (mark) {
      tokens.push({ kind: mark[0] as Token["kind"], text: mark[0], at });
      at += 1;
      continue;
    }
    const operator = /^(==|!=|>=|<=|=~|!~|&&|\|\||>|<|!in\b|!exists\b|!)/.exec(rest);
    if (operator) {
      tokens.push({ kind: "operator", text: operator[0], at });
      at += operator[0].length;
      continue;
    }
    const word = /^[^\s()[\],"'=!<>&|]+/.exec(rest);
    if (!word) throw new QueryError(`Unexpected character '${rest[0]}'`, at);
    tokens.push({ kind: "word", text: word[0], at });
    at += word[0].length;
  }
  tokens.push({ kind: "end", text: "the end", at: text.length });
  return tokens;
}

const matching = new Set(["=~", "!~", "matches", "not_matches"]);

/** An unquoted pattern goes on to the next space, or to the parenthesis that closes one from before it. */
function barePattern(text: string): string {
  let open = 0;
  for (let index = 0; index < text.length; index++) {
    const char = text[index]!;
    if (/\s/.test(char) || (char === ")" && open === 0)) return text.slice(0, index);
    if (char === "\\") index++;
    else if (char === "(") open++;
    else if (char === ")") open--;
  }
  return text;
}
