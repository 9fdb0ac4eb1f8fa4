import type { Clock } from "#platform/clock.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Unit, Writer } from "#store/unit.ts";
import type { BlobStore } from "./blobs/blob-store.ts";
import { type Digest, digestOf } from "./blobs/digest.ts";
import { imageDigestMismatch, layersMissing, referencedImagesMissing, RegistryError, repositoryUnknown, tagImmutable } from "./errors.ts";
import { expireImages, type Held } from "./expire.ts";
import type { Guard } from "./guard.ts";
import { imageKey, imagesPrefix, layerKey, referrerKey, repositoryKey, scanKey, tagKey, tagsPrefix } from "./keys.ts";
import { imageSize, type Manifest, parseManifest, requiredBlobs } from "./manifest.ts";
import { isImmutable, isTag } from "./names.ts";
import type { ImageRecord, LayerRecord, ReferrerRecord, RepositoryRecord, TagRecord } from "./records.ts";
import { queueOf } from "./repositories.ts";
import { isScannedOnPush, scanRequest } from "./scanning.ts";

/** Source: Amazon ECR service quotas, "Images per repository". */
const imagesPerRepository = 100_000;
/** lastRecordedPullTime is refreshed when it is older than this; ECR promises once in 24 hours. */
const pullRefreshMs = 60 * 60 * 1000;

export interface PutManifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string | undefined;
  readonly tag?: string;
  /** What the client says the digest is. */
  readonly digest?: string;
}

export interface PutResult {
  readonly image: ImageRecord;
  /** False when the repository already held this image under this tag: nothing changed. */
  readonly changed: boolean;
}

export type ImageReference = { readonly digest: Digest; readonly tag?: undefined } | { readonly tag: string; readonly digest?: undefined };

export interface Images {
  find(repository: RepositoryRecord, reference: ImageReference): Promise<ImageRecord | undefined>;
  list(repository: RepositoryRecord): Promise<readonly ImageRecord[]>;
  /** Tag to digest, by tag. */
  tags(repository: RepositoryRecord): Promise<ReadonlyMap<string, Digest>>;
  put(repository: RepositoryRecord, put: PutManifest): Promise<PutResult>;
  /** Removes a tag, and with it the image when `andImage` is set and that was its last tag. False: no such tag. */
  removeTag(repository: RepositoryRecord, tag: string, andImage: boolean): Promise<{ readonly digest: Digest } | undefined>;
  /** Removes an image and all its tags, which it returns. Throws ImageReferenced while an index of the repository names it. Undefined: no such image. */
  remove(repository: RepositoryRecord, digest: Digest): Promise<{ readonly tags: readonly string[] } | undefined>;
  /** Removes those that `choose` names: see expire.ts. Returns what was removed. */
  expire(repository: RepositoryRecord, choose: (held: Held) => readonly Digest[]): Promise<readonly Digest[]>;
  /** Notes that the image was pulled. Never fails the pull. */
  pulled(repository: RepositoryRecord, image: ImageRecord): Promise<void>;
}

export interface ImagesDeps {
  readonly store: Store;
  readonly writer: Writer;
  readonly blobs: BlobStore;
  readonly guard: Guard;
  readonly clock: Clock;
  readonly random: Random;
  readonly metrics?: MetricSink;
}

/** Manifests and tags. Every change writes the repository's record too, so that of two changes one is decided upon the other's outcome. */
export function createImages({ store, writer, blobs, guard, clock, random, metrics }: ImagesDeps): Images {
  const now = () => clock.now();

  /** Runs `work` on the repository as it is now, in its queue. */
  const change = <T>(repository: RepositoryRecord, work: (unit: Unit, current: RepositoryRecord) => Promise<T>): Promise<T> =>
    writer.run(queueOf(repository, repository.name), async (unit) => {
      const current = await unit.get<RepositoryRecord>(repositoryKey(repository, repository.name));
      if (current?.id !== repository.id) throw repositoryUnknown(repository);
      return work(unit, current);
    });

  const count = (unit: Unit, current: RepositoryRecord, difference: number) =>
    unit.put(repositoryKey(current, current.name), { ...current, images: current.images + difference } satisfies RepositoryRecord);

  async function storeBytes(digest: Digest, bytes: Uint8Array): Promise<void> {
    if (await blobs.stat(digest)) return;
    const upload = await blobs.begin(random.uuid(), {});
    try {
      await upload.append(once(bytes));
      await upload.commit(digest);
    } catch (error) {
      await upload.abort();
      throw error;
    }
  }

  /** Every blob and manifest that the new one names has to be in the repository. Returns the size of the largest image of an index. */
  async function checkReferences(unit: Unit, current: RepositoryRecord, manifest: Manifest): Promise<number> {
    const missing: Digest[] = [];
    for (const digest of requiredBlobs(manifest)) {
      if (!(await unit.get<LayerRecord>(layerKey(current, digest)))) missing.push(digest);
    }
    if (missing.length > 0) throw layersMissing(current, missing);
    let largest = 0;
    const absent: Digest[] = [];
    for (const { digest } of manifest.manifests ?? []) {
      const child = await unit.get<ImageRecord>(imageKey(current, digest));
      if (!child) absent.push(digest);
      largest = Math.max(largest, child?.imageSize ?? 0);
    }
    if (absent.length > 0) throw referencedImagesMissing(current, absent);
    return largest;
  }

  async function removeImage(unit: Unit, current: RepositoryRecord, image: ImageRecord): Promise<void> {
    for (const other of (await unit.list<ImageRecord>(imagesPrefix(current))).values()) {
      if (!other.manifests?.includes(image.digest)) continue;
      const message = `Requested image referenced by manifest list: [${other.digest}]`;
      throw new RegistryError("ImageReferenced", message, { digest: image.digest, by: other.digest });
    }
    unit.delete(imageKey(current, image.digest));
    unit.delete(scanKey(current, image.digest));
    if (image.subject) unit.delete(referrerKey(current, image.subject, image.digest));
    count(unit, current, -1);
  }

  const tagsOf = async (unit: Unit, current: RepositoryRecord, digest: Digest) => {
    const prefix = tagsPrefix(current);
    const all = await unit.list<TagRecord>(prefix);
    return [...all].filter(([, tag]) => tag.digest === digest).map(([key]) => key.slice(prefix.length));
  };

  return {
    async find(repository, { digest, tag }) {
      const wanted = digest ?? (await store.get<TagRecord>(tagKey(repository, tag)))?.value.digest;
      return wanted === undefined ? undefined : (await store.get<ImageRecord>(imageKey(repository, wanted)))?.value;
    },

    async list(repository) {
      return (await store.list<ImageRecord>(imagesPrefix(repository))).entries.map(({ value }) => value);
    },

    async tags(repository) {
      const prefix = tagsPrefix(repository);
      return new Map((await store.list<TagRecord>(prefix)).entries.map(({ key, value }) => [key.slice(prefix.length), value.digest]));
    },

    async put(repository, { bytes, mediaType, tag, digest: given }) {
      if (tag !== undefined && !isTag(tag)) throw tagInvalid();
      const manifest = parseManifest(bytes, mediaType);
      const digest = digestOf(bytes);
      if (given !== undefined && given !== digest) throw imageDigestMismatch(repository, given);
      const release = await guard.pin(digest);
      try {
        // Before any file is written: what the client got wrong leaves nothing behind.
        await missingFiles(repository, manifest);
        await storeBytes(digest, bytes);
        return await change(repository, async (unit, current) => {
          const tagged = tag === undefined ? undefined : await unit.get<TagRecord>(tagKey(current, tag));
          const known = await unit.get<ImageRecord>(imageKey(current, digest));
          if (known && (tag === undefined || tagged?.digest === digest)) return { image: known, changed: false };
          if (tag !== undefined && tagged && isImmutable(current, tag)) throw tagImmutable(current, tag);
          const largest = await checkReferences(unit, current, manifest);
          if (!known && current.images >= imagesPerRepository) {
            const message = `The repository with name '${current.name}' in registry with id '${current.account}' already holds ${imagesPerRepository} images`;
            throw new RegistryError("LimitExceeded", message);
          }
          const image: ImageRecord = known ?? imageRecord(digest, bytes, manifest, largest, now());
          if (!known) {
            unit.put(imageKey(current, digest), image);
            if (await isScannedOnPush(unit, current, manifest)) unit.put(scanKey(current, digest), scanRequest(current, digest, now()));
            if (manifest.subject) unit.put(referrerKey(current, manifest.subject.digest, digest), referrerRecord(image, manifest));
          }
          if (tag !== undefined) unit.put(tagKey(current, tag), { digest } satisfies TagRecord);
          count(unit, current, known ? 0 : 1);
          return { image, changed: true };
        });
      } finally {
        release();
      }
    },

    removeTag: (repository, tag, andImage) =>
      change(repository, async (unit, current) => {
        const tagged = await unit.get<TagRecord>(tagKey(current, tag));
        if (!tagged) return undefined;
        const { digest } = tagged;
        unit.delete(tagKey(current, tag));
        const image = await unit.get<ImageRecord>(imageKey(current, digest));
        if (andImage && image && (await tagsOf(unit, current, digest)).length === 0) await removeImage(unit, current, image);
        else count(unit, current, 0);
        return { digest };
      }),

    remove: (repository, digest) =>
      change(repository, async (unit, current) => {
        const image = await unit.get<ImageRecord>(imageKey(current, digest));
        if (!image) return undefined;
        const tags = await tagsOf(unit, current, digest);
        for (const tag of tags) unit.delete(tagKey(current, tag));
        await removeImage(unit, current, image);
        return { tags };
      }),

    expire: (repository, choose) => expireImages(store, repository, choose),

    async pulled(repository, image) {
      // Of an image for several platforms the manifest that follows its index counts. Source: "Amazon ECR repository metrics".
      if (!/index|manifest\.list/.test(image.mediaType))
        metrics?.put(repository, "AWS/ECR", [
          { name: "RepositoryPullCount", dimensions: { RepositoryName: repository.name }, unit: "Count", at: now(), values: [1] },
        ]);
      if (image.lastPulledAt !== undefined && now() - image.lastPulledAt < pullRefreshMs) return;
      const key = imageKey(repository, image.digest);
      const entry = await store.get<ImageRecord>(key);
      if (!entry) return;
      const value: ImageRecord = { ...entry.value, lastPulledAt: now() };
      await store.transaction({ compare: [{ key, revision: entry.revision }], writes: [{ put: key, value }] });
    },
  };

  /** A blob whose record is there but whose bytes were found damaged has to be pushed again. */
  async function missingFiles(repository: RepositoryRecord, manifest: Manifest): Promise<void> {
    const required = requiredBlobs(manifest);
    const held = await Promise.all(
      required.map(async (digest) => {
        const [record, stat] = await Promise.all([store.get(layerKey(repository, digest)), blobs.stat(digest)]);
        return record !== undefined && stat !== undefined;
      }),
    );
    const missing = required.filter((_, index) => !held[index]);
    if (missing.length > 0) throw layersMissing(repository, missing);
  }
}

function imageRecord(digest: Digest, bytes: Uint8Array, manifest: Manifest, largest: number, pushedAt: number): ImageRecord {
  return {
    digest,
    mediaType: manifest.mediaType,
    manifestSize: bytes.length,
    imageSize: manifest.manifests ? largest : imageSize(manifest),
    pushedAt,
    artifactType: manifest.artifactType,
    configMediaType: manifest.config?.mediaType,
    blobs: requiredBlobs(manifest),
    manifests: manifest.manifests && [...new Set(manifest.manifests.map((each) => each.digest))],
    subject: manifest.subject?.digest,
  };
}

function referrerRecord(image: ImageRecord, { artifactType, annotations }: Manifest): ReferrerRecord {
  return { mediaType: image.mediaType, digest: image.digest, size: image.manifestSize, artifactType, annotations };
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const tagInvalid = () =>
  new RegistryError(
    "TagInvalid",
    "Invalid parameter at 'imageTag' failed to satisfy constraint: 'must satisfy regular expression '[a-zA-Z0-9_][a-zA-Z0-9._-]{0,299}''",
  );
