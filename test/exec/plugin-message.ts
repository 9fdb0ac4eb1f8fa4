/** The binary messages of the session-manager-plugin, by its published source (src/message), with none of the server's code. */
import { createHash } from "node:crypto";

export interface Message {
  messageType: string;
  sequenceNumber: number;
  flags: number;
  messageId: string;
  payloadType: number;
  payload: Uint8Array;
}

/** clientmessage.go's table of fields: name and length, in order. */
const fields = [
  ["HL", 4],
  ["MessageType", 32],
  ["SchemaVersion", 4],
  ["CreatedDate", 8],
  ["SequenceNumber", 8],
  ["Flags", 8],
  ["MessageId", 16],
  ["PayloadDigest", 32],
  ["PayloadType", 4],
  ["PayloadLength", 4],
] as const;
type Field = (typeof fields)[number][0];
const offsets = Object.fromEntries(
  fields.map(([name], index) => [name, fields.slice(0, index).reduce((sum, [, length]) => sum + length, 0)]),
) as Record<Field, number>;

export function serialize(message: Message): Uint8Array {
  const bytes = new Uint8Array(offsets.PayloadLength + 4 + message.payload.length);
  const view = new DataView(bytes.buffer);
  view.setInt32(offsets.HL, offsets.PayloadLength);
  bytes.set(new TextEncoder().encode(message.messageType.padEnd(32, " ")), offsets.MessageType);
  view.setInt32(offsets.SchemaVersion, 1);
  view.setBigInt64(offsets.CreatedDate, BigInt(Date.now()));
  view.setBigInt64(offsets.SequenceNumber, BigInt(message.sequenceNumber));
  view.setBigInt64(offsets.Flags, BigInt(message.flags));
  const hex = message.messageId.replaceAll("-", "");
  // putUuid: the least significant long first.
  view.setBigUint64(offsets.MessageId, BigInt(`0x${hex.slice(16)}`));
  view.setBigUint64(offsets.MessageId + 8, BigInt(`0x${hex.slice(0, 16)}`));
  bytes.set(createHash("sha256").update(message.payload).digest(), offsets.PayloadDigest);
  view.setInt32(offsets.PayloadType, message.payloadType);
  view.setInt32(offsets.PayloadLength, message.payload.length);
  bytes.set(message.payload, offsets.PayloadLength + 4);
  return bytes;
}

export function deserialize(bytes: Uint8Array): Message {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getInt32(offsets.HL);
  const payload = bytes.slice(headerLength + 4);
  const messageType = new TextDecoder()
    .decode(bytes.subarray(offsets.MessageType, offsets.MessageType + 32))
    // oxlint-disable-next-line no-control-regex
    .replace(/^\0+|\0+$/g, "")
    .trim();
  const long = (at: number) => view.getBigUint64(at).toString(16).padStart(16, "0");
  const hex = long(offsets.MessageId + 8) + long(offsets.MessageId);
  // Validate
  if (messageType !== "start_publication" && messageType !== "pause_publication") {
    if (headerLength === 0 || messageType === "" || view.getBigInt64(offsets.CreatedDate) === 0n) throw new Error("invalid message");
    const digest = Buffer.from(bytes.subarray(offsets.PayloadDigest, offsets.PayloadDigest + 32));
    if (view.getInt32(offsets.PayloadLength) !== 0 && !createHash("sha256").update(payload).digest().equals(digest))
      throw new Error("payload Hash is not valid");
  }
  return {
    messageType,
    sequenceNumber: Number(view.getBigInt64(offsets.SequenceNumber)),
    flags: Number(view.getBigInt64(offsets.Flags)),
    messageId: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`,
    payloadType: view.getInt32(offsets.PayloadType),
    payload,
  };
}
