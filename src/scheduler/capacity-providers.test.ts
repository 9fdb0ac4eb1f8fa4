import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { splitByStrategy } from "./capacity-providers.ts";

const none = new Map<string, number>();
const tally = (names: readonly string[]) => (name: string) => names.filter((each) => each === name).length;

test("AWS's own examples: one to one, one to four, and a base before both", () => {
  const pair = (base: number, weight: number) => [
    { capacityProvider: "FARGATE", base, weight: 1 },
    { capacityProvider: "FARGATE_SPOT", weight },
  ];
  assert.deepEqual(splitByStrategy(pair(0, 1), none, 4), ["FARGATE", "FARGATE_SPOT", "FARGATE", "FARGATE_SPOT"]);
  const five = tally(splitByStrategy(pair(0, 4), none, 5));
  assert.deepEqual([five("FARGATE"), five("FARGATE_SPOT")], [1, 4]);
  const ten = splitByStrategy(pair(2, 1), none, 10);
  assert.deepEqual(ten.slice(0, 2), ["FARGATE", "FARGATE"]);
  assert.deepEqual([tally(ten)("FARGATE"), tally(ten)("FARGATE_SPOT")], [6, 4]);
});

test("a provider without a weight takes its base only; without any weight nothing is placed beyond the base", () => {
  const bases = { capacityProvider: "a", base: 2 };
  assert.deepEqual(splitByStrategy([bases, { capacityProvider: "b", weight: 1 }], new Map([["a", 1]]), 3), ["a", "b", "b"]);
  assert.deepEqual(splitByStrategy([bases], none, 5), ["a", "a"]);
  assert.deepEqual(splitByStrategy([], none, 5), []);
});

const strategies = fc
  .array(fc.record({ base: fc.constantFrom(0, 0, 1, 7), weight: fc.integer({ min: 0, max: 20 }) }), { minLength: 1, maxLength: 6 })
  .map((shares) => shares.map((share, index) => ({ capacityProvider: `p${index}`, ...share })))
  .filter((shares) => shares.some(({ weight }) => weight > 0));

test("from nothing: bases first, then within one task of each share at every length", () => {
  fc.assert(
    fc.property(strategies, fc.integer({ min: 0, max: 120 }), (strategy, count) => {
      const chosen = splitByStrategy(strategy, none, count);
      assert.equal(chosen.length, count);
      const bases = strategy.reduce((sum, { base }) => sum + base, 0);
      const weights = strategy.reduce((sum, { weight }) => sum + weight, 0);
      for (let length = 1; length <= count; length++) {
        const of = tally(chosen.slice(0, length));
        for (const { capacityProvider, base, weight } of strategy) {
          if (length <= bases) assert.ok(of(capacityProvider) <= base);
          else {
            const share = base + ((length - bases) * weight) / weights;
            assert.ok(Math.abs(of(capacityProvider) - share) < 1, `${capacityProvider}: ${of(capacityProvider)} for ${share}`);
          }
        }
      }
    }),
    { numRuns: 200 },
  );
});

test("one at a time or all at once is the same; what was out of proportion comes back into it, and nobody above their share gets more", () => {
  fc.assert(
    fc.property(
      strategies,
      fc.array(fc.integer({ min: 0, max: 15 }), { minLength: 6, maxLength: 6 }),
      fc.integer({ min: 0, max: 60 }),
      (strategy, counts, count) => {
        const before = new Map(strategy.map(({ capacityProvider }, index) => [capacityProvider, counts[index]!]));
        const chosen = splitByStrategy(strategy, before, count);
        assert.equal(chosen.length, count);
        const now = new Map(before);
        for (const name of chosen) {
          assert.deepEqual(splitByStrategy(strategy, now, 1), [name]);
          now.set(name, now.get(name)! + 1);
        }
        const weights = strategy.reduce((sum, { weight }) => sum + weight, 0);
        const beyond = strategy.map((share) => (share.weight > 0 ? Math.max(0, now.get(share.capacityProvider)! - share.base) : 0));
        const total = beyond.reduce((sum, each) => sum + each, 0);
        strategy.forEach(({ capacityProvider, base, weight }, index) => {
          const got = chosen.filter((name) => name === capacityProvider).length;
          const toBase = Math.max(0, base - before.get(capacityProvider)!);
          if (got > toBase) assert.ok(beyond[index]! < (total * weight) / weights + 1, `${capacityProvider} is above its share`);
        });
      },
    ),
    { numRuns: 300 },
  );
});
