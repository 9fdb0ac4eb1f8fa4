import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, open, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { Accumulator, type Bundle, bundleOf, bundleOfStatistics } from "#model/metrics/bundle.ts";
import { Periods } from "#model/metrics/roll-up.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import { readChunk, readPoint, writeChunk, writePoint } from "./chunk.ts";
import { readColumn, writeColumn } from "./column.ts";
import { MetricStore, type NewPoint } from "./metric-store.ts";
import { nextJob, partitionOf } from "./plan.ts";

const now = Date.UTC(2026, 5, 15, 12);
const scope = { account: "000000000000", region: "us-east-1" };
const nameOf = (name: string) => ({ ...scope, namespace: "T", name, dimensions: [], unit: "None" });

async function directoryFor(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "gantry-metrics-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return directory;
}
const openStore = (directory: string, clock: FakeClock, more: object = {}) =>
  MetricStore.open({ directory, clock, log: silentLogger, ...more });

const finite = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e15, max: 1e15 });
const plain = fc.oneof(
  finite,
  fc.integer({ min: -1e6, max: 1e6 }),
  fc.integer({ min: 0, max: 1e6 }).map((value) => value / 100),
);
const bundle: fc.Arbitrary<Bundle> = fc.oneof(
  plain.map((value) => bundleOf(value)),
  fc
    .tuple(fc.integer({ min: 2, max: 99 }), plain, plain, plain)
    .map(([count, sum, a, b]) => bundleOfStatistics(count, sum, Math.min(a, b), Math.max(a, b))),
  fc.array(fc.tuple(plain, fc.integer({ min: 1, max: 9 })), { minLength: 2, maxLength: 12 }).map((pairs) => {
    const sum = new Accumulator();
    for (const [value, count] of pairs) sum.add(value, count);
    return sum.bundle();
  }),
);

test("columns and points come back bit for bit", () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(plain, fc.constantFrom(0, -0, 0.1, 1e300, 5e-324, 2 ** 52, -(2 ** 53))), { maxLength: 50 }), (values) => {
      const out = new ByteWriter(1);
      writeColumn(out, values);
      assert.deepEqual(readColumn(new ByteReader(out.view()), values.length), values);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), bundle), { minLength: 1, maxLength: 40 }), (steps) => {
      let slot = 1_780_000_020;
      const points = steps.map(([gap, one]) => ({ slot: (slot += gap * 60), bundle: one }));
      const out = new ByteWriter(1);
      writeChunk(out, 60, points);
      assert.deepEqual(readChunk(new ByteReader(out.view()), 60), points);
      for (const point of points) {
        out.clear();
        writePoint(out, point.slot, point.bundle);
        assert.deepEqual(readPoint(new ByteReader(out.view())), point);
      }
    }),
  );
});

test("whatever the order of puts, flushes, restarts and the passing of time, what is read is what a list of all points says", async (t) => {
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant("put" as const),
        series: fc.integer({ min: 0, max: 2 }),
        back: fc.integer({ min: 0, max: 3 * 86_400 }),
        fine: fc.boolean(),
        value: fc.integer({ min: 0, max: 50 }),
      }),
    },
    { weight: 2, arbitrary: fc.constant({ kind: "flush" as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("pass" as const),
        seconds: fc.constantFrom(60, 4 * 3600, 86_400, 16 * 86_400, 70 * 86_400),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const directory = await directoryFor(t);
      const clock = new FakeClock(now);
      let store = await openStore(directory, clock);
      const all: NewPoint[] = [];
      for (const one of steps) {
        if (one.kind === "put") {
          const resolution = one.fine ? 1 : 60;
          const slot = Math.floor((clock.now() / 1000 - one.back) / resolution) * resolution;
          const point = { series: nameOf(`m${one.series}`), step: resolution, slot, bundle: bundleOf(one.value) };
          await store.put([point]);
          all.push(point);
        } else if (one.kind === "flush") await store.flush();
        else if (one.kind === "pass") clock.advance(one.seconds * 1000).catch(() => {});
        else {
          await store.close();
          store = await openStore(directory, clock);
        }
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      const seconds = clock.now() / 1000;
      for (const name of ["m0", "m1", "m2"]) {
        const mine = all.filter(({ series, slot }) => series.name === name && seconds - slot < 455 * 86_400 - 3600);
        // An hour is the period that every age still has.
        const from = Math.floor((now / 1000 - 4 * 86_400) / 3600) * 3600;
        const naive = new Periods(from, 3600);
        for (const { slot, bundle: one } of mine) naive.add(slot, one);
        const periods = new Periods(from, 3600);
        for (const series of store.find(scope, nameOf(name)))
          for (const point of await store.read(series.id, from, seconds + 60)) periods.add(point.slot, point.bundle);
        assert.deepEqual(periods.points(), naive.points());
      }
      await store.close();
    }),
    { numRuns: 40 },
  );
});

test("old data is to be had at the resolution of its age only, rolled up on disk or not", async (t) => {
  const clock = new FakeClock(now);
  const store = await openStore(await directoryFor(t), clock);
  const ages = [3600, 4 * 3600, 14 * 86_400];
  await store.put(ages.map((age) => ({ series: nameOf("m"), step: 1, slot: now / 1000 - age + 7, bundle: bundleOf(age) })));
  const steps = async () =>
    (await store.read(store.find(scope, nameOf("m"))[0]!.id, 0, Infinity)).map((point) => point.step).sort((a, b) => a - b);
  assert.deepEqual(await steps(), [1, 60, 60]);
  await store.flush();
  assert.deepEqual(await steps(), [1, 60, 60]);
  await clock.advance(50 * 86_400_000);
  assert.deepEqual(await steps(), [300, 300, 3600]);
  await store.flush();
  assert.deepEqual(await steps(), [300, 300, 3600]);
  await clock.advance(500 * 86_400_000);
  assert.deepEqual(await steps(), []);
  await store.flush();
  assert.equal(store.status().blocks, 0);
  await store.close();
});

test("jobs end: each takes blocks away or makes them coarser", () => {
  const block = fc
    .tuple(fc.constantFrom(1, 60, 300, 3600), fc.integer({ min: 0, max: 500 * 86_400 }))
    .map(([step, age]) => partitionOf(step, now / 1000 - age));
  fc.assert(
    fc.property(fc.array(block, { maxLength: 60 }), (partitions) => {
      let blocks = partitions.map((partition, i) => ({ file: String(i), ...partition }));
      for (let i = 0; ; i++) {
        const job = nextJob(blocks, now / 1000);
        if (!job) break;
        assert.ok(i < 500, "it does not end");
        assert.ok(!job.into || job.inputs.every(({ start, end }) => start >= job.into!.start && end <= job.into!.end));
        blocks = blocks.filter((one) => !job.inputs.includes(one));
        if (job.into) blocks.push({ file: `new${i}`, ...job.into });
      }
    }),
  );
});

test("a torn log loses what was torn, nothing before it, and goes on", async (t) => {
  const directory = await directoryFor(t);
  const clock = new FakeClock(now);
  let store = await openStore(directory, clock);
  for (let i = 0; i < 3; i++) await store.put([{ series: nameOf("m"), step: 60, slot: now / 1000 - i * 60, bundle: bundleOf(i) }]);
  await store.close();
  const [file] = await readdir(join(directory, "wal"));
  const path = join(directory, "wal", file!);
  await using handle = await open(path, "r+");
  await handle.truncate((await stat(path)).size - 3);
  store = await openStore(directory, clock);
  const read = async () => (await store.read(store.find(scope, nameOf("m"))[0]!.id, 0, Infinity)).map(({ bundle: one }) => one.sum);
  assert.deepEqual(await read(), [1, 0]);
  await store.put([{ series: nameOf("m"), step: 60, slot: now / 1000, bundle: bundleOf(9) }]);
  await store.close();
  store = await openStore(directory, clock);
  assert.deepEqual(
    (await read()).sort((a, b) => a - b),
    [1, 9],
  );
  await store.close();
});

test("killed at any moment, nothing acknowledged is lost or counted twice", { timeout: 120_000 }, async (t) => {
  const directory = await directoryFor(t);
  const acknowledged = new Map<number, number>();
  for (let round = 0; round < 3; round++) {
    const child = spawn(
      process.execPath,
      [new URL("../../test/cloudwatch/crash-writer.ts", import.meta.url).pathname, directory, String(round)],
      { stdio: ["ignore", "pipe", "inherit"] },
    );
    const lines = createInterface({ input: child.stdout });
    const read = new Promise<void>((resolve) => lines.once("close", resolve));
    let count = 0;
    lines.on("line", (line) => {
      const [key, value] = line.split(" ").map(Number) as [number, number];
      acknowledged.set(key, value);
      count += 1;
    });
    const limit = 200 + round * 170;
    for (const end = Date.now() + 120_000; count < limit && Date.now() < end;) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.ok(count >= limit, "the writer is too slow");
    child.kill("SIGKILL");
    await read;
  }
  const store = await openStore(directory, new FakeClock(now));
  const series = store.find(scope, nameOf("crash"))[0]!;
  const found = new Map<number, number[]>();
  for (const { slot, bundle: one } of await store.read(series.id, 0, Infinity)) found.set(slot, [...(found.get(slot) ?? []), one.sum]);
  for (const [slot, value] of acknowledged) assert.deepEqual(found.get(slot), [value], `slot ${slot}`);
  for (const [slot, values] of found) assert.equal(values.length, 1, `slot ${slot} stands twice`);
  await store.close();
});
