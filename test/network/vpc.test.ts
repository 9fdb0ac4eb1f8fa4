import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import type { SecurityGroupRuleState } from "#agent-protocol/vpc.ts";
import { command } from "#agent/network/commands.ts";
import type { Attachment } from "#agent/task/state.ts";
import { until } from "../support/until.ts";
import { anything, interfaceOf, Machine, needsRoot, open, shortly, vpcOf } from "./vpc-support.ts";

/** From this process: what a server answers first, or "" when nothing comes in `ms`. */
async function askFromHost(address: string, port: number, ms = 30_000): Promise<string> {
  const socket = connect({ host: address, port });
  try {
    const [data] = (await once(socket, "data", { signal: AbortSignal.timeout(ms) })) as [Buffer];
    return data.toString().trim();
  } catch {
    return "";
  } finally {
    socket.destroy();
  }
}

describe("VPCs", { skip: needsRoot, timeout: 400_000 }, () => {
  const machine = new Machine();
  const metadata = createServer((request, response) => response.end(`metadata for ${request.socket.remoteAddress}`));
  const outside = `vpcnet-outside-${process.pid}`;
  const outsideLink = `vo${process.pid}`;
  const outsideBlock = `198.51.${100 + (process.pid % 100)}`;
  const attached: Attachment[] = [];
  const attach = async (...given: Parameters<Machine["attach"]>) => {
    const attachment = await machine.attach(...given);
    attached.push(attachment);
    return attachment;
  };

  before(async () => {
    await new Promise<void>((resolve) => metadata.listen(0, "0.0.0.0", () => resolve()));
    machine.metadataPort = (metadata.address() as { port: number }).port;
    await machine.network.reconcile();
    await command(
      "ip",
      ["-batch", "-"],
      `netns add ${outside}\nlink add ${outsideLink} type veth peer name eth0 netns ${outside}\naddr add ${outsideBlock}.1/24 dev ${outsideLink}\nlink set ${outsideLink} up\n`,
    );
    await command(
      "ip",
      ["-n", outside, "-batch", "-"],
      `link set lo up\naddr add ${outsideBlock}.9/24 dev eth0\naddr add ${outsideBlock}.10/24 dev eth0\nlink set eth0 up\n`,
    );
  });
  after(async () => {
    await machine.end();
    await command("ip", ["link", "del", outsideLink]);
    await command("ip", ["netns", "del", outside]);
    metadata.close();
  });
  const detachAll = async () => {
    for (const each of attached.splice(0)) await machine.network.detach(each);
    await machine.network.updateVpcs([]);
  };

  it("lead between subnets of a VPC and never across VPCs of the same blocks", async () => {
    const [a, b, c] = [interfaceOf("10.0.1.5"), interfaceOf("10.0.2.6"), interfaceOf("10.0.2.6")];
    await machine.network.updateVpcs([vpcOf("a", [a, b]), vpcOf("b", [c])]);
    const [one, two, other] = [await attach(a), await attach(b), await attach(c)];
    await machine.serve(one, 80);
    assert.equal(await machine.ask(two, "10.0.1.5", 80), "from ::ffff:10.0.2.6");
    assert.equal(await machine.ask(two, "10.0.1.5", 80, { udp: true }), "from 10.0.2.6");
    assert.equal(await machine.ask(other, "10.0.1.5", 80, { ms: shortly }), "");
    assert.equal(await machine.ask(other, one.vpc?.transit ?? "", 80, { ms: shortly }), "", "nor by the address that the machine uses");
    assert.match(await machine.inside(one, "ip", "-4", "addr", "show", "eth0"), /inet 10\.0\.1\.5\/24 /);
    assert.match(await machine.inside(one, "ip", "link", "show", "eth0"), new RegExp(a.mac));
    const counters = await machine.network.counters(one);
    assert.ok(counters && counters.rxBytes > 0 && counters.txBytes > 0);
    await detachAll();
  });

  it("let through what the groups of both ends allow, and change at once under what runs", async () => {
    const a = interfaceOf("10.0.1.5", { groups: ["sg-server"] });
    const b = interfaceOf("10.0.2.6", { groups: ["sg-client"] });
    const update = async (ingress: readonly SecurityGroupRuleState[], egress: readonly SecurityGroupRuleState[] = anything) => {
      const groups = [
        { groupId: "sg-server", ingress, egress: [] },
        { groupId: "sg-client", ingress: [], egress },
      ];
      const started = performance.now();
      await machine.network.updateVpcs([vpcOf("g", [a, b], { groups, members: { "sg-client": [b.address], "sg-server": [a.address] } })]);
      // Well under a second where nothing else wants the processor.
      assert.ok(performance.now() - started < 500, "a change is made in well under a second");
    };
    await update([]);
    const [server, client] = [await attach(a), await attach(b)];
    await machine.serve(server, 80);
    await machine.serve(server, 81);
    await machine.serve(client, 80);
    const reached = async (port = 80, udp = false) => (await machine.ask(client, "10.0.1.5", port, { udp })) !== "";
    const refused = async (port = 80, udp = false) => (await machine.ask(client, "10.0.1.5", port, { udp, ms: shortly })) === "";
    assert.ok(await refused(), "nothing is allowed in");
    await update([{ protocol: "tcp", fromPort: 80, toPort: 80, cidr: "10.0.2.0/24" }]);
    assert.ok(await reached(), "by block and port");
    assert.ok(await refused(81), "another port");
    assert.ok(await refused(80, true), "another protocol");
    assert.equal(await machine.ask(server, "10.0.2.6", 80, { ms: shortly }), "", "not the other way round");
    await update([{ protocol: "tcp", fromPort: 80, toPort: 81, group: "sg-client" }]);
    assert.ok(await reached(81), "by the group's members");
    await update([{ protocol: "tcp", fromPort: 80, toPort: 81, group: "sg-server" }]);
    assert.ok(await refused(81), "by a group that the sender is not of");
    await update([{ protocol: "udp", fromPort: -1, toPort: -1, cidr: "0.0.0.0/0" }]);
    assert.ok((await reached(80, true)) && (await refused(80)), "a protocol with all its ports");
    await update(anything, [{ protocol: "tcp", fromPort: 81, toPort: 81, cidr: "10.0.0.0/16" }]);
    assert.ok((await reached(81)) && (await refused(80)), "the sender's groups count too");

    // A connection that stands outlives the rule that let it through; a new one does not.
    await update(anything);
    const talk = await machine.run(
      client,
      `const s = require("net").connect({ host: "10.0.1.5", port: 80 }); s.on("data", (d) => process.stdout.write(d)); setInterval(() => s.write("tick "), 50);`,
    );
    await update([]);
    assert.ok(await refused(), "revoked");
    let heard = "";
    talk.stdout?.on("data", (data) => (heard += String(data)));
    await until("an established connection stays", () => heard.includes("tick"));
    await detachAll();
  });

  it("reach beyond the VPC only what routes lead to, and metadata always", async () => {
    const closed = interfaceOf("10.0.1.5");
    const free = interfaceOf("10.0.1.6", { reaches: ["0.0.0.0/0"] });
    const some = interfaceOf("10.0.1.7", { reaches: [`${outsideBlock}.10/32`, `${outsideBlock}.10/31`] });
    const list = [closed, free, some];
    await machine.network.updateVpcs([vpcOf("r", list)]);
    const [one, two, three] = [await attach(closed), await attach(free), await attach(some)];
    await machine.serve({ namespace: outside } as Attachment, 80);
    const from = async (each: Attachment, last: number, ms?: number) =>
      (await machine.ask(each, `${outsideBlock}.${last}`, 80, { ms })) !== "";
    assert.deepEqual(
      [await from(one, 9, shortly), await from(two, 9), await from(three, 9, shortly), await from(three, 10)],
      [false, true, false, true],
    );
    const ask = (each: Attachment) =>
      machine.inside(
        each,
        process.execPath,
        "-e",
        'fetch("http://169.254.170.2/", { signal: AbortSignal.timeout(8000) }).then((r) => r.text()).then((t) => process.stdout.write(t))',
      );
    assert.equal(await ask(one), `metadata for ${one.vpc?.transit}`, "the machine knows the task by its own address");
    const groups = [{ ...open, egress: [] }];
    await machine.network.updateVpcs([vpcOf("r", list, { groups })]);
    assert.ok(!(await from(two, 9, shortly)), "without egress rules nothing leaves");
    assert.equal(await ask(one), `metadata for ${one.vpc?.transit}`, "but to the metadata");
    await machine.network.updateVpcs([vpcOf("r", [closed, { ...free, reaches: [] }, some])]);
    assert.ok(!(await from(two, 9, shortly)), "a route that is gone leads nowhere");
    await detachAll();
  });

  it("answer at public addresses: from the machine, from tasks of this VPC and of others", async () => {
    const publicIp = "203.0.113.77";
    const a = interfaceOf("10.0.1.5", { publicIp, reaches: ["0.0.0.0/0"] });
    const b = interfaceOf("10.0.1.6", { publicIp: "203.0.113.78", reaches: ["0.0.0.0/0"] });
    const c = interfaceOf("10.0.1.5", { reaches: ["0.0.0.0/0"] });
    await machine.network.updateVpcs([vpcOf("p", [a, b]), vpcOf("q", [c])]);
    const [one, two, three] = [await attach(a), await attach(b), await attach(c)];
    await machine.serve(one, 80);
    assert.equal(await askFromHost(publicIp, 80), `from ::ffff:${machine.network.gateway}`);
    assert.equal(await machine.ask(two, publicIp, 80), "from ::ffff:203.0.113.78", "a neighbour is seen by its public address");
    assert.equal(await machine.ask(three, publicIp, 80), `from ::ffff:${machine.network.gateway}`);
    // The address moves, as an Elastic IP does.
    await machine.network.updateVpcs([
      vpcOf("p", [
        { ...a, publicIp: undefined },
        { ...b, publicIp },
      ]),
      vpcOf("q", [c]),
    ]);
    assert.equal(await askFromHost(publicIp, 80, shortly), "");
    await machine.serve(two, 80);
    assert.equal(await askFromHost(publicIp, 80), `from ::ffff:${machine.network.gateway}`);
    assert.equal(await askFromHost("203.0.113.78", 80, shortly), "");
    await detachAll();
    assert.ok(!(await command("ip", ["route"])).includes("203.0.113."), "its route is gone");
  });

  it("resolve names by the VPC's resolver, where its DNS support is on", async () => {
    const [a, b] = [interfaceOf("10.0.1.5", { groups: [] }), interfaceOf("10.0.1.5", { groups: [] })];
    await machine.network.updateVpcs([vpcOf("n", [a]), vpcOf("m", [b], { dnsSupport: false })]);
    const [one, two] = [await attach(a), await attach(b)];
    const script = (server: string, ms: number) =>
      `const { Resolver } = require("dns"); const r = new Resolver({ timeout: ${ms}, tries: 1 }); r.setServers(["${server}"]); r.resolve4("ip-10-0-7-7.ec2.internal", (e, l) => process.stdout.write(e ? e.code : l.join()));`;
    const resolve = (each: Attachment, server: string, ms = 8_000) => machine.inside(each, process.execPath, "-e", script(server, ms));
    assert.equal(await resolve(one, "10.0.0.2"), "10.0.7.7", "whatever its groups say");
    assert.equal(await resolve(one, "169.254.169.253"), "10.0.7.7");
    assert.equal(await resolve(two, "10.0.0.2", 700), "ETIMEOUT");
    await detachAll();
  });

  it("drop what is sent under another address", async () => {
    const [a, b] = [interfaceOf("10.0.1.5"), interfaceOf("10.0.1.6")];
    await machine.network.updateVpcs([vpcOf("s", [a, b])]);
    const [one, two] = [await attach(a), await attach(b)];
    await machine.serve(two, 80);
    assert.notEqual(await machine.ask(one, "10.0.1.6", 80), "");
    // Seen by the receiver itself: an answer would not find its way back in any case.
    const seen = () => machine.inside(two, "sh", "-c", "cat /proc/net/dev | grep eth0").then((text) => Number(text.trim().split(/\s+/)[2]));
    await machine.inside(one, "ip", "addr", "add", "10.0.1.200/32", "dev", "eth0");
    const shot = (bind: string) =>
      machine.inside(
        one,
        process.execPath,
        "-e",
        `const u = require("dgram").createSocket("udp4"); u.bind(0, "${bind}", () => { for (let i = 0; i < 20; i++) u.send("x", 9, "10.0.1.6"); setTimeout(() => process.exit(0), 100); })`,
      );
    const before = await seen();
    await shot("10.0.1.200");
    assert.ok((await seen()) - before < 10, "another address");
    await machine.inside(one, "ip", "link", "set", "eth0", "address", "0a:00:00:00:99:99");
    const then = await seen();
    await shot("10.0.1.5");
    assert.ok((await seen()) - then < 10, "another hardware address");
    await machine.inside(one, "ip", "link", "set", "eth0", "address", a.mac);
    const last = await seen();
    await shot("10.0.1.5");
    await until("its own", async () => (await seen()) - last >= 20);
    await detachAll();
  });

  it("carry IPv6 between the tasks of a VPC", async () => {
    const a = interfaceOf("10.0.1.5", { ipv6: "fd12:3456:789a:1::5" });
    const b = interfaceOf("10.0.2.5", { ipv6: "fd12:3456:789a:2::5", groups: ["sg-six"] });
    const six = { groupId: "sg-six", ingress: [], egress: [{ protocol: "tcp", fromPort: 80, toPort: 80, group: "sg-all" }] };
    const more = { ipv6Cidrs: ["fd12:3456:789a::/56"], groups: [open, six], members: { "sg-all": [a.ipv6 ?? ""] } };
    await machine.network.updateVpcs([vpcOf("d", [a, b], more)]);
    const [one, two] = [await attach(a), await attach(b)];
    await machine.serve(one, 80);
    await machine.serve(one, 81);
    assert.equal(await machine.ask(two, a.ipv6 ?? "", 80), `from ${b.ipv6}`);
    assert.equal(await machine.ask(two, a.ipv6 ?? "", 81, { ms: shortly }), "");
    await machine.serve(two, 80);
    assert.equal(await machine.ask(one, b.ipv6 ?? "", 80, { ms: shortly }), "");
    await detachAll();
  });
});
