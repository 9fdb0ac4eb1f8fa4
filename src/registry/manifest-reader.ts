import { BlobCorrupt, type BlobStore } from "./blobs/blob-store.ts";
import type { Digest } from "./blobs/digest.ts";
import { manifestLimit } from "./manifest.ts";

/** Bytes of manifests kept in memory: pulls ask for the same few again and again. */
const cacheSize = 8 * 1024 * 1024;

export interface ManifestReader {
  /** The manifest's bytes, checked against the digest. Undefined: not there, or damaged. */
  read(digest: Digest): Promise<Buffer | undefined>;
  clear(): void;
}

export function createManifestReader(blobs: BlobStore): ManifestReader {
  // In the order of their last use.
  const cache = new Map<Digest, Buffer>();
  let held = 0;

  function keep(digest: Digest, bytes: Buffer): void {
    if (cache.has(digest) || bytes.length > cacheSize / 8) return;
    cache.set(digest, bytes);
    held += bytes.length;
    for (const [oldest, { length }] of cache) {
      if (held <= cacheSize) break;
      cache.delete(oldest);
      held -= length;
    }
  }

  return {
    async read(digest) {
      const known = cache.get(digest);
      if (known) {
        cache.delete(digest);
        cache.set(digest, known);
        return known;
      }
      const read = await blobs.read(digest);
      if (!read) return undefined;
      if (read.size > manifestLimit) {
        await read.close();
        return undefined;
      }
      const pieces: Buffer[] = [];
      try {
        for await (const piece of read.pieces()) pieces.push(Buffer.from(piece));
      } catch (error) {
        if (error instanceof BlobCorrupt) return undefined;
        throw error;
      }
      const bytes = Buffer.concat(pieces);
      keep(digest, bytes);
      return bytes;
    },
    clear() {
      cache.clear();
      held = 0;
    },
  };
}
