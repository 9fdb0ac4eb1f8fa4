import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { FakeClock } from "#platform/fake-clock.ts";
import { openSqliteStore } from "#store/sqlite.ts";

test("a file of schema 1 is taken over whole, once", async () => {
  const home = mkdtempSync(join(tmpdir(), "gantry-store-"));
  const path = join(home, "store.db");
  try {
    const db = new DatabaseSync(path);
    db.exec(`
      CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL, created INTEGER NOT NULL, revision INTEGER NOT NULL, lease TEXT) WITHOUT ROWID;
      CREATE TABLE leases (id TEXT PRIMARY KEY, ttl_ms INTEGER NOT NULL) WITHOUT ROWID;
      CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL);
      INSERT INTO state VALUES (1, 7);
      INSERT INTO entries VALUES ('/b', '{"n":2}', 5, 7, NULL), ('/a', '{"n":1}', 3, 3, 'held');
      INSERT INTO leases VALUES ('held', 1000);
      PRAGMA user_version = 1;`);
    db.close();
    const clock = new FakeClock();
    const expected = [
      { key: "/a", value: { n: 1 }, created: 3, revision: 3 },
      { key: "/b", value: { n: 2 }, created: 5, revision: 7 },
    ];
    const first = await openSqliteStore({ path, clock });
    assert.deepEqual(await first.list(""), { entries: expected, revision: 7, more: false });
    await first.transaction({ compare: [{ key: "/b", revision: 7 }], writes: [{ put: "/b", value: { n: 3 } }] });
    await first.close();
    const second = await openSqliteStore({ path, clock });
    assert.deepEqual(await second.get("/b"), { key: "/b", value: { n: 3 }, created: 5, revision: 8 });
    await clock.advance(1001);
    assert.equal((await second.list("")).entries.length, 1, "the lease came along, and ends");
    await second.close();
  } finally {
    rmSync(home, { recursive: true });
  }
});
