import assert from "node:assert/strict";
import { test } from "node:test";
import { startLogs } from "./harness.ts";

const EVENTS = 1_000_000;

test("a million events are written, read and filtered without being held in memory", { timeout: 120_000 }, async (t) => {
  const logs = await startLogs();
  const now = logs.clock.now();
  try {
    for (const name of ["a", "b"]) await logs.stream("g", name);
    const text = (n: number) =>
      `2026-01-01T00:00:00Z INFO request ${n} took ${n % 977} ms${n % 100_000 === 0 ? " NEEDLE" : ""} ${"x".repeat(16)}`;
    let started = performance.now();
    for (let from = 0; from < EVENTS; from += 20_000)
      await Promise.all(
        ["a", "b"].map((logStreamName, half) =>
          logs.call("PutLogEvents", {
            logGroupName: "g",
            logStreamName,
            logEvents: Array.from({ length: 10_000 }, (_, i) => ({
              timestamp: now + Math.floor((from + 2 * i + half) / 1000),
              message: text(from + 2 * i + half),
            })),
          }),
        ),
      );
    t.diagnostic(`written in ${Math.round(performance.now() - started)} ms`);
    await logs.restart();

    globalThis.gc?.();
    const before = process.memoryUsage().rss;
    let most = 0;
    const all = async (filterPattern: string | undefined) => {
      let count = 0;
      let nextToken: string | undefined;
      const found: string[] = [];
      let last = 0;
      do {
        const page = await logs.call("FilterLogEvents", { logGroupName: "g", filterPattern, nextToken });
        for (const { timestamp, message } of page.events!) {
          assert.ok(timestamp! >= last);
          last = timestamp!;
          if (filterPattern) found.push(message!);
        }
        count += page.events!.length;
        nextToken = page.nextToken;
        most = Math.max(most, process.memoryUsage().rss - before);
      } while (nextToken);
      return { count, found };
    };
    started = performance.now();
    const { count, found } = await all("NEEDLE");
    t.diagnostic(`filtered in ${Math.round(performance.now() - started)} ms`);
    assert.equal(count, EVENTS / 100_000);
    assert.ok(found.every((message) => message.includes("NEEDLE")));
    started = performance.now();
    assert.equal((await all(undefined)).count, EVENTS);
    t.diagnostic(`read in ${Math.round(performance.now() - started)} ms; ${Math.round(most / 1e6)} MB more memory at most`);
    assert.ok(most < 200e6, `memory grew by ${most} bytes`);
    started = performance.now();
    const tail = await logs.call("GetLogEvents", { logGroupName: "g", logStreamName: "b", limit: 10 });
    assert.equal(tail.events!.at(-1)!.message, text(EVENTS - 1));
    assert.ok(performance.now() - started < 1000, "the end of a long stream is found by its index");
  } finally {
    await logs.end();
  }
});
