import assert from "node:assert/strict";
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { createJsonFile } from "#agent/logs/json-file.ts";
import { Pump } from "#agent/logs/pump.ts";
import type { Sink } from "#agent/logs/sink.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { until } from "../support/until.ts";

describe("the log pump", () => {
  let directory: string;
  const offsets = new Map<string, number>();
  const memory = {
    offset: (file: string) => offsets.get(file) ?? 0,
    saveOffset: (file: string, offset: number) => void offsets.set(file, offset),
  };
  const pumpTo = (sink: Sink) => new Pump({ directory, sink, offsets: memory, clock: systemClock, log: silentLogger });
  const collecting = (taken: string[], rest: Partial<Sink> = {}): Sink => ({
    longestLine: 1000,
    backlogBytes: Number.MAX_SAFE_INTEGER,
    write: async (stream, lines) => {
      for (const { text } of lines) taken.push(`${stream} ${text}`);
      return lines.length;
    },
    ...rest,
  });

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "gantry-pump-"));
    offsets.clear();
    for (const name of ["stdout.0", "stderr.0"]) writeFileSync(join(directory, name), "");
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it("delivers soon while the container runs", async () => {
    const taken: string[] = [];
    const pump = pumpTo(collecting(taken));
    pump.follow(0);
    appendFileSync(join(directory, "stdout.0"), "one\n");
    appendFileSync(join(directory, "stderr.0"), "two\n");
    // Long before it would look by itself.
    await until("lines", () => taken.length === 2, { ms: 2_000 });
    assert.deepEqual(taken.toSorted(), ["stderr two", "stdout one"]);
    assert.equal(await pump.finish(30_000), true);
  });

  it("delivers soon from a container that never pauses", async () => {
    const taken: string[] = [];
    const pump = pumpTo(collecting(taken));
    pump.follow(0);
    await new Promise((resolve) => setTimeout(resolve, 200));
    // Forty in a second, for ten seconds at most.
    for (let i = 0; i < 400 && taken.length <= 25; i++) {
      appendFileSync(join(directory, "stdout.0"), `${i}\n`);
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    assert.ok(taken.length > 25, `${taken.length} lines came while it wrote`);
    await pump.finish(30_000);
  });

  it("loses nothing while its sink fails, and gives up after its time at the end", async () => {
    const taken: string[] = [];
    let broken = true;
    const good = collecting(taken);
    const sink = collecting(taken, { write: async (...args) => (broken ? Promise.reject(new Error("away")) : good.write(...args)) });
    const pump = pumpTo(sink);
    pump.follow(0);
    appendFileSync(join(directory, "stdout.0"), "one\ntwo\n");
    await new Promise((resolve) => setTimeout(resolve, 300));
    broken = false;
    await until("lines", () => taken.length === 2);
    broken = true;
    appendFileSync(join(directory, "stdout.0"), "three\n");
    assert.equal(await pump.finish(300), false);
    broken = false;
    const next = pumpTo(sink);
    next.follow(0);
    assert.equal(await next.finish(30_000), true);
    assert.deepEqual(taken, ["stdout one", "stdout two", "stdout three"]);
  });

  it("skips the oldest when the buffer is bounded, and gives disk space back", async () => {
    const taken: string[] = [];
    const file = join(directory, "stdout.0");
    writeFileSync(file, `${"x".repeat(99)}\n`.repeat(100_000));
    const all = pumpTo(collecting(taken));
    all.follow(0);
    assert.equal(await all.finish(60_000), true);
    assert.equal(taken.length, 100_000);
    const { size, blocks } = statSync(file);
    assert.equal(size, 10_000_000);
    assert.ok(blocks * 512 < 6_000_000, `${blocks * 512} bytes on disk`);
    appendFileSync(file, `${"y".repeat(99)}\n`.repeat(1000));
    taken.length = 0;
    const bounded = pumpTo(collecting(taken, { backlogBytes: 10_000 }));
    bounded.follow(0);
    await bounded.finish(60_000);
    assert.ok(taken.length <= 101 && taken.length >= 99);
  });

  it("follows a container through its restarts", async () => {
    const taken: string[] = [];
    const pump = pumpTo(collecting(taken));
    pump.follow(0);
    appendFileSync(join(directory, "stdout.0"), "first life\nunfinished");
    writeFileSync(join(directory, "stdout.1"), "second life\n");
    pump.follow(1);
    await pump.finish(30_000);
    assert.deepEqual(taken, ["stdout first life", "stdout unfinished", "stdout second life"]);
  });

  it("json-file writes Docker's lines and rotates", async () => {
    const sink = createJsonFile(directory, { "max-size": "1k", "max-file": "3" }, systemClock);
    for (let i = 0; i < 60; i++) await sink.write("stderr", [{ text: `line ${i}`, partial: false }], false);
    const first = readFileSync(join(directory, "json.log"), "utf8").trim().split("\n").at(-1) ?? "";
    const { time, ...rest } = JSON.parse(first) as { time: string };
    assert.deepEqual(rest, { log: "line 59\n", stream: "stderr" });
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 10_000);
    assert.ok(statSync(join(directory, "json.log.2")).size > 0);
    assert.throws(() => statSync(join(directory, "json.log.3")));
  });
});
