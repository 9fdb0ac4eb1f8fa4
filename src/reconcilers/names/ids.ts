import type { Random } from "#platform/random.ts";

/** Ids as Cloud Map's are: 16 small letters and digits behind the prefix. */
const letters = "abcdefghijklmnopqrstuvwxyz234567";
const word = (random: Random, length: number) =>
  Buffer.from(random.hex(length), "hex").reduce((text, byte) => text + letters[byte % letters.length]!, "");

export const newNamespaceId = (random: Random): string => `ns-${word(random, 16)}`;
export const newServiceId = (random: Random): string => `srv-${word(random, 16)}`;
export const newOperationId = (random: Random): string => `${word(random, 32)}-${word(random, 8)}`;
export const newHostedZoneId = (random: Random): string => `Z0${word(random, 19).toUpperCase()}`;
export const newNameSuffix = (random: Random): string => word(random, 8);
