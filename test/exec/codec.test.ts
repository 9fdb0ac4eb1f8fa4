/** Our codec and the one written after the plugin's source read each other's messages. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeMessage, encodeMessage } from "#agent-protocol/exec/message.ts";
import { deserialize, serialize } from "./plugin-message.ts";

test("both codecs agree", () => {
  fc.assert(
    fc.property(fc.uuid(), fc.nat(), fc.nat(12), fc.uint8Array({ maxLength: 500 }), (id, sequence, payloadType, payload) => {
      const type = "output_stream_data";
      const theirs = deserialize(encodeMessage({ type, createdAt: 5, sequence, flags: 1, id, payloadType, payload }));
      assert.deepEqual(
        { ...theirs, payload: new Uint8Array(theirs.payload) },
        { messageType: type, sequenceNumber: sequence, flags: 1, messageId: id, payloadType, payload },
      );
      const ours = decodeMessage(
        serialize({ messageType: "input_stream_data", sequenceNumber: sequence, flags: 0, messageId: id, payloadType, payload }),
      )!;
      assert.deepEqual(
        [ours.type, ours.sequence, ours.id, ours.payloadType, new Uint8Array(ours.payload)],
        ["input_stream_data", sequence, id, payloadType, payload],
      );
    }),
  );
});

test("a message byte for byte, as the plugin's own test has its fields", () => {
  const bytes = serialize({
    messageType: "output_stream_data",
    sequenceNumber: 1,
    flags: 2,
    messageId: "dd01e56b-ff48-483e-a508-b5f073f31b16",
    payloadType: 1,
    payload: new TextEncoder().encode("payload"),
  });
  assert.equal(Buffer.from(bytes.subarray(0, 4)).toString("hex"), "00000074");
  assert.equal(Buffer.from(bytes.subarray(64, 80)).toString("hex"), "a508b5f073f31b16dd01e56bff48483e");
  assert.equal(decodeMessage(bytes)!.id, "dd01e56b-ff48-483e-a508-b5f073f31b16");
});
