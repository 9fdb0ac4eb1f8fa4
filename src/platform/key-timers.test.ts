import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { KeyTimers } from "./key-timers.ts";

/** A clock moved by hand. */
function handClock() {
  let now = 0;
  let pending: { readonly at: number; readonly action: () => void }[] = [];
  return {
    now: () => now,
    after(ms: number, action: () => void) {
      assert.ok(ms >= 1 && ms < 2 ** 31, `${ms}`);
      const one = { at: now + ms, action };
      pending.push(one);
      return () => void (pending = pending.filter((each) => each !== one));
    },
    pending: () => pending.length,
    moveTo(to: number) {
      for (;;) {
        const next = pending.filter(({ at }) => at <= to).toSorted((a, b) => a.at - b.at)[0];
        if (!next) break;
        pending = pending.filter((each) => each !== next);
        now = Math.max(now, next.at);
        next.action();
      }
      now = to;
    },
  };
}

test("each key's last word holds; atLatest only brings it forward", () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constantFrom("set", "atLatest"), key: fc.constantFrom("a", "b"), ms: fc.integer({ min: 1, max: 100 }) }),
    fc.record({ kind: fc.constant("clear"), key: fc.constantFrom("a", "b"), ms: fc.constant(0) }),
    fc.record({ kind: fc.constant("wait"), key: fc.constant(""), ms: fc.integer({ min: 1, max: 60 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const clock = handClock();
      const timers = new KeyTimers(clock);
      const rung: string[] = [];
      const expected: string[] = [];
      const due = new Map<string, number>();
      for (const { kind, key, ms } of steps) {
        const at = clock.now() + ms;
        const ring = () => rung.push(`${key}@${clock.now()}`);
        if (kind === "set") {
          timers.set(key, ms, ring);
          due.set(key, at);
        } else if (kind === "atLatest") {
          timers.atLatest(key, ms, ring);
          due.set(key, Math.min(at, due.get(key) ?? Infinity));
        } else if (kind === "clear") {
          timers.clear(key);
          due.delete(key);
        } else {
          for (const [each, when] of [...due].toSorted((a, b) => a[1] - b[1]))
            if (when <= at) {
              expected.push(`${each}@${when}`);
              due.delete(each);
            }
          clock.moveTo(at);
        }
        assert.deepEqual(
          ["a", "b"].map((each) => timers.has(each)),
          ["a", "b"].map((each) => due.has(each)),
        );
      }
      assert.deepEqual(rung.toSorted(), expected.toSorted());
      assert.equal(clock.pending(), due.size);
    }),
  );
});

test("longer than a timer of Node counts; stopped", () => {
  const clock = handClock();
  const timers = new KeyTimers(clock);
  let rung = 0;
  const year = 365 * 86_400_000;
  timers.set("a", year, () => rung++);
  clock.moveTo(year - 1);
  assert.equal(rung, 0);
  clock.moveTo(year);
  assert.equal(rung, 1);
  timers.set("a", -5, () => rung++);
  clock.moveTo(year + 1);
  assert.equal(rung, 2);
  timers.set("a", 5, () => rung++);
  timers.stop();
  timers.set("b", 5, () => rung++);
  assert.equal(clock.pending(), 0);
});
