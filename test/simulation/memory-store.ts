import { StoreError } from "#store/store.ts";
import type { Entry, Store, Transaction, TransactionResult, WatchBatch, WatchEvent } from "#store/store.ts";

/**
 * A store whose disk outlives the server that uses it. Each server has a session of its own, which can be killed at any point:
 * what it had asked for is then applied or not, and it never hears of it, as after SIGKILL.
 */
export class MemoryDisk {
  readonly entries = new Map<string, Entry>();
  revision = 0;
  readonly #keys: string[] = [];
  readonly #history: WatchBatch[] = [];
  readonly #watchers = new Set<(batch: WatchBatch) => void>();
  /** Called after each transaction that was applied. */
  onWrite: (batch: WatchBatch) => void = () => {};

  apply({ compare = [], writes }: Transaction): TransactionResult {
    const conflicts = compare.filter(({ key, revision }) => (this.entries.get(key)?.revision ?? 0) !== revision).map(({ key }) => key);
    if (conflicts.length > 0) return { ok: false, revision: this.revision, conflicts };
    const revision = ++this.revision;
    const events: WatchEvent[] = [];
    for (const write of writes) {
      if ("put" in write) {
        const before = this.entries.get(write.put);
        if (!before) this.#keys.splice(this.#position(write.put), 0, write.put);
        const value: unknown = freeze(JSON.parse(JSON.stringify(write.value)));
        const entry: Entry = { key: write.put, value, created: before?.created ?? revision, revision };
        this.entries.set(write.put, entry);
        events.push({ type: "put", key: write.put, entry });
      } else {
        const keys = "delete" in write ? [write.delete] : this.list(write.deletePrefix).map(({ key }) => key);
        for (const key of keys) {
          if (!this.entries.delete(key)) continue;
          this.#keys.splice(this.#position(key), 1);
          events.push({ type: "delete", key });
        }
      }
    }
    const batch = { revision, events };
    this.#history.push(batch);
    this.onWrite(batch);
    for (const watcher of this.#watchers) watcher(batch);
    return { ok: true, revision };
  }

  list(prefix: string): Entry[] {
    const found: Entry[] = [];
    for (let at = this.#position(prefix); at < this.#keys.length && this.#keys[at]!.startsWith(prefix); at++)
      found.push(this.entries.get(this.#keys[at]!)!);
    return found;
  }

  /** Of the first key that is not less. */
  #position(key: string): number {
    let [low, high] = [0, this.#keys.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#keys[middle]! < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  watch(after: number, watcher: (batch: WatchBatch) => void): () => void {
    for (const batch of this.#history.slice(after)) watcher(batch);
    this.#watchers.add(watcher);
    return () => this.#watchers.delete(watcher);
  }
}

export interface Session {
  readonly store: Store;
  /** From now on nothing that was asked is ever answered. */
  kill(): void;
  /** The changes that its watches have not told yet are gone: they have lagged too far behind. */
  compact(): void;
}

/** Whoever reads page by page gets small ones: between two of them a lot may happen. */
const longestPage = 8;

/** `beforeWrite` may kill the session, before the write or (when it returns "after") just behind it, or find the disk full. */
export function openSession(disk: MemoryDisk, beforeWrite: () => "go" | "before" | "after" | "full" = () => "go"): Session {
  let dead = false;
  let compactions = 0;
  const waking = new Set<() => void>();
  const ends: (() => void)[] = [];
  const never = new Promise<never>(() => {});
  const answer = async <T>(value: () => T): Promise<T> => {
    await Promise.resolve();
    return dead ? never : value();
  };
  const store: Store = {
    get: <T>(key: string) => answer(() => disk.entries.get(key) as Entry<T> | undefined),
    list: <T>(prefix: string, { limit = Infinity, after }: { limit?: number; after?: string } = {}) =>
      answer(() => {
        const all = disk.list(prefix).filter(({ key }) => after === undefined || key > after) as Entry<T>[];
        const most = limit === Infinity ? limit : Math.min(limit, longestPage);
        return { entries: all.slice(0, most), revision: disk.revision, more: all.length > most };
      }),
    async transaction(transaction) {
      await Promise.resolve();
      if (dead) return never;
      const fate = beforeWrite();
      if (fate === "full") throw new StoreError("Full", "the disk is full");
      if (fate === "before") dead = true;
      if (dead) return never;
      const result = disk.apply(transaction);
      if (fate === "after") dead = true;
      await Promise.resolve();
      return dead ? never : result;
    },
    async *watch(prefix, { after, signal }) {
      const waiting: WatchBatch[] = [];
      const begun = compactions;
      let wake = () => {};
      const wakeUp = () => wake();
      waking.add(wakeUp);
      const end = disk.watch(after ?? disk.revision, (batch) => {
        waiting.push(batch);
        wake();
      });
      ends.push(end);
      signal.addEventListener("abort", () => wake(), { once: true });
      try {
        while (!signal.aborted) {
          if (dead) await never;
          if (compactions > begun) throw new StoreError("Compacted", "changes are gone");
          const batch = waiting.shift();
          if (!batch) {
            await new Promise<void>((resolve) => {
              wake = resolve;
            });
            continue;
          }
          const events = batch.events.filter(({ key }) => key.startsWith(prefix));
          if (events.length > 0) yield { revision: batch.revision, events };
        }
      } finally {
        end();
        waking.delete(wakeUp);
      }
    },
    lease: () => Promise.reject(new Error("no leases here")),
    close: () => Promise.resolve(),
  };
  return {
    store,
    kill() {
      dead = true;
      for (const end of ends) end();
    },
    compact() {
      compactions++;
      for (const wake of waking) wake();
    },
  };
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    for (const member of Object.values(value)) freeze(member);
    Object.freeze(value);
  }
  return value;
}
