import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeClock } from "#platform/fake-clock.ts";
import { OrderedMap } from "#store/ordered-map.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { StoreError } from "#store/store.ts";
import type { Entry, Lease, Store, Transaction, TransactionResult, WatchBatch } from "#store/store.ts";

/** The store as plainly as it can be said: a map, and every change it ever saw. */
class Model {
  readonly entries = new Map<string, Entry & { lease?: string }>();
  revision = 0;
  readonly log: WatchBatch[] = [];
  readonly leases = new Set<string>();

  apply({ compare = [], writes }: Transaction): TransactionResult | "LeaseExpired" {
    if (writes.some((write) => "put" in write && write.lease !== undefined && !this.leases.has(write.lease))) return "LeaseExpired";
    const conflicts = compare.filter(({ key, revision }) => (this.entries.get(key)?.revision ?? 0) !== revision).map(({ key }) => key);
    if (conflicts.length > 0) return { ok: false, revision: this.revision, conflicts };
    const revision = this.revision + 1;
    const puts = new Set(writes.flatMap((write) => ("put" in write ? [write.put] : [])));
    const events: WatchBatch["events"][number][] = [];
    const drop = (key: string) => {
      if (this.entries.delete(key)) events.push({ type: "delete", key });
    };
    for (const write of writes) {
      if ("put" in write) {
        const entry = { key: write.put, value: write.value, created: this.entries.get(write.put)?.created ?? revision, revision };
        this.entries.set(write.put, { ...entry, lease: write.lease });
        events.push({ type: "put", key: write.put, entry });
      } else if ("delete" in write) drop(write.delete);
      else for (const key of this.keys().filter((key) => key.startsWith(write.deletePrefix) && !puts.has(key))) drop(key);
    }
    this.#record(events);
    return { ok: true, revision: this.revision };
  }

  end(lease: string): void {
    if (!this.leases.delete(lease)) return;
    const keys = this.keys().filter((key) => this.entries.get(key)?.lease === lease);
    for (const key of keys) this.entries.delete(key);
    this.#record(keys.map((key) => ({ type: "delete", key })));
  }

  keys(): string[] {
    return [...this.entries.keys()].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  }

  list(prefix: string): Entry[] {
    return this.keys()
      .filter((key) => key.startsWith(prefix))
      .map((key) => {
        const { lease: _, ...entry } = this.entries.get(key)!;
        return entry;
      });
  }

  #record(events: WatchBatch["events"]): void {
    if (events.length > 0) this.log.push({ revision: ++this.revision, events });
  }
}

// Few keys, so that transactions meet; some beyond the BMP and some that are prefixes of others.
const key = fc.constantFrom("a", "a/", "a/1", "a/2", "a/2/x", "a\u{1f600}", "a\uffff", "b", "b/1", "b/\ue000", "c");
const prefix = fc.constantFrom("", "a", "a/", "a/2", "b/", "c", "d");
/** JSON has no -0. */
const json = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown);
const write = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ put: key, value: json, leaseOf: fc.option(fc.nat(3), { nil: undefined }) }),
  },
  { weight: 2, arbitrary: fc.record({ delete: key }) },
  { weight: 1, arbitrary: fc.record({ deletePrefix: prefix }) },
);
/** `age`: how many revisions ago the compared key was read; -1 stands for "must not exist". */
const transaction = fc.record({
  compare: fc.array(fc.record({ key, age: fc.integer({ min: -1, max: 2 }) }), { maxLength: 2 }),
  writes: fc.array(write, { maxLength: 4 }),
});
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ transactions: fc.array(transaction, { minLength: 1, maxLength: 4 }) }) },
  { weight: 2, arbitrary: fc.record({ watch: prefix, back: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ grant: fc.integer({ min: 1, max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ revoke: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ renew: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ elapse: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.constant({ reopen: true as const }) },
);

interface Watching {
  readonly prefix: string;
  readonly after: number;
  readonly got: WatchBatch[];
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

function startWatch(store: Store, under: string, after: number): Watching {
  const stop = new AbortController();
  const got: WatchBatch[] = [];
  const iterable = store.watch(under, { after, signal: stop.signal });
  const done = (async () => {
    for await (const batch of iterable) got.push(batch);
  })();
  return { prefix: under, after, got, stop, done };
}

function overlaps(writes: Transaction["writes"]): boolean {
  const puts = writes.flatMap((one) => ("put" in one ? [one.put] : []));
  return new Set(puts).size < puts.length || writes.some((one) => "delete" in one && puts.includes(one.delete));
}

async function run(steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[], path: string): Promise<void> {
  const clock = new FakeClock();
  const open = () => openSqliteStore({ path, clock, freeze: true });
  let store = await open();
  const model = new Model();
  /** Leases in order of their granting, with the time at which the model ends them. */
  const leases: { lease: Lease; of: Store; ttl: number; ends: number }[] = [];
  let floor = 0;
  const watches: Watching[] = [];

  const finishWatches = async () => {
    await clock.advance(0);
    for (const { prefix: under, after, got, stop, done } of watches.splice(0)) {
      stop.abort();
      await done;
      const expected = model.log
        .filter(({ revision }) => revision > after)
        .map(({ revision, events }) => ({ revision, events: events.filter((event) => event.key.startsWith(under)) }))
        .filter(({ events }) => events.length > 0);
      assert.deepEqual(got, expected);
    }
  };

  for (const one of steps) {
    if ("transactions" in one) {
      const transactions = one.transactions.map(({ compare, writes }): Transaction => ({
        compare: compare.map((each) => ({
          key: each.key,
          revision: each.age < 0 ? 0 : Math.max(0, (model.entries.get(each.key)?.revision ?? 0) - each.age),
        })),
        writes: writes.map((each) =>
          "put" in each ? { put: each.put, value: each.value, lease: leases[each.leaseOf ?? -1]?.lease.id } : each,
        ),
      }));
      const running = transactions.map((each) => store.transaction(each));
      const results = await Promise.allSettled(running);
      for (const [index, each] of transactions.entries()) {
        const result = results[index]!;
        if (overlaps(each.writes)) assert.ok(result.status === "rejected" && result.reason instanceof TypeError);
        else if (result.status === "fulfilled") assert.deepEqual(result.value, model.apply(each));
        else {
          assert.ok(result.reason instanceof StoreError, String(result.reason));
          assert.equal(result.reason.code, model.apply(each));
        }
      }
    } else if ("watch" in one) watches.push(startWatch(store, one.watch, Math.max(floor, model.revision - one.back)));
    else if ("grant" in one) {
      const lease = await store.lease(one.grant * 1000);
      model.leases.add(lease.id);
      leases.push({ lease, of: store, ttl: one.grant * 1000, ends: clock.now() + one.grant * 1000 });
    } else if ("revoke" in one) {
      const held = leases[one.revoke];
      // A handle of before a reopening belongs to the closed store and says so; one granted since is as good as any.
      if (held && held.of !== store) await assert.rejects(held.lease.revoke(), { code: "Closed" });
      else if (held) {
        await held.lease.revoke();
        model.end(held.lease.id);
      }
    } else if ("renew" in one) {
      const held = leases[one.renew];
      if (held && held.of === store && model.leases.has(held.lease.id)) {
        await held.lease.renew();
        held.ends = clock.now() + held.ttl;
      }
    } else if ("elapse" in one) {
      await clock.advance(one.elapse * 1000);
      const over = leases.filter(({ ends, lease }) => ends <= clock.now() && model.leases.has(lease.id));
      for (const { lease } of over.toSorted((a, b) => a.ends - b.ends)) model.end(lease.id);
    } else if (path !== ":memory:") {
      await finishWatches();
      await store.close();
      store = await open();
      floor = model.revision;
      // Handles of before are dead (they belong to the closed store), the leases live on with their whole time.
      for (const held of leases) held.ends = clock.now() + held.ttl;
    }
    for (const under of ["", "a/", "b"]) {
      const page = await store.list(under);
      assert.deepEqual(page, { entries: model.list(under), revision: model.revision, more: false });
    }
  }
  await finishWatches();
  // All that was ever told, applied to nothing, is what stands there.
  if (floor === 0) {
    const replay = startWatch(store, "", 0);
    await clock.advance(0);
    replay.stop.abort();
    await replay.done;
    const state = new Map<string, Entry>();
    for (const { events } of replay.got)
      for (const event of events)
        if (event.type === "put") state.set(event.key, event.entry);
        else state.delete(event.key);
    assert.deepEqual(new Map(model.list("").map((entry) => [entry.key, entry])), state);
  }
  await store.close();
}

describe("store against a naive model", () => {
  test("in memory", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) => run(steps, ":memory:")),
      { numRuns: 300 },
    );
  });

  test("on disk, closed and opened in between", async () => {
    const home = mkdtempSync(join(tmpdir(), "gantry-store-model-"));
    let count = 0;
    try {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 25 }), (steps) => run(steps, join(home, `${count++}.db`))),
        { numRuns: 60 },
      );
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});

test("a lease granted after a reopening can be revoked, and nothing is put under it any more", async () => {
  const home = mkdtempSync(join(tmpdir(), "gantry-store-model-"));
  const put = { put: "a" as const, value: {}, leaseOf: 2 };
  const refused = {
    transactions: [
      { compare: [], writes: [put] },
      { compare: [], writes: [] },
    ],
  };
  try {
    const grants = [{ grant: 1 }, { grant: 1 }, { grant: 1 }];
    await run([{ reopen: true }, ...grants, { revoke: 2 }, refused, { reopen: true }, refused], join(home, "a.db"));
    await run([...grants, { reopen: true }, { grant: 1 }, { renew: 3 }, { revoke: 2 }, { revoke: 3 }, refused], join(home, "b.db"));
  } finally {
    rmSync(home, { recursive: true });
  }
});

describe("ordered map", () => {
  test("is a sorted map, over many runs", () => {
    const command = fc.record({ remove: fc.boolean(), start: fc.nat(3000), count: fc.nat(900), step: fc.integer({ min: 1, max: 3 }) });
    fc.assert(
      fc.property(fc.array(command, { maxLength: 12 }), fc.nat(3000), (commands, from) => {
        const map = new OrderedMap<number>();
        const plain = new Map<string, number>();
        const name = (n: number) => `k/${String(n % 3000).padStart(4, "0")}`;
        for (const { remove, start, count, step: by } of commands)
          for (let i = 0, n = start; i < count; i++, n += by) {
            if (remove) {
              map.delete(name(n));
              plain.delete(name(n));
            } else {
              map.set(name(n), n);
              plain.set(name(n), n);
            }
          }
        const sorted = [...plain].toSorted(([a], [b]) => (a < b ? -1 : 1));
        assert.equal(map.size, plain.size);
        assert.deepEqual([...map.walk("")], sorted);
        assert.deepEqual(
          [...map.walk("k/1", name(from))],
          sorted.filter(([each]) => each.startsWith("k/1") && each > name(from)),
        );
      }),
      { numRuns: 60 },
    );
  });
});
