import { obstacle } from "./filter.ts";
import { type RankPlan, bucketName, rankPlanOf, valuesOf } from "./rank.ts";
import { type Bucket, compareKeys, type Ranked, RankedBuckets } from "./ranked-buckets.ts";
import { type Trial, trialOf } from "./trial.ts";
import type { Node, PlacementRequest } from "./types.ts";

/** A node as the index knows it: replaced in place, so that all boards see the newest. */
export interface Entry {
  node: Node;
  /** Rises with every node that is new: the order of the nodes. */
  readonly order: number;
}

interface Seat extends Ranked {
  readonly entry: Entry;
  keys: readonly number[];
  bucket: Bucket<Seat>;
  /** Those that `bucket` is right for. */
  attributes: ReadonlyMap<string, string>;
  /** What the counts of its bucket hold of this node. */
  counted: number;
  /** It can take one more, and is in the ranking. */
  open: boolean;
}

/** What is kept for the requests of one shape: every node with its group's tasks, and those that can take one more in their order. */
export class Board {
  readonly #request: PlacementRequest;
  readonly #plan: RankPlan;
  readonly #seats = new Map<Entry, Seat>();
  readonly #ranking: RankedBuckets<Seat>;

  /** `request` stands for all of its shape: only `count` is not looked at. */
  constructor(request: PlacementRequest) {
    this.#request = request;
    this.#plan = rankPlanOf(request.strategy);
    this.#ranking = new RankedBuckets(this.#plan.order, this.#plan.fields.length);
  }

  /** The node as it stands, or with the tasks that are only tried on it. */
  seat(entry: Entry, trial: Trial = trialOf(entry.node, entry.order, this.#request.group)): void {
    const seat = this.#seats.get(entry) ?? this.#newSeat(entry);
    if (seat.attributes !== entry.node.attributes) this.#moved(seat);
    this.#ranking.count(seat.bucket, trial.ofGroup - seat.counted);
    seat.counted = trial.ofGroup;
    const open = obstacle(trial, this.#request) === undefined;
    const keys = open ? this.#plan.keys.map((key) => key(trial)) : [];
    if (open && seat.open && compareKeys(keys, seat.keys) === 0) return;
    if (seat.open) this.#ranking.remove(seat.bucket, seat);
    seat.open = open;
    seat.keys = keys;
    if (open) this.#ranking.insert(seat.bucket, seat);
  }

  drop(entry: Entry): void {
    const seat = this.#seats.get(entry);
    if (!seat) return;
    this.#seats.delete(entry);
    if (seat.open) this.#ranking.remove(seat.bucket, seat);
    this.#ranking.count(seat.bucket, -seat.counted);
    this.#ranking.leave(seat.bucket);
  }

  best(random: () => number): Entry | undefined {
    const first = this.#ranking.first();
    if (!first || !this.#plan.drawn) return first?.entry;
    return this.#ranking.drawn(random())!.entry;
  }

  #newSeat(entry: Entry): Seat {
    const { attributes } = entry.node;
    const bucket = this.#ranking.join(valuesOf(this.#plan, attributes));
    const seat: Seat = { entry, order: entry.order, keys: [], bucket, attributes, counted: 0, open: false };
    this.#seats.set(entry, seat);
    return seat;
  }

  #moved(seat: Seat): void {
    seat.attributes = seat.entry.node.attributes;
    const values = valuesOf(this.#plan, seat.attributes);
    if (bucketName(values) === seat.bucket.name) return;
    if (seat.open) this.#ranking.remove(seat.bucket, seat);
    seat.open = false;
    this.#ranking.count(seat.bucket, -seat.counted);
    seat.counted = 0;
    this.#ranking.leave(seat.bucket);
    seat.bucket = this.#ranking.join(values);
  }
}
