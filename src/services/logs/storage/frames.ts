import { crc32 } from "node:zlib";

/**
 * A segment is a row of frames; all numbers are little-endian.
 *
 *     u32 bytes behind the checksum · u32 CRC-32 of them · f64 ingestion time · f64 sequence number of the first event · u32 events
 *     then for each event: f64 timestamp · u32 bytes · UTF-8 message
 *
 * Events of a frame stand in order of (timestamp, sequence number). Times are milliseconds since the epoch.
 */
const HEAD = 28;
const EVENT_HEAD = 12;
/** A frame is closed when it has this many bytes, so that reading a range costs little more than the range. */
const FRAME_BYTES = 32 * 1024;
/** No frame is longer than the longest message and its neighbours; a longer one is no frame. */
const LONGEST_FRAME = 4 * 1024 * 1024;

export interface NewEvent {
  readonly timestamp: number;
  readonly message: Uint8Array;
}

/** What the index knows of a stretch of a segment. */
export interface Extent {
  /** Bytes from the start of the file. */
  offset: number;
  length: number;
  minTimestamp: number;
  maxTimestamp: number;
}

export interface Frame extends Extent {
  readonly ingestion: number;
  readonly lastSequence: number;
}

/** One event as it lies in a buffer; the message is decoded only when somebody wants it. */
export interface StoredEvent {
  readonly timestamp: number;
  readonly sequence: number;
  readonly ingestion: number;
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Frames for events in chronological order, with sequence numbers from `sequence` on. */
export function encodeFrames(events: readonly NewEvent[], ingestion: number, sequence: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let from = 0; from < events.length;) {
    let bytes = HEAD;
    let to = from;
    while (to < events.length && (to === from || bytes + EVENT_HEAD + events[to]!.message.length <= FRAME_BYTES))
      bytes += EVENT_HEAD + events[to++]!.message.length;
    frames.push(encodeFrame(events.slice(from, to), bytes, ingestion, sequence + from));
    from = to;
  }
  return frames;
}

function encodeFrame(events: readonly NewEvent[], bytes: number, ingestion: number, sequence: number): Buffer {
  const frame = Buffer.allocUnsafe(bytes);
  frame.writeUInt32LE(bytes - 8, 0);
  frame.writeDoubleLE(ingestion, 8);
  frame.writeDoubleLE(sequence, 16);
  frame.writeUInt32LE(events.length, 24);
  let at = HEAD;
  for (const { timestamp, message } of events) {
    frame.writeDoubleLE(timestamp, at);
    frame.writeUInt32LE(message.length, at + 8);
    frame.set(message, at + EVENT_HEAD);
    at += EVENT_HEAD + message.length;
  }
  frame.writeUInt32LE(crc32(frame.subarray(8)), 4);
  return frame;
}

/**
 * The frame at `at` of a buffer that begins at `base` of the file: "more" when the buffer ends before the frame does, undefined when
 * what stands there is no whole frame (a torn tail).
 */
export function readFrame(buffer: Buffer, at: number, base: number): Frame | "more" | undefined {
  if (buffer.length - at < HEAD) return "more";
  const length = buffer.readUInt32LE(at) + 8;
  if (length < HEAD + EVENT_HEAD || length > LONGEST_FRAME) return undefined;
  if (buffer.length - at < length) return "more";
  if (crc32(buffer.subarray(at + 8, at + length)) !== buffer.readUInt32LE(at + 4)) return undefined;
  const count = buffer.readUInt32LE(at + 24);
  let position = at + HEAD;
  for (let i = 1; i < count; i++) position += EVENT_HEAD + buffer.readUInt32LE(position + 8);
  return {
    offset: base + at,
    length,
    minTimestamp: buffer.readDoubleLE(at + HEAD),
    maxTimestamp: buffer.readDoubleLE(position),
    ingestion: buffer.readDoubleLE(at + 8),
    lastSequence: buffer.readDoubleLE(at + 16) + count - 1,
  };
}

/** All events of the whole frames in a buffer. Throws a RangeError on damaged bytes. */
export function decodeEvents(buffer: Buffer): StoredEvent[] {
  const events: StoredEvent[] = [];
  for (let at = 0; at < buffer.length;) {
    const length = buffer.readUInt32LE(at) + 8;
    if (crc32(buffer.subarray(at + 8, at + length)) !== buffer.readUInt32LE(at + 4)) throw new RangeError(`damaged frame at ${at}`);
    const ingestion = buffer.readDoubleLE(at + 8);
    const sequence = buffer.readDoubleLE(at + 16);
    const count = buffer.readUInt32LE(at + 24);
    let position = at + HEAD;
    for (let i = 0; i < count; i++) {
      const start = position + EVENT_HEAD;
      const end = start + buffer.readUInt32LE(position + 8);
      events.push({ timestamp: buffer.readDoubleLE(position), sequence: sequence + i, ingestion, buffer, start, end });
      position = end;
    }
    at += length;
  }
  return events;
}

/** Adds a frame to the index: to the last stretch where the order allows and it stays short, else as one of its own. */
export function extend(index: Extent[], frame: Frame): void {
  const last = index.at(-1);
  if (last && last.maxTimestamp <= frame.minTimestamp && last.length + frame.length <= FRAME_BYTES) {
    last.length += frame.length;
    last.maxTimestamp = frame.maxTimestamp;
  } else {
    const { offset, length, minTimestamp, maxTimestamp } = frame;
    index.push({ offset, length, minTimestamp, maxTimestamp });
  }
}
