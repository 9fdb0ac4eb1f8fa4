import type { BigIntStats } from "node:fs";
import type { Clock } from "#platform/clock.ts";
import type { Digest } from "./digest.ts";

/** For so long a file that was checked and has not been touched since counts as checked. */
const goodForMs = 10 * 60 * 1000;
/** Hashing less than this costs nothing worth remembering. */
const worthBytes = 1n << 20n;
const remembered = 4096;

/**
 * Which files were checked against their digest a short while ago and are still the same file, by inode, size and times of change: any write through
 * the file system shows there. So an image that fifty machines pull at once is hashed once.
 */
export interface Verified {
  has(digest: Digest, file: BigIntStats): boolean;
  add(digest: Digest, file: BigIntStats): void;
  clear(): void;
}

export function createVerified(clock: Clock): Verified {
  const known = new Map<Digest, { readonly identity: string; readonly at: number }>();
  const identityOf = ({ ino, size, mtimeNs, ctimeNs }: BigIntStats) => `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
  return {
    has(digest, file) {
      const entry = known.get(digest);
      return entry !== undefined && entry.identity === identityOf(file) && clock.now() - entry.at < goodForMs;
    },
    add(digest, file) {
      if (file.size < worthBytes) return;
      known.delete(digest);
      known.set(digest, { identity: identityOf(file), at: clock.now() });
      if (known.size <= remembered) return;
      const oldest = known.keys().next();
      if (!oldest.done) known.delete(oldest.value);
    },
    clear: () => known.clear(),
  };
}
