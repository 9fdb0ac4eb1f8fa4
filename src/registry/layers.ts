import type { Clock } from "#platform/clock.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import type { BlobStat, BlobStore } from "./blobs/blob-store.ts";
import type { Digest } from "./blobs/digest.ts";
import { layerUnknown, RegistryError } from "./errors.ts";
import type { Guard } from "./guard.ts";
import { imagesPrefix, layerKey, repositoryKey } from "./keys.ts";
import type { ImageRecord, LayerRecord, RepositoryRecord } from "./records.ts";
import { queueOf } from "./repositories.ts";

/**
 * How long the collector leaves alone what nothing refers to, counted from when somebody last relied on it: longer than any push takes between
 * asking for a layer and putting the manifest that names it.
 */
export const gracePeriodMs = 24 * 60 * 60 * 1000;

export interface Layers {
  /** A blob that the repository holds, or undefined. Asking as `rely` keeps the collector away for at least half a grace period. */
  find(repository: RepositoryRecord, digest: Digest, rely?: "rely"): Promise<BlobStat | undefined>;
  /** Records that the repository holds the blob. `pin` the digest around `store` and this. */
  add(repository: RepositoryRecord, digest: Digest, size: number): Promise<void>;
  /** Runs `put`, which makes the blob visible, and records that the repository holds it. */
  store(repository: RepositoryRecord, digest: Digest, size: number, put: () => Promise<void>): Promise<void>;
  /** Lets `to` hold what `from` holds, without a byte moved. False: `from` holds no such blob. */
  mount(from: RepositoryRecord, to: RepositoryRecord, digest: Digest): Promise<boolean>;
  /** Throws LayerUnknown, or LayerReferenced while an image of the repository needs it. */
  remove(repository: RepositoryRecord, digest: Digest): Promise<void>;
}

export interface LayersDeps {
  readonly store: Store;
  readonly writer: Writer;
  readonly blobs: BlobStore;
  readonly guard: Guard;
  readonly clock: Clock;
}

export function createLayers({ store, writer, blobs, guard, clock }: LayersDeps): Layers {
  const layers: Layers = {
    async find(repository, digest, rely) {
      const key = layerKey(repository, digest);
      const [entry, stat] = await Promise.all([store.get<LayerRecord>(key), blobs.stat(digest)]);
      if (!entry || !stat) return undefined;
      if (rely && isStale(entry.value, clock.now())) {
        const value: LayerRecord = { ...entry.value, touched: clock.now() };
        const { ok } = await store.transaction({ compare: [{ key, revision: entry.revision }], writes: [{ put: key, value }] });
        // Somebody was faster: it was touched, or it is gone.
        if (!ok) return layers.find(repository, digest, rely);
      }
      return stat;
    },
    async add(repository, digest, size) {
      const value: LayerRecord = { size, touched: clock.now() };
      await store.transaction({ writes: [{ put: layerKey(repository, digest), value }] });
    },
    async store(repository, digest, size, put) {
      const release = await guard.pin(digest);
      try {
        await put();
        await layers.add(repository, digest, size);
      } finally {
        release();
      }
    },
    async mount(from, to, digest) {
      const release = await guard.pin(digest);
      try {
        const stat = await layers.find(from, digest);
        if (stat) await layers.add(to, digest, stat.size);
        return stat !== undefined;
      } finally {
        release();
      }
    },
    remove: (repository, digest) =>
      writer.run(queueOf(repository, repository.name), async (unit) => {
        // Read, so that a manifest put meanwhile, which writes it, makes this run again.
        await unit.get(repositoryKey(repository, repository.name));
        const key = layerKey(repository, digest);
        if (!(await unit.get<LayerRecord>(key))) throw layerUnknown(repository, digest);
        for (const { blobs: needed, digest: image } of (await unit.list<ImageRecord>(imagesPrefix(repository))).values()) {
          if (!needed.includes(digest)) continue;
          const message = `The layer with digest '${digest}' is referenced by the image with digest '${image}' in the repository with name '${repository.name}'`;
          throw new RegistryError("LayerReferenced", message, { digest });
        }
        unit.delete(key);
      }),
  };
  return layers;
}

/** Whether the record has to be written again before somebody relies on it. */
const isStale = ({ touched }: LayerRecord, now: number) => now - touched > gracePeriodMs / 2;
