import assert from "node:assert/strict";
import type { BigIntStats } from "node:fs";
import { test } from "node:test";
import { FakeClock } from "#platform/fake-clock.ts";
import { createVerified } from "./verified.ts";

const file = { ino: 1n, size: 5_000_000n, mtimeNs: 1n, ctimeNs: 1n } as BigIntStats;

test("a file counts as checked for ten minutes, while it is the same file", async () => {
  const clock = new FakeClock();
  const verified = createVerified(clock);
  assert.equal(verified.has("d", file), false);
  verified.add("d", file);
  assert.equal(verified.has("d", file), true);
  assert.equal(verified.has("other", file), false);
  for (const change of [{ ino: 2n }, { size: 4_999_999n }, { mtimeNs: 2n }, { ctimeNs: 2n }])
    assert.equal(verified.has("d", { ...file, ...change } as BigIntStats), false);
  await clock.advance(10 * 60 * 1000 - 1);
  assert.equal(verified.has("d", file), true);
  await clock.advance(1);
  assert.equal(verified.has("d", file), false);
});

test("small files are checked each time, and not too many are remembered", () => {
  const verified = createVerified(new FakeClock());
  verified.add("small", { ...file, size: 1000n } as BigIntStats);
  assert.equal(verified.has("small", { ...file, size: 1000n } as BigIntStats), false);
  for (let index = 0; index <= 4096; index++) verified.add(`d${index}`, file);
  assert.equal(verified.has("d0", file), false);
  assert.equal(verified.has("d4096", file), true);
});
