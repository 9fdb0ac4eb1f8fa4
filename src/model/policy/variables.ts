import { type Context, single } from "./context.ts";
import { type Piece, piecesOf } from "./pattern.ts";

/** A pattern with `${…}` in it: each part a piece as it stands, or the key of a value that is filled in. */
export type Template = readonly (Piece | { readonly key: string; readonly fallback?: string })[];

/**
 * Reads policy variables. `${*}`, `${?}` and `${$}` are those characters themselves. Version 2008-10-17 has no variables: there the text stands for itself.
 * Source: IAM User Guide, "IAM policy elements: Variables and tags".
 */
export function templateOf(text: string, version: string): Template {
  if (version !== "2012-10-17" || !text.includes("${")) return piecesOf(text);
  const template: Template[number][] = [];
  let from = 0;
  for (const match of text.matchAll(/\$\{([^}]*)\}/g)) {
    template.push(...piecesOf(text.slice(from, match.index)), variable(match[1]!, match[0]));
    from = match.index + match[0].length;
  }
  return [...template, ...piecesOf(text.slice(from))];
}

function variable(inner: string, whole: string): Template[number] {
  if (inner === "*" || inner === "?" || inner === "$") return { literal: inner };
  const match = /^\s*([^\s,']+)\s*(?:,\s*'([^']*)'\s*)?$/.exec(inner);
  if (!match) return { literal: whole };
  return { key: match[1]!.toLowerCase(), ...(match[2] === undefined ? {} : { fallback: match[2] }) };
}

export const isFixed = (template: Template): template is readonly Piece[] => template.every((piece) => !("key" in piece));

/** The values filled in; undefined when one of them is not there (or is many), for then nothing equals it. */
export function fill(template: Template, context: Context): readonly Piece[] | undefined {
  const pieces: Piece[] = [];
  for (const piece of template) {
    if (!("key" in piece)) {
      pieces.push(piece);
      continue;
    }
    const literal = single(context, piece.key) ?? piece.fallback;
    if (literal === undefined) return undefined;
    if (literal !== "") pieces.push({ literal });
  }
  return pieces;
}
