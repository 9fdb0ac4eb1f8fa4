import { ecsKeys } from "#model/ecs-keys.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";

/**
 * The one counter of payloads (`seqNum`) and manifests (`timeline`): agents ignore a manifest that is not greater than all before. Numbers are
 * reserved in blocks, so that handing one out costs no write, and begin at the time, so that they grow even over a store that was emptied.
 */
export interface Timeline {
  start(): Promise<void>;
  /** Throws while no number is reserved (the store refuses writes): the caller tries again later. */
  next(): number;
}

const block = 10_000;

export function createTimeline({ store, clock, log }: { store: Store; clock: Clock; log: Logger }): Timeline {
  let last = 0;
  let reserved = 0;
  let reserving: Promise<void> | undefined;

  async function reserve(): Promise<void> {
    for (let attempt = 0; attempt < 20; attempt++) {
      const key = ecsKeys.timeline();
      const entry = await store.get<{ reserved: number }>(key);
      const from = Math.max(entry?.value.reserved ?? 0, reserved, reserved === 0 ? clock.now() : 0);
      const value = { reserved: from + block };
      const result = await store.transaction({ compare: [{ key, revision: entry?.revision ?? 0 }], writes: [{ put: key, value }] });
      if (!result.ok) continue;
      // Another server may have reserved in between: numbers up to `from` may be its.
      if (last >= reserved || from > reserved) last = Math.max(last, from);
      reserved = value.reserved;
      return;
    }
    throw new Error("no payload numbers could be reserved");
  }

  /** Never rejects: a server whose disk is full starts all the same, and `next` comes back here. */
  const reserveMore = () =>
    (reserving ??= reserve()
      .catch((error: unknown) => log.warn({ err: error }, "reserving payload numbers failed, it is tried again"))
      .finally(() => {
        reserving = undefined;
      }));

  return {
    start: reserveMore,
    next() {
      if (reserved - last < block / 2) void reserveMore();
      if (last >= reserved) throw new Error("no payload number is reserved yet");
      return ++last;
    },
  };
}
