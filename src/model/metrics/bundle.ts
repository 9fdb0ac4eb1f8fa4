/**
 * What one series says of one stretch of time: AWS's statistic set, and the distribution behind it where it is known. A statistic set that a client
 * sent has none, unless it stands for one value; then percentiles have nothing to say (AWS: "Statistics definitions", percentiles).
 */
export interface Bundle {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Ascending and distinct, with `counts` beside them; undefined when only the statistics are known. */
  readonly values: readonly number[] | undefined;
  readonly counts: readonly number[] | undefined;
}

/** More distinct values than this are kept within 0.5 % of their size: a fixed grid, so that the order of merging does not matter. */
export const maxExactValues = 150;
const growth = Math.log(1.01);

export const bundleOf = (value: number, count = 1): Bundle => ({
  count,
  sum: value * count,
  min: value,
  max: value,
  values: [value],
  counts: [count],
});

export function bundleOfStatistics(count: number, sum: number, min: number, max: number): Bundle {
  if (count === 1 || min === max) return { count, sum, min, max, values: [min], counts: [count] };
  return { count, sum, min, max, values: undefined, counts: undefined };
}

export const isSimple = ({ count, values }: Bundle): boolean => count === 1 && values !== undefined;

/** Adds up bundles in any order. */
export class Accumulator {
  #count = 0;
  #sum = 0;
  #min = Infinity;
  #max = -Infinity;
  #values: number[] = [];
  #counts: number[] = [];
  #known = true;

  get empty(): boolean {
    return this.#count === 0;
  }

  add(value: number, count = 1): void {
    this.#count += count;
    this.#sum += value * count;
    if (value < this.#min) this.#min = value;
    if (value > this.#max) this.#max = value;
    if (!this.#known) return;
    this.#values.push(value);
    this.#counts.push(count);
  }

  addBundle({ count, sum, min, max, values, counts }: Bundle): void {
    if (count === 0) return;
    this.#count += count;
    this.#sum += sum;
    if (min < this.#min) this.#min = min;
    if (max > this.#max) this.#max = max;
    if (!values || !counts) this.#known = false;
    if (!this.#known) return;
    for (let i = 0; i < values!.length; i++) {
      this.#values.push(values![i]!);
      this.#counts.push(counts![i]!);
    }
  }

  /** The whole, values as exact as they came in. */
  exact(): Bundle {
    const { values, counts } = this.#known ? distinct(this.#values, this.#counts) : { values: undefined, counts: undefined };
    return { count: this.#count, sum: this.#sum, min: this.#min, max: this.#max, values, counts };
  }

  /** The whole as it is kept: at most `maxExactValues` exact values. */
  bundle(): Bundle {
    const whole = this.exact();
    if (!whole.values || whole.values.length <= maxExactValues) return whole;
    const { values, counts } = distinct(
      whole.values.map((value) => clamp(onGrid(value), whole.min, whole.max)),
      whole.counts!,
    );
    return { ...whole, values, counts };
  }
}

export function merge(a: Bundle, b: Bundle): Bundle {
  const sum = new Accumulator();
  sum.addBundle(a);
  sum.addBundle(b);
  return sum.bundle();
}

const clamp = (value: number, low: number, high: number) => Math.min(high, Math.max(low, value));

/** The nearest of the points ±1.01^n: a value on the grid stays where it is. */
function onGrid(value: number): number {
  if (value === 0) return 0;
  return Math.sign(value) * Math.exp(Math.round(Math.log(Math.abs(value)) / growth) * growth);
}

function distinct(values: readonly number[], counts: readonly number[]): { values: number[]; counts: number[] } {
  if (values.length === 1) return { values: [values[0]!], counts: [counts[0]!] };
  const order = values.map((_, i) => i).sort((a, b) => values[a]! - values[b]!);
  const out: number[] = [];
  const amounts: number[] = [];
  for (const i of order) {
    if (out.length > 0 && out[out.length - 1] === values[i]) amounts[amounts.length - 1]! += counts[i]!;
    else {
      out.push(values[i]!);
      amounts.push(counts[i]!);
    }
  }
  return { values: out, counts: amounts };
}
