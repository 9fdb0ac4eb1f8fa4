import { createHash } from "node:crypto";

/**
 * The binary messages of a data channel, as the session-manager-plugin and the SSM agent exchange them (big endian):
 *
 *     0 header length (116) | 4 type, 32 bytes | 36 schema version | 40 created, ms | 48 sequence number | 56 flags
 *     64 id (16 bytes, its halves swapped) | 80 SHA-256 of the payload | 112 payload type | 116 payload length | 120 payload
 *
 * Source: the public source of aws/session-manager-plugin (message) and aws/amazon-ssm-agent (session/contracts).
 */
export interface ChannelMessage {
  readonly type: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly sequence: number;
  readonly flags: number;
  /** A UUID. */
  readonly id: string;
  readonly payloadType: number;
  readonly payload: Uint8Array;
}

export const messageTypes = {
  input: "input_stream_data",
  output: "output_stream_data",
  acknowledge: "acknowledge",
  closed: "channel_closed",
  start: "start_publication",
  pause: "pause_publication",
  /** From the agent: what ran has ended. */
  complete: "agent_task_complete",
} as const;

export const payloadTypes = {
  /** Bytes of the terminal, both ways. */
  output: 1,
  error: 2,
  size: 3,
  parameter: 4,
  handshakeRequest: 5,
  handshakeResponse: 6,
  handshakeComplete: 7,
  challengeRequest: 8,
  challengeResponse: 9,
  flag: 10,
  stderr: 11,
  exitCode: 12,
} as const;

/** The payload of type `flag`: four bytes. */
export const flags = { disconnectToPort: 1, terminateSession: 2 } as const;

const headerLength = 116;
const payloadAt = headerLength + 4;
const mostPayloadBytes = 1024 * 1024;

/** `flags` of a message: the first of its stream, the last. An acknowledgement is both. */
const both = 3;

export function encodeMessage(message: ChannelMessage): Buffer {
  const { payload } = message;
  const bytes = Buffer.alloc(payloadAt + payload.length);
  bytes.writeUInt32BE(headerLength, 0);
  bytes.fill(0x20, 4, 36);
  bytes.write(message.type, 4, 32, "latin1");
  bytes.writeUInt32BE(1, 36);
  bytes.writeBigUInt64BE(BigInt(Math.max(1, Math.floor(message.createdAt))), 40);
  bytes.writeBigInt64BE(BigInt(message.sequence), 48);
  bytes.writeBigUInt64BE(BigInt(message.flags), 56);
  const id = Buffer.from(message.id.replaceAll("-", ""), "hex");
  id.copy(bytes, 64, 8, 16);
  id.copy(bytes, 72, 0, 8);
  createHash("sha256").update(payload).digest().copy(bytes, 80);
  bytes.writeUInt32BE(message.payloadType, 112);
  bytes.writeUInt32BE(payload.length, headerLength);
  bytes.set(payload, payloadAt);
  return bytes;
}

/** Undefined for what is no message: too short, a payload of another length or digest than the header says. */
export function decodeMessage(bytes: Uint8Array): ChannelMessage | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < payloadAt) return undefined;
  const header = view.readUInt32BE(0);
  if (header < headerLength || header + 4 > view.length) return undefined;
  const payload = view.subarray(header + 4);
  const type = typeOf(view);
  // The service's own notices come without a payload worth checking, and some without a date.
  const notice = type === messageTypes.start || type === messageTypes.pause;
  if (view.readUInt32BE(header) !== payload.length || payload.length > mostPayloadBytes) return undefined;
  if (!notice && payload.length > 0 && !createHash("sha256").update(payload).digest().equals(view.subarray(80, 112))) return undefined;
  const sequence = view.readBigInt64BE(48);
  if (sequence < 0n || sequence > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  const id = Buffer.concat([view.subarray(72, 80), view.subarray(64, 72)]).toString("hex");
  return {
    type,
    createdAt: Number(view.readBigUInt64BE(40)),
    sequence: Number(sequence),
    flags: Number(view.readBigUInt64BE(56) & 0xffn),
    id: `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`,
    payloadType: view.readUInt32BE(112),
    payload,
  };
}

/** The type alone, for who passes messages on. Padded with blanks or zeros. */
export function typeOf(bytes: Uint8Array): string {
  if (bytes.length < payloadAt) return "";
  // oxlint-disable-next-line no-control-regex
  return Buffer.from(bytes.buffer, bytes.byteOffset + 4, 32)
    .toString("latin1")
    .replaceAll("\0", " ")
    .trim();
}

/** Whether somebody typed or something was written: neither an acknowledgement nor a new size of the window. */
export function isStreamData(bytes: Uint8Array): boolean {
  const type = typeOf(bytes);
  if (type !== messageTypes.input && type !== messageTypes.output) return false;
  return Buffer.from(bytes.buffer, bytes.byteOffset + 112, 4).readUInt32BE(0) !== payloadTypes.size;
}

export interface Stamp {
  readonly now: number;
  /** A fresh UUID. */
  readonly id: string;
}

/** That `message` has come. Source: AcknowledgeContent. */
export function acknowledgement(message: ChannelMessage, { now, id }: Stamp): Buffer {
  return jsonMessage(
    messageTypes.acknowledge,
    {
      AcknowledgedMessageType: message.type,
      AcknowledgedMessageId: message.id,
      AcknowledgedMessageSequenceNumber: message.sequence,
      IsSequentialMessage: true,
    },
    { now, id },
  );
}

/** The sequence number that an acknowledgement names. */
export function acknowledgedSequence({ payload }: ChannelMessage): number | undefined {
  const { AcknowledgedMessageSequenceNumber: sequence } = (parseJson(payload) ?? {}) as { AcknowledgedMessageSequenceNumber?: unknown };
  return typeof sequence === "number" && Number.isSafeInteger(sequence) ? sequence : undefined;
}

/** A message that stands for itself: none of a stream. */
export function jsonMessage(type: string, content: unknown, { now, id }: Stamp): Buffer {
  const payload = Buffer.from(JSON.stringify(content));
  return encodeMessage({ type, createdAt: now, sequence: 0, flags: both, id, payloadType: 0, payload });
}

export function parseJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString("utf8"));
  } catch {
    return undefined;
  }
}
