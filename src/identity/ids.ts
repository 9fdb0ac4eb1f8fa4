import { base32, fromBase32 } from "#model/iam-keys.ts";
import type { Random } from "#platform/random.ts";

/** Source: IAM User Guide, "IAM identifiers", "Understanding unique ID prefixes". */
export type IdPrefix = "AIDA" | "AGPA" | "AROA" | "ANPA" | "AIPA" | "ANVA";

/** e.g. `AIDACKCEVSQ6C2EXAMPLE`: 21 characters. */
export const newId = (random: Random, prefix: IdPrefix) => `${prefix}${base32(random.hex(11), 17)}`;

/** A user's access key: 20 characters, kept under this id. */
export const newAccessKeyId = (random: Random) => `AKIA${base32(random.hex(10), 16)}`;

/**
 * A session's access key. As AWS's it holds the account, so that GetAccessKeyInfo can name it for keys that nobody keeps: 40 bits of account, 40 of
 * chance, which only tell sessions apart: who has the token has the key.
 */
export const newSessionKeyId = (random: Random, account: string) =>
  `ASIA${base32(BigInt(account).toString(16).padStart(10, "0") + random.hex(5), 16)}`;

/** The account in a session's key, or undefined. */
export function accountOfKey(accessKeyId: string): string | undefined {
  if (!/^ASIA[A-Z2-7]{16}$/.test(accessKeyId)) return undefined;
  const account = (fromBase32(accessKeyId.slice(4)) ?? 0n) >> 40n;
  return account < 1_000_000_000_000n ? account.toString().padStart(12, "0") : undefined;
}

/** 40 characters. */
export const newSecret = (random: Random) => Buffer.from(random.hex(30), "hex").toString("base64");
