import assert from "node:assert/strict";
import { test } from "node:test";
import { gather, together } from "./gather.ts";

test("what is asked for meanwhile goes into the next piece, so many at a time; each hears of its own failure", async () => {
  const pieces: number[][] = [];
  const ask = gather<number>(3, async (jobs) => {
    pieces.push([...jobs]);
    await new Promise((resolve) => setImmediate(resolve));
    return jobs.map((job) => (job === 4 ? new Error("four") : undefined));
  });
  const asked = await Promise.allSettled([0, 1, 2, 3, 4].map(ask));
  assert.deepEqual(pieces, [
    [0, 1, 2],
    [3, 4],
  ]);
  assert.deepEqual(
    asked.map(({ status }) => status),
    ["fulfilled", "fulfilled", "fulfilled", "fulfilled", "rejected"],
  );
  await ask(5);
  assert.deepEqual(pieces.at(-1), [5]);
});

test("a piece that fails as a whole fails for each of it, and the next is done", async () => {
  let fail = true;
  const ask = gather<number>(8, () => (fail ? Promise.reject(new Error("no")) : Promise.resolve([])));
  const asked = await Promise.allSettled([ask(1), ask(2)]);
  assert.ok(asked.every(({ status }) => status === "rejected"));
  fail = false;
  await ask(3);
});

test("together: one that can't be done fails alone", async () => {
  const done: number[][] = [];
  const failures = await together([1, 2, 3], async (jobs) => {
    if (jobs.includes(2)) throw new Error("two");
    done.push([...jobs]);
  });
  assert.deepEqual(done, [[1], [3]]);
  assert.deepEqual(
    failures.map((failure) => failure?.message),
    [undefined, "two", undefined],
  );
});
