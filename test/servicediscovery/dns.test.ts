/** Names on the machine's own port, by real datagrams and streams, from records that the API writes. */
import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { createSocket } from "node:dgram";
import { after, before, describe, it } from "node:test";
import * as Route53 from "@aws-sdk/client-route-53";
import * as Sdk from "@aws-sdk/client-servicediscovery";
import { codes, parseQuestion, question, types } from "#model/dns/message.ts";
import { readAnswers } from "#model/dns/read-answers.ts";
import { freePort } from "../support/port.ts";
import { until } from "../support/until.ts";
import { type CloudMap, startCloudMap } from "./support.ts";

describe("names on the machine's port", () => {
  let map: CloudMap;
  let dnsPort: number;
  let namespace: string;
  const resolver = new Resolver({ timeout: 5000, tries: 1 });
  before(async () => {
    dnsPort = await freePort();
    map = await startCloudMap({ dnsPort });
    resolver.setServers([`127.0.0.1:${dnsPort}`]);
    namespace = await map.namespace({ Name: "corp", Vpc: map.vpc });
  });
  after(() => map.close());

  /** Within a second. */
  const soon = (look: () => Promise<boolean>) => until("the names are these", () => look().catch(() => false), { ms: 1_000, every: 5 });
  const web = (Name: string, ...types: Sdk.RecordType[]) =>
    map.service({
      Name,
      NamespaceId: namespace,
      DnsConfig: { DnsRecords: types.map((Type) => ({ Type, TTL: 10 })) },
      ...(types[0] === "CNAME" ? {} : { HealthCheckCustomConfig: {} }),
    });
  const raw = (message: Buffer) =>
    new Promise<Buffer>((resolve, reject) => {
      const socket = createSocket("udp4");
      const timer = setTimeout(() => (socket.close(), reject(new Error("no answer"))), 30_000);
      socket.on("message", (answer) => {
        clearTimeout(timer);
        socket.close();
        resolve(answer);
      });
      socket.send(message, dnsPort, "127.0.0.1");
    });

  it("a registration is answered, so is the health of it, and its end", async () => {
    const id = await web("web", "A");
    await map.register(id, "one", { AWS_INSTANCE_IPV4: "10.0.0.1" });
    await soon(async () => (await resolver.resolve4("web.corp")).join() === "10.0.0.1");
    await map.register(id, "two", { AWS_INSTANCE_IPV4: "10.0.0.2" });
    await soon(async () => (await resolver.resolve4("WEB.corp")).toSorted().join() === "10.0.0.1,10.0.0.2");
    await map.client.send(new Sdk.UpdateInstanceCustomHealthStatusCommand({ ServiceId: id, InstanceId: "one", Status: "UNHEALTHY" }));
    await soon(async () => (await resolver.resolve4("web.corp")).join() === "10.0.0.2");
    for (const InstanceId of ["one", "two"]) await map.client.send(new Sdk.DeregisterInstanceCommand({ ServiceId: id, InstanceId }));
    await soon(async () => (await resolver.resolve4("web.corp").catch(({ code }: NodeJS.ErrnoException) => [code])).join() === "ENOTFOUND");
    await assert.rejects(resolver.resolve4("www.example.com"), { code: "EREFUSED" });
    const soa = await resolver.resolveSoa("corp");
    assert.deepEqual([soa.minttl, soa.nsname], [86_400, "ns-1536.awsdns-00.co.uk"]);
  });

  it("SRV with many long names comes whole: by a large datagram, or by a stream after a small one", async () => {
    const id = await web("_grpc._tcp", "SRV");
    for (let at = 0; at < 8; at++)
      await map.register(id, `0123456789abcdef0123456789abcdef-${at}`, {
        AWS_INSTANCE_IPV4: `10.0.1.${at}`,
        AWS_INSTANCE_PORT: `900${at}`,
      });
    await soon(async () => (await resolver.resolveSrv("_grpc._tcp.corp")).length === 8);
    const [first] = await resolver.resolveSrv("_grpc._tcp.corp");
    assert.match((await resolver.resolve4(first!.name)).join(), /^10\.0\.1\.\d$/);
    const small = question("_grpc._tcp.corp", types.SRV);
    const cut = await raw(small);
    assert.ok(cut.length <= 512 && (cut.readUInt16BE(2) & 0x0200) !== 0, "cut, and says so");
    const large = Buffer.concat([small, Buffer.from([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0])]);
    large.writeUInt16BE(1, 10);
    assert.equal(parseQuestion(large)?.largest, 4_096);
    const whole = await raw(large);
    assert.ok(whole.length > 512 && (whole.readUInt16BE(2) & 0x0200) === 0 && whole.readUInt16BE(6) === 8 && whole.readUInt16BE(10) === 1);
  });

  it("absence carries the zone's SOA and its TTL; garbage is refused", async () => {
    const none = await raw(question("none.corp", types.A));
    assert.deepEqual([none.readUInt16BE(2) & 15, none.readUInt16BE(6), none.readUInt16BE(8)], [codes.NXDOMAIN, 0, 1]);
    assert.equal(readAnswers(none)?.code, codes.NXDOMAIN);
    assert.equal(
      (await raw(Buffer.concat([question("a.b", types.A).subarray(0, 14), Buffer.alloc(4)]))).readUInt16BE(2) & 15,
      codes.FORMERR,
    );
  });

  it("Route 53 shows the zone and its records, and changes none", async () => {
    const client = new Route53.Route53Client(map.server.sdk());
    try {
      const { HostedZones } = await client.send(new Route53.ListHostedZonesCommand());
      assert.deepEqual(
        HostedZones?.map(({ Name, Config }) => [Name, Config?.PrivateZone]),
        [["corp.", true]],
      );
      const Id = HostedZones?.[0]?.Id ?? "";
      const one = await client.send(new Route53.GetHostedZoneCommand({ Id }));
      assert.deepEqual([one.HostedZone?.Id, one.VPCs], [Id, [{ VPCRegion: "us-east-1", VPCId: map.vpc }]]);
      const byVpc = await client.send(new Route53.ListHostedZonesByVPCCommand({ VPCId: map.vpc, VPCRegion: "us-east-1" }));
      assert.deepEqual(
        byVpc.HostedZoneSummaries?.map(({ Name }) => Name),
        ["corp."],
      );
      const named = async (DNSName: string) =>
        (await client.send(new Route53.ListHostedZonesByNameCommand({ DNSName }))).HostedZones?.map(({ Name }) => Name);
      assert.deepEqual([await named("corp"), await named("zorp")], [["corp."], []]);
      const alias = await web("www", "CNAME");
      await map.register(alias, "i", { AWS_INSTANCE_CNAME: "example.com" });
      const all: Route53.ResourceRecordSet[] = [];
      let next: Partial<Route53.ListResourceRecordSetsCommandInput> | undefined = {};
      while (next) {
        const page: Route53.ListResourceRecordSetsCommandOutput = await client.send(
          new Route53.ListResourceRecordSetsCommand({ HostedZoneId: Id, MaxItems: 5, ...next }),
        );
        all.push(...(page.ResourceRecordSets ?? []));
        const { NextRecordName: StartRecordName, NextRecordType: StartRecordType, NextRecordIdentifier: StartRecordIdentifier } = page;
        next = page.IsTruncated ? { StartRecordName, StartRecordType, StartRecordIdentifier } : undefined;
      }
      assert.deepEqual(
        all.slice(0, 2).map(({ Name, Type }) => `${Name} ${Type}`),
        ["corp. NS", "corp. SOA"],
      );
      assert.equal(all.length, 2 + 16 + 1);
      assert.equal(new Set(all.map(({ Name, Type, SetIdentifier }) => `${Name} ${Type} ${SetIdentifier}`)).size, all.length);
      assert.deepEqual(
        all.find(({ Type }) => Type === "CNAME"),
        {
          Name: "www.corp.",
          Type: "CNAME",
          SetIdentifier: "i",
          Weight: 1,
          TTL: 10,
          ResourceRecords: [{ Value: "example.com." }],
        },
      );
      await assert.rejects(client.send(new Route53.GetHostedZoneCommand({ Id: "ZNONE" })), { name: "NoSuchHostedZone" });
      await assert.rejects(client.send(new Route53.DeleteHostedZoneCommand({ Id })), { name: "NotImplemented" });
    } finally {
      client.destroy();
    }
  });

  it("comes back when the port is free again", { timeout: 120_000 }, async () => {
    const port = await freePort();
    const holder = createSocket("udp4");
    await new Promise<void>((resolve) => holder.bind(port, "127.0.0.1", () => resolve()));
    const other = await startCloudMap({ dnsPort: port });
    try {
      await other.namespace({ Name: "late", Vpc: other.vpc });
      await new Promise<void>((resolve) => holder.close(() => resolve()));
      const late = new Resolver({ timeout: 1000, tries: 1 });
      late.setServers([`127.0.0.1:${port}`]);
      await until("its zone is answered", () => late.resolveSoa("late").catch(() => undefined));
    } finally {
      await other.close();
    }
  });
});
