import type { Logger } from "#platform/log.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import { StoreError, type Store, type WatchEvent } from "#store/store.ts";

/**
 * Tells of every change under `prefix` until the signal aborts. Begins with `behind`, and comes back to it whenever changes may have been
 * missed: it looks at everything and returns the revision that it saw. Both only wake somebody up; neither throws.
 */
export async function followChanges(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly prefix: string;
  readonly signal: AbortSignal;
  readonly behind: () => Promise<number>;
  readonly changed: (event: WatchEvent) => void;
  /** All changes up to this revision have been told. */
  readonly reached?: (revision: number) => void;
}): Promise<void> {
  const { store, clock, log, prefix, signal, behind, changed, reached } = options;
  while (!signal.aborted) {
    try {
      const after = await behind();
      reached?.(after);
      for await (const batch of store.watch(prefix, { after, signal })) {
        for (const event of batch.events) changed(event);
        reached?.(batch.revision);
      }
      if (!signal.aborted) throw new Error("the watch ended");
    } catch (error) {
      if (signal.aborted || (error instanceof StoreError && error.code === "Closed")) return;
      log.warn({ err: error, prefix }, "the change feed broke, it is taken up again");
      await sleep(clock, 100, signal).catch(() => {});
    }
  }
}
