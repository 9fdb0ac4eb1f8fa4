import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Entry, Store, WatchBatch } from "#store/store.ts";
import { StoreError } from "#store/store.ts";

/** An engine under test. One for the whole suite; every test keeps to keys of its own. */
export interface Engine {
  store(): Store;
  /** Closes the store and opens the same data again. */
  reopen(): Promise<void>;
  /** Lets `ms` of the engine's time pass. */
  elapse(ms: number): Promise<void>;
  /** Makes the history up to now go away, by whatever writes that takes. */
  compact(): Promise<void>;
  end(): Promise<void>;
}

const TTL_MS = 2000;

/** What every engine of the store has to do. An engine joins with `storeConformance(name, () => …)`. */
export function storeConformance(name: string, start: () => Promise<Engine>): void {
  describe(`store conformance: ${name}`, () => {
    let engine: Engine;
    let count = 0;
    before(async () => {
      engine = await start();
    });
    after(() => engine.end());
    const fresh = () => `conformance/${++count}/`;
    const put = async (key: string, value: unknown) => {
      const result = await engine.store().transaction({ writes: [{ put: key, value }] });
      assert.ok(result.ok);
      return result.revision;
    };
    const keysOf = async (prefix: string, options = {}) => (await engine.store().list(prefix, options)).entries.map(({ key }) => key);

    test("a put is read back with its revisions", async () => {
      const key = `${fresh()}a`;
      assert.equal(await engine.store().get(key), undefined);
      const first = await put(key, { n: 1 });
      assert.deepEqual(await engine.store().get(key), { key, value: { n: 1 }, created: first, revision: first });
      const second = await put(key, { n: 2 });
      assert.ok(second > first);
      assert.deepEqual(await engine.store().get(key), { key, value: { n: 2 }, created: first, revision: second });
      await engine.store().transaction({ writes: [{ delete: key }] });
      assert.equal(await engine.store().get(key), undefined);
      const third = await put(key, { n: 3 });
      assert.deepEqual(await engine.store().get(key), { key, value: { n: 3 }, created: third, revision: third });
    });

    test("values come back as their JSON, untouched by what the caller does later", async () => {
      const key = `${fresh()}a`;
      const odd = {
        text: "a\u0000\u{1F600}\ud800",
        gone: undefined,
        when: new Date(0),
        list: [undefined, NaN, -0],
        nested: { "": null },
        big: 2 ** 60,
      };
      for (const value of [odd, null, false, 0, "", [], JSON.parse('{"__proto__": {"a": 1}}')] as unknown[]) {
        await put(key, value);
        assert.deepEqual((await engine.store().get(key))?.value, JSON.parse(JSON.stringify(value)));
      }
      const mutable = { list: [1] };
      const written = engine.store().transaction({ writes: [{ put: key, value: mutable }] });
      mutable.list.push(2);
      await written;
      mutable.list.push(3);
      assert.deepEqual((await engine.store().get(key))?.value, { list: [1] });
    });

    test("what is no JSON, no key, or written twice in one transaction is a TypeError", async () => {
      const prefix = fresh();
      const key = `${prefix}a`;
      const refuse = (writes: Parameters<Store["transaction"]>[0]["writes"]) =>
        assert.rejects(engine.store().transaction({ writes: [{ put: `${prefix}other`, value: 1 }, ...writes] }), TypeError);
      await refuse([{ put: key, value: undefined }]);
      await refuse([{ put: key, value: () => 1 }]);
      await refuse([{ put: key, value: 1n }]);
      await refuse([{ put: "", value: 1 }]);
      await refuse([{ put: `${key}\ud800`, value: 1 }]);
      await refuse([
        { put: key, value: 1 },
        { put: key, value: 2 },
      ]);
      await refuse([{ put: key, value: 1 }, { delete: key }]);
      assert.deepEqual(await keysOf(prefix), []);
    });

    test("a transaction whose compare fails writes nothing and names the conflicts", async () => {
      const prefix = fresh();
      const [a, b] = [`${prefix}a`, `${prefix}b`];
      const revision = await put(a, 1);
      const missed = await engine.store().transaction({
        compare: [
          { key: a, revision },
          { key: b, revision },
          { key: `${prefix}c`, revision: 0 },
          { key: a, revision: 0 },
        ],
        writes: [{ put: b, value: 2 }, { delete: a }],
      });
      assert.deepEqual({ ...missed, revision: 0 }, { ok: false, revision: 0, conflicts: [b, a] });
      assert.ok(missed.revision >= revision);
      assert.deepEqual(await keysOf(prefix), [a]);
      const done = await engine.store().transaction({
        compare: [
          { key: a, revision },
          { key: b, revision: 0 },
        ],
        writes: [{ put: b, value: 2 }, { delete: a }],
      });
      assert.ok(done.ok && done.revision > revision);
      assert.deepEqual(await keysOf(prefix), [b]);
    });

    test("of many at once that compare with the same revision one wins", async () => {
      const key = `${fresh()}a`;
      const results = await Promise.all(
        Array.from({ length: 20 }, (_, n) =>
          engine.store().transaction({ compare: [{ key, revision: 0 }], writes: [{ put: key, value: n }] }),
        ),
      );
      const winners = results.flatMap((result, n) => (result.ok ? [n] : []));
      assert.equal(winners.length, 1);
      assert.equal((await engine.store().get(key))?.value, winners[0]);
      assert.ok(results.every((result) => result.ok || result.conflicts[0] === key));
    });

    test("increments guarded by compare lose none", async () => {
      const key = `${fresh()}counter`;
      const increment = async () => {
        for (;;) {
          const entry = await engine.store().get<number>(key);
          const result = await engine.store().transaction({
            compare: [{ key, revision: entry?.revision ?? 0 }],
            writes: [{ put: key, value: (entry?.value ?? 0) + 1 }],
          });
          if (result.ok) return;
        }
      };
      await Promise.all(Array.from({ length: 10 }, increment));
      assert.equal((await engine.store().get(key))?.value, 10);
    });

    test("every transaction that changes something has a revision of its own; one that changes nothing has none", async () => {
      const prefix = fresh();
      const revisions = (
        await Promise.all(
          Array.from({ length: 20 }, (_, n) => engine.store().transaction({ writes: [{ put: `${prefix}${n}`, value: n }] })),
        )
      ).map(({ revision }) => revision);
      assert.equal(new Set(revisions).size, 20);
      const before = (await engine.store().list(prefix)).revision;
      const idle = await engine.store().transaction({ writes: [{ delete: `${prefix}absent` }, { deletePrefix: `${prefix}absent/` }] });
      assert.deepEqual(idle, { ok: true, revision: before });
      assert.deepEqual(await engine.store().transaction({ writes: [] }), { ok: true, revision: before });
    });

    test("a list is in the order of the keys' bytes, in pages", async () => {
      const prefix = fresh();
      const names = [
        "",
        "-",
        "/",
        "0",
        "A",
        "a",
        "a/",
        "a/b",
        "aa",
        "é",
        "\u0fff",
        "\ue000",
        "\uffff",
        "\u{10000}",
        "\u{1f600}",
        "\u{10ffff}",
      ];
      const keys = names.map((name) => `${prefix}k${name}`);
      const shuffled = keys.toSorted(
        (a, b) => ((a.length * 7919 + a.charCodeAt(a.length - 1)) % 13) - ((b.length * 7919 + b.charCodeAt(b.length - 1)) % 13),
      );
      for (const key of shuffled) await put(key, key);
      await put(`${prefix}j`, 0);
      await put(`${prefix}l`, 0);
      const expected = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
      assert.deepEqual(await keysOf(`${prefix}k`), expected);

      const seen: string[] = [];
      for (let after: string | undefined; ;) {
        const page = await engine.store().list(`${prefix}k`, { limit: 5, after });
        seen.push(...page.entries.map(({ key }) => key));
        assert.equal(page.more, seen.length < expected.length);
        if (!page.more) break;
        after = seen.at(-1);
      }
      assert.deepEqual(seen, expected);
      assert.deepEqual(await keysOf(`${prefix}k`, { after: `${prefix}` }), expected);
      assert.deepEqual(await keysOf(`${prefix}k`, { after: `${prefix}ka` }), expected.slice(expected.indexOf(`${prefix}ka`) + 1));
      assert.deepEqual(await keysOf(`${prefix}k`, { after: `${prefix}ka!` }), expected.slice(expected.indexOf(`${prefix}ka`) + 1));
      assert.deepEqual(await keysOf(`${prefix}k`, { after: `${prefix}l` }), []);
      const exact = await engine.store().list(`${prefix}k`, { limit: expected.length });
      assert.deepEqual([exact.entries.length, exact.more], [expected.length, false]);
    });

    test("deletePrefix takes what is under the prefix and nothing else", async () => {
      const prefix = fresh();
      for (const name of ["a", "a/", "a/1", "a/2", "a0", "b"]) await put(`${prefix}${name}`, 1);
      await engine.store().transaction({ writes: [{ deletePrefix: `${prefix}a/` }, { put: `${prefix}c`, value: 1 }] });
      assert.deepEqual(
        await keysOf(prefix),
        ["a", "a0", "b", "c"].map((name) => prefix + name),
      );
      const created = (await engine.store().get(`${prefix}a0`))?.created;
      await engine.store().transaction({
        writes: [{ put: `${prefix}new`, value: 1 }, { deletePrefix: prefix }, { put: `${prefix}a0`, value: 2 }],
      });
      assert.deepEqual(await keysOf(prefix), [`${prefix}a0`, `${prefix}new`], "what the same transaction puts is spared");
      assert.equal((await engine.store().get(`${prefix}a0`))?.created, created);
    });

    test("a watch replays what came after its revision, whole and in order, and goes on with what comes", async () => {
      const prefix = fresh();
      const start = await put(`${prefix}a`, 1);
      const second = await engine.store().transaction({
        writes: [{ put: `${prefix}b`, value: 2 }, { put: `elsewhere/${prefix}`, value: 0 }, { delete: `${prefix}a` }],
      });
      await put(`elsewhere/${prefix}`, 1);
      const stop = new AbortController();
      const watch = engine.store().watch(prefix, { after: start, signal: stop.signal })[Symbol.asyncIterator]();
      const entry = (key: string, value: unknown, revision: number, created = revision): Entry => ({ key, value, created, revision });
      assert.deepEqual((await watch.next()).value, {
        revision: second.revision,
        events: [
          { type: "put", key: `${prefix}b`, entry: entry(`${prefix}b`, 2, second.revision) },
          { type: "delete", key: `${prefix}a` },
        ],
      } satisfies WatchBatch);
      const waiting = watch.next();
      await put(`elsewhere/${prefix}`, 2);
      const third = await put(`${prefix}b`, 3);
      const fourth = await engine.store().transaction({ writes: [{ deletePrefix: prefix }] });
      assert.deepEqual((await waiting).value, {
        revision: third,
        events: [{ type: "put", key: `${prefix}b`, entry: entry(`${prefix}b`, 3, third, second.revision) }],
      } satisfies WatchBatch);
      assert.deepEqual((await watch.next()).value, { revision: fourth.revision, events: [{ type: "delete", key: `${prefix}b` }] });
      const last = watch.next();
      stop.abort();
      assert.deepEqual(await last, { value: undefined, done: true });
    });

    test("a watch without a revision starts at the call, and one of an aborted signal is over at once", async () => {
      const prefix = fresh();
      await put(`${prefix}a`, 1);
      const stop = new AbortController();
      const watch = engine.store().watch(prefix, { signal: stop.signal });
      const revision = await put(`${prefix}b`, 2);
      for await (const batch of watch) {
        assert.deepEqual([batch.revision, batch.events.map(({ key }) => key)], [revision, [`${prefix}b`]]);
        break;
      }
      for await (const batch of engine.store().watch(prefix, { after: 0, signal: AbortSignal.abort() }))
        assert.fail(String(batch.revision));
      stop.abort();
    });

    test("what a watch tells can be read: its revision is never ahead of the readers", async () => {
      const prefix = fresh();
      const stop = new AbortController();
      const watch = engine.store().watch(prefix, { signal: stop.signal })[Symbol.asyncIterator]();
      for (let n = 0; n < 10; n++) {
        const [told] = await Promise.all([watch.next(), put(`${prefix}a`, n)]);
        const batch = told.value as WatchBatch;
        const entry = await engine.store().get(`${prefix}a`);
        assert.ok(entry && entry.revision >= batch.revision);
      }
      stop.abort();
    });

    test("a watch from a compacted revision throws Compacted; one from the list's revision goes on", async () => {
      const prefix = fresh();
      const old = await put(`${prefix}a`, 1);
      await put(`${prefix}a`, 2);
      await engine.compact();
      const signal = AbortSignal.timeout(10_000);
      const lost = engine.store().watch(prefix, { after: old, signal })[Symbol.asyncIterator]();
      await assert.rejects(lost.next(), (error) => error instanceof StoreError && error.code === "Compacted");
      const { revision, entries } = await engine.store().list(prefix);
      assert.equal(entries[0]?.value, 2);
      const watch = engine.store().watch(prefix, { after: revision, signal })[Symbol.asyncIterator]();
      const third = await put(`${prefix}a`, 3);
      assert.equal((await watch.next()).value?.revision, third);
      await watch.return?.();
    });

    test("keys under a lease vanish when it is not renewed, as deletes of one revision", async () => {
      const prefix = fresh();
      const lease = await engine.store().lease(TTL_MS);
      const { revision } = await engine.store().transaction({
        writes: [
          { put: `${prefix}b`, value: 1, lease: lease.id },
          { put: `${prefix}a`, value: 1, lease: lease.id },
          { put: `${prefix}free`, value: 1 },
          { put: `${prefix}freed`, value: 1, lease: lease.id },
        ],
      });
      await put(`${prefix}freed`, 2);
      for (let i = 0; i < 3; i++) {
        await engine.elapse(TTL_MS / 2);
        await lease.renew();
      }
      assert.equal((await keysOf(prefix)).length, 4);
      const watch = engine
        .store()
        .watch(prefix, { after: revision + 1, signal: AbortSignal.timeout(20_000) })
        [Symbol.asyncIterator]();
      const gone = watch.next();
      await engine.elapse(TTL_MS + 1500);
      assert.deepEqual((await gone).value?.events.map(({ type, key }: { type: string; key: string }) => `${type} ${key}`).toSorted(), [
        `delete ${prefix}a`,
        `delete ${prefix}b`,
      ]);
      await watch.return?.();
      assert.deepEqual(await keysOf(prefix), [`${prefix}free`, `${prefix}freed`]);
      const expired = (error: unknown) => error instanceof StoreError && error.code === "LeaseExpired";
      await assert.rejects(lease.renew(), expired);
      await assert.rejects(
        engine.store().transaction({
          writes: [
            { put: `${prefix}x`, value: 1 },
            { put: `${prefix}y`, value: 1, lease: lease.id },
          ],
        }),
        expired,
      );
      assert.deepEqual(await keysOf(prefix), [`${prefix}free`, `${prefix}freed`]);
      await lease.revoke();
    });

    test("a revoked lease takes its keys at once", async () => {
      const prefix = fresh();
      const lease = await engine.store().lease(60_000);
      await engine.store().transaction({ writes: [{ put: `${prefix}a`, value: 1, lease: lease.id }] });
      await lease.revoke();
      assert.deepEqual(await keysOf(prefix), []);
      await assert.rejects(lease.renew(), (error) => error instanceof StoreError && error.code === "LeaseExpired");
    });

    test("everything is there after the store was opened again, and leases still run out", async () => {
      const prefix = fresh();
      const lease = await engine.store().lease(TTL_MS);
      await engine.store().transaction({
        writes: [
          { put: `${prefix}a`, value: { deep: [1, { two: "3" }] } },
          { put: `${prefix}b`, value: 1, lease: lease.id },
          { put: `${prefix}\u{1f600}\u0000`, value: 1 },
        ],
      });
      const { revision } = await engine.store().transaction({ writes: [{ put: `${prefix}c`, value: 1 }] });
      await engine.store().transaction({ writes: [{ delete: `${prefix}c` }] });
      const before = await engine.store().list(prefix);
      await engine.reopen();
      assert.deepEqual(await engine.store().list(prefix), before);
      assert.ok(before.revision > revision);
      assert.ok((await put(`${prefix}d`, 1)) > before.revision);
      await engine.elapse(TTL_MS + 1500);
      assert.deepEqual(await keysOf(prefix), [`${prefix}a`, `${prefix}d`, `${prefix}\u{1f600}\u0000`]);
    });

    test("a closed store says Closed, to watches too", async () => {
      const closed = (error: unknown) => error instanceof StoreError && error.code === "Closed";
      const store = engine.store();
      const watch = store.watch("", { signal: AbortSignal.timeout(10_000) })[Symbol.asyncIterator]();
      const waiting = assert.rejects(watch.next(), closed);
      const key = `${fresh()}a`;
      const last = store.transaction({ writes: [{ put: key, value: "kept" }] });
      await engine.reopen();
      assert.ok((await last).ok);
      await waiting;
      await assert.rejects(store.get(key), closed);
      await assert.rejects(store.list(""), closed);
      await assert.rejects(store.transaction({ writes: [] }), closed);
      await assert.rejects(store.lease(1000), closed);
      await store.close();
      assert.equal((await engine.store().get(key))?.value, "kept");
    });
  });
}
