import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { codes, parseQuestion, refusal, reply, types, type Answer } from "#model/dns/message.ts";
import { readAnswers } from "#model/dns/read-answers.ts";
import { createForwarder } from "#agent/network/vpc/forward.ts";
import { createResolver, type Resolver, type Zones } from "#agent/network/vpc/resolver.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { interfaceOf, vpcOf } from "./vpc-support.ts";

function query(name: string, type: number = types.A, id = 4711): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(0x0100, 2);
  header.writeUInt16BE(1, 4);
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, "latin1")]));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, type, 0, 1])]);
}

const codeOf = (answer: Buffer) => answer.readUInt16BE(2) & 15;
const countOf = (answer: Buffer) => answer.readUInt16BE(6);

describe("DNS messages", () => {
  it("no bytes of anybody make the reader throw, nor read beyond them", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const question = parseQuestion(bytes);
        if (!question) return;
        assert.ok(question.end <= bytes.length && question.name.length <= 600);
        const answer = reply(bytes, question, { code: codes.NXDOMAIN });
        assert.equal(answer.readUInt16BE(0), question.id);
        assert.deepEqual(answer.subarray(12), Buffer.from(bytes.subarray(12, question.end)));
      }),
      { numRuns: 2_000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => void refusal(bytes, codes.FORMERR)));
  });

  it("damaged questions, too", () => {
    const whole = query("ip-10-0-1-5.ec2.internal");
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, value, length) => {
        const bytes = Buffer.from(whole);
        bytes[at] = value;
        parseQuestion(bytes.subarray(0, length));
      }),
      { numRuns: 2_000 },
    );
  });

  it("a question is read as it was written, in small letters", () => {
    const label = fc.stringMatching(/^[a-zA-Z0-9-]{1,63}$/);
    fc.assert(
      fc.property(
        fc.array(label, { minLength: 1, maxLength: 3 }),
        fc.constantFrom(...Object.values(types)),
        fc.nat(65_535),
        (labels, type, id) => {
          const name = labels.join(".");
          const question = parseQuestion(query(name, type, id));
          assert.deepEqual(question && { name: question.name, type: question.type, id: question.id }, {
            name: name.toLowerCase(),
            type,
            id,
          });
        },
      ),
    );
  });

  it("other servers' answers are read through their pointers, and no bytes of theirs throw", () => {
    const asked = query("a.example.com");
    const text = reply(asked, parseQuestion(asked)!, {
      code: codes.NOERROR,
      answers: [
        { type: "CNAME", target: "b.example.com", ttl: 3 },
        { type: "A", address: "192.0.2.1", ttl: 4, name: "b.example.com" },
        { type: "AAAA", address: "fd00::1", ttl: 5, name: "b.example.com" },
      ],
    });
    assert.deepEqual(readAnswers(text)?.answers, [
      { type: "CNAME", target: "b.example.com", ttl: 3, name: "a.example.com" },
      { type: "A", address: "192.0.2.1", ttl: 4, name: "b.example.com" },
      { type: "AAAA", address: "fd00:0:0:0:0:0:0:1", ttl: 5, name: "b.example.com" },
    ]);
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.nat(255), fc.nat(text.length), (at, value, length) => {
        const bytes = Buffer.from(text);
        bytes[at] = value;
        readAnswers(bytes.subarray(0, length));
      }),
      { numRuns: 3_000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readAnswers(bytes)));
  });

  it("answers of every type say how long they are; what does not fit into a datagram is said to be missing", () => {
    const asked = query("web.shop.local");
    const question = parseQuestion(asked)!;
    const answers: Answer[] = [
      { type: "A", address: "10.0.1.5", ttl: 60 },
      { type: "AAAA", address: "fd00::1:5", ttl: 60 },
      { type: "CNAME", target: "a.b", ttl: 1 },
      { type: "SRV", priority: 1, weight: 2, port: 8080, target: "t.x", ttl: 10 },
    ];
    const whole = reply(asked, question, { code: codes.NOERROR, answers });
    assert.equal(countOf(whole), 4);
    assert.ok(whole.includes(Buffer.from([10, 0, 1, 5])));
    assert.ok(whole.includes(Buffer.from("fd000000000000000000000000010005", "hex")));
    assert.ok(whole.includes(Buffer.from([0, 1, 0, 2, 0x1f, 0x90, 1, 0x74, 1, 0x78, 0])));
    const many = Array.from({ length: 100 }, () => answers[0] as Answer);
    const cut = reply(asked, question, { code: codes.NOERROR, answers: many }, 512);
    assert.ok(cut.length <= 512 && (cut.readUInt16BE(2) & 0x0200) !== 0 && countOf(cut) < 100);
  });
});

describe("the VPCs' resolver", () => {
  const task = interfaceOf("10.0.1.5");
  const vpc = vpcOf("a", [task]);
  let dnsSupport = true;
  let zones: Zones | undefined;
  const upstream = createSocket("udp4");
  const upstreamTcp = createServer((socket) =>
    socket.on("data", (data: Buffer) => {
      const asked = data.subarray(2);
      const text = reply(asked, parseQuestion(asked)!, { code: codes.NOERROR, answers: [{ type: "A", address: "192.0.2.66", ttl: 5 }] });
      socket.write(Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text]));
    }),
  );
  let servers: string[] = [];
  let resolver: Resolver;
  let port = 0;

  before(async () => {
    await new Promise<void>((resolve) => upstream.bind(0, "127.0.0.1", () => resolve()));
    const known = upstream.address().port;
    upstream.on("message", (asked, from) => {
      const question = parseQuestion(asked)!;
      if (question.name === "silent.example.com") return;
      // A stranger's answer comes first, under another id.
      const answer = reply(asked, question, { code: codes.NOERROR, answers: [{ type: "A", address: "192.0.2.55", ttl: 5 }] });
      const wrong = Buffer.from(answer);
      wrong.writeUInt16BE((question.id + 1) & 65_535, 0);
      upstream.send(wrong, from.port, from.address);
      upstream.send(answer, from.port, from.address);
    });
    await new Promise<void>((resolve) => upstreamTcp.listen(known, "127.0.0.1", () => resolve()));
    servers = [`127.0.0.1#${known}`];
    const deps = { clock: systemClock, random: systemRandom, log: silentLogger };
    resolver = createResolver({
      ...deps,
      zones: (question, caller) => zones?.(question, caller),
      who: () => ({ vpc: { ...vpc, dnsSupport }, networkInterface: task }),
      forwarder: createForwarder({ ...deps, servers: async () => servers, freshMs: 0 }),
    });
    port = (await resolver.listen("127.0.0.1", 0)) ?? 0;
  });
  after(() => {
    resolver.close();
    upstream.close();
    upstreamTcp.close();
  });

  const ask = (message: Buffer, ms = 30_000) =>
    new Promise<Buffer>((resolve, reject) => {
      const socket = createSocket("udp4");
      const timer = setTimeout(() => (socket.close(), reject(new Error("no answer"))), ms);
      socket.on("message", (answer) => {
        clearTimeout(timer);
        socket.close();
        resolve(answer);
      });
      socket.send(message, port, "127.0.0.1");
    });
  const lookup = async (name: string, type: number = types.A) => {
    const answer = await ask(query(name, type));
    assert.equal(answer.readUInt16BE(0), 4711);
    return { code: codeOf(answer), count: countOf(answer), tail: [...answer.subarray(-4)].join(".") };
  };

  it("answers private names, their reverse and localhost, and says which there are not", async () => {
    assert.deepEqual(await lookup("ip-10-0-1-5.ec2.internal"), { code: 0, count: 1, tail: "10.0.1.5" });
    assert.deepEqual(await lookup("IP-10-0-1-5.eu-west-1.compute.internal"), { code: 0, count: 1, tail: "10.0.1.5" });
    assert.deepEqual((await lookup("ip-10-0-1-5.ec2.internal", types.AAAA)).count, 0);
    assert.equal((await lookup("ip-172-16-0-1.ec2.internal")).code, codes.NXDOMAIN, "not of this VPC");
    assert.equal((await lookup("nobody.ec2.internal")).code, codes.NXDOMAIN);
    assert.deepEqual(await lookup("localhost"), { code: 0, count: 1, tail: "127.0.0.1" });
    const reverse = await ask(query("5.1.0.10.in-addr.arpa", types.PTR));
    assert.ok(reverse.includes(Buffer.from("ip-10-0-1-5")));
  });

  it("asks the machine's resolvers for the rest, by datagram and by stream", async () => {
    assert.deepEqual(await lookup("www.example.com"), { code: 0, count: 1, tail: "192.0.2.55" });
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const socket = connect({ host: "127.0.0.1", port });
      const parts: Buffer[] = [];
      const two = [query("www.example.com"), query("localhost", types.A, 4712)];
      for (const each of two) socket.write(Buffer.concat([Buffer.from([0, each.length]), each]));
      socket.on("data", (part: Buffer) => {
        parts.push(part);
        const all = Buffer.concat(parts);
        const end = 2 + (all.length > 1 ? all.readUInt16BE(0) : 0);
        if (all.length < end + 2 || all.length < end + 2 + all.readUInt16BE(end)) return;
        socket.destroy();
        resolve(all);
      });
      socket.on("error", reject);
    });
    assert.equal([...answer.subarray(answer.readUInt16BE(0) - 2, answer.readUInt16BE(0) + 2)].join("."), "192.0.2.66");
    assert.equal([...answer.subarray(-4)].join("."), "127.0.0.1", "a second question on the same stream");
  });

  it("says that it failed where no resolver answers or none is known", async () => {
    const started = performance.now();
    assert.equal((await lookup("silent.example.com")).code, codes.SERVFAIL);
    assert.ok(performance.now() - started < 2_900);
    servers = [];
    assert.equal((await lookup("www.example.com")).code, codes.SERVFAIL);
    assert.equal((await lookup("ip-10-0-1-5.ec2.internal")).code, codes.NOERROR);
  });

  it("looks up zones first, refuses strangers' questions and what is none", async () => {
    zones = ({ name }, caller) =>
      name === "api.shop.local" && caller.vpc.vpcId === vpc.vpcId
        ? { code: codes.NOERROR, answers: [{ type: "A", address: "10.0.2.9", ttl: 10 }] }
        : undefined;
    assert.deepEqual(await lookup("api.shop.local"), { code: 0, count: 1, tail: "10.0.2.9" });
    dnsSupport = false;
    assert.equal((await lookup("localhost")).code, codes.REFUSED);
    dnsSupport = true;
    assert.equal(codeOf(await ask(Buffer.concat([query("a.b").subarray(0, 14), Buffer.alloc(4)]))), codes.FORMERR);
  });

  it("follows a CNAME out of a zone, for those who ask us don't", async () => {
    servers = [`127.0.0.1#${upstream.address().port}`];
    zones = ({ name }) =>
      name === "out.shop.local"
        ? { code: codes.NOERROR, answers: [{ type: "CNAME", target: "www.example.com", ttl: 10, name }], elsewhere: "www.example.com" }
        : undefined;
    assert.deepEqual(await lookup("out.shop.local"), { code: 0, count: 2, tail: "192.0.2.55" });
    assert.equal((await lookup("out.shop.local", types.CNAME)).count, 1);
    zones = undefined;
  });
});
