/**
 * Regular expressions that match in time linear in the text: users write them into filters and constraints, and the scheduler must not be held
 * up by one. Java's syntax without what needs backtracking (back-references, look-around, possessive and atomic groups). Pure.
 */
export class PatternError extends Error {}

/** A predicate that is true when the pattern matches the whole text, as `String.matches` of Java does. Throws PatternError. */
export function linearPattern(pattern: string): (text: string) => boolean {
  const program = new Compiler(pattern).compile();
  return (text) => run(program, text);
}

type Test = (char: string) => boolean;

/** `any`: one character that passes; `split`: goes on at both; `begin` and `end`: go on at the text's ends only. */
type State =
  | { readonly kind: "one"; readonly test: Test; next: number }
  | { readonly kind: "split"; next: number; other: number }
  | { readonly kind: "begin" | "end"; next: number }
  | { readonly kind: "match" };

type Node =
  | { readonly kind: "one"; readonly test: Test }
  | { readonly kind: "begin" | "end" }
  | { readonly kind: "all"; readonly parts: readonly Node[] }
  | { readonly kind: "either"; readonly parts: readonly Node[] }
  | { readonly kind: "repeat"; readonly node: Node; readonly least: number; readonly most: number };

const mostStates = 2000;
const mostRepeats = 1000;
const mostDepth = 50;

const digit: Test = (char) => char >= "0" && char <= "9";
const word: Test = (char) => /^[A-Za-z0-9_]$/.test(char);
const space: Test = (char) => /^[ \t\n\v\f\r]$/.test(char);
const not =
  (test: Test): Test =>
  (char) =>
    !test(char);
const classes: Readonly<Record<string, Test>> = { d: digit, D: not(digit), w: word, W: not(word), s: space, S: not(space) };
const controls: Readonly<Record<string, string>> = { t: "\t", n: "\n", r: "\r", f: "\f" };

class Compiler {
  readonly #chars: readonly string[];
  #at = 0;
  #ignoreCase = false;
  readonly #states: State[] = [];

  constructor(pattern: string) {
    this.#chars = [...pattern];
  }

  compile(): { readonly states: readonly State[]; readonly start: number } {
    if (this.#takeText("(?i)")) this.#ignoreCase = true;
    const node = this.#either(0);
    if (this.#at < this.#chars.length) throw new PatternError("an unmatched )");
    const match = this.#add({ kind: "match" });
    const start = this.#emit(node, match);
    return { states: this.#states, start };
  }

  #takeText(text: string): boolean {
    if (this.#chars.slice(this.#at, this.#at + text.length).join("") !== text) return false;
    this.#at += text.length;
    return true;
  }

  #either(depth: number): Node {
    if (depth > mostDepth) throw new PatternError("groups nest too deep");
    const parts = [this.#all(depth)];
    while (this.#takeText("|")) parts.push(this.#all(depth));
    return parts.length === 1 ? parts[0]! : { kind: "either", parts };
  }

  #all(depth: number): Node {
    const parts: Node[] = [];
    while (this.#at < this.#chars.length && !["|", ")"].includes(this.#chars[this.#at]!)) parts.push(this.#repeat(this.#atom(depth)));
    return { kind: "all", parts };
  }

  #repeat(node: Node): Node {
    const quantity = this.#quantity();
    if (!quantity) return node;
    if (node.kind === "begin" || node.kind === "end") throw new PatternError("an anchor can't be repeated");
    // A lazy quantifier matches the same whole texts as an eager one; a possessive one does not.
    if (!this.#takeText("?") && this.#chars[this.#at] === "+") throw new PatternError("possessive quantifiers are not supported");
    if (this.#quantity()) throw new PatternError("a quantifier of a quantifier");
    return { kind: "repeat", node, ...quantity };
  }

  #quantity(): { readonly least: number; readonly most: number } | undefined {
    if (this.#takeText("*")) return { least: 0, most: Infinity };
    if (this.#takeText("+")) return { least: 1, most: Infinity };
    if (this.#takeText("?")) return { least: 0, most: 1 };
    const match = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#chars.slice(this.#at, this.#at + 12).join(""));
    if (!match) return undefined;
    this.#at += match[0].length;
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === "" ? Infinity : Number(match[3]);
    if (most < least || least > mostRepeats) throw new PatternError(`the repetition ${match[0]} is out of range`);
    return { least, most };
  }

  #atom(depth: number): Node {
    const char = this.#chars[this.#at++]!;
    switch (char) {
      case "(":
        return this.#group(depth);
      case "[":
        return { kind: "one", test: this.#set(depth) };
      case ".":
        return { kind: "one", test: (each) => each !== "\n" && each !== "\r" };
      case "^":
        return { kind: "begin" };
      case "$":
        return { kind: "end" };
      case "*":
      case "+":
      case "?":
      case "{":
        throw new PatternError(`nothing stands before ${char}`);
      case "\\":
        return { kind: "one", test: this.#escape() };
      default:
        return { kind: "one", test: this.#literal(char) };
    }
  }

  #group(depth: number): Node {
    if (!this.#takeText("?:") && this.#chars[this.#at] === "?") throw new PatternError("only plain and (?: groups are supported");
    const inner = this.#either(depth + 1);
    if (!this.#takeText(")")) throw new PatternError("a missing )");
    return inner;
  }

  #literal(char: string): Test {
    if (!this.#ignoreCase) return (each) => each === char;
    const lower = char.toLowerCase();
    return (each) => each.toLowerCase() === lower;
  }

  #escape(): Test {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new PatternError("nothing stands after \\");
    const known = classes[char];
    if (known) return known;
    if (/^[A-Za-z0-9]$/.test(char) && controls[char] === undefined) throw new PatternError(`\\${char} is not supported`);
    return this.#literal(controls[char] ?? char);
  }

  #set(depth: number): Test {
    if (depth > mostDepth) throw new PatternError("classes nest too deep");
    const negated = this.#takeText("^");
    const tests: Test[] = [];
    for (let first = true; ; first = false) {
      const char = this.#chars[this.#at++];
      if (char === undefined) throw new PatternError("a missing ]");
      if (char === "]" && !first) break;
      if (char === "[" || (char === "&" && this.#chars[this.#at] === "&")) throw new PatternError("classes of classes are not supported");
      tests.push(this.#member(char));
    }
    const any: Test = (each) => tests.some((test) => test(each));
    return negated ? not(any) : any;
  }

  #member(char: string): Test {
    if (char === "\\" && classes[this.#chars[this.#at] ?? ""]) return this.#escape();
    const from = char === "\\" ? this.#escaped() : char;
    if (this.#chars[this.#at] !== "-" || [undefined, "]"].includes(this.#chars[this.#at + 1])) return this.#literal(from);
    this.#at++;
    const end = this.#chars[this.#at++]!;
    const to = end === "\\" ? this.#escaped() : end;
    if (to < from) throw new PatternError(`the range ${from}-${to} is empty`);
    const within: Test = (each) => each >= from && each <= to;
    return this.#ignoreCase ? (each) => within(each.toLowerCase()) || within(each.toUpperCase()) : within;
  }

  #escaped(): string {
    const char = this.#chars[this.#at++];
    if (char === undefined) throw new PatternError("nothing stands after \\");
    if (/^[A-Za-z0-9]$/.test(char) && controls[char] === undefined) throw new PatternError(`\\${char} is not supported`);
    return controls[char] ?? char;
  }

  #add(state: State): number {
    if (this.#states.length >= mostStates) throw new PatternError("the pattern is too large");
    return this.#states.push(state) - 1;
  }

  /** Emits the states of `node`, which lead to `next`; its first state. */
  #emit(node: Node, next: number): number {
    switch (node.kind) {
      case "one":
        return this.#add({ kind: "one", test: node.test, next });
      case "begin":
      case "end":
        return this.#add({ kind: node.kind, next });
      case "all":
        return node.parts.reduceRight((after, part) => this.#emit(part, after), next);
      case "either":
        return node.parts
          .map((part) => this.#emit(part, next))
          .reduceRight((other, each) => this.#add({ kind: "split", next: each, other }));
      case "repeat":
        return this.#emitRepeat(node.node, node.least, node.most, next);
    }
  }

  #emitRepeat(node: Node, least: number, most: number, next: number): number {
    let start = next;
    if (most === Infinity) {
      const split = { kind: "split" as const, next: 0, other: next };
      start = this.#add(split);
      split.next = this.#emit(node, start);
    } else {
      for (let count = least; count < most; count++) start = this.#add({ kind: "split", next: this.#emit(node, start), other: next });
    }
    for (let count = 0; count < least; count++) start = this.#emit(node, start);
    return start;
  }
}

function run({ states, start }: { readonly states: readonly State[]; readonly start: number }, text: string): boolean {
  const chars = [...text];
  let current = closure(states, [start], 0, chars.length);
  for (let at = 0; at < chars.length && current.size > 0; at++) {
    const next: number[] = [];
    for (const index of current) {
      const state = states[index]!;
      if (state.kind === "one" && state.test(chars[at]!)) next.push(state.next);
    }
    current = closure(states, next, at + 1, chars.length);
  }
  return [...current].some((index) => states[index]!.kind === "match");
}

/** All states that are reached from `from` without taking a character. */
function closure(states: readonly State[], from: readonly number[], at: number, end: number): ReadonlySet<number> {
  const reached = new Set<number>();
  const open = [...from];
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (reached.has(index)) continue;
    reached.add(index);
    const state = states[index]!;
    if (state.kind === "split") open.push(state.next, state.other);
    else if ((state.kind === "begin" && at === 0) || (state.kind === "end" && at === end)) open.push(state.next);
  }
  return reached;
}
