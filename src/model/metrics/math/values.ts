import { MathError, type Operator } from "./syntax.ts";

/** A time series: ascending slots (seconds), a value for each. */
export interface Series {
  readonly label: string;
  /** Seconds. */
  readonly period: number;
  readonly slots: readonly number[];
  readonly values: readonly number[];
}

/** What a part of an expression is worth: AWS's S, TS and TS[], and text where a function asks for it. */
export type Value = number | string | Series | readonly Series[];

export const isSeries = (value: Value): value is Series => typeof value === "object" && !Array.isArray(value);
export const isArray = (value: Value): value is readonly Series[] => Array.isArray(value);

/** Values that are no numbers (a division by zero) are no data points. */
export function seriesOf(
  like: { readonly label: string; readonly period: number },
  points: Iterable<readonly [slot: number, value: number]>,
): Series {
  const slots: number[] = [];
  const values: number[] = [];
  for (const [slot, value] of points) {
    if (!Number.isFinite(value)) continue;
    slots.push(slot);
    values.push(value);
  }
  return { label: like.label, period: like.period, slots, values };
}

export function* pointsOf(series: Series): Generator<readonly [slot: number, value: number]> {
  for (let i = 0; i < series.slots.length; i++) yield [series.slots[i]!, series.values[i]!];
}

export const mapSeries = (series: Series, change: (value: number, slot: number) => number): Series =>
  seriesOf(
    series,
    pointsOf(series).map(([slot, value]) => [slot, change(value, slot)] as const),
  );

/** Point by point, where both have one. */
export function zip(a: Series, b: Series, combine: (a: number, b: number) => number): Series {
  const other = new Map(pointsOf(b));
  return seriesOf(
    { label: a.label, period: Math.max(a.period, b.period) },
    pointsOf(a).flatMap(([slot, value]) => {
      const found = other.get(slot);
      return found === undefined ? [] : [[slot, combine(value, found)] as const];
    }),
  );
}

/** One series of several: at each slot, what `combine` makes of those values that are there. */
export function across(list: readonly Series[], combine: (values: number[]) => number): Series {
  const columns = new Map<number, number[]>();
  for (const series of list) {
    for (const [slot, value] of pointsOf(series)) {
      const column = columns.get(slot);
      if (column) column.push(value);
      else columns.set(slot, [value]);
    }
  }
  const period = list.reduce((longest, one) => Math.max(longest, one.period), 0);
  return seriesOf(
    { label: "", period },
    [...columns].sort(([a], [b]) => a - b).map(([slot, values]) => [slot, combine(values)] as const),
  );
}

const truth = (value: boolean) => (value ? 1 : 0);

const operators: Readonly<Record<Operator, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "^": (a, b) => a ** b,
  "==": (a, b) => truth(a === b),
  "!=": (a, b) => truth(a !== b),
  "<": (a, b) => truth(a < b),
  "<=": (a, b) => truth(a <= b),
  ">": (a, b) => truth(a > b),
  ">=": (a, b) => truth(a >= b),
  AND: (a, b) => truth(a !== 0 && b !== 0),
  OR: (a, b) => truth(a !== 0 || b !== 0),
};

/** Source: "Metric math syntax": S with S, TS with S or TS, TS[] with S or TS; never TS[] with TS[]. */
export function operate(operator: Operator, left: Value, right: Value): Value {
  const combine = operators[operator];
  if (typeof left === "string" || typeof right === "string") throw new MathError(`The operator ${operator} does not take text.`);
  if (isArray(left)) {
    if (isArray(right)) throw new MathError(`The operator ${operator} cannot be applied to two arrays of time series.`);
    return left.map((one) => operate(operator, one, right) as Series);
  }
  if (isArray(right)) return right.map((one) => ({ ...(operate(operator, left, one) as Series), label: one.label }));
  if (typeof left === "number") return typeof right === "number" ? combine(left, right) : mapSeries(right, (value) => combine(left, value));
  return typeof right === "number" ? mapSeries(left, (value) => combine(value, right)) : zip(left, right, combine);
}
