import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Compare, Entry, Store, Write } from "#store/store.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { Digest } from "./blobs/digest.ts";
import type { Guard } from "./guard.ts";
import { everything, imagesPrefix, isRepositoryKey, layersPrefix, parseKey, repositoryKey } from "./keys.ts";
import { gracePeriodMs } from "./layers.ts";
import type { ImageRecord, LayerRecord, RepositoryRecord } from "./records.ts";

/** Blobs younger than this are left alone: no record may name them yet. Pins protect them as well; this spares them the look. */
const youngMs = 60 * 60 * 1000;
const pageSize = 1000;

export interface Collected {
  /** Layers that repositories no longer hold. */
  readonly layers: number;
  readonly blobs: number;
  readonly bytes: number;
}

export interface CollectorDeps {
  readonly store: Store;
  readonly blobs: BlobStore;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * Removes what nothing refers to. First each repository lets go of layers that no image of it names and nobody relied on for a grace period, then
 * the blob store of blobs that no repository holds. Safe at any time, safe to stop at any time: what it leaves, the next run finds.
 */
export function createCollector({ store, blobs, guard, clock, log }: CollectorDeps): { collect(): Promise<Collected> } {
  let running: Promise<Collected> | undefined;

  async function collect(): Promise<Collected> {
    const before = clock.now();
    let layers = 0;
    const alive = new Set<string>();
    for await (const { key, value } of walk(store, everything)) {
      if (!isRepositoryKey(key)) continue;
      const repository = value as RepositoryRecord;
      alive.add(repository.id);
      layers += await releaseLayers(repository, before - gracePeriodMs);
    }
    layers += await releaseOrphans(alive, before - gracePeriodMs);
    const removed = await removeBlobs(before - youngMs);
    if (layers + removed.blobs > 0) log.info({ layers, ...removed }, "collected what nothing refers to");
    return { layers, ...removed };
  }

  /** Guarded by the repository's revision, which every new image changes, and by each layer's, which everyone who relies on it changes. */
  async function releaseLayers(repository: RepositoryRecord, untouchedSince: number): Promise<number> {
    const key = repositoryKey(repository, repository.name);
    for (let attempt = 0; attempt < 3; attempt++) {
      const current = await store.get<RepositoryRecord>(key);
      if (current?.value.id !== repository.id) return 0;
      const idle: Entry<LayerRecord>[] = [];
      for await (const entry of walk<LayerRecord>(store, layersPrefix(repository)))
        if (entry.value.touched < untouchedSince) idle.push(entry);
      if (idle.length === 0) return 0;
      const needed = new Set<Digest>();
      for await (const { value } of walk<ImageRecord>(store, imagesPrefix(repository)))
        for (const digest of value.blobs) needed.add(digest);
      const unneeded = idle.filter((entry) => !needed.has(parseKey(entry.key)!.last)).slice(0, pageSize);
      if (unneeded.length === 0) return 0;
      const compare: Compare[] = [{ key, revision: current.revision }, ...unneeded];
      const writes: Write[] = unneeded.map((entry) => ({ delete: entry.key }));
      if ((await store.transaction({ compare: compare.map(({ key: each, revision }) => ({ key: each, revision })), writes })).ok)
        return unneeded.length;
    }
    return 0;
  }

  /** An upload that ended after its repository was deleted leaves a record that belongs to nobody. */
  async function releaseOrphans(alive: ReadonlySet<string>, untouchedSince: number): Promise<number> {
    let released = 0;
    for await (const { key, value, revision } of walk<LayerRecord>(store, everything)) {
      const parsed = parseKey(key);
      if (parsed?.kind !== "layers" || alive.has(parsed.repository) || value.touched >= untouchedSince) continue;
      if ((await store.transaction({ compare: [{ key, revision }], writes: [{ delete: key }] })).ok) released++;
    }
    return released;
  }

  async function removeBlobs(olderThan: number): Promise<{ blobs: number; bytes: number }> {
    // Before the records are read: from here on whoever is about to write one is noted.
    const sweep = guard.sweep();
    try {
      const candidates = new Map<Digest, number>();
      for await (const { digest, size, modified } of blobs.list()) if (modified < olderThan) candidates.set(digest, size);
      if (candidates.size > 0) {
        for await (const { key, value } of walk(store, everything)) {
          const parsed = parseKey(key);
          if (parsed?.kind === "layers" || parsed?.kind === "images") candidates.delete(parsed.last);
          const { findings } = parsed?.kind === "scans" ? (value as { readonly findings?: Digest }) : {};
          if (findings) candidates.delete(findings);
        }
      }
      let [count, bytes] = [0, 0];
      for (const [digest, size] of candidates) {
        if (!(await sweep.remove(digest, () => blobs.remove(digest)))) continue;
        count++;
        bytes += size;
      }
      return { blobs: count, bytes };
    } finally {
      sweep.end();
    }
  }

  return {
    /** Several callers share one run. */
    collect() {
      running ??= collect().finally(() => (running = undefined));
      return running;
    },
  };
}

/** All entries under `prefix`, read in pages: not of one revision. */
async function* walk<T>(store: Store, prefix: string): AsyncGenerator<Entry<T>> {
  for (let after: string | undefined; ;) {
    const page = await store.list<T>(prefix, { limit: pageSize, after });
    yield* page.entries;
    if (!page.more) return;
    after = page.entries.at(-1)?.key;
  }
}
