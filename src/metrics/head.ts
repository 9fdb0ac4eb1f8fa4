import { bundleOf, type Bundle, isSimple, merge } from "#model/metrics/bundle.ts";
import type { Point } from "#model/metrics/roll-up.ts";

/**
 * The points of one series and step that are in no block yet. Two arrays of numbers for the common case, one value a slot, and a map for the rest:
 * 10,000 series of an hour take about 10 MB.
 */
export class HeadSeries {
  /** Mostly ascending: a point comes last unless it is late. */
  readonly #slots: number[] = [];
  readonly #values: number[] = [];
  #others: Map<number, Bundle> | undefined;

  add(slot: number, bundle: Bundle): void {
    const last = this.#slots.length - 1;
    if (last < 0 || slot > this.#slots[last]!) this.#insert(last + 1, slot, bundle);
    else {
      const at = this.#find(slot);
      if (at >= 0) this.#merge(at, bundle);
      else this.#insert(~at, slot, bundle);
    }
  }

  get size(): number {
    return this.#slots.length;
  }

  /** Ascending, from `from` to before `to`. */
  *points(from = -Infinity, to = Infinity): Generator<Point> {
    const first = this.#find(from);
    for (let i = first >= 0 ? first : ~first; i < this.#slots.length && this.#slots[i]! < to; i++)
      yield { slot: this.#slots[i]!, bundle: this.#others?.get(this.#slots[i]!) ?? bundleOf(this.#values[i]!) };
  }

  #find(slot: number): number {
    let [low, high] = [0, this.#slots.length - 1];
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const at = this.#slots[middle]!;
      if (at === slot) return middle;
      if (at < slot) low = middle + 1;
      else high = middle - 1;
    }
    return ~low;
  }

  #insert(at: number, slot: number, bundle: Bundle): void {
    if (at === this.#slots.length) {
      this.#slots.push(slot);
      this.#values.push(bundle.sum);
    } else {
      this.#slots.splice(at, 0, slot);
      this.#values.splice(at, 0, bundle.sum);
    }
    if (!isSimple(bundle)) (this.#others ??= new Map()).set(slot, bundle);
  }

  #merge(at: number, bundle: Bundle): void {
    const slot = this.#slots[at]!;
    const before = this.#others?.get(slot) ?? bundleOf(this.#values[at]!);
    (this.#others ??= new Map()).set(slot, merge(before, bundle));
  }
}

/** All of it: series → step → points. */
export class Head {
  readonly #series = new Map<number, Map<number, HeadSeries>>();
  points = 0;

  add(series: number, step: number, slot: number, bundle: Bundle): void {
    let steps = this.#series.get(series);
    if (!steps) this.#series.set(series, (steps = new Map()));
    let one = steps.get(step);
    if (!one) steps.set(step, (one = new HeadSeries()));
    one.add(slot, bundle);
    this.points += 1;
  }

  *read(series: number, step: number, from: number, to: number): Generator<Point> {
    const one = this.#series.get(series)?.get(step);
    if (one) yield* one.points(from, to);
  }

  /** Ascending by series. */
  entries(): [series: number, steps: ReadonlyMap<number, HeadSeries>][] {
    return [...this.#series].sort(([a], [b]) => a - b);
  }
}
