import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import type { CloudMapServiceRecord, InstanceRecord, NamespaceRecord } from "../cloud-map-records.ts";
import { codes, types } from "./message.ts";
import { zoneOf } from "./records.ts";
import { answerZones, type Zone } from "./zone.ts";

const namespaceOf = (name: string): NamespaceRecord => ({
  id: "ns-1",
  arn: "",
  name,
  type: "DNS_PRIVATE",
  httpName: name,
  dns: { vpcId: "vpc-1", hostedZoneId: "Z1", soaTtl: 15 },
  createdAt: 0,
  operation: "",
  tags: [],
});
const namespace = namespaceOf("Corp");
const serviceOf = (
  name: string,
  types: string,
  more: Partial<CloudMapServiceRecord> = {},
  routingPolicy = "MULTIVALUE",
): CloudMapServiceRecord => ({
  id: `srv-${name}`,
  arn: "",
  name,
  namespaceId: "ns-1",
  type: "DNS_HTTP",
  dns: {
    routingPolicy: routingPolicy as "WEIGHTED",
    records: types.split(" ").map((type) => ({ type: type as "A", ttl: 10 })),
    named: false,
  },
  customHealth: false,
  attributes: {},
  createdAt: 0,
  tags: [],
  ...more,
});
const instanceOf = (id: string, attributes: Record<string, string>, health: InstanceRecord["health"] = "HEALTHY"): InstanceRecord => ({
  id,
  serviceId: "",
  attributes,
  health,
  registeredAt: 0,
});
const at = (number: number) => ({ AWS_INSTANCE_IPV4: `10.0.${number >> 8}.${number & 255}`, AWS_INSTANCE_PORT: String(8000 + number) });
const ask = (zones: readonly (Zone | undefined)[], name: string, type: keyof typeof types, random = Math.random) =>
  answerZones(zones as Zone[], { name, type: types[type] }, random);
const addresses = (found: ReturnType<typeof ask>) => found?.answers.map((each) => ("address" in each ? each.address : each.type));

describe("zones", () => {
  it("A: all of a few instances, with the service's TTL; names in small letters", () => {
    const zone = zoneOf(namespace, [{ service: serviceOf("Web", "A"), instances: [instanceOf("a", at(1)), instanceOf("b", at(2))] }]);
    const found = ask([zone], "web.corp", "A");
    assert.deepEqual(addresses(found)?.toSorted(), ["10.0.0.1", "10.0.0.2"]);
    assert.deepEqual(
      found?.answers.map(({ ttl }) => ttl),
      [10, 10],
    );
  });

  it("MULTIVALUE: at most eight of many, in every order, and in time each", () => {
    const instances = Array.from({ length: 20 }, (_, number) => instanceOf(`i${number}`, at(number)));
    const zone = zoneOf(namespace, [{ service: serviceOf("web", "A"), instances }]);
    const seen = new Set<string>();
    const firsts = new Set<string>();
    for (let round = 0; round < 300; round++) {
      const list = addresses(ask([zone], "web.corp", "A")) ?? [];
      assert.equal(new Set(list).size, 8);
      firsts.add(list[0]!);
      for (const address of list) seen.add(address);
    }
    assert.deepEqual([seen.size, firsts.size], [20, 20]);
  });

  it("WEIGHTED: one by chance, evenly", () => {
    const instances = Array.from({ length: 4 }, (_, number) => instanceOf(`i${number}`, at(number)));
    const zone = zoneOf(namespace, [{ service: serviceOf("web", "A", {}, "WEIGHTED"), instances }]);
    const counts = new Map<string, number>();
    for (let round = 0; round < 4_000; round++) {
      const [address, ...more] = addresses(ask([zone], "web.corp", "A")) ?? [];
      assert.deepEqual(more, []);
      counts.set(address!, (counts.get(address!) ?? 0) + 1);
    }
    for (const count of counts.values()) assert.ok(count > 800 && count < 1_200, [...counts.values()].join(" "));
  });

  it("the healthy ones only, all where none is; without a custom check health says nothing", () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }), fc.boolean(), (healthy, customHealth) => {
        const instances = healthy.map((good, number) => instanceOf(`i${number}`, at(number), good ? "HEALTHY" : "UNHEALTHY"));
        const zone = zoneOf(namespace, [{ service: serviceOf("web", "A", { customHealth }), instances }]);
        const counted = customHealth && healthy.includes(true) ? instances.filter(({ health }) => health === "HEALTHY") : instances;
        assert.deepEqual(
          addresses(ask([zone], "web.corp", "A"))?.toSorted(),
          counted.map((each) => each.attributes.AWS_INSTANCE_IPV4!).toSorted(),
        );
      }),
    );
  });

  it("SRV: port and a host that has the instance's addresses", () => {
    const service = serviceOf("_api._tcp", "SRV");
    const zone = zoneOf(namespace, [{ service, instances: [instanceOf("One", { ...at(1), AWS_INSTANCE_IPV6: "fd00::1" })] }]);
    assert.deepEqual(ask([zone], "_api._tcp.corp", "SRV")?.answers, [
      { type: "SRV", priority: 1, weight: 1, port: 8001, target: "one._api._tcp.corp", ttl: 10, name: "_api._tcp.corp" },
    ]);
    assert.deepEqual(addresses(ask([zone], "one._api._tcp.corp", "A")), ["10.0.0.1"]);
    assert.deepEqual(addresses(ask([zone], "one._api._tcp.corp", "AAAA")), ["fd00::1"]);
    assert.deepEqual(ask([zone], "_api._tcp.corp", "A")?.code, codes.NOERROR);
    assert.deepEqual(ask([zone], "_tcp.corp", "A")?.code, codes.NOERROR, "what lies above a name is there");
  });

  it("CNAME: followed within the zones; the rest is for others to say; never in circles", () => {
    const to = (name: string) => [instanceOf("i", { AWS_INSTANCE_CNAME: name })];
    const zone = zoneOf(namespace, [
      { service: serviceOf("web", "A"), instances: [instanceOf("a", at(1))] },
      { service: serviceOf("alias", "CNAME", {}, "WEIGHTED"), instances: to("web.corp.") },
      { service: serviceOf("out", "CNAME", {}, "WEIGHTED"), instances: to("www.Example.com") },
      { service: serviceOf("lost", "CNAME", {}, "WEIGHTED"), instances: to("none.corp") },
      { service: serviceOf("ring", "CNAME", {}, "WEIGHTED"), instances: to("ring.corp") },
    ]);
    assert.deepEqual(addresses(ask([zone], "alias.corp", "A")), ["CNAME", "10.0.0.1"]);
    assert.deepEqual(addresses(ask([zone], "alias.corp", "CNAME")), ["CNAME"]);
    assert.equal(ask([zone], "out.corp", "A")?.elsewhere, "www.example.com");
    assert.deepEqual([ask([zone], "lost.corp", "A")?.code, addresses(ask([zone], "lost.corp", "A"))], [codes.NXDOMAIN, ["CNAME"]]);
    assert.equal(ask([zone], "ring.corp", "A")?.code, codes.SERVFAIL);
  });

  it("what is not there says for how long, by the zone's SOA; other zones' names are none of ours", () => {
    const zone = zoneOf(namespace, [{ service: serviceOf("web", "A"), instances: [instanceOf("a", at(1))] }]);
    for (const [name, type, code] of [
      ["none.corp", "A", codes.NXDOMAIN],
      ["web.corp", "AAAA", codes.NOERROR],
      ["corp", "A", codes.NOERROR],
    ] as const) {
      const found = ask([zone], name, type);
      assert.deepEqual(
        [found?.code, found?.answers, found?.authority?.map((each) => [each.type, each.ttl, each.name])],
        [code, [], [["SOA", 15, "corp"]]],
      );
    }
    assert.equal(ask([zone], "corp", "SOA")?.answers[0]?.type, "SOA");
    assert.equal(ask([zone], "xcorp", "A"), undefined);
    assert.equal(ask([zone], "corp.example", "A"), undefined);
    const longer = zoneOf(namespaceOf("a.corp"), [{ service: serviceOf("web", "A"), instances: [instanceOf("a", at(9))] }]);
    assert.deepEqual(addresses(ask([zone, longer], "web.a.corp", "A")), ["10.0.0.9"]);
    assert.equal(ask([zone, longer], "none.a.corp", "A")?.authority?.[0]?.name, "a.corp");
  });

  it("of a namespace is the same for the same records in any order", () => {
    const services = [serviceOf("a", "A"), serviceOf("b", "A SRV")].map((service) => ({
      service,
      instances: [1, 2, 3].map((number) => instanceOf(`i${number}`, at(number))),
    }));
    const other = services.toReversed().map((each) => ({ ...each, instances: each.instances.toReversed() }));
    assert.deepEqual(zoneOf(namespace, services), zoneOf(namespace, other));
  });

  it("of 2,000 instances is made and asked quickly", () => {
    const instances = Array.from({ length: 2_000 }, (_, number) => instanceOf(`i${number}`, at(number)));
    const started = processorMs();
    const zone = zoneOf(namespace, [{ service: serviceOf("web", "A SRV", { customHealth: true }), instances }]);
    const made = processorMs();
    for (let round = 0; round < 1_000; round++) ask([zone], "web.corp", "A");
    const asked = processorMs();
    assert.ok(made - started < 500 && asked - made < 2_000, `${made - started} ms, ${asked - made} ms`);
  });
});
