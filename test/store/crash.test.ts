import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { FakeClock } from "#platform/fake-clock.ts";
import { openSqliteStore } from "#store/sqlite.ts";

const ROUNDS = 60;
const WRITERS = 8;

/** Runs the writer until it is killed at a random moment; returns the last step and revision that each of its writers was told. */
async function killedWriter(path: string, round: number): Promise<Map<string, { n: number; revision: number }>> {
  const child = spawn(process.execPath, [join(import.meta.dirname, "crash-writer.ts"), path, String(round), String(WRITERS)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  let doomed = false;
  // Every other one has said so many lines, however slow the machine is.
  const least = round % 2 ? 20 : 0;
  child.stdout.setEncoding("utf8");
  child.stdout.on("data", (chunk: string) => {
    text += chunk;
    if (doomed || text.split("\n").length <= least) return;
    doomed = true;
    setTimeout(() => child.kill("SIGKILL"), Math.random() * 60);
  });
  const [code, signal] = (await once(child, "close")) as [number | null, string | null];
  assert.deepEqual([code, signal], [null, "SIGKILL"]);
  const told = new Map<string, { n: number; revision: number }>();
  // What stands behind the last line feed was cut off by the kill.
  for (const line of text.slice(0, text.lastIndexOf("\n")).split("\n").slice(1)) {
    const [writer, n, revision] = line.split(" ");
    told.set(writer!, { n: Number(n), revision: Number(revision) });
  }
  return told;
}

test(
  `killed ${ROUNDS} times under load: what was acknowledged is there, whole, and the next start needs no repair`,
  { timeout: 600_000 },
  async () => {
    const home = mkdtempSync(join(tmpdir(), "gantry-store-crash-"));
    const path = join(home, "store.db");
    let lastRevision = 0;
    let acknowledged = 0;
    try {
      for (let round = 0; round < ROUNDS; round++) {
        const told = await killedWriter(path, round);
        const store = await openSqliteStore({ path, clock: new FakeClock() });
        const { entries, revision } = await store.list("");
        const values = new Map(entries.map((entry) => [entry.key, entry]));
        assert.ok(revision >= Math.max(lastRevision, ...[...told.values()].map((each) => each.revision)));
        lastRevision = revision;
        for (const [writer, { n }] of told) {
          acknowledged += n;
          const left = values.get(`left/${writer}`)?.value as { n: number };
          assert.ok(left.n >= n, `${writer} was told ${n}, the store has ${left.n}`);
        }
        for (let i = 0; i < WRITERS; i++) {
          const writer = `${round}-${i}`;
          const [left, right] = [values.get(`left/${writer}`), values.get(`right/${writer}`)];
          assert.equal(left?.revision, right?.revision);
          const n = (left?.value as { n: number } | undefined)?.n ?? 0;
          assert.equal((right?.value as { n: number } | undefined)?.n ?? 0, n);
          const steps = entries.filter(({ key }) => key.startsWith(`step/${round}/${writer}/`));
          assert.equal(Math.max(0, ...steps.map(({ value }) => Number(value))), n);
          if (n > 0) assert.ok(steps.some((each) => each.value === n && each.revision === left?.revision));
        }
        await store.transaction({ writes: [{ deletePrefix: "step/" }] });
        lastRevision = Math.max(lastRevision, (await store.list("", { limit: 1 })).revision);
        await store.close();
        if (round % 10 === 9) {
          const db = new DatabaseSync(path);
          assert.deepEqual(
            db
              .prepare("PRAGMA integrity_check")
              .all()
              .map((row) => ({ ...row })),
            [{ integrity_check: "ok" }],
          );
          db.close();
        }
      }
      assert.ok(acknowledged > ROUNDS * WRITERS, `only ${acknowledged} writes were acknowledged: there was no load`);
    } finally {
      rmSync(home, { recursive: true });
    }
  },
);
