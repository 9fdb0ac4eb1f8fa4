import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { Batch, makeEntry } from "./batch.ts";
import type { Held } from "./batch.ts";
import { Database, isFatal } from "./database.ts";
import { History } from "./history.ts";
import type { HistoryLimits } from "./history.ts";
import { Leases } from "./leases.ts";
import { OrderedMap } from "./ordered-map.ts";
import { prepare } from "./prepare.ts";
import { StoreError } from "./store.ts";
import type { Entry, Lease, ListOptions, Page, Store, Transaction, TransactionResult, WatchBatch } from "./store.ts";

export interface SqliteStoreOptions {
  /** The database's file, made with its folders when it is missing; or `:memory:`, which never waits for a disk. */
  readonly path: string;
  readonly clock: Clock;
  readonly log?: Logger;
  /** Freeze every value, so that a reader who changes one fails at once. For tests. */
  readonly freeze?: boolean;
  /** How far a watch may lag behind. Default 16,384 events holding 16 MiB of JSON. */
  readonly history?: HistoryLimits;
}

/** Opens the embedded engine (docs/decisions/0003-store.md). Rejects with StoreError `Failed` when another process has the file open. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  return new SqliteStore(options);
}

interface Job {
  run(batch: Batch): unknown;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Bounds how long one commit keeps the event loop. */
const LARGEST_BATCH = 1000;
const EXPIRY_RETRY_MS = 1000;

class SqliteStore implements Store {
  readonly #database: Database;
  readonly #values = new OrderedMap<Held>();
  readonly #leases: Leases;
  readonly #history: History;
  readonly #freeze: boolean;
  readonly #log: Logger | undefined;
  readonly #schedule: (action: () => void) => void;
  #revision: number;
  #queue: Job[] = [];
  #scheduled = false;
  #closed = false;
  /** Set when the disk can't be trusted any more: reads go on, writes fail until the next start. */
  #broken: StoreError | undefined;

  constructor(options: SqliteStoreOptions) {
    this.#freeze = options.freeze ?? false;
    this.#log = options.log;
    // Immediates run after all sockets that were readable have been served, so the requests of one turn share one sync of the disk.
    this.#schedule = options.path === ":memory:" ? queueMicrotask : (action) => void setImmediate(action);
    this.#leases = new Leases(options.clock, (id) => this.#expire(id));
    this.#database = new Database(options.path);
    const { revision, leases, rows } = this.#database.load();
    this.#revision = revision;
    this.#history = new History(revision, options.history ?? { events: 16_384, bytes: 16 * 1024 * 1024 });
    for (const { id, ttlMs } of leases) this.#leases.add(id, ttlMs);
    for (const row of rows) {
      this.#values.set(row.key, { entry: makeEntry(row, this.#freeze), lease: row.lease });
      if (row.lease !== undefined) this.#leases.attach(row.lease, row.key);
    }
  }

  async get<T>(key: string): Promise<Entry<T> | undefined> {
    this.#checkOpen();
    return this.#values.get(key)?.entry as Entry<T> | undefined;
  }

  async list<T>(prefix: string, options: ListOptions = {}): Promise<Page<T>> {
    this.#checkOpen();
    const limit = options.limit ?? Infinity;
    const entries: Entry<T>[] = [];
    for (const [, held] of this.#values.walk(prefix, options.after)) {
      if (entries.length >= limit) return { entries, revision: this.#revision, more: true };
      entries.push(held.entry as Entry<T>);
    }
    return { entries, revision: this.#revision, more: false };
  }

  async transaction(transaction: Transaction): Promise<TransactionResult> {
    const prepared = prepare(transaction);
    return this.#enqueue((batch) => batch.apply(prepared));
  }

  watch(prefix: string, options: { after?: number; signal: AbortSignal }): AsyncIterable<WatchBatch> {
    return this.#history.watch(prefix, options.after ?? this.#revision, options.signal);
  }

  async lease(ttlMs: number): Promise<Lease> {
    if (!(ttlMs > 0)) throw new TypeError(`not a lease's time: ${ttlMs} ms`);
    const id = crypto.randomUUID();
    await this.#enqueue((batch) => batch.grant(id, ttlMs));
    return {
      id,
      renew: async () => {
        this.#checkOpen();
        if (!this.#leases.renew(id)) throw new StoreError("LeaseExpired", `the lease ${id} is gone`);
      },
      revoke: () => this.#enqueue((batch) => batch.revoke(id)),
    };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    while (this.#queue.length > 0) this.#flush();
    this.#closed = true;
    this.#leases.close();
    this.#history.close();
    this.#database.close();
  }

  #expire(id: string): void {
    this.#enqueue((batch) => batch.revoke(id)).catch((error: unknown) => {
      if (this.#closed) return;
      this.#log?.warn({ err: error, lease: id }, "an expired lease could not be removed yet");
      this.#leases.retry(id, EXPIRY_RETRY_MS);
    });
  }

  #enqueue<R>(run: (batch: Batch) => R): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.#checkOpen();
      this.#queue.push({ run, resolve: resolve as (result: unknown) => void, reject });
      if (this.#scheduled) return;
      this.#scheduled = true;
      this.#schedule(() => this.#flush());
    });
  }

  #flush(): void {
    this.#scheduled = false;
    const jobs = this.#queue.splice(0, LARGEST_BATCH);
    if (this.#queue.length > 0) {
      this.#scheduled = true;
      this.#schedule(() => this.#flush());
    }
    if (jobs.length > 0 && !this.#commit(jobs)) for (const job of jobs) this.#commit([job], true);
  }

  /** Applies, writes and answers, in one go. False: the disk is full for all of them together; nothing happened, each may be tried alone. */
  #commit(jobs: readonly Job[], alone = jobs.length === 1): boolean {
    const batch = new Batch(this.#values, this.#leases, this.#revision, this.#freeze);
    const answers: (() => void)[] = [];
    for (const job of jobs) {
      try {
        const result = job.run(batch);
        answers.push(() => job.resolve(result));
      } catch (error) {
        answers.push(() => job.reject(error));
      }
    }
    try {
      this.#write(batch);
    } catch (error) {
      batch.undo();
      if ((error as StoreError).code === "Full" && !alone) return false;
      for (const job of jobs) job.reject(error);
      return true;
    }
    batch.settle();
    this.#revision = batch.revision;
    for (const { batch: changes, bytes } of batch.history) this.#history.append(changes, bytes);
    for (const answer of answers) answer();
    return true;
  }

  #write(batch: Batch): void {
    const changes = batch.changes();
    if (!changes) return;
    if (this.#broken) throw this.#broken;
    try {
      this.#database.commit(changes);
    } catch (error) {
      if (isFatal(error as StoreError)) {
        this.#broken = error as StoreError;
        this.#log?.fatal({ err: error }, "the store's disk failed: no more writes until the next start");
      }
      throw error;
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new StoreError("Closed", "the store was closed");
  }
}
