import { createCipheriv, createDecipheriv, createHmac, randomBytes } from "node:crypto";

/**
 * Makes opaque strings that only this Gantry can read and nobody can change: pagination tokens, ECR passwords, upload ids.
 * AES-256-GCM; the scope is authenticated, so a token of one operation is refused by another.
 */
export interface Sealer {
  /** URL-safe text that `open` with the same scope turns back into `value` (any JSON). */
  seal(scope: string, value: unknown): string;
  /** The sealed value, or undefined when the text was not sealed by us for this scope. */
  open(scope: string, text: string): unknown;
  /** The same 64 hex digits for the same text each time, which nobody else can guess. */
  nameOf(scope: string, text: string): string;
}

/** `key`: 32 bytes, kept with the state so that tokens survive a restart. */
export function createSealer(key: Uint8Array): Sealer {
  return {
    seal(scope, value) {
      const nonce = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", key, nonce);
      cipher.setAAD(Buffer.from(scope));
      const body = Buffer.concat([cipher.update(JSON.stringify(value), "utf8"), cipher.final()]);
      return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString("base64url");
    },
    open(scope, text) {
      const raw = Buffer.from(text, "base64url");
      if (raw.length < 28 || raw.toString("base64url") !== text) return undefined;
      try {
        const decipher = createDecipheriv("aes-256-gcm", key, raw.subarray(0, 12));
        decipher.setAAD(Buffer.from(scope));
        decipher.setAuthTag(raw.subarray(12, 28));
        const body = Buffer.concat([decipher.update(raw.subarray(28)), decipher.final()]);
        return JSON.parse(body.toString("utf8"));
      } catch {
        return undefined;
      }
    },
    nameOf: (scope, text) =>
      createHmac("sha256", key)
        .update(JSON.stringify([scope, text]))
        .digest("hex"),
  };
}
