import { wildcardMatches } from "../wildcard.ts";
import { dayMs, type LifecycleRule, type TagSelection } from "./policy.ts";

/** What the rules look at. */
export interface LifecycleImage {
  readonly digest: string;
  readonly tags: readonly string[];
  /** Milliseconds since the epoch. */
  readonly pushedAt: number;
  /** Of an index: the digests that it names. */
  readonly manifests?: readonly string[];
  /** Of a reference artifact: what it is about. */
  readonly subject?: string;
}

export interface Expiring<T extends LifecycleImage> {
  readonly image: T;
  /** Of the rule. Undefined for a reference artifact that outlived its subject. */
  readonly priority: number | undefined;
}

export interface Evaluation<T extends LifecycleImage> {
  /** In the order in which they may be deleted: older before newer, but an index before what it names, and artifacts with their subject. */
  readonly expiring: readonly Expiring<T>[];
  /** When time alone, without any push, can next make an image expire. Milliseconds since the epoch. */
  readonly next?: number;
}

/**
 * Which images the rules expire at `now`. Every rule is judged by itself, over all images that it selects; then they are applied by priority: an image
 * goes by the first rule that selects its tags or by none. What an index names stays as long as the index stays. A reference
 * artifact whose subject is here is no rule's business: it goes with its subject, or a day after it came when somebody else deleted that. Source: Amazon ECR User Guide, "Lifecycle policy evaluation rules".
 *
 * @param rules by priority, expiring ones only
 */
export function evaluateLifecycle<T extends LifecycleImage>(
  rules: readonly LifecycleRule[],
  images: readonly T[],
  now: number,
): Evaluation<T> {
  const byDigest = new Map(images.map((image) => [image.digest, image]));
  const attached = images.filter(({ subject }) => subject !== undefined && byDigest.has(subject));
  const follows = new Set(attached);
  const free = images.filter((image) => !follows.has(image)).toSorted(oldestFirst);
  const marked = new Map<string, number | undefined>();
  const taken = new Set<T>();
  let next = Infinity;
  const byAge = (image: T, days: number, priority?: number) => {
    const until = image.pushedAt + days * dayMs;
    if (until < now) marked.set(image.digest, priority);
    else next = Math.min(next, until + 1);
  };
  for (const { tags, count, priority } of rules) {
    const selected = free.filter((image) => selects(tags, image.tags));
    const most = count.type === "imageCountMoreThan" ? selected.length - count.most : selected.length;
    for (const [index, image] of selected.entries()) {
      if (taken.has(image)) continue;
      taken.add(image);
      if (count.type !== "imageCountMoreThan") byAge(image, count.days, priority);
      else if (index < most) marked.set(image.digest, priority);
    }
  }
  for (const image of free) if (image.subject !== undefined && !marked.has(image.digest)) byAge(image, 1);
  const order = deletable(free, attached, marked);
  return {
    expiring: order.map((digest) => ({ image: byDigest.get(digest)!, priority: marked.get(digest) })),
    ...(next < Infinity ? { next } : {}),
  };
}

/** The digests out of `marked` that nothing holds back, in an order that may be followed one by one. Adds those that go with their subject to `marked`. */
function deletable<T extends LifecycleImage>(
  free: readonly T[],
  attached: readonly T[],
  marked: Map<string, number | undefined>,
): readonly string[] {
  const artifacts = Map.groupBy(attached, ({ subject }) => subject!);
  // How many indexes that stay name it.
  const holders = new Map<string, number>();
  for (const { manifests } of [...free, ...attached])
    for (const digest of new Set(manifests)) holders.set(digest, (holders.get(digest) ?? 0) + 1);
  const byDigest = new Map([...free, ...attached].map((image) => [image.digest, image]));
  const gone = new Set<string>();
  for (const { digest: first } of free) {
    const pending = [first];
    for (let digest = pending.pop(); digest !== undefined; digest = pending.pop()) {
      const image = byDigest.get(digest);
      if (!image || !marked.has(digest) || gone.has(digest) || (holders.get(digest) ?? 0) > 0) continue;
      gone.add(digest);
      // What it held back may go now, if it is to go at all; and what is about it.
      for (const child of new Set(image.manifests)) {
        holders.set(child, holders.get(child)! - 1);
        pending.push(child);
      }
      for (const artifact of artifacts.get(digest) ?? []) {
        marked.set(artifact.digest, marked.get(digest));
        pending.push(artifact.digest);
      }
    }
  }
  return [...gone];
}

/** Whether a rule with this selection is about an image with these tags. */
export function selects(selection: TagSelection, tags: readonly string[]): boolean {
  if (selection.status !== "tagged") return selection.status === "any" || tags.length === 0;
  const matches = selection.by === "prefixes" ? (prefix: string, tag: string) => tag.startsWith(prefix) : wildcardMatches;
  return selection.list.every((each) => tags.some((tag) => matches(each, tag)));
}

/** By digest where they were pushed at the same time, so that one evaluation is like the next. */
const oldestFirst = (a: LifecycleImage, b: LifecycleImage) => a.pushedAt - b.pushedAt || (a.digest < b.digest ? -1 : 1);
