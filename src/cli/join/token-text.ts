import { createHash } from "node:crypto";

/** What a join token says. Pure. */
export interface JoinToken {
  readonly id: string;
  readonly secret: string;
  /** Where the server is, the likeliest first. */
  readonly urls: readonly string[];
  /** SHA-256 of the authority's PEM text, base64url; undefined: its certificate is one that systems trust. */
  readonly fingerprint: string | undefined;
}

const mark = "gantry1.";

export const fingerprintOf = (authority: string): string => createHash("sha256").update(authority).digest("base64url");

export function formatToken({ id, secret, urls, fingerprint }: JoinToken): string {
  return mark + Buffer.from(JSON.stringify([id, secret, fingerprint ?? "", ...urls])).toString("base64url");
}

/** Throws what to tell a person; never with the token in it. */
export function parseToken(text: string): JoinToken {
  const given = text.trim();
  const broken = new Error("this is not a join token: copy the whole line that ./gantry token prints on the server");
  if (!given.startsWith(mark)) throw broken;
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(given.slice(mark.length), "base64url").toString("utf8"));
  } catch {
    throw broken;
  }
  if (!Array.isArray(parts) || parts.length < 4 || !parts.every((part) => typeof part === "string")) throw broken;
  const [id = "", secret = "", fingerprint = "", ...urls] = parts as string[];
  if (!id || !secret || !urls.every((url) => /^https?:\/\/[^/]+$/.test(url) && URL.canParse(url))) throw broken;
  return { id, secret, urls, fingerprint: fingerprint || undefined };
}
