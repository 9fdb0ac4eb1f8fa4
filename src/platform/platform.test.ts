import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConfigError, readConfig } from "./config.ts";
import { FakeClock } from "./fake-clock.ts";
import { seededRandom } from "./random.ts";
import { createSealer } from "./sealer.ts";

test("a sealed value opens with the same key and scope only", () => {
  const key = Buffer.alloc(32, 7);
  const sealer = createSealer(key);
  fc.assert(
    fc.property(fc.jsonValue(), fc.string(), fc.string(), (value, scope, other) => {
      const text = sealer.seal(scope, value);
      assert.match(text, /^[A-Za-z0-9_-]+$/);
      assert.deepEqual(sealer.open(scope, text), JSON.parse(JSON.stringify(value)));
      if (other !== scope) assert.equal(sealer.open(other, text), undefined);
      assert.equal(createSealer(Buffer.alloc(32, 8)).open(scope, text), undefined);
    }),
  );
});

test("no text that we did not seal opens, however near", () => {
  const sealer = createSealer(Buffer.alloc(32, 7));
  const good = sealer.seal("s", { a: 1 });
  fc.assert(
    fc.property(fc.nat({ max: good.length - 1 }), fc.constantFrom("A", "Z", "a", "z", "0", "9", "-", "_"), (at, letter) => {
      const changed = good.slice(0, at) + letter + good.slice(at + 1);
      assert.deepEqual(sealer.open("s", changed), changed === good ? { a: 1 } : undefined);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => assert.equal(sealer.open("s", text), undefined)));
});

test("the fake clock fires in order and lets promise chains settle between", async () => {
  const clock = new FakeClock(1000);
  const seen: string[] = [];
  clock.after(20, () => seen.push(`b@${clock.now()}`));
  clock.after(10, () => {
    void Promise.resolve().then(() => clock.after(5, () => seen.push(`c@${clock.now()}`)));
    seen.push(`a@${clock.now()}`);
  });
  const cancel = clock.after(12, () => seen.push("never"));
  cancel();
  await clock.advance(30);
  assert.deepEqual(seen, ["a@1010", "c@1015", "b@1020"]);
  assert.equal(clock.now(), 1030);
});

test("a seed gives the same sequence", () => {
  const [a, b] = [seededRandom(42), seededRandom(42)];
  for (let i = 0; i < 100; i++) assert.equal(a.next(), b.next());
  assert.equal(a.uuid(), b.uuid());
  assert.match(a.uuid(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("configuration: defaults, and errors that name the variable", () => {
  const config = readConfig({});
  assert.deepEqual(
    [config.port, config.bind, config.region, config.account, config.open],
    [4566, "127.0.0.1", "us-east-1", "000000000000", false],
  );
  for (const [name, value] of Object.entries({
    GANTRY_PORT: "0",
    GANTRY_ACCOUNT: "12",
    GANTRY_REGION: "Mars",
    GANTRY_REQUESTS_PER_SECOND: "many",
    GANTRY_PUBLIC_POOL: "198.18.0.1/20",
  })) {
    assert.throws(
      () => readConfig({ [name]: value }),
      (error) => error instanceof ConfigError && error.message.includes(name),
    );
  }
  const pools = ["/a", "/b", "/c"].map((home) => readConfig({ GANTRY_HOME: home }).publicPool);
  for (const pool of pools) assert.match(pool, /^198\.1[89]\.\d+\.0\/20$/);
  assert.equal(new Set(pools).size, 3);
  assert.throws(() => readConfig({ GANTRY_OPEN: "1", GANTRY_BIND: "0.0.0.0" }), /loopback/);
});
