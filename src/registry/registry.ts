import { join } from "node:path";
import type { RawRoute } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { createWriter } from "#store/unit.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import type { Digest } from "./blobs/digest.ts";
import { createFileBlobStore } from "./blobs/file-store.ts";
import { createCollector } from "./collector.ts";
import { createGuard } from "./guard.ts";
import { tokenRoute } from "./http/public.ts";
import { createRoute } from "./http/route.ts";
import { createImages, type Images } from "./images.ts";
import { createLayers, type Layers } from "./layers.ts";
import { createManifestReader, type ManifestReader } from "./manifest-reader.ts";
import { createRepositories, type Repositories } from "./repositories.ts";
import { createUploads, type Uploads } from "./uploads.ts";
import type { Collected } from "./collector.ts";

const collectEveryMs = 60 * 60 * 1000;
const sweepEveryMs = 60 * 1000;

/** The registry's rules, the same for OCI's API under `/v2/` and for ECR's operations. */
export interface RegistryCore {
  readonly repositories: Repositories;
  readonly images: Images;
  readonly layers: Layers;
  readonly uploads: Uploads;
  readonly manifests: ManifestReader;
  readonly blobs: BlobStore;
}

export interface Registry extends RegistryCore {
  /** OCI's distribution API under `/v2/`, and the tokens of the public host. */
  readonly routes: readonly RawRoute[];
  /** Keeps the collector away from a blob that a record is about to name: see Guard. */
  pin(digest: Digest): Promise<() => void>;
  /** Removes what nothing refers to; runs by itself once an hour. */
  collect(): Promise<Collected>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Forgets all blobs and uploads. The store's records go with the store. */
  reset(): Promise<void>;
  readonly root: string;
}

export interface RegistryOptions {
  /** Default: files under `<home>/registry`. */
  readonly blobs?: BlobStore;
}

export function createRegistry(deps: ServerDeps, options: RegistryOptions = {}): Registry {
  const { store, clock, random, config } = deps;
  const log = deps.log.child({ part: "registry" });
  const root = join(config.home, "registry");
  const blobs = options.blobs ?? createFileBlobStore({ root, random, clock, log });
  const guard = createGuard();
  const writer = createWriter(store);
  const repositories = createRepositories({ store, writer, clock, random });
  const layers = createLayers({ store, writer, blobs, guard, clock });
  const images = createImages({ store, writer, blobs, guard, clock, random, metrics: deps.metrics });
  const uploads = createUploads({ blobs, clock, random, log });
  const manifests = createManifestReader(blobs);
  const core: RegistryCore = { repositories, images, layers, uploads, manifests, blobs };
  const collector = createCollector({ store, blobs, guard, clock, log });
  const timers = new Set<() => void>();
  let busy: Promise<unknown> = Promise.resolve();

  const every = (ms: number, work: () => Promise<unknown>) => {
    const cancel = clock.after(ms, () => {
      timers.delete(cancel);
      busy = busy
        .then(work)
        .catch((error: unknown) => log.error({ err: error }, "the registry's housekeeping failed and will be tried again"))
        .finally(() => every(ms, work));
    });
    timers.add(cancel);
  };

  return {
    ...core,
    root,
    routes: [createRoute({ ...deps, log }, core), tokenRoute(deps.sealer)],
    pin: (digest) => guard.pin(digest),
    collect: () => collector.collect(),
    async start() {
      await blobs.start();
      every(sweepEveryMs, () => uploads.sweep());
      every(collectEveryMs, () => collector.collect());
    },
    async stop() {
      const work = busy;
      for (const cancel of timers) cancel();
      await work;
      for (const cancel of timers) cancel();
      await uploads.close();
      await blobs.close();
    },
    async reset() {
      await uploads.close();
      manifests.clear();
      await blobs.clear();
    },
  };
}
