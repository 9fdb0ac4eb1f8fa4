import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { FakeClock } from "#platform/fake-clock.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { StoreError } from "#store/store.ts";

const isFull = (error: unknown) => error instanceof StoreError && error.code === "Full";

test(
  "a full disk is an error to the caller, not a corrupt store",
  { skip: process.getuid?.() !== 0 && "mounting a tmpfs takes root" },
  async () => {
    const home = mkdtempSync(join(tmpdir(), "gantry-store-full-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", home]);
    const path = join(home, "store.db");
    const ballast = join(home, "ballast");
    const clock = new FakeClock();
    let store = await openSqliteStore({ path, clock });
    try {
      await store.transaction({ writes: [{ put: "before", value: 1 }] });
      writeFileSync(ballast, Buffer.alloc(2 * 1024 * 1024));

      // Fills what is left, eight transactions at a time, two keys each.
      const written = new Set<number>();
      let full = 0;
      for (let n = 0; full < 20; n += 8) {
        assert.ok(n < 10_000, "the disk never got full");
        const results = await Promise.allSettled(
          Array.from({ length: 8 }, (_, i) =>
            store.transaction({
              writes: [
                { put: `left/${n + i}`, value: n + i },
                { put: `right/${n + i}`, value: "x".repeat(8000) },
              ],
            }),
          ),
        );
        for (const [i, result] of results.entries()) {
          if (result.status === "fulfilled") written.add(n + i);
          else {
            full++;
            assert.ok(isFull(result.reason), String(result.reason));
          }
        }
      }
      assert.ok(written.size > 0);

      const check = async () => {
        const expected = [...written].map(String).toSorted();
        for (const side of ["left/", "right/"]) {
          const { entries } = await store.list(side);
          assert.deepEqual(entries.map(({ key }) => key.slice(side.length)).toSorted(), expected);
        }
        assert.equal((await store.get("before"))?.value, 1);
      };
      await check();
      const { revision } = await store.list("");

      // A store that is opened on the full disk reads, and still says Full.
      await store.close();
      store = await openSqliteStore({ path, clock });
      await check();
      assert.equal((await store.list("")).revision, revision);
      const big = { put: "big", value: "x".repeat(3_000_000) };
      await assert.rejects(store.transaction({ writes: [big] }), isFull);

      // Space comes back: the same store goes on.
      rmSync(ballast);
      assert.equal((await store.transaction({ writes: [{ put: "after", value: 2 }] })).revision, revision + 1);
      const watch = store.watch("", { after: revision, signal: AbortSignal.timeout(60_000) })[Symbol.asyncIterator]();
      assert.deepEqual((await watch.next()).value?.events[0]?.key, "after");
      await store.close();
      const db = new DatabaseSync(path);
      assert.equal(db.prepare("PRAGMA integrity_check").get()?.integrity_check, "ok");
      db.close();
      store = await openSqliteStore({ path, clock });
      await check();
      assert.equal((await store.get("after"))?.value, 2);
    } finally {
      await store.close();
      execFileSync("umount", [home]);
      rmdirSync(home);
    }
  },
);

test("the end of a lease waits for space", { skip: process.getuid?.() !== 0 && "mounting a tmpfs takes root" }, async () => {
  const home = mkdtempSync(join(tmpdir(), "gantry-store-full-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", home]);
  const clock = new FakeClock();
  const store = await openSqliteStore({ path: join(home, "store.db"), clock });
  try {
    const lease = await store.lease(1000);
    await store.transaction({ writes: [{ put: "held", value: 1, lease: lease.id }] });
    const ballast = join(home, "ballast");
    assert.throws(() => writeFileSync(ballast, Buffer.alloc(4 * 1024 * 1024)), { code: "ENOSPC" });
    await clock.advance(1500);
    assert.ok(await store.get("held"), "the delete could not be made durable yet");
    await assert.rejects(lease.renew(), (error) => error instanceof StoreError && error.code === "LeaseExpired");
    rmSync(ballast);
    await clock.advance(1500);
    assert.equal(await store.get("held"), undefined);
  } finally {
    await store.close();
    execFileSync("umount", [home]);
    rmdirSync(home);
  }
});
