import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NamesIndex } from "./index.ts";

const root = "/servicediscovery/000000000000/us-east-1";

/** What may lie at a key, by what is drawn. */
const change = fc.oneof(
  fc.record({ kind: fc.constant("namespace" as const), id: fc.nat(2), vpc: fc.nat(1), name: fc.nat(1), there: fc.boolean() }),
  fc.record({ kind: fc.constant("service" as const), id: fc.nat(3), of: fc.nat(2), health: fc.boolean(), there: fc.boolean() }),
  fc.record({ kind: fc.constant("instance" as const), id: fc.nat(3), at: fc.nat(2), healthy: fc.boolean(), there: fc.boolean() }),
);
type Drawn = typeof change extends fc.Arbitrary<infer T> ? T : never;

function entryOf(each: Drawn): [key: string, value: unknown] {
  const { kind, id } = each;
  if (kind === "namespace") {
    const dns = { vpcId: `vpc-${each.vpc}`, hostedZoneId: `Z${id}`, soaTtl: 15 };
    return [`${root}/namespace/ns-${id}`, { id: `ns-${id}`, name: `zone${each.name}`, type: "DNS_PRIVATE", dns, createdAt: id }];
  }
  if (kind === "service") {
    const dns = { routingPolicy: "MULTIVALUE", records: [{ type: "A", ttl: 1 }] };
    // A service never changes its namespace: its id says which it is of.
    const record = { id: `srv-${id}`, name: `s${id}`, namespaceId: `ns-${id % 3}`, dns, customHealth: each.health };
    return [`${root}/service/srv-${id}`, record];
  }
  const record = {
    id: `i${each.at}`,
    attributes: { AWS_INSTANCE_IPV4: `10.0.${id}.${each.at}` },
    health: each.healthy ? "HEALTHY" : "UNHEALTHY",
  };
  return [`${root}/instance/srv-${id}/i${each.at}`, record];
}

test("after any changes the zones are those of the records that are there, and who is told of a change is told of every other zone", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), (changes) => {
      const index = new NamesIndex();
      const records = new Map<string, unknown>();
      const vpcs = ["vpc-0", "vpc-1"];
      const zones = () => vpcs.map((vpc) => JSON.stringify(index.zonesOf(vpc)));
      let before = zones();
      for (const each of changes) {
        const [key, value] = entryOf(each);
        // Nor does a namespace change its VPC.
        const known = records.get(key) as { dns?: unknown } | undefined;
        const next = each.there ? (each.kind === "namespace" && known ? { ...(value as object), dns: known.dns } : value) : undefined;
        if (next === undefined) records.delete(key);
        else records.set(key, next);
        const told = index.put(key, next);
        const after = zones();
        for (const [at, text] of after.entries()) if (text !== before[at]) assert.equal(told, vpcs[at]);
        before = after;
      }
      const fresh = new NamesIndex();
      for (const [key, value] of [...records].toSorted(([a], [b]) => (a < b ? -1 : 1))) fresh.put(key, value);
      assert.deepEqual(
        vpcs.map((vpc) => index.zonesOf(vpc)),
        vpcs.map((vpc) => fresh.zonesOf(vpc)),
      );
      assert.deepEqual(index.allZones(), fresh.allZones());
    }),
    { numRuns: 300 },
  );
});
