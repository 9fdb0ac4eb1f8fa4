import { base32, fromBase32 } from "#model/iam-keys.ts";
import type { Random } from "#platform/random.ts";

/** Source: IAM User Guide, "IAM identifiers", "Understanding unique ID prefixes". */
export type IdPrefix = "AIDA" | "AGPA" | "AROA" | "ANPA" | "AIPA" | "ANVA";

/** e.g. `AIDACKCEVSQ6C2EXAMPLE`: 21 characters. */
export const newId = (random: Random, prefix: IdPrefix) => `${prefix}${base32(random.hex(11), 17)}`;

/**
 * An access key's id of 20 characters: `AKIA` for good, `ASIA` for a while. As AWS's, it holds the account, so that GetAccessKeyInfo can name it
 * for keys that nobody keeps: 40 bits of account, 40 of chance.
 */
export const newAccessKeyId = (random: Random, prefix: "AKIA" | "ASIA", account: string) =>
  `${prefix}${base32(BigInt(account).toString(16).padStart(10, "0") + random.hex(5), 16)}`;

/** The account in an id that we made, or undefined. */
export function accountOfKey(accessKeyId: string): string | undefined {
  if (!/^A[KS]IA[A-Z2-7]{16}$/.test(accessKeyId)) return undefined;
  const account = (fromBase32(accessKeyId.slice(4)) ?? 0n) >> 40n;
  return account < 1_000_000_000_000n ? account.toString().padStart(12, "0") : undefined;
}

/** 40 characters. */
export const newSecret = (random: Random) => Buffer.from(random.hex(30), "hex").toString("base64");
