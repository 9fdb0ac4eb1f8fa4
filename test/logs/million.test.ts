import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startLogs } from "./harness.ts";

const EVENTS = 1_000_000;

test("a million events are read and filtered without being held in memory", { timeout: 500_000 }, async (t) => {
  const logs = await startLogs();
  const now = logs.clock.now();
  const text = (n: number) =>
    `2026-01-01T00:00:00Z INFO request ${n} took ${n % 977} ms${n % 100_000 === 0 ? " NEEDLE" : ""} ${"x".repeat(160)}`;
  try {
    for (const name of ["a", "b"]) await logs.stream("g", name);
    for (let from = 0; from < EVENTS; from += 8_000)
      await Promise.all(
        ["a", "b"].map((logStreamName, half) => {
          const numbers = Array.from({ length: 4_000 }, (_, i) => from + 2 * i + half);
          const logEvents = numbers.map((n) => ({ timestamp: now + Math.floor(n / 1000), message: text(n) }));
          return logs.call("PutLogEvents", { logGroupName: "g", logStreamName, logEvents });
        }),
      );
    await logs.stop();
    // A process of its own with a heap of 40 MB, so that its memory is that of reading. The messages alone are 210 MB.
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--max-old-space-size=40",
      join(import.meta.dirname, "million-reader.ts"),
      logs.home,
    ]);
    t.diagnostic(stdout.replace(/x+/, "x").trim());
    const { filtered, read, tail } = JSON.parse(stdout) as {
      filtered: { count: number; megabytes: number };
      read: { count: number; ms: number };
      tail: { message: string; ms: number };
    };
    assert.equal(filtered.count, EVENTS / 100_000);
    assert.equal(read.count, EVENTS);
    assert.equal(tail.message, text(EVENTS - 1));
    // Against all that a busy machine does meanwhile: reading the whole of it takes as much time there.
    assert.ok(tail.ms < 1000, `the end of a long stream is found by its index: ${tail.ms} of ${read.ms} ms`);
    assert.ok(filtered.megabytes < 60, `filtering took ${filtered.megabytes} MB`);
  } finally {
    rmSync(logs.home, { recursive: true });
  }
});
