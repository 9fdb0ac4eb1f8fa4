import { IndexedHeap } from "./indexed-heap.ts";
import { bucketName, type RankPlan } from "./rank.ts";
import { SortedList } from "./sorted-list.ts";

interface Tally {
  count: number;
  readonly buckets: Set<Bucket>;
}

/** All that shares its value in every field. */
export interface Bucket {
  readonly id: number;
  readonly name: string;
  readonly values: readonly string[];
  readonly tallies: readonly Tally[];
  readonly items: IndexedHeap | SortedList<number>;
  members: number;
  unsettled: boolean;
}

/** A RankPlan, of whose keys only the number is looked at. */
type Ranks = Omit<RankPlan, "keys"> & { readonly keys: { readonly length: number } };

/**
 * Items (small integers) in an order of which part is shared: the counts by value of the plan's fields stand among the items' own keys.
 * Within a bucket the shared part is the same for all, so a bucket's order stays when counts change; the buckets are ranked by their
 * first items. A change costs by the buckets it moves (those of one value), never by the items in them. All keys lie in one array, for
 * what an order costs is the memory that comparing visits.
 */
export class RankedBuckets {
  readonly #plan: Ranks;
  readonly #width: number;
  /** The keys of each item, then its last word: a number that no other has. */
  readonly #keys: number[] = [];
  readonly #positions: number[] = [];
  readonly #values: readonly Map<string, Tally>[];
  readonly #named = new Map<string, Bucket>();
  readonly #buckets: Bucket[] = [];
  readonly #freeIds: number[] = [];
  /** Those that have items and did not change since: what changes leaves it first, so that what is in it is always in order. */
  readonly #settled: IndexedHeap;
  readonly #bucketPositions: number[] = [];
  #unsettled: Bucket[] = [];

  constructor(plan: Ranks) {
    this.#plan = plan;
    this.#width = plan.keys.length + 1;
    this.#values = plan.fields.map(() => new Map<string, Tally>());
    this.#settled = new IndexedHeap((a, b) => {
      const [mine, other] = [this.#buckets[a]!, this.#buckets[b]!];
      return this.#compareFirst(mine, other) || this.#compare(mine.items.first!, other.items.first!);
    }, this.#bucketPositions);
  }

  /** Makes room for the items below `size`. */
  reserve(size: number): void {
    while (this.#positions.length < size) {
      this.#positions.push(-1);
      for (let key = 0; key < this.#width; key++) this.#keys.push(0);
    }
  }

  /** The bucket of these values, with one member more. Each `join` is ended by a `leave`. */
  join(values: readonly string[]): Bucket {
    const name = bucketName(values);
    let bucket = this.#named.get(name);
    if (!bucket) this.#named.set(name, (bucket = this.#create(name, values)));
    bucket.members += 1;
    return bucket;
  }

  leave(bucket: Bucket): void {
    bucket.members -= 1;
    if (bucket.members > 0) return;
    if (bucket.unsettled) this.#settle();
    this.#named.delete(bucket.name);
    this.#freeIds.push(bucket.id);
    bucket.tallies.forEach((tally, field) => {
      tally.buckets.delete(bucket);
      if (tally.buckets.size === 0) this.#values[field]!.delete(bucket.values[field]!);
    });
  }

  count(bucket: Bucket, change: number): void {
    if (change === 0) return;
    for (const tally of bucket.tallies) {
      for (const each of tally.buckets) this.#touch(each);
      tally.count += change;
    }
  }

  /** Puts the item into its bucket, or to its new place there. `keys` as the plan's, then the last word. */
  put(bucket: Bucket, item: number, keys: readonly number[]): void {
    const inside = this.#positions[item]! >= 0;
    if (inside && this.#sameKeys(item, keys)) return;
    this.#touch(bucket);
    if (inside && bucket.items instanceof SortedList) bucket.items.remove(item);
    const start = item * this.#width;
    for (let key = 0; key < this.#width; key++) this.#keys[start + key] = keys[key]!;
    if (bucket.items instanceof SortedList) {
      bucket.items.insert(item);
      this.#positions[item] = 0;
    } else if (inside) bucket.items.moved(item);
    else bucket.items.insert(item);
  }

  /** Nothing, where the item is in no bucket. */
  take(bucket: Bucket, item: number): void {
    if (this.#positions[item]! < 0) return;
    this.#touch(bucket);
    bucket.items.remove(item);
    this.#positions[item] = -1;
  }

  first(): number | undefined {
    this.#settle();
    const bucket = this.#settled.first;
    return bucket === undefined ? undefined : this.#buckets[bucket]!.items.first;
  }

  /** For a drawn plan: one of all that are equal. `lot` in [0, 1) says which, counted by the buckets' names, then by the last words. */
  drawn(lot: number): number | undefined {
    this.#settle();
    const leaders = this.#settled
      .leaders((a, b) => this.#compareFirst(this.#buckets[a]!, this.#buckets[b]!) === 0)
      .map((id) => this.#buckets[id]!)
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ items }) => ({ items: items as SortedList<number>, equal: this.#equal(items as SortedList<number>) }));
    let left = Math.floor(lot * leaders.reduce((sum, { equal }) => sum + equal, 0));
    for (const { items, equal } of leaders) {
      if (left < equal) return items.at(left);
      left -= equal;
    }
    return undefined;
  }

  /** How many share the keys of the first. */
  #equal(items: SortedList<number>): number {
    const first = items.first!;
    return items.countWhile((item) => this.#compareKeys(item, first, this.#width - 1) === 0);
  }

  #create(name: string, values: readonly string[]): Bucket {
    const tallies = values.map((value, field) => {
      const known = this.#values[field]!;
      let tally = known.get(value);
      if (!tally) known.set(value, (tally = { count: 0, buckets: new Set() }));
      return tally;
    });
    const compare = (a: number, b: number) => this.#compare(a, b);
    const items = this.#plan.drawn ? new SortedList(compare) : new IndexedHeap(compare, this.#positions);
    const id = this.#freeIds.pop() ?? this.#buckets.length;
    const bucket: Bucket = { id, name, values, tallies, items, members: 0, unsettled: false };
    this.#buckets[id] = bucket;
    this.#bucketPositions[id] = -1;
    for (const tally of tallies) tally.buckets.add(bucket);
    return bucket;
  }

  #touch(bucket: Bucket): void {
    if (bucket.unsettled) return;
    bucket.unsettled = true;
    if (this.#settled.has(bucket.id)) this.#settled.remove(bucket.id);
    this.#unsettled.push(bucket);
  }

  #settle(): void {
    if (this.#unsettled.length === 0) return;
    for (const bucket of this.#unsettled) {
      bucket.unsettled = false;
      if (bucket.items.size > 0) this.#settled.insert(bucket.id);
    }
    this.#unsettled = [];
  }

  #compareFirst(a: Bucket, b: Bucket): number {
    const mine = a.items.first! * this.#width;
    const others = b.items.first! * this.#width;
    for (const rule of this.#plan.order) {
      const difference =
        rule >= 0 ? this.#keys[mine + rule]! - this.#keys[others + rule]! : a.tallies[~rule]!.count - b.tallies[~rule]!.count;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #compare(a: number, b: number): number {
    return this.#compareKeys(a, b, this.#width);
  }

  #compareKeys(a: number, b: number, width: number): number {
    const keys = this.#keys;
    const mine = a * this.#width;
    const others = b * this.#width;
    for (let key = 0; key < width; key++) {
      const difference = keys[mine + key]! - keys[others + key]!;
      if (difference !== 0) return difference;
    }
    return 0;
  }

  #sameKeys(item: number, keys: readonly number[]): boolean {
    const start = item * this.#width;
    for (let key = 0; key < this.#width; key++) if (this.#keys[start + key] !== keys[key]) return false;
    return true;
  }
}
