/**
 * Money as an exact fraction of a currency's unit: sums and shares of any number of parts are the whole again. Rounding happens once, where an
 * amount is written down.
 */
export interface Amount {
  readonly numerator: bigint;
  /** Greater than 0. */
  readonly denominator: bigint;
}

export const nothing: Amount = { numerator: 0n, denominator: 1n };

export function add(a: Amount, b: Amount): Amount {
  if (a.denominator === b.denominator) return { numerator: a.numerator + b.numerator, denominator: a.denominator };
  return reduced(a.numerator * b.denominator + b.numerator * a.denominator, a.denominator * b.denominator);
}

export const subtract = (a: Amount, b: Amount): Amount => add(a, { numerator: -b.numerator, denominator: b.denominator });

/** `amount` × `count` / `of`. Both are whole numbers that a double holds exactly, `of` is greater than 0. */
export const times = (amount: Amount, count: number, of = 1): Amount =>
  reduced(amount.numerator * BigInt(count), amount.denominator * BigInt(of));

export function compare(a: Amount, b: Amount): number {
  const [left, right] = [a.numerator * b.denominator, b.numerator * a.denominator];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** From a decimal without sign or exponent; undefined for anything else. */
export function parseAmount(text: string): Amount | undefined {
  const match = /^(\d{1,15})(?:\.(\d{1,15}))?$/.exec(text);
  if (!match) return undefined;
  const decimals = match[2] ?? "";
  return reduced(BigInt(match[1]! + decimals), 10n ** BigInt(decimals.length));
}

/** With this many decimals, rounded to the nearest, halves away from zero. */
export function formatAmount({ numerator, denominator }: Amount, decimals: number): string {
  const scaled = (numerator < 0n ? -numerator : numerator) * 10n ** BigInt(decimals);
  const rounded = (2n * scaled + denominator) / (2n * denominator);
  const digits = String(rounded).padStart(decimals + 1, "0");
  const sign = numerator < 0n && rounded > 0n ? "-" : "";
  return decimals === 0 ? sign + digits : `${sign}${digits.slice(0, -decimals)}.${digits.slice(-decimals)}`;
}

function reduced(numerator: bigint, denominator: bigint): Amount {
  let [a, b] = [numerator < 0n ? -numerator : numerator, denominator];
  while (b > 0n) [a, b] = [b, a % b];
  return { numerator: numerator / a, denominator: denominator / a };
}
