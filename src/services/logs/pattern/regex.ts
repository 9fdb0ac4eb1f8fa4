import { badTerm } from "./errors.ts";

/**
 * CloudWatch Logs' regular expressions between percent signs: characters, classes, `. ^ $ ? * + {n,m} |`, no groups. Run as a set of
 * states, so that no expression takes longer than length × states, whatever the message.
 */
export function compileRegex(source: string): (message: string) => boolean {
  const alternatives = new Parser(source).parse();
  return (message) => alternatives.some((alternative) => runs(alternative, message));
}

type Test = (code: number) => boolean;

/** One character to be read; `optional`: it may be left out, `loops`: it may come again. */
interface State {
  readonly test: Test;
  readonly optional: boolean;
  readonly loops: boolean;
}

interface Alternative {
  readonly states: State[];
  anchoredStart: boolean;
  anchoredEnd: boolean;
}

const MOST_STATES = 200;

function runs({ states, anchoredStart, anchoredEnd }: Alternative, message: string): boolean {
  const end = states.length;
  let now = new Uint8Array(end + 1);
  let then = new Uint8Array(end + 1);
  const enter = (set: Uint8Array, state: number) => {
    for (let at = state; set[at] === 0; at++) {
      set[at] = 1;
      if (at === end || !states[at]!.optional) break;
    }
  };
  enter(now, 0);
  for (let i = 0; i < message.length; i++) {
    if (now[end] === 1 && !anchoredEnd) return true;
    const code = message.charCodeAt(i);
    then.fill(0);
    for (let at = 0; at < end; at++) {
      if (now[at] === 0 || !states[at]!.test(code)) continue;
      if (states[at]!.loops) enter(then, at);
      enter(then, at + 1);
    }
    if (!anchoredStart) enter(then, 0);
    [now, then] = [then, now];
  }
  return now[end] === 1;
}

const digit: Test = (code) => code >= 48 && code <= 57;
const word: Test = (code) => digit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95;
const space: Test = (code) => code === 32 || (code >= 9 && code <= 13);
const not =
  (test: Test): Test =>
  (code) =>
    !test(code);
const CLASSES: Readonly<Record<string, Test>> = { d: digit, D: not(digit), w: word, W: not(word), s: space, S: not(space) };

class Parser {
  readonly #source: string;
  #at = 0;
  #count = 0;

  constructor(source: string) {
    this.#source = source;
  }

  parse(): Alternative[] {
    if (this.#source === "") throw this.#bad();
    const alternatives: Alternative[] = [];
    do alternatives.push(this.#alternative());
    while (this.#take("|"));
    if (this.#at < this.#source.length) throw this.#bad();
    return alternatives;
  }

  #alternative(): Alternative {
    const alternative: Alternative = { states: [], anchoredStart: this.#take("^"), anchoredEnd: false };
    while (this.#at < this.#source.length && this.#source[this.#at] !== "|") {
      if (this.#take("$")) {
        alternative.anchoredEnd = true;
        if (this.#at < this.#source.length && this.#source[this.#at] !== "|") throw this.#bad();
        break;
      }
      const test = this.#atom();
      const [least, most] = this.#quantifier();
      const copies = most === Infinity ? Math.max(least, 1) : most;
      this.#count += copies;
      if (this.#count > MOST_STATES) throw this.#bad();
      for (let i = 0; i < copies; i++)
        alternative.states.push({ test, optional: i >= least, loops: most === Infinity && i === copies - 1 });
    }
    return alternative;
  }

  #atom(): Test {
    const character = this.#source[this.#at++]!;
    if (character === ".") return () => true;
    if (character === "[") return this.#set();
    if (character === "\\") return this.#escape();
    if (!/[A-Za-z0-9_#=@/;,:\- ]/.test(character)) throw this.#bad();
    const wanted = character.charCodeAt(0);
    return (code) => code === wanted;
  }

  #escape(): Test {
    const character = this.#source[this.#at++];
    if (character === undefined) throw this.#bad();
    const known = CLASSES[character];
    if (known) return known;
    const wanted = character === "x" ? this.#hex() : this.#escaped(character);
    return (code) => code === wanted;
  }

  #hex(): number {
    const digits = this.#source.slice(this.#at, this.#at + 2);
    if (!/^[0-9A-Fa-f]{2}$/.test(digits)) throw this.#bad();
    this.#at += 2;
    return Number.parseInt(digits, 16);
  }

  #escaped(character: string): number {
    if (!/[\^$?[\]{}|\\*+.%_#=@/;,:-]/.test(character)) throw this.#bad();
    return character.charCodeAt(0);
  }

  #set(): Test {
    const negated = this.#take("^");
    const tests: Test[] = [];
    while (!this.#take("]")) {
      if (this.#at >= this.#source.length) throw this.#bad();
      const low = this.#member();
      if (typeof low === "function") tests.push(low);
      else if (this.#source[this.#at] === "-" && this.#source[this.#at + 1] !== "]") {
        this.#at++;
        const high = this.#member();
        if (typeof high === "function" || high < low) throw this.#bad();
        tests.push((code) => code >= low && code <= high);
      } else tests.push((code) => code === low);
    }
    if (tests.length === 0) throw this.#bad();
    return negated ? (code) => !tests.some((test) => test(code)) : (code) => tests.some((test) => test(code));
  }

  #member(): Test | number {
    const character = this.#source[this.#at++];
    if (character === undefined) throw this.#bad();
    if (character !== "\\") {
      if (!/[\x20-\x7e]/.test(character)) throw this.#bad();
      return character.charCodeAt(0);
    }
    const next = this.#source[this.#at++];
    if (next === undefined) throw this.#bad();
    return CLASSES[next] ?? (next === "x" ? this.#hex() : this.#escaped(next));
  }

  #quantifier(): readonly [number, number] {
    if (this.#take("?")) return [0, 1];
    if (this.#take("*")) return [0, Infinity];
    if (this.#take("+")) return [1, Infinity];
    if (!this.#take("{")) return [1, 1];
    const match = /^(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#source.slice(this.#at, this.#at + 16));
    if (!match) throw this.#bad();
    this.#at += match[0].length;
    const least = Number(match[1]);
    const most = match[2] === undefined ? least : match[3] === "" ? Infinity : Number(match[3]);
    if (most < least) throw this.#bad();
    return [least, most];
  }

  #take(character: string): boolean {
    if (this.#source[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #bad() {
    return badTerm(`%${this.#source}%`);
  }
}
