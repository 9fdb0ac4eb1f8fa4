import { StoreError } from "./store.ts";
import type { WatchBatch, WatchEvent } from "./store.ts";

export interface HistoryLimits {
  /** Events kept for watches that lag behind; older revisions are compacted. */
  readonly events: number;
  /** Bytes of JSON that those events may hold on to. */
  readonly bytes: number;
}

interface Kept {
  readonly batch: WatchBatch;
  readonly bytes: number;
}

/**
 * The last changes, in memory, and the watches that read them. A watch owns a cursor only: one that lags costs nothing, and
 * learns by `Compacted` that it has to list again.
 */
export class History {
  readonly #limits: HistoryLimits;
  #kept: Kept[] = [];
  #start = 0;
  #events = 0;
  #bytes = 0;
  /** Revision behind which the history is complete. */
  #floor: number;
  #head: number;
  #closed = false;
  readonly #waiting = new Set<Waiter>();

  constructor(revision: number, limits: HistoryLimits) {
    this.#floor = revision;
    this.#head = revision;
    this.#limits = limits;
  }

  append(batch: WatchBatch, bytes: number): void {
    this.#head = batch.revision;
    this.#kept.push({ batch, bytes });
    this.#events += batch.events.length;
    this.#bytes += bytes;
    while ((this.#events > this.#limits.events || this.#bytes > this.#limits.bytes) && this.#start < this.#kept.length - 1)
      this.#dropOldest();
    for (const waiter of this.#waiting) waiter.offer(batch);
  }

  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiting) waiter.wake();
    this.#kept = [];
  }

  async *watch(prefix: string, after: number, signal: AbortSignal): AsyncGenerator<WatchBatch, void, void> {
    let cursor = after;
    while (!signal.aborted) {
      if (this.#closed) throw new StoreError("Closed", "the store was closed");
      if (cursor < this.#floor)
        throw new StoreError("Compacted", `changes after revision ${cursor} are gone, the oldest kept follow ${this.#floor}`);
      let found: WatchBatch | undefined;
      for (let i = this.#indexAfter(cursor); i < this.#kept.length && !found; i++) {
        const { batch } = this.#kept[i]!;
        cursor = batch.revision;
        found = select(batch, prefix);
      }
      if (found) yield found;
      else cursor = Math.max(cursor, await this.#wait(prefix, cursor, signal));
    }
  }

  /** Resolves with the revision before the first change that concerns the watch. */
  #wait(prefix: string, cursor: number, signal: AbortSignal): Promise<number> {
    return new Promise((resolve) => {
      let seen = Math.max(cursor, this.#head);
      const waiter: Waiter = {
        offer: (batch) => {
          if (batch.revision > cursor && concerns(batch, prefix)) waiter.wake();
          else seen = Math.max(seen, batch.revision);
        },
        wake: () => {
          signal.removeEventListener("abort", waiter.wake);
          this.#waiting.delete(waiter);
          resolve(seen);
        },
      };
      signal.addEventListener("abort", waiter.wake, { once: true });
      this.#waiting.add(waiter);
    });
  }

  #dropOldest(): void {
    const { batch, bytes } = this.#kept[this.#start]!;
    this.#floor = batch.revision;
    this.#events -= batch.events.length;
    this.#bytes -= bytes;
    this.#kept[this.#start] = EMPTY;
    this.#start++;
    if (this.#start > 1024 && this.#start * 2 > this.#kept.length) {
      this.#kept = this.#kept.slice(this.#start);
      this.#start = 0;
    }
  }

  #indexAfter(revision: number): number {
    let low = this.#start;
    let high = this.#kept.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#kept[middle]!.batch.revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface Waiter {
  readonly offer: (batch: WatchBatch) => void;
  readonly wake: () => void;
}

/** Stands in the place of a dropped batch, so that its values can be collected. */
const EMPTY: Kept = { batch: { revision: 0, events: [] }, bytes: 0 };

function concerns(batch: WatchBatch, prefix: string): boolean {
  return batch.events.some((event) => event.key.startsWith(prefix));
}

function select(batch: WatchBatch, prefix: string): WatchBatch | undefined {
  const events: readonly WatchEvent[] = prefix === "" ? batch.events : batch.events.filter((event) => event.key.startsWith(prefix));
  return events.length > 0 ? { revision: batch.revision, events } : undefined;
}
