import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import { followChanges } from "../feed.ts";
import { NamesIndex } from "./index.ts";

export interface NamesFollower {
  /** What is known; undefined before the first reading. */
  current(): NamesIndex | undefined;
  /** Ends when the signal of its making aborts. */
  readonly done: Promise<void>;
}

const pageSize = 2_000;

/** Keeps an index of names by the change feed. `changed`: the VPC whose zones are others; undefined: any may be. */
export function followNames(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  readonly changed?: (vpcId: string | undefined) => void;
}): NamesFollower {
  const { store, signal, changed } = options;
  let index: NamesIndex | undefined;

  const behind = async () => {
    const next = new NamesIndex();
    let after: string | undefined;
    let revision: number | undefined;
    do {
      const page = await store.list(cloudMapKeys.everything, { limit: pageSize, after });
      revision ??= page.revision;
      for (const { key, value } of page.entries) next.put(key, value);
      after = page.more ? page.entries.at(-1)?.key : undefined;
    } while (after !== undefined && !signal.aborted);
    index = next;
    changed?.(undefined);
    return revision;
  };

  const done = followChanges({
    ...options,
    prefix: cloudMapKeys.everything,
    behind,
    changed: (event) => {
      const vpcId = index?.put(event.key, event.type === "put" ? event.entry.value : undefined);
      if (vpcId !== undefined) changed?.(vpcId);
    },
  });
  return { current: () => index, done };
}
