import { gunzip, gzipSync } from "node:zlib";
import { promisify } from "node:util";
import { type Finding, severityCounts } from "#model/vulnerabilities/findings.ts";
import type { Inspection } from "./inspect.ts";

/** What a scan's process says, on standard output: a line of JSON, then the findings as they are stored. The server passes those on and never reads them itself. */
export type Outcome =
  | { readonly kind: "failed"; readonly reason: string }
  | {
      readonly kind: "complete";
      readonly counts: Readonly<Record<string, number>>;
      readonly sourceUpdatedAt: number;
      readonly importedAt: number;
      /** Compressed; undefined: there are none. */
      readonly findings?: Buffer;
    };

export function encodeOutcome(inspection: Inspection): Buffer {
  if (inspection.kind === "failed") return Buffer.from(`${JSON.stringify(inspection)}\n`);
  const { findings, ...rest } = inspection;
  const line = Buffer.from(`${JSON.stringify({ ...rest, counts: severityCounts(findings) })}\n`);
  return findings.length === 0 ? line : Buffer.concat([line, gzipSync(JSON.stringify(findings))]);
}

/** Undefined: it was cut off. */
export function decodeOutcome(bytes: Buffer): Outcome | undefined {
  const end = bytes.indexOf("\n");
  if (end < 0) return undefined;
  const line = JSON.parse(bytes.toString("utf8", 0, end)) as Outcome;
  return line.kind === "failed" || end + 1 === bytes.length ? line : { ...line, findings: bytes.subarray(end + 1) };
}

export const decodeFindings = async (bytes: Buffer) => JSON.parse((await promisify(gunzip)(bytes)).toString("utf8")) as readonly Finding[];

/** The image comes on standard input, its layers one after the other: pieces with their length before them, and a length of 0 behind each layer. */
export function frameOf(piece: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(4 + piece.length);
  frame.writeUInt32LE(piece.length);
  frame.set(piece, 4);
  return frame;
}

export const layerEnd = Buffer.alloc(4);

/** The layers out of such a stream. Throws when it is cut off: then nobody waits for an answer. */
export async function* layersOf(input: AsyncIterable<Buffer>): AsyncGenerator<AsyncIterable<Buffer>> {
  const reader = byteReader(input);
  for (let size = await reader.length(); size !== undefined; size = await reader.length()) {
    let left = size;
    let ended = false;
    const read = async (): Promise<IteratorResult<Buffer, undefined>> => {
      if (ended) return { done: true, value: undefined };
      const value = await reader.piece(left);
      left -= value.length;
      if (left === 0) {
        left = (await reader.length()) ?? cutOff();
        ended = left === 0;
      }
      return { done: false, value };
    };
    // One after the other: a decompressor that has come to its end may still have asked for more.
    let last: Promise<IteratorResult<Buffer, undefined>> | undefined;
    const next = () => (last = (last ?? Promise.resolve()).then(read));
    ended = left === 0;
    yield { [Symbol.asyncIterator]: () => ({ next }) };
    // What the archive's reader had no use for.
    while (!(await next()).done);
  }
}

function byteReader(input: AsyncIterable<Buffer>) {
  const iterator = input[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  const more = async () => {
    const next = await iterator.next();
    if (next.done) return false;
    held = held.length === 0 ? next.value : Buffer.concat([held, next.value]);
    return true;
  };
  return {
    /** Undefined: the image is at its end. */
    async length(): Promise<number | undefined> {
      while (held.length < 4) if (!(await more())) return held.length === 0 ? undefined : cutOff();
      const length = held.readUInt32LE();
      held = held.subarray(4);
      return length;
    },
    async piece(most: number): Promise<Buffer> {
      while (held.length === 0) if (!(await more())) cutOff();
      const piece = held.subarray(0, most);
      held = held.subarray(piece.length);
      return piece;
    },
  };
}

function cutOff(): never {
  throw new Error("the image was cut off");
}
