import assert from "node:assert/strict";
import { test } from "node:test";
import { type DeliveryRecord, eventKeys, type RuleRecord } from "#model/events/records.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";
import { createWriter } from "#store/unit.ts";
import { type EventSource, publishingStore } from "./publishing.ts";
import { RuleIndex } from "./rule-index.ts";

const scope = { account: "000000000000", region: "r" };
let derived = 0;
/** A number that changes. */
const source: EventSource = {
  concerns: (key) => key.startsWith("/n/"),
  async eventsOf({ keys, before, after, wanted }) {
    if (!wanted(scope, "test", "changed")) return [];
    derived++;
    const details = await Promise.all(keys.map(async (key) => ({ from: await before(key), to: await after(key) })));
    return details.map((detail) => ({ ...scope, source: "test", detailType: "changed", resources: [], detail }));
  },
};

const rule = (pattern: object): RuleRecord => ({
  name: "all",
  bus: "default",
  pattern: JSON.stringify(pattern),
  state: "ENABLED",
  createdAt: 0,
  tags: {},
  targets: [{ Id: "a", Arn: "arn" }],
});

async function open(rules: readonly RuleRecord[]): Promise<{ raw: Store; store: Store; index: RuleIndex; close(): Promise<void> }> {
  const raw = await openSqliteStore({ path: ":memory:", clock: systemClock });
  await raw.transaction({ writes: rules.map((value) => ({ put: eventKeys.rule(scope, "default", value.name), value })) });
  const base = { store: raw, clock: systemClock, log: silentLogger };
  const index = new RuleIndex(base);
  const store = publishingStore({ ...base, random: seededRandom(1), index, sources: [source], full: () => false });
  const close = async () => {
    await index.stop();
    await raw.close();
  };
  return { raw, store, index, close };
}

const told = async (raw: Store) =>
  (await raw.list<DeliveryRecord>(eventKeys.deliveries)).entries.map(({ value }) => value.event.detail as { from?: number; to?: number });

test("events tell what happened, in one chain, however many write at once with and without compares", async () => {
  const { raw, store, close } = await open([rule({ source: ["test"] })]);
  const writer = createWriter(store);
  const count = 40;
  await Promise.all(
    Array.from({ length: count }, (_, turn) =>
      turn % 2
        ? store.transaction({ writes: [{ put: "/n/x", value: 1000 + turn }] })
        : writer.run(`queue ${turn % 3}`, async (unit) => unit.put("/n/x", ((await unit.get<number>("/n/x")) ?? 0) + 1)),
    ),
  );
  await store.transaction({ writes: [{ delete: "/n/x" }] });
  const events = await told(raw);
  let here: number | undefined;
  const left = [...events];
  while (left.length > 0) {
    const at = left.findIndex(({ from }) => from === here);
    assert.ok(at >= 0, `nothing begins with ${here}`);
    here = left.splice(at, 1)[0]!.to;
  }
  assert.equal(here, undefined);
  // Units that waited together are one transaction.
  assert.ok(events.length > count / 2 && events.length <= count + 1);
  await close();
});

test("a transaction that fails tells nothing, and its own conflicts are its own", async () => {
  const { raw, store, close } = await open([rule({ source: ["test"] })]);
  await store.transaction({ writes: [{ put: "/n/x", value: 1 }] });
  const refused = await store.transaction({ compare: [{ key: "/n/x", revision: 0 }], writes: [{ put: "/n/x", value: 2 }] });
  assert.deepEqual([refused.ok, "conflicts" in refused && refused.conflicts], [false, ["/n/x"]]);
  assert.deepEqual(await told(raw), [{ to: 1 }]);
  await close();
});

test("what nobody waits for is not even made", async () => {
  derived = 0;
  for (const rules of [[], [rule({ source: ["other"] })]]) {
    const { raw, store, index, close } = await open(rules);
    await index.reached();
    for (let value = 0; value < 10; value++) await store.transaction({ writes: [{ put: "/n/x", value }] });
    assert.deepEqual([await told(raw), derived], [[], 0]);
    await close();
  }
});

test("a rule counts from the moment at which its revision was reached, and no longer when it is gone", async () => {
  const { raw, store, index, close } = await open([]);
  await store.transaction({ writes: [{ put: "/n/x", value: 1 }] });
  const key = eventKeys.rule(scope, "default", "all");
  const made = await raw.transaction({ writes: [{ put: key, value: rule({ source: ["test"] }) }] });
  await index.reached(made.revision);
  await store.transaction({ writes: [{ put: "/n/x", value: 2 }] });
  const gone = await raw.transaction({ writes: [{ delete: key }] });
  await index.reached(gone.revision);
  await store.transaction({ writes: [{ put: "/n/x", value: 3 }] });
  assert.deepEqual(await told(raw), [{ from: 1, to: 2 }]);
  await close();
});
