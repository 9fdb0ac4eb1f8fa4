import { Accumulator, type Bundle } from "./bundle.ts";
import { slotOf } from "./resolution.ts";

/** A point: `slot` in seconds since the epoch. */
export interface Point {
  readonly slot: number;
  readonly bundle: Bundle;
}

/** Points of any order → one for each slot of `step` seconds, ascending, as they are kept. Pure. */
export function rollUp(points: Iterable<Point>, step: number): Point[] {
  const slots = new Map<number, Accumulator>();
  for (const { slot, bundle } of points) {
    const at = slotOf(slot, step);
    let sum = slots.get(at);
    if (!sum) slots.set(at, (sum = new Accumulator()));
    sum.addBundle(bundle);
  }
  return [...slots].sort(([a], [b]) => a - b).map(([slot, sum]) => ({ slot, bundle: sum.bundle() }));
}

/** Collects points into periods that begin at `start`. */
export class Periods {
  readonly #start: number;
  readonly #period: number;
  readonly #sums = new Map<number, Accumulator>();

  constructor(start: number, period: number) {
    this.#start = start;
    this.#period = period;
  }

  add(slot: number, bundle: Bundle): void {
    const at = this.#start + slotOf(slot - this.#start, this.#period);
    let sum = this.#sums.get(at);
    if (!sum) this.#sums.set(at, (sum = new Accumulator()));
    sum.addBundle(bundle);
  }

  /** Ascending. */
  points(): Point[] {
    return [...this.#sums].sort(([a], [b]) => a - b).map(([slot, sum]) => ({ slot, bundle: sum.exact() }));
  }
}
