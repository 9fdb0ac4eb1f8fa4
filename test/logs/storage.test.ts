import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { LogFiles } from "#services/logs/storage/log-files.ts";
import { scan } from "#services/logs/storage/scan.ts";
import type { Position, ScanOptions } from "#services/logs/storage/scan.ts";

const NAMES = ["a", "b", "c"];
const FOREVER = { from: 0, to: Infinity, backward: false, budget: Infinity };

async function withFiles(run: (root: string, open: (most?: number) => LogFiles) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "gantry-log-files-"));
  // Every start is later than the one before: sequence numbers come from the clock.
  let now = Date.UTC(2026, 0, 1);
  try {
    await run(root, (most) => new LogFiles(root, new FakeClock((now += 1000)), silentLogger, most));
  } finally {
    rmSync(root, { recursive: true });
  }
}

const append = (files: LogFiles, stream: string, events: readonly (readonly [number, string])[]) =>
  files.append(
    { group: "g", stream },
    events.map(([timestamp, message]) => ({ timestamp, message: Buffer.from(message) })),
    1000,
  );

/** Long messages by their length, so that a failure can be read. */
const show = (timestamp: number, stream: string, text: string) =>
  `${timestamp} ${stream} ${text.length > 50 ? `${text.slice(0, 8)}…${text.length}` : text}`;

/** Reads what the options ask for, in pages of `limit`. */
async function read(files: LogFiles, streams: readonly string[], options: Partial<ScanOptions> = {}, limit = Infinity): Promise<string[]> {
  const found: string[] = [];
  let behind: Position | undefined;
  for (;;) {
    const sources = [];
    for (const stream of streams) sources.push({ stream, segments: await files.use({ group: "g", stream }, (log) => log.segments) });
    let left = limit;
    const end = await scan(sources, { ...FOREVER, ...options, behind }, (event, stream) => {
      if (left-- === 0) return false;
      found.push(show(event.timestamp, stream, event.buffer.toString("utf8", event.start, event.end)));
      behind = { timestamp: event.timestamp, sequence: event.sequence };
      return true;
    });
    if (end === "end") return found;
  }
}

describe("log files", () => {
  test("any batches in any order come back in order of time, however they are read, also after a restart", async () => {
    // Long messages, so that frames and stretches end in between.
    const event = fc.tuple(fc.nat(40), fc.oneof(fc.nat(30), fc.constant(20_000)));
    const batch = fc.record({ stream: fc.constantFrom(...NAMES), events: fc.array(event, { minLength: 1, maxLength: 5 }) });
    const reading = fc.record({
      streams: fc.subarray(NAMES, { minLength: 1 }),
      from: fc.nat(40),
      length: fc.nat(40),
      backward: fc.boolean(),
      limit: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(Infinity)),
      budget: fc.constantFrom(0, 30_000, Infinity),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(batch, { maxLength: 12 }),
        fc.array(reading, { maxLength: 4 }),
        fc.nat(12),
        async (batches, readings, restartAt) =>
          withFiles(async (_root, open) => {
            let files = open();
            const all: { timestamp: number; stream: string; text: string; order: number }[] = [];
            for (const [index, { stream, events }] of batches.entries()) {
              // With room for one stream, every other use closes one and opens another.
              if (index === restartAt) files = open(restartAt % 2 === 0 ? 1 : undefined);
              const sorted = events
                .toSorted(([a], [b]) => a - b)
                .map(([timestamp, size], i) => [timestamp, `${index}.${i}${"x".repeat(size)}`] as const);
              await append(files, stream, sorted);
              for (const [timestamp, text] of sorted) all.push({ timestamp, stream, text, order: all.length });
            }
            all.sort((a, b) => a.timestamp - b.timestamp || a.order - b.order);
            for (const { streams, from, length, backward, limit, budget } of readings) {
              const expected = all
                .filter(({ stream, timestamp }) => streams.includes(stream) && timestamp >= from && timestamp <= from + length)
                .map(({ timestamp, stream, text }) => show(timestamp, stream, text));
              assert.deepEqual(
                await read(files, streams, { from, to: from + length, backward, budget }, limit),
                backward ? expected.toReversed() : expected,
              );
            }
          }),
      ),
      { numRuns: 80 },
    );
  });

  test("a torn or damaged tail is cut, what was acknowledged stays", async () => {
    await withFiles(async (root, open) => {
      const path = join(root, "g", "s", "00000001.log");
      await append(open(), "s", [[1, "one"]]);
      const one = statSync(path).size;
      await append(open(), "s", [[2, "two"]]);
      const whole = readFileSync(path);
      for (let length = one; length < whole.length; length++) {
        writeFileSync(path, whole.subarray(0, length));
        assert.deepEqual(await read(open(), ["s"]), ["1 s one"]);
        assert.equal(statSync(path).size, one);
      }
      for (const tail of [Buffer.alloc(100), Buffer.from("garbage that is no frame at all, of some length"), whole.subarray(0, one - 1)]) {
        writeFileSync(path, whole);
        appendFileSync(path, tail);
        const files = open();
        await append(files, "s", [[3, "three"]]);
        assert.deepEqual(await read(files, ["s"]), ["1 s one", "2 s two", "3 s three"]);
        truncateSync(path, whole.length);
      }
      const flipped = Buffer.from(whole);
      flipped[flipped.length - 1]! ^= 1;
      writeFileSync(path, flipped);
      assert.deepEqual(await read(open(), ["s"]), ["1 s one"]);
    });
  });

  test("full segments keep an index beside them, and do without", async () => {
    await withFiles(async (root, open) => {
      const files = open();
      const big = "x".repeat(900_000);
      for (let i = 0; i < 22; i++) await append(files, "s", [[i % 5, `${i} ${big}`]]);
      const names = () => readdirSync(join(root, "g", "s")).toSorted();
      assert.deepEqual(names(), ["00000001.idx", "00000001.log", "00000002.idx", "00000002.log", "00000003.log"]);
      const expected = await read(files, ["s"]);
      assert.deepEqual(
        expected.map((line) => line.slice(0, 6).split(" ").slice(0, 3)[0]),
        Array.from({ length: 22 }, (_, i) => i % 5)
          .toSorted()
          .map(String),
      );
      assert.deepEqual(await read(open(), ["s"]), expected);
      writeFileSync(join(root, "g", "s", "00000001.idx"), "{ broken");
      rmSync(join(root, "g", "s", "00000002.idx"));
      assert.deepEqual(await read(open(), ["s"]), expected);
    });
  });

  test("streams that are not used are closed, however many write at once", async () => {
    await withFiles(async (_root, open) => {
      const files = open(3);
      const writes = Array.from({ length: 200 }, (_, i) => append(files, `s${(i * 7) % 10}`, [[i, `${i}`]]));
      await Promise.all(writes);
      for (let i = 0; i < 50; i++) await append(files, `s${(i * 3) % 10}`, [[1000 + i, `${i}`]]);
      const streams = Array.from({ length: 10 }, (_, i) => `s${i}`);
      assert.equal((await read(files, streams)).length, 250);
      assert.equal((await read(open(), streams)).length, 250);
    });
  });

  test("whole segments expire, and the stream goes on", async () => {
    await withFiles(async (root, open) => {
      const files = open();
      const big = "x".repeat(1_000_000);
      for (let i = 0; i < 9; i++) await append(files, "s", [[i, big]]);
      await append(files, "s", [[100, "young"]]);
      const expire = (time: number) => files.use({ group: "g", stream: "s" }, (log) => log.expire(time));
      await expire(50);
      assert.deepEqual(readdirSync(join(root, "g", "s")), ["00000002.log"]);
      await expire(1000);
      assert.deepEqual(readdirSync(join(root, "g", "s")), []);
      assert.equal(await files.use({ group: "g", stream: "s" }, (log) => log.stats), undefined);
      await append(files, "s", [[2000, "next"]]);
      assert.deepEqual(await read(open(), ["s"]), ["2000 s next"]);
    });
  });

  test(
    "a full disk refuses events and keeps what it has; with space it goes on",
    { skip: process.getuid?.() !== 0 && "mounting a tmpfs takes root" },
    async () => {
      await withFiles(async (root, open) => {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", root]);
        try {
          const files = open();
          const kept: string[] = [];
          let refused = 0;
          for (let i = 0; refused < 5; i++) {
            const text = `${i} ${"x".repeat(50_000)}`;
            try {
              await append(files, `s${i % 2}`, [[i, text]]);
              kept.push(show(i, `s${i % 2}`, text));
            } catch (error) {
              assert.equal((error as NodeJS.ErrnoException).code, "ENOSPC");
              refused++;
            }
          }
          await assert.rejects(append(files, "new", [[0, "x".repeat(100_000)]]), { code: "ENOSPC" });
          assert.deepEqual(await read(files, ["s0", "s1", "new"]), kept);
          assert.deepEqual(await read(open(), ["s0", "s1", "new"]), kept);
          await files.removeStream({ group: "g", stream: "s0" });
          await append(files, "s1", [[1e6, "again"]]);
          await append(files, "new", [[1e6, "new"]]);
          const expected = [...kept.filter((line) => line.includes(" s1 ")), "1000000 s1 again", "1000000 new new"];
          assert.deepEqual(await read(files, ["s1", "new"]), expected);
          assert.deepEqual(await read(open(), ["s1", "new"]), expected);
        } finally {
          execFileSync("umount", [root]);
        }
      });
    },
  );
});
