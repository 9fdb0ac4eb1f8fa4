import { badTerm, PatternError } from "./errors.ts";

export type Literal =
  | { readonly kind: "text"; readonly text: string; readonly quoted: boolean }
  | { readonly kind: "regex"; readonly text: string };

/** Reads a pattern from left to right. */
export class Reader {
  readonly text: string;
  at: number;

  constructor(text: string, at = 0) {
    this.text = text;
    this.at = at;
  }

  get done(): boolean {
    return this.at >= this.text.length;
  }

  get next(): string {
    return this.text.charAt(this.at);
  }

  space(): void {
    while (/\s/.test(this.next)) this.at++;
  }

  /** Whether `token` stands here; if so it is read. */
  take(token: string): boolean {
    if (!this.text.startsWith(token, this.at)) return false;
    this.at += token.length;
    return true;
  }

  /** A word of the grammar in any case, not followed by a letter. */
  takeWord(word: string): boolean {
    const end = this.at + word.length;
    if (this.text.slice(this.at, end).toUpperCase() !== word || /[\w]/.test(this.text.charAt(end))) return false;
    this.at = end;
    return true;
  }

  /** The longest run of characters that are not in `stop`. */
  until(stop: RegExp): string {
    const start = this.at;
    while (!this.done && !stop.test(this.next)) this.at++;
    return this.text.slice(start, this.at);
  }

  /** `"…"` with `\"` and `\\`, or `%…%` with `\%`; undefined when neither begins here. */
  delimited(): Literal | undefined {
    const quote = this.next;
    if (quote !== '"' && quote !== "%") return undefined;
    const start = this.at++;
    let text = "";
    while (!this.done && this.next !== quote) {
      const escaped = this.next === "\\" && this.at + 1 < this.text.length;
      if (escaped) {
        const character = this.text.charAt(this.at + 1);
        text += quote === "%" && character !== "%" ? `\\${character}` : character;
        this.at += 2;
      } else text += this.text.charAt(this.at++);
    }
    if (!this.take(quote)) throw badTerm(this.text.slice(start));
    return quote === "%" ? { kind: "regex", text } : { kind: "text", text, quoted: true };
  }

  fail(): PatternError {
    return this.done ? new PatternError("Invalid filter pattern") : badTerm(this.until(/\s/) || this.next);
  }
}
