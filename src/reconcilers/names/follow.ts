import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import { followView } from "../feed.ts";
import { NamesIndex } from "./index.ts";

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
  const { changed } = options;
  let index: NamesIndex | undefined;

  const done = followView({
    ...options,
    prefix: cloudMapKeys.everything,
    empty: () => new NamesIndex(),
    put: (next, key, value) => void next.put(key, value),
    whole(next) {
      index = next;
      changed?.(undefined);
    },
    changed(key, value) {
      const vpcId = index?.put(key, value);
      if (vpcId !== undefined) changed?.(vpcId);
    },
  });
  return { current: () => index, done };
}
