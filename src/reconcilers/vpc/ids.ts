import type { Random } from "#platform/random.ts";

/** `vpc-0` and 16 hexadecimal digits, as EC2's ids have been since 2018. */
export const newId = (random: Random, prefix: string): string => `${prefix}-0${random.hex(8)}`;

/** A locally administered address, as EC2's are. */
export function newMac(random: Random): string {
  return `0${"26ae"[Math.floor(random.next() * 4)]}:${random.hex(5).match(/../g)!.join(":")}`;
}
