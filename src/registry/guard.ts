import type { Digest } from "./blobs/digest.ts";

/**
 * Keeps the collector and those who are about to refer to a blob out of each other's way. Whoever will write a record that names a digest pins it first,
 * checks that the blob is there, writes the record and lets go. The collector removes no blob that was pinned at any time since its sweep began,
 * for the records it read may be older than the pin. Only for one process; several servers on one blob store would keep pins as leases in the store.
 */
export interface Guard {
  /** Waits while the blob is being removed. Returns what lets go of it. */
  pin(digest: Digest): Promise<() => void>;
  /** One at a time. */
  sweep(): Sweep;
}

export interface Sweep {
  /** Runs `remove` unless the blob was pinned since the sweep began. */
  remove(digest: Digest, remove: () => Promise<unknown>): Promise<boolean>;
  end(): void;
}

export function createGuard(): Guard {
  const pins = new Map<Digest, number>();
  const removals = new Map<Digest, Promise<unknown>>();
  let pinned: Set<Digest> | undefined;

  return {
    async pin(digest) {
      for (let removal = removals.get(digest); removal; removal = removals.get(digest)) await removal.catch(() => {});
      pins.set(digest, (pins.get(digest) ?? 0) + 1);
      pinned?.add(digest);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        const left = (pins.get(digest) ?? 1) - 1;
        if (left > 0) pins.set(digest, left);
        else pins.delete(digest);
      };
    },
    sweep() {
      if (pinned) throw new Error("a sweep is under way");
      const since = new Set(pins.keys());
      pinned = since;
      return {
        async remove(digest, remove) {
          if (since.has(digest) || removals.has(digest)) return false;
          const removal = remove().finally(() => removals.delete(digest));
          removals.set(digest, removal);
          await removal;
          return true;
        },
        end() {
          pinned = undefined;
        },
      };
    },
  };
}
