import { obstacle } from "./filter.ts";
import { bucketName, type RankPlan, rankPlanOf, valuesOf } from "./rank.ts";
import { type Bucket, RankedBuckets } from "./ranked-buckets.ts";
import { type Trial, trialOf } from "./trial.ts";
import type { Node, PlacementRequest } from "./types.ts";

/** A node as the index knows it: replaced in place, so that all boards see the newest. */
export interface Entry {
  node: Node;
  /** Rises with every node that is new: the order of the nodes. */
  readonly order: number;
  /** A small number, given again after the node is removed. */
  readonly slot: number;
}

/** What is kept for the requests of one shape: every node with its group's tasks, and those that can take one more in their order. */
export class Board {
  readonly #request: PlacementRequest;
  readonly #plan: RankPlan;
  readonly #ranking: RankedBuckets;
  /** By slot; undefined: nobody sits there. */
  readonly #buckets: (Bucket | undefined)[] = [];
  /** By slot: the attributes that the bucket is right for. */
  readonly #attributes: (ReadonlyMap<string, string> | undefined)[] = [];
  /** By slot: what the counts of the bucket hold of it. */
  readonly #counted: number[] = [];

  /** `request` stands for all of its shape: only `count` is not looked at. */
  constructor(request: PlacementRequest) {
    this.#request = request;
    this.#plan = rankPlanOf(request.strategy);
    this.#ranking = new RankedBuckets(this.#plan);
  }

  /** Makes room for the slots below `size`. */
  reserve(size: number): void {
    this.#ranking.reserve(size);
    while (this.#buckets.length < size) {
      this.#buckets.push(undefined);
      this.#attributes.push(undefined);
      this.#counted.push(0);
    }
  }

  /** The node as it stands, or with the tasks that are only tried on it. */
  seat({ node, order, slot }: Entry, trial: Trial = trialOf(node, order, this.#request.group)): void {
    const bucket = this.#attributes[slot] === node.attributes ? this.#buckets[slot]! : this.#move(slot, node.attributes);
    this.#count(slot, bucket, trial.ofGroup);
    if (obstacle(trial, this.#request) !== undefined) {
      this.#ranking.take(bucket, slot);
      return;
    }
    const keys = this.#plan.keys.map((key) => key(trial));
    keys.push(order);
    this.#ranking.put(bucket, slot, keys);
  }

  drop({ slot }: Entry): void {
    const bucket = this.#buckets[slot];
    if (!bucket) return;
    this.#ranking.take(bucket, slot);
    this.#count(slot, bucket, 0);
    this.#ranking.leave(bucket);
    this.#buckets[slot] = undefined;
    this.#attributes[slot] = undefined;
  }

  /** The slot of the node that is to have the next task. */
  best(random: () => number): number | undefined {
    const first = this.#ranking.first();
    return first === undefined || !this.#plan.drawn ? first : this.#ranking.drawn(random());
  }

  #count(slot: number, bucket: Bucket, tasks: number): void {
    this.#ranking.count(bucket, tasks - this.#counted[slot]!);
    this.#counted[slot] = tasks;
  }

  #move(slot: number, attributes: ReadonlyMap<string, string>): Bucket {
    const before = this.#buckets[slot];
    const values = valuesOf(this.#plan, attributes);
    this.#attributes[slot] = attributes;
    if (before?.name === bucketName(values)) return before;
    const next = this.#ranking.join(values);
    this.#buckets[slot] = next;
    if (!before) return next;
    this.#ranking.take(before, slot);
    this.#count(slot, before, 0);
    this.#ranking.leave(before);
    return next;
  }
}
