import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  acknowledgedSequence,
  acknowledgement,
  decodeMessage,
  encodeMessage,
  isStreamData,
  messageTypes,
  payloadTypes,
} from "./message.ts";
import { Inbox, Outbox } from "./streams.ts";

const uuids = fc.uuid();
let count = 0;
const uuid = () => `00000000-0000-4000-8000-${String(++count).padStart(12, "0")}`;

test("a message comes back as it was; a changed one does not", () => {
  fc.assert(
    fc.property(
      uuids,
      fc.nat(),
      fc.constantFrom(...Object.values(messageTypes)),
      fc.uint8Array({ maxLength: 2_000 }),
      fc.nat(12),
      fc.nat(),
      (id, sequence, type, payload, payloadType, where) => {
        const message = { type, createdAt: 1_700_000_000_123, sequence, flags: 3, id, payloadType, payload };
        const bytes = encodeMessage(message);
        const back = decodeMessage(bytes)!;
        assert.deepEqual({ ...back, payload: new Uint8Array(back.payload) }, message);
        assert.equal(decodeMessage(bytes.subarray(0, bytes.length - 1)), undefined);
        if (payload.length === 0 || type === messageTypes.start || type === messageTypes.pause) return;
        bytes[120 + (where % payload.length)]! ^= 1;
        assert.equal(decodeMessage(bytes), undefined);
      },
    ),
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void decodeMessage(bytes)));
});

test("only what is typed or shown is a sign of life", () => {
  const of = (type: string, payloadType: number) =>
    isStreamData(encodeMessage({ type, createdAt: 1, sequence: 0, flags: 0, id: uuid(), payloadType, payload: Buffer.from("x") }));
  assert.deepEqual(
    [of(messageTypes.input, payloadTypes.output), of(messageTypes.output, payloadTypes.output), of(messageTypes.input, payloadTypes.size)],
    [true, true, false],
  );
  assert.equal(of(messageTypes.acknowledge, 0), false);
  assert.equal(isStreamData(Buffer.alloc(3)), false);
});

/** What the network does with each message that it is given, one after another. */
const fate = fc.record({ lost: fc.boolean(), twice: fc.boolean(), held: fc.nat(3) });

test("whatever is lost, doubled or overtaken: all arrives in order, once", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 20 }), { maxLength: 30 }),
      fc.array(fate, { minLength: 1, maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 10 }),
      fc.infiniteStream(fc.nat(9)),
      (pieces, fates, rooms, breaks) => {
        const out = new Outbox("output_stream_data", uuid);
        const inbox = new Inbox();
        const got: Uint8Array[] = [];
        let wire: { bytes: Buffer; at: number }[] = [];
        let now = 0;
        let dealt = 0;
        const send = (bytes: Buffer) => {
          // The network is bad at first, and then it is not.
          const { lost, twice, held } = dealt < fates.length ? fates[dealt]! : { lost: false, twice: false, held: 0 };
          dealt++;
          if (!lost) wire.push({ bytes, at: now + held });
          if (twice) wire.push({ bytes, at: now + held + 1 });
        };
        const queue = [...pieces];
        for (let round = 0; round < 3_000 && (queue.length > 0 || out.waiting > 0); round++) {
          now += 50;
          const piece = queue.shift();
          if (piece) send(out.add(payloadTypes.output, piece, now));
          if (round < 40 && breaks.next().value === 0) {
            // A new connection: what was on its way is gone, and all comes again.
            wire = [];
            for (const again of out.reconnected(now)) send(again);
          }
          const again = out.due(now);
          if (again) send(again);
          const arrived = wire.filter(({ at }) => at <= now);
          wire = wire.filter(({ at }) => at > now);
          for (const { bytes } of arrived) {
            const message = decodeMessage(bytes)!;
            const room = round > 60 || rooms[round % rooms.length]!;
            const { acknowledge, messages } = inbox.accept(message, room);
            for (const { payload } of messages) got.push(new Uint8Array(payload));
            if (!acknowledge) continue;
            const acknowledged = decodeMessage(acknowledgement(message, { now, id: uuid() }))!;
            const lost = dealt < fates.length && fates[dealt]!.lost;
            if (!lost) out.acknowledged(acknowledgedSequence(acknowledged)!, now);
          }
        }
        assert.deepEqual(got, pieces);
        assert.deepEqual([out.waiting, out.waitingBytes], [0, 0]);
      },
    ),
  );
});

test("a client that says nothing of what it has had does not hold up the rest", () => {
  const out = new Outbox("output_stream_data", uuid, { silent: true });
  out.add(payloadTypes.output, Buffer.from("a"), 0);
  // It came, its acknowledgement did not: on the next connection the plugin is silent about it.
  assert.equal(out.reconnected(1_000).length, 1);
  let now = 1_000;
  const wait = (times: number) => {
    for (let attempt = 0; attempt < times && out.waiting > 0; attempt++) {
      now = Math.max(now, out.dueAt()!);
      while (out.due(now));
    }
  };
  // As long as nothing shows that this connection is read, it may as well be one that stalls, and breaks.
  assert.equal(out.wantsNew, false);
  wait(20);
  assert.equal(out.waiting, 1);
  assert.equal(out.wantsNew, true);
  out.add(payloadTypes.output, Buffer.alloc(0), now);
  assert.equal(out.wantsNew, false);
  out.acknowledged(1, now + 5);
  wait(1);
  assert.equal(out.waiting, 0);
  // One that no earlier connection carried is kept, however long it takes.
  out.add(payloadTypes.output, Buffer.from("b"), now);
  for (let attempt = 0; attempt < 50; attempt++) out.due((now += 20_000));
  assert.equal(out.waiting, 1);
});
