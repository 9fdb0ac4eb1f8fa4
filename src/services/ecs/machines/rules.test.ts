import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { JoinTokenRecord, MachineRecord } from "#model/machine-records.ts";
import { admit, hashOf, type JoinRequest, parseJoin } from "./rules.ts";

const token = (more: Partial<JoinTokenRecord> = {}): JoinTokenRecord => ({
  id: "t",
  secretHash: hashOf("secret"),
  account: "000000000000",
  region: "us-east-1",
  cluster: "fleet",
  createdAt: 0,
  expiresAt: 1000,
  uses: 1,
  machines: [],
  ...more,
});
const request = (key: string, more: Partial<JoinRequest> = {}): JoinRequest => ({
  token: "t",
  secret: "secret",
  key,
  hostname: "h",
  ...more,
});

test("a token lets in as many machines as it says, until it ends, and who asks again counts once", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.record({ who: fc.integer({ min: 0, max: 7 }), now: fc.integer({ min: 0, max: 1500 }), good: fc.boolean() })),
      (uses, asked) => {
        let current = token({ uses });
        const machines = new Map<number, MachineRecord>();
        for (const { who, now, good } of asked) {
          const mayEnter = good && now < 1000 && (machines.has(who) || machines.size < uses);
          const ask = () => admit(request(String(who), { secret: good ? "secret" : "guess" }), current, machines.get(who), now);
          if (!mayEnter) {
            assert.throws(ask, { status: 403 });
            continue;
          }
          const next = ask();
          current = next.token;
          machines.set(who, next.machine);
          assert.equal(current.machines.length, machines.size);
          assert.equal(next.machine.cluster, "fleet");
        }
        assert.equal(new Set([...machines.values()].map(({ id }) => id)).size, machines.size);
      },
    ),
  );
});

test("who is in another cluster leaves it first; one that nobody made, or that another key's hash stands for, lets nobody in", () => {
  const { machine } = admit(request("a"), token(), undefined, 0);
  assert.throws(() => admit(request("a"), token({ cluster: "other", machines: [] }), machine, 0), /in the cluster fleet already/);
  assert.throws(() => admit(request("a"), undefined, undefined, 0), /lets nobody in/);
  assert.throws(() => admit(request("a"), token(), { ...machine, keyHash: hashOf("b") }, 0), /lets nobody in/);
});

test("what is no request to join is none", () => {
  const good = { token: "t", secret: "s", key: "0".repeat(64), hostname: "a b\n<c>" };
  assert.equal(parseJoin(good)?.hostname, "abc");
  for (const bad of [undefined, null, 3, [], {}, { ...good, key: "0" }, { ...good, secret: 1 }, { ...good, token: "t".repeat(65) }])
    assert.equal(parseJoin(bad), undefined, JSON.stringify(bad));
});
