import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type AttemptLimits, createAttempts, sourceOf } from "./attempts.ts";

const limits: AttemptLimits = { pair: 3, source: 6, key: 5, windowMs: 60_000, firstWaitMs: 1_000, longestWaitMs: 120_000, most: 50 };
const times = (n: number, work: (i: number) => void) => Array.from({ length: n }, (_, i) => work(i));

describe("wrong keys", () => {
  test("cost nothing at first, then twice as long each time, up to the longest wait", () => {
    const attempts = createAttempts(limits);
    let now = 0;
    const waits: number[] = [];
    for (let i = 0; i < 14; i++) {
      attempts.failed("10.0.0.1", "A", now);
      const wait = attempts.wait("10.0.0.1", "A", now);
      waits.push(wait);
      now += wait;
      assert.equal(attempts.wait("10.0.0.1", "A", now), 0, "who has waited may try");
    }
    assert.deepEqual(waits.slice(0, 6), [0, 0, 1_000, 2_000, 4_000, 8_000]);
    assert.equal(waits.at(-1), 120_000);
  });

  test("are forgotten after a while", () => {
    const attempts = createAttempts(limits);
    times(4, () => attempts.failed("10.0.0.1", "A", 0));
    assert.ok(attempts.wait("10.0.0.1", "A", 1) > 0);
    attempts.failed("10.0.0.1", "A", 200_000);
    assert.equal(attempts.wait("10.0.0.1", "A", 200_000), 0);
  });

  test("of one address count together, whatever keys they are", () => {
    const attempts = createAttempts(limits);
    times(6, (i) => attempts.failed("10.0.0.1", `K${i}`, 0));
    assert.ok(attempts.wait("10.0.0.1", "K99", 0) > 0);
    assert.equal(attempts.wait("10.0.0.2", "K99", 0), 0);
  });

  test("of one key from many addresses slow each of these, and nobody else", () => {
    const attempts = createAttempts(limits);
    times(8, (i) => attempts.failed(`10.0.1.${i}`, "A", 0));
    assert.ok(attempts.wait("10.0.1.3", "A", 0) > 0);
    assert.equal(attempts.wait("10.9.9.9", "A", 0), 0, "a good client from elsewhere");
    assert.equal(attempts.wait("10.0.1.3", "B", 0), 0);
  });

  test("do not hinder who has come in from the same address", () => {
    const attempts = createAttempts(limits);
    attempts.succeeded("127.0.0.1", "GOOD");
    times(30, (i) => attempts.failed("127.0.0.1", i % 2 ? "BAD" : "GOOD", 0));
    assert.ok(attempts.wait("127.0.0.1", "BAD", 0) > 0);
    assert.equal(attempts.wait("127.0.0.1", "GOOD", 0), 0);
  });
});

test("whatever is tried, a good client from an address of its own never waits", () => {
  const event = fc.record({ source: fc.integer({ min: 0, max: 9 }), key: fc.constantFrom("A", "B", "GOOD"), later: fc.nat(5_000) });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 300 }), (events) => {
      const attempts = createAttempts(limits);
      let now = 0;
      for (const { source, key, later } of events) {
        now += later;
        if (attempts.wait(`10.0.0.${source}`, key, now) === 0) attempts.failed(`10.0.0.${source}`, key, now);
        if (attempts.wait("192.0.2.1", "GOOD", now) > 0) return false;
      }
      return true;
    }),
  );
});

test("memory is bounded: the oldest are forgotten", () => {
  const attempts = createAttempts(limits);
  times(4, () => attempts.failed("10.0.0.1", "A", 0));
  times(limits.most, (i) => attempts.failed(`10.1.0.${i}`, `K${i}`, 0));
  assert.equal(attempts.wait("10.0.0.1", "A", 0), 0);
});

test("a network of IPv6 is one client", () => {
  assert.equal(sourceOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assert.equal(sourceOf("2001:db8::1"), "2001:db8:0:0::/64");
  assert.equal(sourceOf("::1"), "0:0:0:0::/64");
  assert.equal(sourceOf("fe80::1%eth0"), "fe80:0:0:0::/64");
  assert.equal(sourceOf("::ffff:10.1.2.3"), "10.1.2.3");
  assert.equal(sourceOf("10.1.2.3"), "10.1.2.3");
});
