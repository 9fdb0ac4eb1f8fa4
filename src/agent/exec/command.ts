/** A command that can't be read: its sentence. */
export class CommandError extends Error {}

/**
 * A command's words as a shell would split them, with quotes and backslashes but nothing else of a shell: no variables, no globs. `#` at a word's beginning
 * opens a comment. Throws CommandError.
 * Source: aws/amazon-ssm-agent in containers splits by google/shlex.
 */
export function splitCommand(text: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: "'" | '"' | undefined;
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]!;
    if (quote === "'") {
      if (letter === "'") quote = undefined;
      else word += letter;
    } else if (letter === "\\") {
      const next = text[++at];
      if (next === undefined) throw new CommandError("EOF found after escape character");
      word = (word ?? "") + next;
    } else if (quote === '"') {
      if (letter === '"') quote = undefined;
      else word += letter;
    } else if (letter === "'" || letter === '"') {
      quote = letter;
      word ??= "";
    } else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (letter === "#" && word === undefined) {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
    } else word = (word ?? "") + letter;
  }
  if (quote) throw new CommandError("EOF found when expecting closing quote");
  if (word !== undefined) words.push(word);
  return words;
}

/** The text that `splitCommand` makes these words of. */
export function joinCommand(words: readonly string[]): string {
  return words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`)).join(" ");
}
