import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import { followChanges } from "../feed.ts";
import { NamesIndex } from "./index.ts";
import { eachEntry } from "#store/each-entry.ts";

export interface NamesFollower {
  /** What is known; undefined before the first reading. */
  current(): NamesIndex | undefined;
  /** Ends when the signal of its making aborts. */
  readonly done: Promise<void>;
}

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
    const revision = await eachEntry(store, cloudMapKeys.everything, (key, value) => void next.put(key, value), signal);
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
