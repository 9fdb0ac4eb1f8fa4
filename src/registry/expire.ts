import type { Store, Write } from "#store/store.ts";
import type { Digest } from "./blobs/digest.ts";
import { repositoryUnknown } from "./errors.ts";
import { imageKey, imagesPrefix, referrerKey, repositoryKey, scanKey, tagKey, tagsPrefix } from "./keys.ts";
import type { ImageRecord, RepositoryRecord, TagRecord } from "./records.ts";

/** Images in one transaction. */
const atOnce = 500;
const attempts = 20;

/** A repository at one moment. */
export interface Held {
  readonly repository: RepositoryRecord;
  readonly images: readonly ImageRecord[];
  readonly tags: ReadonlyMap<Digest, readonly string[]>;
}

/**
 * Removes the images that `choose` names, in its order, with their tags. Each transaction compares the repository's revision, which every change of an image or a tag
 * raises: what was chosen still holds when it is applied, else it is chosen again. An image that a remaining index names stays. Throws
 * RepositoryUnknown, and gives up when the repository keeps changing.
 */
export async function expireImages(
  store: Store,
  repository: RepositoryRecord,
  choose: (held: Held) => readonly Digest[],
): Promise<readonly Digest[]> {
  const removed: Digest[] = [];
  const key = repositoryKey(repository, repository.name);
  for (let attempt = 0; attempt < attempts; attempt++) {
    const entry = await store.get<RepositoryRecord>(key);
    if (entry?.value.id !== repository.id) throw repositoryUnknown(repository);
    let { value: current, revision } = entry;
    const [images, tags] = [await imagesOf(store, current), await tagsOf(store, current)];
    const chosen = removable(images, choose({ repository: current, images, tags }));
    let [done, ok] = [0, true];
    while (ok && done < chosen.length) {
      const batch = chosen.slice(done, done + atOnce);
      const next: RepositoryRecord = { ...current, images: current.images - batch.length };
      const gone = batch.flatMap((image) => keysOf(current, image, tags.get(image.digest) ?? []));
      const writes: Write[] = [...gone.map((each) => ({ delete: each })), { put: key, value: next }];
      const result = await store.transaction({ compare: [{ key, revision }], writes });
      ({ ok, revision } = result);
      if (!ok) continue;
      current = next;
      done += batch.length;
      removed.push(...batch.map(({ digest }) => digest));
    }
    if (ok) return removed;
  }
  throw new Error(`the repository ${repository.name} kept changing`);
}

/** Those that no remaining index names when their turn comes. */
function removable(images: readonly ImageRecord[], digests: readonly Digest[]): readonly ImageRecord[] {
  const left = new Map(images.map((image) => [image.digest, image]));
  const holders = new Map<Digest, number>();
  for (const { manifests = [] } of images) for (const digest of manifests) holders.set(digest, (holders.get(digest) ?? 0) + 1);
  return digests.flatMap((digest) => {
    const image = left.get(digest);
    if (!image || (holders.get(digest) ?? 0) > 0) return [];
    left.delete(digest);
    for (const child of image.manifests ?? []) holders.set(child, holders.get(child)! - 1);
    return [image];
  });
}

const keysOf = (repository: RepositoryRecord, { digest, subject }: ImageRecord, tags: readonly string[]): readonly string[] => [
  imageKey(repository, digest),
  scanKey(repository, digest),
  ...tags.map((tag) => tagKey(repository, tag)),
  ...(subject === undefined ? [] : [referrerKey(repository, subject, digest)]),
];

const imagesOf = async (store: Store, repository: RepositoryRecord): Promise<readonly ImageRecord[]> =>
  (await store.list<ImageRecord>(imagesPrefix(repository))).entries.map(({ value }) => value);

async function tagsOf(store: Store, repository: RepositoryRecord): Promise<ReadonlyMap<Digest, readonly string[]>> {
  const prefix = tagsPrefix(repository);
  const tags = new Map<Digest, string[]>();
  for (const { key, value } of (await store.list<TagRecord>(prefix)).entries) {
    const own = tags.get(value.digest);
    if (own) own.push(key.slice(prefix.length));
    else tags.set(value.digest, [key.slice(prefix.length)]);
  }
  return tags;
}
