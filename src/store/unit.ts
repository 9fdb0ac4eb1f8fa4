import type { Compare, Entry, Store, Write } from "./store.ts";

/**
 * A read-modify-write over several keys. Reads see the unit's own writes, and every key that was read is compared when the unit
 * is committed, so what a unit decided still holds when it is applied. The work may run several times: it has no other effects.
 */
export interface Unit {
  get<T>(key: string): Promise<T | undefined>;
  /** Values under `prefix`, by key. Not compared: `get` what the decision rests on (that costs no further read). */
  list<T>(prefix: string): Promise<ReadonlyMap<string, T>>;
  put(key: string, value: unknown): void;
  delete(key: string): void;
}

/** Applies units of one queue in order, those that wait together in one transaction: contention costs no retries and one fsync serves many. */
export interface Writer {
  /** Resolves with the work's result once its writes are durable. Rejects with what the work throws (nothing was written) or the store's error. */
  run<T>(queue: string, work: (unit: Unit) => Promise<T>): Promise<T>;
  /** The same, with the revision of the writes: 0 when there were none. */
  commit<T>(queue: string, work: (unit: Unit) => Promise<T>): Promise<{ readonly value: T; readonly revision: number }>;
}

interface Job {
  readonly work: (unit: Unit) => Promise<unknown>;
  readonly resolve: (value: unknown, revision: number) => void;
  readonly reject: (error: unknown) => void;
}

const batchSize = 64;
const maxAttempts = 100;

export function createWriter(store: Store): Writer {
  const queues = new Map<string, Job[]>();

  async function drain(name: string, jobs: Job[]): Promise<void> {
    let size = batchSize;
    while (jobs.length > 0) {
      const batch = jobs.splice(0, size);
      size = batchSize;
      if (!(await settle(store, batch)) && batch.length > 1) {
        // One of them may be the cause: from here one at a time.
        jobs.unshift(...batch);
        size = 1;
      }
    }
    queues.delete(name);
  }

  const commit: Writer["commit"] = <T>(name: string, work: (unit: Unit) => Promise<T>) =>
    new Promise<{ value: T; revision: number }>((resolve, reject) => {
      const job: Job = { work, resolve: (value, revision) => resolve({ value: value as T, revision }), reject };
      const jobs = queues.get(name);
      if (jobs) {
        jobs.push(job);
        return;
      }
      const fresh = [job];
      queues.set(name, fresh);
      void drain(name, fresh);
    });
  return { commit, run: async (name, work) => (await commit(name, work)).value };
}

/** Runs the batch until it is committed. False: it conflicted several times, nothing was settled. A batch of one is always settled. */
async function settle(store: Store, batch: readonly Job[]): Promise<boolean> {
  for (let attempt = 0; attempt < (batch.length > 1 ? 5 : maxAttempts); attempt++) {
    const outcome = await attemptBatch(store, batch);
    if (outcome === "conflict") continue;
    for (const settleJob of outcome) settleJob();
    return true;
  }
  if (batch.length === 1) batch[0]!.reject(new Error("the records kept changing underneath: gave up"));
  return false;
}

async function attemptBatch(store: Store, batch: readonly Job[]): Promise<"conflict" | (() => void)[]> {
  const base: Base = { entries: new Map(), lists: new Map() };
  const writes = new Map<string, Write>();
  const compared = new Set<string>();
  const outcomes: ((revision: number) => void)[] = [];
  try {
    for (const job of batch) {
      const unit = createUnit(store, base, writes);
      try {
        const value = await job.work(unit);
        for (const [key, write] of unit.writes) writes.set(key, write);
        for (const [prefix, values] of base.lists) merge(values, prefix, unit.writes);
        if (unit.writes.size > 0) for (const key of unit.read) compared.add(key);
        const wrote = unit.writes.size > 0;
        outcomes.push((revision) => job.resolve(value, wrote ? revision : 0));
      } catch (error) {
        outcomes.push(() => job.reject(error));
      }
    }
    if (writes.size === 0) return settled(outcomes, 0);
    const compare: Compare[] = [...compared].map((key) => ({ key, revision: base.entries.get(key)?.revision ?? 0 }));
    const result = await store.transaction({ compare, writes: [...writes.values()] });
    return result.ok ? settled(outcomes, result.revision) : "conflict";
  } catch (error) {
    return batch.map((job) => () => job.reject(error));
  }
}

const settled = (outcomes: readonly ((revision: number) => void)[], revision: number) => outcomes.map((each) => () => each(revision));

/** What a batch has read. */
interface Base {
  readonly entries: Map<string, Entry | undefined>;
  /** By prefix, kept up to date with the writes of the batch's jobs so far: the next job finds it ready. */
  readonly lists: Map<string, Map<string, unknown>>;
}

async function readList(store: Store, { entries }: Base, prefix: string): Promise<Map<string, unknown>> {
  const values = new Map<string, unknown>();
  for (const entry of (await store.list(prefix)).entries) {
    // What was read first counts, so that all of a batch sees one state.
    if (!entries.has(entry.key)) entries.set(entry.key, entry);
    const value = entries.get(entry.key)?.value;
    if (value !== undefined) values.set(entry.key, value);
  }
  return values;
}

function merge(values: Map<string, unknown>, prefix: string, writes: ReadonlyMap<string, Write>): void {
  for (const [key, write] of writes) {
    if (!key.startsWith(prefix)) continue;
    if ("put" in write) values.set(key, write.value);
    else values.delete(key);
  }
}

function createUnit(
  store: Store,
  base: Base,
  earlier: ReadonlyMap<string, Write>,
): Unit & { readonly read: Set<string>; readonly writes: Map<string, Write> } {
  const read = new Set<string>();
  const writes = new Map<string, Write>();
  const written = (key: string) => writes.get(key) ?? earlier.get(key);
  return {
    read,
    writes,
    async get<T>(key: string) {
      if (!base.entries.has(key)) {
        const entry = await store.get(key);
        if (!base.entries.has(key)) base.entries.set(key, entry);
      }
      read.add(key);
      const write = written(key);
      if (write) return ("put" in write ? write.value : undefined) as T | undefined;
      return base.entries.get(key)?.value as T | undefined;
    },
    async list<T>(prefix: string) {
      let values = base.lists.get(prefix);
      if (!values) {
        values = await readList(store, base, prefix);
        merge(values, prefix, earlier);
        base.lists.set(prefix, values);
      }
      const own = [...writes.keys()].some((key) => key.startsWith(prefix));
      if (!own) return values as ReadonlyMap<string, T>;
      const copy = new Map(values);
      merge(copy, prefix, writes);
      return copy as ReadonlyMap<string, T>;
    },
    put: (key, value) => void writes.set(key, { put: key, value }),
    delete: (key) => void writes.set(key, { delete: key }),
  };
}
