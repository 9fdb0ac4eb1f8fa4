import { ecsKeys } from "#model/ecs-keys.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store, Write } from "#store/store.ts";
import { expiryPassMs, maxStoppedTasks } from "./limits.ts";

const atOnce = 200;

/** Deletes what has expired, and the oldest of what has grown beyond its number. The cost is that of what goes, not of what stays. */
export async function expire(store: Store, now: number, limit = maxStoppedTasks): Promise<number> {
  let deleted = 0;
  for (const kind of ["task", "client-token"] as const) {
    for (;;) {
      const { entries, more } = await store.list<{ keys: readonly string[] }>(ecsKeys.expiries(kind), { limit: atOnce });
      const due = entries.filter(({ key }) => timeOf(key) <= now);
      if (due.length > 0) await deleteAll(store, due);
      deleted += due.length;
      if (due.length < entries.length || !more) break;
    }
  }
  return deleted + (await trim(store, limit));
}

/** Checks from time to time. Returns what ends it. */
export function startExpiry({ store, clock, log }: { store: Store; clock: Clock; log: Logger }): () => void {
  let stopped = false;
  let cancel = () => {};
  const again = () => {
    if (!stopped) cancel = clock.after(expiryPassMs, pass);
  };
  const pass = () => {
    expire(store, clock.now())
      .catch((error: unknown) => {
        if (!stopped) log.warn({ err: error }, "expiry failed, it is tried again");
      })
      .finally(again);
  };
  again();
  return () => {
    stopped = true;
    cancel();
  };
}

async function trim(store: Store, limit: number): Promise<number> {
  const { entries } = await store.list<{ keys: readonly string[] }>(ecsKeys.expiries("task"));
  const surplus = entries.slice(0, Math.max(0, entries.length - limit));
  for (let from = 0; from < surplus.length; from += atOnce) await deleteAll(store, surplus.slice(from, from + atOnce));
  return surplus.length;
}

async function deleteAll(store: Store, due: readonly { key: string; value: { keys: readonly string[] } }[]): Promise<void> {
  const writes: Write[] = due.flatMap(({ key, value }) => [...value.keys, key].map((each) => ({ delete: each })));
  await store.transaction({ writes });
}

/** The time in `/ecs-expiry/<kind>/<time>/<id>`. */
function timeOf(key: string): number {
  return Number(key.split("/")[3]);
}
