import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { BlobCorrupt, type BlobRead, type ByteRange } from "./blob-store.ts";
import type { Digest } from "./digest.ts";

/** Large pieces cost fewer turns, small ones less memory: when many read at once, they read in small ones. */
const largePiece = 1 << 20;
const smallPiece = 256 << 10;
const fewReaders = 8;
let readers = 0;
/** One piece is being read, one the caller has just got, the one before that may still be on its way to a socket. */
const ring = 3;

export interface FileReadOptions {
  readonly digest: Digest;
  readonly size: number;
  readonly range: ByteRange | undefined;
  /** Whether to check the bytes; a range is never checked. */
  readonly check: boolean;
  readonly checked: () => void;
  /** Called before BlobCorrupt is thrown. */
  readonly corrupt: () => Promise<void>;
}

/** Reads an open file, the next piece from the disk while the caller is busy with this one. */
export function fileRead(file: FileHandle, { digest, size, range, check, checked, corrupt }: FileReadOptions): BlobRead {
  let closed = false;
  const close = async () => {
    if (closed) return;
    closed = true;
    await file.close();
  };
  return {
    size,
    close,
    async *pieces(): AsyncGenerator<Uint8Array> {
      const first = range?.first ?? 0;
      const end = range ? range.last + 1 : size;
      const hash = check && first === 0 && end === size ? createHash("sha256") : undefined;
      const length = Math.min(readers < fewReaders ? largePiece : smallPiece, end - first);
      const count = end - first > length ? ring : 1;
      const buffers = Array.from({ length: count }, () => Buffer.allocUnsafeSlow(length));
      let next: Promise<Buffer> | undefined;
      readers++;
      try {
        let turn = 0;
        next = readPiece(file, buffers[0]!, first, end);
        for (let position = first; position < end;) {
          const piece: Buffer = await next!;
          next = undefined;
          if (piece.length === 0) break;
          position += piece.length;
          hash?.update(piece);
          if (position < end) {
            turn = (turn + 1) % buffers.length;
            next = readPiece(file, buffers[turn]!, position, end);
            next.catch(() => {});
          } else if (hash) {
            if (`sha256:${hash.digest("hex")}` !== digest) break;
            checked();
            yield piece;
            return;
          }
          yield piece;
          if (position >= end) return;
        }
        if (end > first || (hash && `sha256:${hash.digest("hex")}` !== digest)) {
          await corrupt();
          throw new BlobCorrupt(digest);
        }
      } finally {
        // The file must not be closed beneath a read that is under way.
        await next?.catch(() => {});
        readers--;
        await close();
      }
    },
  };
}

async function readPiece(file: FileHandle, buffer: Buffer, position: number, end: number): Promise<Buffer> {
  const want = Math.min(buffer.length, end - position);
  let got = 0;
  while (got < want) {
    const { bytesRead } = await file.read(buffer, got, want - got, position + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return buffer.subarray(0, got);
}
