import { dayMs, evaluateLifecycle, type LifecycleImage, type LifecycleRule, parseLifecyclePolicy } from "#model/image-lifecycle/index.ts";
import type { Held } from "#registry/expire.ts";
import type { ImageRecord } from "#registry/records.ts";

/**
 * An image that nobody has tagged yet may be one platform of an index that is still being pushed, from another machine perhaps. AWS takes up to a day to expire
 * anything, so that this rarely shows there.
 */
export const untaggedGraceMs = 60 * 60 * 1000;

/** Evaluated at least this often while there is a policy. */
const longestMs = dayMs;

export interface Expiry {
  /** In the order of deletion. */
  readonly digests: readonly string[];
  /** When to look again if nothing changes. Milliseconds since the epoch. */
  readonly again: number;
}

/** Which images of a repository its policy deletes now. Pure. */
export function expiringNow({ repository, images, tags }: Held, now: number): Expiry {
  const rules = repository.lifecyclePolicy === undefined ? [] : parseLifecyclePolicy(repository.lifecyclePolicy);
  const { expiring, next = Infinity } = evaluateLifecycle(
    rules,
    images.map((image) => lifecycleImage(image, tags.get(image.digest))),
    now,
  );
  const waiting = new Set<string>();
  let again = Math.min(next, now + longestMs);
  const digests = expiring.flatMap(({ image }) => {
    const until = image.pushedAt + untaggedGraceMs;
    const young = image.tags.length === 0 && until > now;
    if (young) again = Math.min(again, until);
    if (!young && !(image.subject !== undefined && waiting.has(image.subject))) return [image.digest];
    waiting.add(image.digest);
    return [];
  });
  return { digests, again };
}

export const lifecycleImage = ({ digest, pushedAt, manifests, subject }: ImageRecord, tags: readonly string[] = []): LifecycleImage => ({
  digest,
  tags,
  pushedAt,
  manifests,
  subject,
});

/** Rules that need a storage class that Gantry does not have. */
export const needsArchive = (rules: readonly LifecycleRule[]) =>
  rules.some(({ action, storageClass }) => action === "transition" || storageClass === "archive");
