import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { MemoryDisk, openSession } from "#test/simulation/memory-store.ts";
import { createWriter } from "./unit.ts";

test("two writers on one store lose no update and see no half of one", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.boolean(), fc.constantFrom("a", "b"), fc.constantFrom("x", "y")), { maxLength: 60 }),
      async (steps) => {
        const disk = new MemoryDisk();
        const writers = [createWriter(openSession(disk).store), createWriter(openSession(disk).store)];
        // Moves one from a counter to another: their sum with the total stays.
        const jobs = steps.map(([first, from, queue]) =>
          writers[first ? 0 : 1]!.run(queue, async (unit) => {
            const to = from === "a" ? "b" : "a";
            const [less, more] = [(await unit.get<number>(from)) ?? 0, (await unit.get<number>(to)) ?? 0];
            unit.put(from, less - 1);
            unit.put(to, more + 1);
            assert.equal(await unit.get(from), less - 1);
          }),
        );
        await Promise.all(jobs);
        const value = (key: string) => (disk.entries.get(key)?.value as number | undefined) ?? 0;
        const moved = steps.reduce((sum, [, from]) => sum + (from === "a" ? 1 : -1), 0);
        assert.equal(value("b"), moved);
        assert.equal(value("a") + value("b"), 0);
      },
    ),
    { numRuns: 60 },
  );
});

test("what waits together is one transaction; an error of one job is its own", async () => {
  const disk = new MemoryDisk();
  const writer = createWriter(openSession(disk).store);
  const increment = () =>
    writer.run("q", async (unit) => {
      unit.put("n", ((await unit.get<number>("n")) ?? 0) + 1);
      return unit.get<number>("n");
    });
  const failing = writer.run("q", async (unit) => {
    unit.put("n", 1000);
    throw new Error("no");
  });
  const results = await Promise.allSettled([increment(), failing, increment(), increment()]);
  assert.deepEqual(
    results.map((result) => (result.status === "fulfilled" ? result.value : (result.reason as Error).message)),
    [1, "no", 2, 3],
  );
  assert.equal(disk.entries.get("n")!.value, 3);
  assert.ok(disk.revision <= 2, `${disk.revision} transactions for four jobs`);
});

test("lists see the unit's own writes and deletes, and those of earlier jobs", async () => {
  const disk = new MemoryDisk();
  for (const key of ["/a/1", "/a/2", "/b/1"]) disk.apply({ writes: [{ put: key, value: key }] });
  const writer = createWriter(openSession(disk).store);
  const first = writer.run("q", async (unit) => {
    unit.put("/a/3", "new");
  });
  const second = writer.run("q", async (unit) => {
    unit.delete("/a/1");
    unit.put("/a/2", "changed");
    return [...(await unit.list<string>("/a/"))];
  });
  await first;
  assert.deepEqual(await second, [
    ["/a/2", "changed"],
    ["/a/3", "new"],
  ]);
});

test("the store's error reaches every job, and the queue goes on", async () => {
  const disk = new MemoryDisk();
  const { store } = openSession(disk);
  let full = true;
  const writer = createWriter({ ...store, transaction: (t) => (full ? Promise.reject(new Error("Full")) : store.transaction(t)) });
  const put = () => writer.run("q", async (unit) => unit.put("k", 1));
  await assert.rejects(Promise.all([put(), put()]), /Full/);
  full = false;
  await put();
  assert.equal(disk.entries.get("k")!.value, 1);
});
