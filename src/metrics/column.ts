import type { ByteReader, ByteWriter } from "./bytes.ts";

/**
 * A column of doubles, in the cheapest of three forms; every bit comes back.
 *   1 + k  decimal: all are whole multiples of 10^-k: the first, then differences, as varints. Counts and percentages take 1 to 3 bytes each.
 *   0      raw: 8 bytes each.
 *   255    one value, all the same.
 */
const raw = 0;
const same = 255;
const maxDecimals = 6;
const maxWhole = 2 ** 50;

export function writeColumn(out: ByteWriter, values: readonly number[]): void {
  if (values.length > 1 && values.every((value) => Object.is(value, values[0]))) {
    out.byte(same);
    out.double(values[0]!);
    return;
  }
  const decimals = decimalsOf(values);
  if (decimals === undefined) {
    out.byte(raw);
    for (const value of values) out.double(value);
    return;
  }
  out.byte(1 + decimals);
  const scale = 10 ** decimals;
  let last = 0;
  for (const value of values) {
    const whole = Math.round(value * scale);
    out.signed(whole - last);
    last = whole;
  }
}

export function readColumn(input: ByteReader, length: number): number[] {
  const values = Array.from<number>({ length });
  const form = input.byte();
  if (form === same) return values.fill(input.double());
  if (form === raw) {
    for (let i = 0; i < length; i++) values[i] = input.double();
    return values;
  }
  const scale = 10 ** (form - 1);
  let whole = 0;
  for (let i = 0; i < length; i++) {
    whole += input.signed();
    values[i] = whole / scale;
  }
  return values;
}

/** How many decimals give all values back exactly; undefined when they need their bits, or when those are shorter. */
function decimalsOf(values: readonly number[]): number | undefined {
  let decimals = 0;
  let scale = 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Object.is(value, -0)) return undefined;
    while (!(Math.round(value * scale) / scale === value && Math.abs(value * scale) < maxWhole)) {
      if (++decimals > maxDecimals || Math.abs(value * scale) >= maxWhole) return undefined;
      scale *= 10;
    }
  }
  // A later value may have asked for a finer scale that an earlier, huge one cannot take.
  return values.every((value) => Math.round(value * scale) / scale === value && Math.abs(value * scale) < maxWhole) ? decimals : undefined;
}
