/**
 * Wildcards: `*` any text, `?` one character. Matching goes over the text once and never backs up further than to the last `*`, so that no pattern that
 * somebody writes into a policy can hold up the door.
 */
export type Matcher = (text: string) => boolean;

const any: Matcher = () => true;

/** One piece of a pattern: a wildcard, or text that stands for itself even if it has a star in it (the value of a variable). */
export type Piece = { readonly literal: string } | { readonly wild: "*" | "?" };

export function piecesOf(pattern: string): Piece[] {
  return (pattern.match(/[*?]|[^*?]+/g) ?? []).map((part) => (part === "*" || part === "?" ? { wild: part } : { literal: part }));
}

export const glob = (pattern: string): Matcher => matcherOf(piecesOf(pattern));

export function matcherOf(pieces: readonly Piece[]): Matcher {
  const [first, second] = pieces;
  if (!first) return (text) => text === "";
  if (pieces.every((piece) => "wild" in piece && piece.wild === "*")) return any;
  if (pieces.every((piece) => "literal" in piece)) {
    const whole = pieces.map((piece) => ("literal" in piece ? piece.literal : "")).join("");
    return (text) => text === whole;
  }
  if (pieces.length === 2 && "literal" in first && second && "wild" in second && second.wild === "*") {
    const { literal } = first;
    return (text) => text.startsWith(literal);
  }
  return general(pieces);
}

/** Code points: -1 is `*`, -2 is `?`. */
function general(pieces: readonly Piece[]): Matcher {
  const codes = pieces.flatMap((piece) =>
    "wild" in piece ? [piece.wild === "*" ? -1 : -2] : [...piece.literal].map((char) => char.codePointAt(0)!),
  );
  const [first] = pieces;
  const prefix = first && "literal" in first ? first.literal : "";
  return (text) => text.startsWith(prefix) && run(codes, text);
}

function run(codes: readonly number[], text: string): boolean {
  let at = 0;
  let code = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    const here = text.codePointAt(at)!;
    const want = codes[code];
    if (want === -1) {
      star = code++;
      starAt = at;
    } else if (want === here || want === -2) {
      code++;
      at += here > 0xffff ? 2 : 1;
    } else if (star >= 0) {
      code = star + 1;
      starAt += text.codePointAt(starAt)! > 0xffff ? 2 : 1;
      at = starAt;
    } else return false;
  }
  while (codes[code] === -1) code++;
  return code === codes.length;
}

/** ArnLike: each of the six parts by itself, so that no wildcard reaches over a colon but in the last. */
export function arnGlob(pieces: readonly Piece[]): Matcher {
  const parts: Piece[][] = [[]];
  for (const piece of pieces) {
    if ("wild" in piece) {
      parts.at(-1)!.push(piece);
      continue;
    }
    const split = parts.length < 6 ? splitAtColons(piece.literal, 6 - parts.length) : [piece.literal];
    for (const [index, literal] of split.entries()) {
      if (index > 0) parts.push([]);
      if (literal !== "") parts.at(-1)!.push({ literal });
    }
  }
  if (parts.length < 6) {
    // `*` alone stands for every ARN; a shorter text is none.
    return pieces.length > 0 && pieces.every((piece) => "wild" in piece && piece.wild === "*") ? any : () => false;
  }
  const matchers = parts.map(matcherOf);
  return (text) => {
    const given = splitAtColons(text, 5);
    return given.length === 6 && matchers.every((matches, index) => matches(given[index]!));
  };
}

/** At most `count` colons are split at. */
function splitAtColons(text: string, count: number): string[] {
  const parts: string[] = [];
  let from = 0;
  while (parts.length < count) {
    const colon = text.indexOf(":", from);
    if (colon < 0) break;
    parts.push(text.slice(from, colon));
    from = colon + 1;
  }
  parts.push(text.slice(from));
  return parts;
}
