import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { add, compare, formatAmount, nothing, parseAmount, subtract, times } from "./amount.ts";

const amount = (text: string) => parseAmount(text)!;

test("decimals come back as they were; anything else is none", () => {
  for (const text of ["0", "0.04048", "17.5", "123456789012345.123456789012345"]) {
    const decimals = text.split(".")[1]?.length ?? 0;
    assert.equal(formatAmount(amount(text), decimals), text);
  }
  for (const text of ["", "-1", "+1", "1e-7", ".5", "5.", "1,5", " 1", "0x10", "NaN", "1".repeat(16)])
    assert.equal(parseAmount(text), undefined, text);
});

test("rounding: to the nearest, halves away from zero, no negative zero", () => {
  assert.equal(formatAmount(amount("0.0000005"), 6), "0.000001");
  assert.equal(formatAmount(amount("0.00000049"), 6), "0.000000");
  assert.equal(formatAmount(subtract(nothing, amount("0.0000005")), 6), "-0.000001");
  assert.equal(formatAmount(subtract(nothing, amount("0.0000004")), 6), "0.000000");
  assert.equal(formatAmount(times(amount("1"), 2, 3), 2), "0.67");
  assert.equal(formatAmount(amount("2.5"), 0), "3");
});

test("a tenth a million times is a hundred thousand: nothing drifts", () => {
  let sum = nothing;
  for (let i = 0; i < 100_000; i++) sum = add(sum, amount("0.1"));
  assert.equal(compare(sum, amount("10000")), 0);
});

test("the parts of a share are the whole", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 1e9 }), { minLength: 1, maxLength: 20 }), (parts) => {
      const whole = parts.reduce((sum, part) => sum + part, 0);
      const sum = parts.map((part) => times(amount("0.0713"), part, whole)).reduce(add);
      assert.equal(compare(sum, amount("0.0713")), 0);
    }),
    { numRuns: 200 },
  );
});
