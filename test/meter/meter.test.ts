/** The meter over a real store: nothing is counted twice or lost, whatever dies when. */
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import type { ApiError, RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { meterKeys, type DayUsageRecord } from "#model/cost/records.ts";
import { readConfig } from "#platform/config.ts";
import { FakeClock, settle } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { rootPrincipal } from "#api/credentials.ts";
import { createVault } from "#platform/vault.ts";
import { expire } from "#reconcilers/expiry.ts";
import { createMeter } from "#reconcilers/meter/meter.ts";
import { decideRollUp } from "#reconcilers/meter/roll-up.ts";
import type { CostAnswer } from "#services/ecs/cost.ts";
import { createEcs } from "#services/ecs/index.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { createWriter } from "#store/unit.ts";
import { MemoryDisk, openSession } from "#test/simulation/memory-store.ts";
import { hex, instanceRecord, scope } from "#test/simulation/records.ts";
import { cluster, figures, start, stop, totals, type Life } from "./support.ts";

const hour = 3_600_000;
const day = 24 * hour;

test("a task's usage is there when it stops, outlives ECS's memory, the day's detail and every restart, and is counted once", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "gantry-meter-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const clock = new FakeClock(Date.UTC(2026, 10, 1, 22));
  const epoch = clock.now();
  const open = () => openSqliteStore({ path: join(home, "store.sqlite"), clock, freeze: true });
  const lives: Life[] = [
    { number: 1, launchType: "FARGATE", group: "service:web", tag: "red", pullAt: 1000, stopAt: 3 * hour + 500 },
    { number: 2, launchType: "EC2", group: "family:job", pullAt: 0, stopAt: 90_001 },
    { number: 3, launchType: "FARGATE", group: "service:web", stopAt: 5000 },
  ];
  let store = await open();
  let writer = createWriter(store);
  await store.transaction({
    writes: [
      { put: ecsKeys.containerInstance(scope, cluster, hex(999)), value: { ...instanceRecord(cluster, hex(999)), registeredAt: epoch } },
    ],
  });
  for (const life of lives) await start(writer, life, epoch);
  for (const life of lives) await stop(writer, life, epoch);
  clock.advance(4 * hour).catch(() => {});
  await settle();
  const records = async () => (await store.list(meterKeys.root(scope))).entries.map(({ key }) => key.split("/")[4]);
  assert.deepEqual(await records(), ["task", "task"], "the one that never pulled cost nothing");
  const now = epoch + 4 * hour;
  const before = figures(await totals(store, now));
  // 1 × (0.25 × 0.04048 + 0.5 × 0.004445) × (3 h − 1 s + 500 ms, rounded up: 10,800 s); 4 h of the machine: 2 × 0.0357 + 4 × 0.0034
  assert.deepEqual(
    before.rows.map(([key, launchType, unused, begun, ms]) => [key, launchType, unused, begun, Number(ms)]),
    [
      ["(unused)", "EC2", true, 0, 0],
      ["service:web", "FARGATE", false, 1, 10_800_000],
      ["family:job", "EC2", false, 1, 90_001],
    ],
  );
  assert.equal(before.own, "0.377027500000000");

  for (const at of [2 * hour, 26 * hour, 30 * hour, 31 * hour, 31 * hour]) {
    await store.close();
    clock.advance(Math.max(0, epoch + at - clock.now())).catch(() => {});
    store = await open();
    writer = createWriter(store);
    await expire(store, epoch + at);
    const meter = createMeter({ store, writer, clock: { now: () => epoch + at, after: () => () => {} }, log: silentLogger });
    meter.start();
    await settle();
    await meter.pass();
    await meter.stop();
    assert.deepEqual(figures(await totals(store, now)), before, `${at / hour} h later`);
  }
  assert.deepEqual(await records(), ["day", "day", "day"], "the web task's two days, and the job's");
  await store.close();
});

test("a Gantry that had no meter yet: what ECS still knows is written, once", async () => {
  const disk = new MemoryDisk();
  const clock = new FakeClock();
  const epoch = clock.now();
  const { store } = openSession(disk);
  const writer = createWriter(store);
  const life: Life = { number: 1, launchType: "FARGATE", group: "service:web", pullAt: 0, stopAt: hour };
  await start(writer, life, epoch);
  await stop(writer, life, epoch);
  const before = figures(await totals(store, epoch + hour));
  disk.apply({ writes: [{ deletePrefix: "/meter/" }] });
  assert.deepEqual(figures(await totals(store, epoch + hour)), before, "ECS's own records say it as well");
  const meter = createMeter({ store, writer, clock, log: silentLogger });
  meter.start();
  await clock.advance(70_000);
  await meter.stop();
  assert.equal(disk.list(meterKeys.all).length, 1);
  assert.deepEqual(figures(await totals(store, epoch + hour)), before);
});

test("killed at any write, repeated at will: the same figures as without", async () => {
  const life = fc.record({
    launchType: fc.constantFrom("EC2", "FARGATE"),
    group: fc.constantFrom("service:web", "family:job"),
    tag: fc.option(fc.constantFrom("red", "blue"), { nil: undefined }),
    pullAt: fc.option(fc.nat(hour), { nil: undefined }),
    stopAt: fc.nat(3 * day).map((ms) => ms + hour),
  });
  const kills = fc.array(fc.record({ at: fc.nat(24), after: fc.boolean() }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(fc.array(life, { minLength: 1, maxLength: 8 }), kills, async (given, deaths) => {
      const lives = given.map((each, index): Life => ({ ...(each as Omit<Life, "number">), number: index + 1 }));
      const epoch = Date.UTC(2026, 10, 1, 23, 30);
      const end = epoch + 10 * day;
      const run = async (fates: readonly { at: number; after: boolean }[]) => {
        const disk = new MemoryDisk();
        disk.apply({
          writes: [
            {
              put: ecsKeys.containerInstance(scope, cluster, hex(999)),
              value: { ...instanceRecord(cluster, hex(999)), registeredAt: epoch },
            },
          ],
        });
        for (const fate of [...fates, undefined]) {
          let left = fate?.at ?? Infinity;
          const { store, kill } = openSession(disk, () => (left-- > 0 ? "go" : fate?.after ? "after" : "before"));
          const writer = createWriter(store);
          const clock = new FakeClock(end);
          const meter = createMeter({ store, writer, clock, log: silentLogger, detailMs: day, kept: 1 });
          const work = async () => {
            for (const each of lives) if (!disk.entries.has("/done/" + each.number)) await start(writer, each, epoch);
            for (const each of lives) {
              await stop(writer, each, epoch);
              // The agent repeats what it was not told is taken.
              await stop(writer, each, epoch);
              await store.transaction({ writes: [{ put: "/done/" + each.number, value: 1 }] });
            }
            meter.start();
            await clock.advance(61_000);
            await expire(store, end);
            await meter.pass();
            await meter.pass();
            await clock.advance(61_000);
          };
          // Dead, it never answers: then the next one takes over.
          await (fate ? Promise.race([work(), new Promise<void>((resolve) => setTimeout(resolve, 20).unref())]) : work());
          kill();
        }
        const { store } = openSession(disk);
        const kept = disk.list(`${meterKeys.root(scope)}task/`).length;
        return { figures: figures(await totals(store, end)), kept };
      };
      const calm = await run([]);
      const wild = await run(deaths);
      assert.deepEqual(wild, calm);
      assert.equal(calm.kept, 0, "all is long over");
      const pulled = lives.filter(({ pullAt }) => pullAt !== undefined).length;
      assert.equal(
        calm.figures.rows.reduce((sum, [, , , begun]) => sum + Number(begun), 0),
        pulled,
      );
    }),
    { numRuns: 25 },
  );
});

test("thousands of tasks of one group are one record a day; tags of their own are dropped in time", async () => {
  const disk = new MemoryDisk();
  const { store } = openSession(disk);
  const writer = createWriter(store);
  const at = Date.UTC(2026, 10, 1, 12);
  const of = (index: number, tagged: boolean) => ({
    class: {
      cluster,
      group: "family:job",
      launchType: "FARGATE",
      cpu: 256,
      memory: 512,
      tags: tagged ? [{ key: "job", value: String(index) }] : [],
    },
    from: at + index,
    to: at + index + 1000,
  });
  const clock = new FakeClock(at + 3 * day);
  const meter = createMeter({ store, writer, clock, log: silentLogger });
  const put = (from: number, to: number, tagged: boolean) =>
    disk.apply({
      writes: Array.from({ length: to - from }, (_, index) => ({
        put: meterKeys.task(scope, cluster, hex(from + index)),
        value: of(from + index, tagged),
      })),
    });
  put(0, 3000, false);
  put(3000, 6000, true);
  meter.start();
  await settle();
  assert.equal(await meter.pass(), 6000);
  const days = disk.list(meterKeys.root(scope)).map(({ value }) => value as DayUsageRecord);
  assert.equal(days.length, 2001);
  assert.deepEqual(
    days.filter(({ class: { tagsDropped } }) => tagsDropped).map(({ hours }) => hours["12"]?.begun),
    [1001],
  );
  assert.equal(
    days.reduce((sum, { hours }) => sum + hours["12"]!.begun, 0),
    6000,
  );
  await meter.stop();
});

test("what goes into its day: the old, and the oldest of too many", () => {
  const ends = new Map([
    ["c", 30],
    ["a", 10],
    ["b", 20],
    ["d", 40],
  ]);
  assert.deepEqual(decideRollUp(ends, 5, 10), []);
  assert.deepEqual(decideRollUp(ends, 20, 10), ["a", "b"]);
  assert.deepEqual(decideRollUp(ends, 5, 1), ["a", "b", "c"]);
});

test("a registration is metered from its start to its end, at the prices of the file that the server was given", async (t) => {
  const home = await mkdtemp(join(tmpdir(), "gantry-meter-"));
  t.after(() => rm(home, { recursive: true, force: true }));
  const list = join(home, "prices.json");
  const clock = new FakeClock(Date.UTC(2026, 10, 1));
  const store = await openSqliteStore({ path: ":memory:", clock, freeze: true });
  const config = readConfig({ GANTRY_HOME: home, GANTRY_PRICES: list });
  const part = createEcs({
    store,
    clock,
    random: seededRandom(1),
    vault: createVault([new Uint8Array(32)]),
    sealer: createSealer(new Uint8Array(32)),
    config,
    log: silentLogger,
  });
  const call = <T>(operation: string, input: object) =>
    part.registrations![0]!.handlers[operation]!(
      input as never,
      { ...scope, principal: rootPrincipal(scope.account, "test"), now: clock.now() } as RequestContext,
    ) as Promise<T>;
  const register = (type: string) =>
    call<{ containerInstance: { containerInstanceArn: string } }>("RegisterContainerInstance", {
      cluster: "default",
      totalResources: [
        { name: "CPU", type: "INTEGER", integerValue: 2048 },
        { name: "MEMORY", type: "INTEGER", integerValue: 4096 },
      ],
      attributes: [
        { name: "ecs.instance-type", value: type },
        { name: "gantry.volumes", value: "gp3:73" },
      ],
    });
  const { containerInstance } = await register("tower");
  await register("m5.large");
  await clock.advance(90_500);
  await call("DeregisterContainerInstance", { cluster: "default", containerInstance: containerInstance.containerInstanceArn });
  await clock.advance(hour - 90_500);

  const ask = (query: Record<string, string> = {}) =>
    part
      .questions!.find(({ path }) => path === "/_gantry/cost")!
      .answer(new URLSearchParams(query), {
        ...scope,
        now: clock.now(),
        principal: rootPrincipal(scope.account, ""),
      }) as Promise<CostAnswer>;
  await assert.rejects(ask(), /the price list .*prices\.json can't be read: ENOENT/);
  const tower = { hour: "3.6", vcpu: 2, gb: 4 };
  await writeFile(list, JSON.stringify({ extends: "us-east-1", name: "ours", date: "2026-11-01", ec2: { types: { tower } } }));
  const answer = await ask({ by: "cluster" });
  assert.equal(answer.prices.name, "ours");
  assert.deepEqual(answer.instances.map(({ type, hours, cost }) => [type, hours, cost]).sort(), [
    // 0.096 + 73 × 0.08 / 730, an hour so far
    ["m5.large", "1.000000", "0.104000"],
    // 91 s × (3.6 + 0.008) / 3600
    ["tower", "0.025278", "0.091202"],
  ]);
  assert.deepEqual([answer.rows.length, answer.total.cost], [1, "0.195202"]);
  for (const [query, message] of [
    [{ since: "soon" }, /since: soon is no time/],
    [{ since: "5", until: "5" }, /ends before it begins/],
    [{ by: "tag:" }, /by: tag: is none of/],
    [{ prices: "[1" }, /the given price list: /],
    [{ prices: "null" }, /a price list is a JSON object/],
  ] as const)
    await assert.rejects(ask(query), (error: ApiError) => error.status === 400 && message.test(error.message));
  await store.close();
});

test("Fargate's machines are nobody's instances; a running task is metered until now", async () => {
  const disk = new MemoryDisk();
  const { store } = openSession(disk);
  const epoch = Date.UTC(2026, 10, 1);
  const hidden = { ...instanceRecord("aws:fargate", hex(5)), registeredAt: epoch };
  disk.apply({ writes: [{ put: ecsKeys.containerInstance(scope, "aws:fargate", hex(5)), value: hidden }] });
  const life: Life = { number: 1, launchType: "FARGATE", group: "service:web", pullAt: 0, stopAt: 0 };
  await start(createWriter(store), life, epoch);
  assert.deepEqual(figures(await totals(store, epoch + hour)).rows, [], "not pulled yet");
  const running = { lastStatus: "RUNNING", version: 1, containers: [], pullStartedAt: epoch };
  disk.apply({ writes: [{ put: ecsKeys.taskObserved(scope, cluster, hex(1)), value: running }] });
  const { rows, own } = figures(await totals(store, epoch + hour));
  assert.deepEqual([rows.length, own], [1, "0.012342500000000"]);
});
