import type { Entry, Store } from "#store/store.ts";

export const pageSize = 1000;

/** All entries under `prefix`, read in pages: not of one revision. */
export async function* walk<T>(store: Store, prefix: string): AsyncGenerator<Entry<T>> {
  for (let after: string | undefined; ;) {
    const page = await store.list<T>(prefix, { limit: pageSize, after });
    yield* page.entries;
    if (!page.more) return;
    after = page.entries.at(-1)?.key;
  }
}
