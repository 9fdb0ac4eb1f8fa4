import assert from "node:assert/strict";
import { test } from "node:test";
import { FakeClock, settle } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { createKeyQueue } from "./queue.ts";

test("a key waits once, is never handled twice at a time, and runs again when it was added meanwhile", async () => {
  const clock = new FakeClock();
  let running = 0;
  let most = 0;
  const handled: string[] = [];
  const handle = async (key: string) => {
    most = Math.max(most, ++running);
    handled.push(key);
    await settle();
    running--;
  };
  const queue = createKeyQueue({ clock, log: silentLogger, name: "q", concurrency: 2, handle });
  for (const key of ["a", "a", "b", "c", "c"]) queue.add(key);
  queue.add("a");
  await queue.idle();
  assert.deepEqual(handled.toSorted(), ["a", "a", "b", "c"]);
  assert.equal(most, 2);
});

test("what fails is tried again, later each time; after stop nothing runs", async () => {
  const clock = new FakeClock();
  const times: number[] = [];
  const start = clock.now();
  const queue = createKeyQueue({
    clock,
    log: silentLogger,
    name: "q",
    async handle() {
      times.push(clock.now() - start);
      if (times.length < 4) throw new Error("not yet");
    },
  });
  queue.add("k");
  await clock.advance(10_000);
  assert.deepEqual(times, [0, 100, 300, 700]);
  queue.add("k");
  await queue.stop();
  queue.add("k");
  await clock.advance(10_000);
  assert.equal(times.length, 5);
});
