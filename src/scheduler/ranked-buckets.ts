import { type HeapItem, IndexedHeap } from "./indexed-heap.ts";
import { bucketName } from "./rank.ts";
import { SortedList } from "./sorted-list.ts";

/** Something to be ranked: by its own keys and the counts of its bucket, at last by `order`, which no two items share. */
export interface Ranked {
  readonly order: number;
  /** Must not change while it is inserted. */
  readonly keys: readonly number[];
}

interface Tally<T extends Ranked> {
  count: number;
  readonly buckets: Set<Bucket<T>>;
}

/** All that shares its value in every field. */
export interface Bucket<T extends Ranked> extends HeapItem {
  readonly name: string;
  readonly values: readonly string[];
  readonly tallies: readonly Tally<T>[];
  readonly items: SortedList<T>;
  members: number;
  unsettled: boolean;
}

/**
 * Items in an order of which part is shared: the counts by value of some fields stand among the items' own keys. Within a bucket the shared
 * part is the same for all, so a bucket's order stays when counts change; the buckets are ranked by their first items. A change costs
 * by the buckets it moves (those of one value), never by the items in them.
 */
export class RankedBuckets<T extends Ranked> {
  readonly #order: readonly number[];
  readonly #values: readonly Map<string, Tally<T>>[];
  readonly #buckets = new Map<string, Bucket<T>>();
  /** Those that have items and did not change since: what changes leaves it first, so that what is in it is always in order. */
  readonly #settled: IndexedHeap<Bucket<T>>;
  #unsettled: Bucket<T>[] = [];

  /** `order` as in RankPlan: a key by its index, a field by the complement of its index. */
  constructor(order: readonly number[], fields: number) {
    this.#order = order;
    this.#values = Array.from({ length: fields }, () => new Map<string, Tally<T>>());
    this.#settled = new IndexedHeap((a, b) => this.#compareFirst(a, b) || a.items.first!.order - b.items.first!.order);
  }

  /** The bucket of these values, with one member more. Each `join` is ended by a `leave`. */
  join(values: readonly string[]): Bucket<T> {
    const name = bucketName(values);
    let bucket = this.#buckets.get(name);
    if (!bucket) this.#buckets.set(name, (bucket = this.#create(name, values)));
    bucket.members += 1;
    return bucket;
  }

  leave(bucket: Bucket<T>): void {
    bucket.members -= 1;
    if (bucket.members > 0) return;
    this.#touch(bucket);
    this.#buckets.delete(bucket.name);
    bucket.tallies.forEach((tally, field) => {
      tally.buckets.delete(bucket);
      if (tally.buckets.size === 0) this.#values[field]!.delete(bucket.values[field]!);
    });
  }

  count(bucket: Bucket<T>, change: number): void {
    if (change === 0) return;
    for (const tally of bucket.tallies) {
      for (const each of tally.buckets) this.#touch(each);
      tally.count += change;
    }
  }

  insert(bucket: Bucket<T>, item: T): void {
    this.#touch(bucket);
    bucket.items.insert(item);
  }

  remove(bucket: Bucket<T>, item: T): void {
    this.#touch(bucket);
    bucket.items.remove(item);
  }

  first(): T | undefined {
    this.#settle();
    return this.#settled.first?.items.first;
  }

  /** One of all that are equal but for `order`; `lot` in [0, 1) says which, counted by the buckets' names, then by `order`. */
  drawn(lot: number): T | undefined {
    this.#settle();
    const leaders = this.#settled
      .leaders((a, b) => this.#compareFirst(a, b) === 0)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ items }) => ({ items, equal: items.countWhile(({ keys }) => compareKeys(keys, items.first!.keys) === 0) }));
    let left = Math.floor(lot * leaders.reduce((sum, { equal }) => sum + equal, 0));
    for (const { items, equal } of leaders) {
      if (left < equal) return items.at(left);
      left -= equal;
    }
    return undefined;
  }

  #create(name: string, values: readonly string[]): Bucket<T> {
    const tallies = values.map((value, field) => {
      const known = this.#values[field]!;
      let tally = known.get(value);
      if (!tally) known.set(value, (tally = { count: 0, buckets: new Set() }));
      return tally;
    });
    const items = new SortedList<T>((a, b) => compareKeys(a.keys, b.keys) || a.order - b.order);
    const bucket: Bucket<T> = { name, values, tallies, items, members: 0, unsettled: false, position: -1 };
    for (const tally of tallies) tally.buckets.add(bucket);
    return bucket;
  }

  #touch(bucket: Bucket<T>): void {
    if (bucket.unsettled) return;
    bucket.unsettled = true;
    if (bucket.position >= 0) this.#settled.remove(bucket);
    this.#unsettled.push(bucket);
  }

  #settle(): void {
    for (const bucket of this.#unsettled) {
      bucket.unsettled = false;
      if (bucket.items.size > 0) this.#settled.insert(bucket);
    }
    this.#unsettled = [];
  }

  #compareFirst(a: Bucket<T>, b: Bucket<T>): number {
    const mine = a.items.first!.keys;
    const others = b.items.first!.keys;
    for (const rule of this.#order) {
      const difference = rule >= 0 ? mine[rule]! - others[rule]! : a.tallies[~rule]!.count - b.tallies[~rule]!.count;
      if (difference !== 0) return difference;
    }
    return 0;
  }
}

export function compareKeys(a: readonly number[], b: readonly number[]): number {
  for (let index = 0; index < a.length; index++) {
    const difference = a[index]! - b[index]!;
    if (difference !== 0) return difference;
  }
  return 0;
}
