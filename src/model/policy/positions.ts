/** Where something stands in a text: both count from 1. */
export interface Position {
  readonly Line: number;
  readonly Column: number;
}

export interface Span {
  readonly start: Position;
  /** Behind its last character. */
  readonly end: Position;
}

/** Where each statement of a policy stands, in their order. The text was parsed before: it is JSON, and has a Statement. */
export function statementSpans(text: string): readonly Span[] {
  const spans: Span[] = [];
  const open: string[] = [];
  let key: string | undefined;
  let within = false;
  let start = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:,]/gs)) {
    if (token === "{" || token === "[") {
      // An object right in the document's Statement, or in the list there.
      if (open.length === 1) within = key === "Statement";
      if (token === "{" && within && (open.length === 1 || (open.length === 2 && open[1] === "["))) start = index;
      open.push(token);
    } else if (token === "}" || token === "]") {
      open.pop();
      const whole = open.length === 1 || (open.length === 2 && open[1] === "[");
      if (token === "}" && within && whole) spans.push({ start: positionOf(text, start), end: positionOf(text, index + 1) });
    } else if (token.startsWith('"') && open.length === 1) key = JSON.parse(token) as string;
  }
  return spans;
}

function positionOf(text: string, offset: number): Position {
  const before = text.slice(0, offset);
  const line = before.split("\n");
  return { Line: line.length, Column: line.at(-1)!.length + 1 };
}
