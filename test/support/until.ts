/**
 * Waiting in tests for what comes in its own time. The limits are for a machine that is busy with other tests: long enough never to be the
 * reason of a failure, because nothing is measured here.
 */
import { AssertionError } from "node:assert/strict";

export interface Patience {
  /** After so long it fails. Milliseconds. */
  readonly ms?: number;
  /** Between two looks. Milliseconds. */
  readonly every?: number;
  /** For `until`: what was there instead, for the one who reads of the failure. */
  readonly seen?: () => string | Promise<string>;
}

/** Looks until there is something, neither undefined nor false, and gives that back. What `look` throws ends it at once. Fails with `what`. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  { ms = 60_000, every = 50, seen }: Patience = {},
): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (performance.now() > end) throw new AssertionError({ message: `not within ${ms} ms: ${what}${seen ? `: ${await seen()}` : ""}` });
    await new Promise((resolve) => setTimeout(resolve, every));
  }
}

/** Does `work` until it succeeds: what it throws means "not yet". When time is over, fails with `what` and the last error as its cause. */
export async function eventually<T>(what: string, work: () => T | Promise<T>, { ms = 60_000, every = 50 }: Patience = {}): Promise<T> {
  for (const end = performance.now() + ms; ;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > end) throw new Error(`not within ${ms} ms: ${what}: ${(error as Error).message}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, every));
    }
  }
}
