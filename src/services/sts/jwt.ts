import { createPublicKey, verify, type webcrypto } from "node:crypto";

/** JSON Web Tokens as far as OpenID Connect's ID tokens go. Pure. Sources: RFC 7515, RFC 7518, RFC 7519. */

export interface Token {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly claims: Readonly<Record<string, unknown>>;
  /** What was signed, and by which bytes. */
  readonly signed: string;
  readonly signature: Buffer;
}

export interface SigningKey extends webcrypto.JsonWebKey {
  readonly kid?: string;
  readonly alg?: string;
  readonly use?: string;
}

/** Undefined: no compact JWT with objects for header and claims. Nothing is verified. */
export function parseToken(text: string): Token | undefined {
  const parts = text.split(".");
  if (parts.length !== 3) return undefined;
  const [head, body, signature] = parts as [string, string, string];
  const header = objectOf(head);
  const claims = objectOf(body);
  if (!header || !claims || typeof header.alg !== "string") return undefined;
  // Extensions that must be understood are not.
  if (header.crit !== undefined) return undefined;
  return {
    algorithm: header.alg,
    keyId: typeof header.kid === "string" ? header.kid : undefined,
    claims,
    signed: `${head}.${body}`,
    signature: Buffer.from(signature, "base64url"),
  };
}

function objectOf(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** The key's own kind decides which algorithm may be: a token does not choose. */
const algorithms: Readonly<Record<string, { readonly fits: (key: SigningKey) => boolean; readonly hash: string }>> = {
  RS256: { fits: ({ kty }) => kty === "RSA", hash: "sha256" },
  ES256: { fits: ({ kty, crv }) => kty === "EC" && crv === "P-256", hash: "sha256" },
};

export const knownAlgorithm = (algorithm: string) => Object.hasOwn(algorithms, algorithm);

/** The keys that may have signed: by id, or all that fit when the token names none. */
export function keysFor({ algorithm, keyId }: Token, keys: readonly SigningKey[]): readonly SigningKey[] {
  const known = knownAlgorithm(algorithm) ? algorithms[algorithm] : undefined;
  if (!known) return [];
  return keys.filter(
    (key) =>
      known.fits(key) &&
      (key.use === undefined || key.use === "sig") &&
      (key.alg === undefined || key.alg === algorithm) &&
      (keyId === undefined || key.kid === keyId),
  );
}

export function signedBy({ algorithm, signed, signature }: Token, key: SigningKey): boolean {
  try {
    const publicKey = createPublicKey({ key, format: "jwk" });
    return verify(algorithms[algorithm]!.hash, Buffer.from(signed), { key: publicKey, dsaEncoding: "ieee-p1363" }, signature);
  } catch {
    return false;
  }
}
