import { type BusEvent, defaultBus } from "#model/events/records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Compare, Store, Transaction, TransactionResult, Write } from "#store/store.ts";
import { deliveriesOf, type DraftEvent, eventOf } from "./deliveries.ts";
import type { RuleIndex } from "./rule-index.ts";

/** What is said of one transaction to whoever makes events of it. */
export interface Reading {
  readonly now: number;
  /** Keys that it writes, of those that the source concerns. */
  readonly keys: readonly string[];
  /** What lies there until then. The transaction holds only while that is so. */
  before<T>(key: string): Promise<T | undefined>;
  /** What lies there from then on. */
  after<T>(key: string): Promise<T | undefined>;
  /** Ask first: an event that no rule waits for need not be made. */
  wanted(scope: { readonly account: string; readonly region: string }, source: string, detailType: string): boolean;
}

/** Makes events of changes of records. */
export interface EventSource {
  /** Asked of every key that is written: cheap. */
  concerns(key: string): boolean;
  eventsOf(reading: Reading): Promise<readonly DraftEvent[]>;
}

export interface Publishing {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly index: RuleIndex;
  readonly sources: readonly EventSource[];
  /** There is no room for more. */
  readonly full: () => boolean;
}

const mostTries = 50;

/**
 * The store, for everybody whose changes may be events: what targets are to get is written in the very transaction that made the event true, so no
 * crash loses one and none is told of what never came to be. Without a rule that waits, a transaction passes untouched.
 */
export function publishingStore(publishing: Publishing): Store {
  const { store, index, sources } = publishing;

  async function transaction(given: Transaction): Promise<TransactionResult> {
    if (index.empty) return store.transaction(given);
    const keys = given.writes.flatMap((write) => ("put" in write ? write.put : "delete" in write ? write.delete : []));
    const concerned = sources.filter((source) => keys.some((key) => source.concerns(key)));
    if (concerned.length === 0) return store.transaction(given);
    await index.reached();
    for (let tries = 0; tries < mostTries; tries++) {
      const made = await eventsFor(publishing, concerned, keys, given.writes);
      const own = new Map((given.compare ?? []).map(({ key, revision }) => [key, revision]));
      // What somebody else changed meanwhile fails by itself.
      const stale = [...made.read].some(([key, revision]) => own.has(key) && own.get(key) !== revision);
      if (stale || made.read.size === 0) return store.transaction(given);
      const added: Compare[] = [...made.read].filter(([key]) => !own.has(key)).map(([key, revision]) => ({ key, revision }));
      const result = await store.transaction({ compare: [...(given.compare ?? []), ...added], writes: [...given.writes, ...made.writes] });
      if (result.ok) return result;
      const conflicts = result.conflicts.filter((key) => own.has(key));
      if (conflicts.length > 0) return { ...result, conflicts };
    }
    throw new Error("the records that an event tells of kept changing: gave up");
  }

  return {
    get: (key) => store.get(key),
    list: (prefix, options) => store.list(prefix, options),
    transaction,
    watch: (prefix, options) => store.watch(prefix, options),
    lease: (ttlMs) => store.lease(ttlMs),
    close: () => store.close(),
  };
}

async function eventsFor(
  { store, clock, random, log, index, full }: Publishing,
  sources: readonly EventSource[],
  keys: readonly string[],
  writes: readonly Write[],
): Promise<{ readonly read: ReadonlyMap<string, number>; readonly writes: readonly Write[] }> {
  const read = new Map<string, number>();
  const values = new Map<string, unknown>();
  const written = new Map<string, unknown>();
  for (const write of writes) {
    if ("put" in write) written.set(write.put, write.value);
    else if ("delete" in write) written.set(write.delete, undefined);
  }
  const before = async <T>(key: string): Promise<T | undefined> => {
    if (!read.has(key)) {
      const entry = await store.get(key);
      read.set(key, entry?.revision ?? 0);
      values.set(key, entry?.value);
    }
    return values.get(key) as T | undefined;
  };
  const now = clock.now();
  const base = {
    now,
    before,
    after: async <T>(key: string) => (written.has(key) ? (written.get(key) as T | undefined) : before<T>(key)),
    wanted: (scope: { account: string; region: string }, source: string, detailType: string) =>
      index.wants(scope, defaultBus, source, detailType),
  };
  const made: Write[] = [];
  for (const source of sources) {
    const drafts = await source.eventsOf({ ...base, keys: keys.filter((key) => source.concerns(key)) });
    for (const draft of drafts) {
      const event: BusEvent = eventOf(draft, random.uuid(), now);
      const rules = index.matching(draft, defaultBus, event);
      if (rules.length === 0) continue;
      if (full()) log.warn({ event: event.id, type: event["detail-type"] }, "too many events wait for their targets: this one is lost");
      else made.push(...deliveriesOf(draft, rules, event, { now, random }));
    }
  }
  return { read, writes: made };
}
