import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SortedList } from "./sorted-list.ts";

test("as a sorted array, through thousands of insertions and removals", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 4000 })), { maxLength: 3000, size: "max" }),
      fc.integer({ min: -1, max: 4001 }),
      (steps, bound) => {
        const list = new SortedList<number>((a, b) => a - b);
        const model = new Set<number>();
        for (const [insert, value] of steps) {
          if (!insert) assert.equal(list.remove(value), model.delete(value));
          else if (!model.has(value)) {
            list.insert(value);
            model.add(value);
          }
        }
        const sorted = [...model].sort((a, b) => a - b);
        assert.equal(list.size, sorted.length);
        assert.equal(list.first, sorted[0]);
        assert.deepEqual(
          Array.from(sorted, (_, index) => list.at(index)),
          sorted,
        );
        assert.equal(list.at(sorted.length), undefined);
        assert.equal(
          list.countWhile((value) => value < bound),
          sorted.filter((value) => value < bound).length,
        );
      },
    ),
    { numRuns: 60 },
  );
});
