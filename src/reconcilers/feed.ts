import type { Logger } from "#platform/log.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import { eachEntry } from "#store/each-entry.ts";
import { StoreError, type Store, type WatchEvent } from "#store/store.ts";

/** What a follower needs. It ends when the signal aborts. */
export interface Follow {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** The record as the change leaves it; undefined: it is gone. */
export const valueOf = (event: WatchEvent): unknown => (event.type === "put" ? event.entry.value : undefined);

/**
 * Tells of every change under `prefix` until the signal aborts. Begins with `behind`, and comes back to it whenever changes may have been
 * missed: it looks at everything and returns the revision that it saw. Both only wake somebody up; neither throws.
 */
export async function followChanges(
  options: Follow & {
    readonly prefix: string;
    readonly behind: () => Promise<number>;
    readonly changed: (event: WatchEvent) => void;
    /** All changes up to this revision have been told. */
    readonly reached?: (revision: number) => void;
  },
): Promise<void> {
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

/**
 * Keeps a view of all that is under `prefix`. It is read whole into an empty one, and given over at once by `whole`: nobody ever sees a part of what there
 * is, also when changes were missed and all is read again. After that every change is told.
 */
export function followView<V>(
  options: Follow & {
    readonly prefix: string;
    readonly empty: () => V;
    readonly put: (view: V, key: string, value: unknown) => void;
    readonly whole: (view: V) => void | Promise<void>;
    readonly changed: (key: string, value: unknown) => void;
    /** All changes up to this revision are in. */
    readonly reached?: (revision: number) => void;
  },
): Promise<void> {
  const { store, prefix, signal, empty, put, whole, changed } = options;
  return followChanges({
    ...options,
    async behind() {
      const view = empty();
      const revision = await eachEntry(store, prefix, (key, value) => put(view, key, value), signal);
      // Cut short, it is not whole.
      if (!signal.aborted) await whole(view);
      return revision;
    },
    changed: (event) => changed(event.key, valueOf(event)),
  });
}
