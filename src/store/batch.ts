import type { Changes, Row } from "./database.ts";
import type { Leases } from "./leases.ts";
import { compareKeys } from "./ordered-map.ts";
import type { OrderedMap } from "./ordered-map.ts";
import type { Prepared } from "./prepare.ts";
import type { Entry, TransactionResult, WatchBatch, WatchEvent } from "./store.ts";
import { StoreError } from "./store.ts";

/** A current value with what readers don't see. */
export interface Held {
  readonly entry: Entry;
  readonly lease: string | undefined;
}

interface Touched {
  readonly before: Held | undefined;
  /** JSON of the value that stands there now; undefined when the key is deleted. */
  text: string | undefined;
}

/**
 * The transactions that one SQLite transaction makes durable. They are applied to the values in memory one after the other, so each sees
 * those before it; `undo` takes all of them back. From the first `apply` to the end of the commit nothing may await: readers in
 * between would see what is not durable.
 */
export class Batch {
  readonly #values: OrderedMap<Held>;
  readonly #leases: Leases;
  readonly #freeze: boolean;
  readonly #touched = new Map<string, Touched>();
  readonly #grants: { id: string; ttlMs: number }[] = [];
  readonly #revokes: string[] = [];
  /** For the watches, in order, with the bytes of JSON that each holds. */
  readonly history: { batch: WatchBatch; bytes: number }[] = [];
  revision: number;

  constructor(values: OrderedMap<Held>, leases: Leases, revision: number, freeze: boolean) {
    this.#values = values;
    this.#leases = leases;
    this.revision = revision;
    this.#freeze = freeze;
  }

  /** Throws LeaseExpired, before it has changed anything. */
  apply(transaction: Prepared): TransactionResult {
    for (const write of transaction.writes)
      if (write.kind === "put" && write.lease !== undefined && (!this.#leases.holds(write.lease) || this.#revokes.includes(write.lease)))
        throw new StoreError("LeaseExpired", `the lease ${write.lease} of ${write.key} is gone`);
    const conflicts = transaction.compare.filter(({ key, revision }) => (this.#values.get(key)?.entry.revision ?? 0) !== revision);
    if (conflicts.length > 0) return { ok: false, revision: this.revision, conflicts: conflicts.map(({ key }) => key) };

    const revision = this.revision + 1;
    const events: WatchEvent[] = [];
    let bytes = 0;
    for (const write of transaction.writes) {
      if (write.kind === "put") {
        bytes += write.text.length;
        events.push(this.#put(write.key, write.text, write.lease, revision));
      } else if (write.kind === "delete") this.#delete(write.key, events);
      else for (const [key] of [...this.#values.walk(write.prefix)]) if (!transaction.puts.has(key)) this.#delete(key, events);
    }
    this.#close(revision, events, bytes);
    return { ok: true, revision: this.revision };
  }

  grant(id: string, ttlMs: number): void {
    this.#grants.push({ id, ttlMs });
  }

  /** Deletes the lease's keys. The lease itself goes when the batch is durable; until then only later transactions of the batch can ask for it. */
  revoke(id: string): void {
    const keys = this.#leases.keysOf(id);
    if (!keys || this.#revokes.includes(id)) return;
    const events: WatchEvent[] = [];
    for (const key of [...keys].toSorted(compareKeys)) this.#delete(key, events);
    this.#revokes.push(id);
    this.#close(this.revision + 1, events, 0);
  }

  /** What is to be written, or undefined when nothing changed. */
  changes(): Changes | undefined {
    if (this.#touched.size + this.#grants.length + this.#revokes.length === 0) return undefined;
    const puts: Row[] = [];
    const deletes: string[] = [];
    for (const [key, { before, text }] of this.#touched) {
      const now = this.#values.get(key);
      if (now) puts.push({ key, text: text!, created: now.entry.created, revision: now.entry.revision, lease: now.lease });
      else if (before) deletes.push(key);
    }
    return { revision: this.revision, puts, deletes, grants: this.#grants, revokes: this.#revokes };
  }

  /** After the commit: the leases that came and went. */
  settle(): void {
    for (const { id, ttlMs } of this.#grants) this.#leases.add(id, ttlMs);
    for (const id of this.#revokes) this.#leases.remove(id);
  }

  undo(): void {
    for (const [key, { before }] of this.#touched) this.#set(key, before);
  }

  #put(key: string, text: string, lease: string | undefined, revision: number): WatchEvent {
    const before = this.#values.get(key);
    const entry = makeEntry({ key, text, created: before?.entry.created ?? revision, revision }, this.#freeze);
    this.#touch(key, text);
    this.#set(key, { entry, lease });
    return { type: "put", key, entry };
  }

  #delete(key: string, events: WatchEvent[]): void {
    if (!this.#values.get(key)) return;
    this.#touch(key, undefined);
    this.#set(key, undefined);
    events.push({ type: "delete", key });
  }

  #close(revision: number, events: readonly WatchEvent[], bytes: number): void {
    if (events.length === 0) return;
    this.revision = revision;
    this.history.push({ batch: { revision, events }, bytes });
  }

  #touch(key: string, text: string | undefined): void {
    const touched = this.#touched.get(key);
    if (touched) touched.text = text;
    else this.#touched.set(key, { before: this.#values.get(key), text });
  }

  #set(key: string, held: Held | undefined): void {
    const old = this.#values.get(key)?.lease;
    if (old !== undefined && old !== held?.lease) this.#leases.detach(old, key);
    if (held?.lease !== undefined) this.#leases.attach(held.lease, key);
    if (held) this.#values.set(key, held);
    else this.#values.delete(key);
  }
}

export function makeEntry(row: { key: string; text: string; created: number; revision: number }, freeze: boolean): Entry {
  const value: unknown = JSON.parse(row.text);
  const entry: Entry = { key: row.key, value: freeze ? deepFreeze(value) : value, created: row.created, revision: row.revision };
  return freeze ? Object.freeze(entry) : entry;
}

function deepFreeze(value: unknown): unknown {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
