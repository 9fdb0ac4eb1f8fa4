import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { LogFiles } from "#services/logs/storage/log-files.ts";
import { scan } from "#services/logs/storage/scan.ts";

const ROUNDS = 15;

async function killedWriter(root: string, round: number): Promise<Map<string, number>> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "crash-writer.ts"), root, String(round)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  let doomed = false;
  // Every other one has said so many lines, however slow the machine is.
  const least = round % 2 ? 50 : 0;
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    text += chunk;
    if (doomed || text.split("\n").length <= least) return;
    doomed = true;
    setTimeout(() => child.kill("SIGKILL"), 20 + Math.random() * 100);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  assert.deepEqual([code, signal], [null, "SIGKILL"]);
  const lines = text.slice(0, text.lastIndexOf("\n")).split("\n").slice(1);
  return new Map(lines.map((line) => [line.split(" ")[0]!, Number(line.split(" ")[1])]));
}

test(
  `killed ${ROUNDS} times while events are put: none that was acknowledged is lost, and all come in order`,
  { timeout: 500_000 },
  async () => {
    const root = mkdtempSync(join(tmpdir(), "gantry-logs-crash-"));
    const told = new Map<string, number>();
    try {
      for (let round = 0; round < ROUNDS; round++) {
        for (const [writer, n] of await killedWriter(root, round)) told.set(writer, n);
        const files = new LogFiles(root, systemClock, silentLogger);
        const seen = new Set<string>();
        const sources = [];
        for (const stream of ["s0", "s1", "s2"])
          sources.push({ stream, segments: await files.use({ group: "g", stream }, (log) => log.segments) });
        let last = 0;
        const end = await scan(sources, { from: 0, to: Infinity, backward: false, budget: Infinity }, (event) => {
          assert.ok(event.timestamp >= last);
          last = event.timestamp;
          const [writer, event_] = event.buffer.toString("utf8", event.start, Math.min(event.end, event.start + 40)).split(" ");
          const id = `${writer} ${event_}`;
          assert.ok(!seen.has(id), `${id} came twice`);
          seen.add(id);
          return true;
        });
        assert.equal(end, "end");
        for (const [writer, n] of told)
          for (let i = 1; i <= n; i++)
            for (const part of [0, 1, 2]) assert.ok(seen.has(`${writer} ${i}.${part}`), `${writer} ${i}.${part} was acknowledged`);
      }
      assert.ok([...told.values()].reduce((sum, n) => sum + n, 0) > ROUNDS * 20, "there was no load");
    } finally {
      rmSync(root, { recursive: true });
    }
  },
);
