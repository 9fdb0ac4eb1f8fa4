import { open, readFile, rename, stat, truncate, writeFile } from "node:fs/promises";
import { extend, readFrame } from "./frames.ts";
import type { Extent, Frame } from "./frames.ts";

/** One file of a stream and its index in memory: a few dozen bytes for each 32 KiB. */
export interface Segment {
  readonly path: string;
  readonly number: number;
  /** Bytes that are durable and indexed; what stands behind them in the file does not exist. */
  size: number;
  readonly index: Extent[];
  minTimestamp: number;
  maxTimestamp: number;
  lastIngestion: number;
  lastSequence: number;
}

export function newSegment(path: string, number: number): Segment {
  return { path, number, size: 0, index: [], minTimestamp: Infinity, maxTimestamp: -Infinity, lastIngestion: 0, lastSequence: 0 };
}

export function addFrame(segment: Segment, frame: Frame): void {
  extend(segment.index, frame);
  segment.size = frame.offset + frame.length;
  segment.minTimestamp = Math.min(segment.minTimestamp, frame.minTimestamp);
  segment.maxTimestamp = Math.max(segment.maxTimestamp, frame.maxTimestamp);
  segment.lastIngestion = Math.max(segment.lastIngestion, frame.ingestion);
  segment.lastSequence = Math.max(segment.lastSequence, frame.lastSequence);
}

const READ_BYTES = 1024 * 1024;

/** Reads the index beside a full segment, or the segment itself. A tail that is no whole frame was never acknowledged: it is cut off. */
export async function loadSegment(path: string, number: number): Promise<{ segment: Segment; cut: number }> {
  const { size } = await stat(path);
  const saved = await readIndex(path);
  if (saved?.size === size) return { segment: { ...saved, path, number }, cut: 0 };
  const segment = newSegment(path, number);
  await using file = await open(path, "r");
  let buffer: Buffer = Buffer.alloc(0);
  for (let base = 0; base + buffer.length < size;) {
    const wanted = Math.min(READ_BYTES, size - base - buffer.length);
    const chunk = Buffer.allocUnsafe(wanted);
    const { bytesRead } = await file.read(chunk, 0, wanted, base + buffer.length);
    if (bytesRead === 0) break;
    buffer = Buffer.concat([buffer, chunk.subarray(0, bytesRead)]);
    let at = 0;
    let frame = readFrame(buffer, at, base);
    for (; typeof frame === "object"; frame = readFrame(buffer, at, base)) {
      addFrame(segment, frame);
      at += frame.length;
    }
    if (frame === undefined) break;
    buffer = buffer.subarray(at);
    base += at;
  }
  if (segment.size < size) await truncate(path, segment.size);
  return { segment, cut: size - segment.size };
}

const indexPath = (path: string) => path.replace(/\.log$/, ".idx");

/** Saves the index of a segment that will not grow any more. Only saves time at the next start: without it the segment is read. */
export async function saveIndex(segment: Segment): Promise<void> {
  const { size, index, minTimestamp: first, maxTimestamp: last, lastIngestion, lastSequence } = segment;
  const text = JSON.stringify({
    size,
    minTimestamp: first,
    maxTimestamp: last,
    lastIngestion,
    lastSequence,
    index: index.map(({ offset, length, minTimestamp, maxTimestamp }) => [offset, length, minTimestamp, maxTimestamp]),
  });
  await writeFile(`${indexPath(segment.path)}.new`, text);
  await rename(`${indexPath(segment.path)}.new`, indexPath(segment.path));
}

type Saved = Omit<Segment, "path" | "number">;

async function readIndex(path: string): Promise<Saved | undefined> {
  try {
    const saved = JSON.parse(await readFile(indexPath(path), "utf8")) as Omit<Saved, "index"> & {
      index: [number, number, number, number][];
    };
    const index = saved.index.map(([offset, length, minTimestamp, maxTimestamp]) => ({ offset, length, minTimestamp, maxTimestamp }));
    return { ...saved, index };
  } catch {
    return undefined;
  }
}
