import type { Store } from "./store.ts";

const pageSize = 500;

/**
 * Visits every entry under `prefix` in the order of the keys, page by page, until the signal aborts. Returns the revision of the first page: a
 * watch after it misses nothing, though it may tell again of what a later page had already.
 */
export async function eachEntry<T = unknown>(
  store: Store,
  prefix: string,
  visit: (key: string, value: T) => void | Promise<void>,
  signal?: AbortSignal,
): Promise<number> {
  let after: string | undefined;
  let revision: number | undefined;
  for (;;) {
    const page = await store.list<T>(prefix, { limit: pageSize, after });
    revision ??= page.revision;
    for (const { key, value } of page.entries) {
      const visiting = visit(key, value);
      if (visiting) await visiting;
    }
    after = page.entries.at(-1)?.key;
    if (!page.more || after === undefined || signal?.aborted) return revision;
  }
}
