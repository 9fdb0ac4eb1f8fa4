import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "#platform/fake-clock.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { storeConformance } from "./conformance.ts";
import type { Engine } from "./conformance.ts";

const HISTORY = { events: 100, bytes: 100_000 };

async function start(): Promise<Engine> {
  const home = mkdtempSync(join(tmpdir(), "gantry-store-"));
  const clock = new FakeClock();
  const open = () => openSqliteStore({ path: join(home, "store.db"), clock, freeze: true, history: HISTORY });
  let store = await open();
  return {
    store: () => store,
    async reopen() {
      await store.close();
      store = await open();
    },
    elapse: (ms) => clock.advance(ms),
    async compact() {
      for (let i = 0; i <= HISTORY.events; i++) await store.transaction({ writes: [{ put: "compaction", value: i }] });
    },
    async end() {
      await store.close();
      rmSync(home, { recursive: true });
    },
  };
}

storeConformance("SQLite", start);
