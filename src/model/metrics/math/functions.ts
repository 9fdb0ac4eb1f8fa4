import { MathError } from "./syntax.ts";
import { across, isArray, isSeries, mapSeries, pointsOf, type Series, seriesOf, type Value } from "./values.ts";

/** The time that a question is about, seconds. */
export interface Window {
  /** Where the first slot of such a period begins. */
  readonly startOf: (period: number) => number;
  readonly end: number;
  /** Of series that an expression makes from nothing. */
  readonly period: number;
}

type MathFunction = (items: readonly Value[], window: Window) => Value;

const bad = (name: string, what: string): never => {
  throw new MathError(`${name}: ${what}`);
};

const total = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0);
const mean = (values: readonly number[]) => total(values) / values.length;
const deviation = (values: readonly number[]) => {
  const middle = mean(values);
  return Math.sqrt(total(values.map((value) => (value - middle) ** 2)) / values.length);
};
const smallest = (values: readonly number[]) => values.reduce((least, value) => Math.min(least, value), Infinity);
const largest = (values: readonly number[]) => values.reduce((most, value) => Math.max(most, value), -Infinity);

/** Of each value: S to S, TS to TS, TS[] to TS[]. */
const each =
  (name: string, change: (value: number, slot: number) => number): MathFunction =>
  ([item]) => {
    if (typeof item === "number") return change(item, 0);
    if (item === undefined || typeof item === "string") return bad(name, "a time series is expected");
    return isArray(item) ? item.map((one) => mapSeries(one, change)) : mapSeries(item, change);
  };

/** Of each series: TS to TS, TS[] to TS[]. */
const perSeries =
  (name: string, change: (series: Series, items: readonly Value[], window: Window) => Series): MathFunction =>
  (items, window) => {
    const [item] = items;
    if (item === undefined || typeof item !== "object") return bad(name, "a time series is expected");
    return isArray(item) ? item.map((one) => change(one, items, window)) : change(item as Series, items, window);
  };

/** TS to S, TS[] to TS. Several items are an array of them. */
const summary =
  (name: string, of: (values: number[]) => number): MathFunction =>
  (items) => {
    if (items.length > 1) {
      if (items.every((item) => typeof item === "number")) return of([...items]);
      const series = items.filter(isSeries);
      const scalars = items.filter((item) => typeof item === "number");
      if (series.length + scalars.length !== items.length) return bad(name, "time series and numbers are expected");
      return across(series, (values) => of([...values, ...scalars]));
    }
    const [item] = items;
    if (typeof item === "number") return of([item]);
    if (item === undefined || typeof item === "string") return bad(name, "a time series is expected");
    return isArray(item) ? across(item, of) : (item as Series).values.length > 0 ? of([...(item as Series).values]) : Number.NaN;
  };

const steps = (series: Series, change: (now: number, before: number, seconds: number) => number): Series =>
  seriesOf(
    series,
    pointsOf(series)
      .drop(1)
      .map(([slot, value], i) => [slot, change(value, series.values[i]!, slot - series.slots[i]!)] as const),
  );

function* grid({ startOf, end }: Window, period: number): Generator<number> {
  for (let slot = startOf(period); slot < end; slot += period) yield slot;
}

function fill(series: Series, items: readonly Value[], window: Window): Series {
  const filler = items[1];
  const known = new Map(pointsOf(series));
  const slots = [...grid(window, series.period)];
  if (typeof filler === "number")
    return seriesOf(
      series,
      slots.map((slot) => [slot, known.get(slot) ?? filler]),
    );
  if (filler !== undefined && isSeries(filler)) {
    const other = new Map(pointsOf(filler));
    return seriesOf(
      series,
      slots.map((slot) => [slot, known.get(slot) ?? other.get(slot) ?? Number.NaN]),
    );
  }
  if (filler === "REPEAT") {
    let last = Number.NaN;
    return seriesOf(
      series,
      slots.map((slot) => [slot, (last = known.get(slot) ?? last)]),
    );
  }
  if (filler === "LINEAR")
    return seriesOf(
      series,
      slots.map((slot) => [slot, known.get(slot) ?? between(series, slot)]),
    );
  return bad("FILL", "the second argument is a number, a time series, REPEAT or LINEAR");
}

/** On the line between the neighbours; before the first and behind the last there is none. */
function between({ slots, values }: Series, slot: number): number {
  const after = slots.findIndex((one) => one > slot);
  if (after <= 0) return Number.NaN;
  const [a, b] = [slots[after - 1]!, slots[after]!];
  return values[after - 1]! + ((values[after]! - values[after - 1]!) * (slot - a)) / (b - a);
}

function choose([condition, then, otherwise]: readonly Value[]): Value {
  if (typeof condition === "string" || condition === undefined || then === undefined)
    return bad("IF", "a condition and a value are expected");
  if ([condition, then, otherwise ?? 0].some(isArray)) return bad("IF", "arrays of time series are not taken");
  if (typeof then === "string" || typeof otherwise === "string") return bad("IF", "text is not taken");
  if (typeof condition === "number") {
    if (condition !== 0) return then;
    return otherwise ?? (isSeries(then) ? { ...then, slots: [], values: [] } : bad("IF", "a third argument is expected"));
  }
  const valueAt = (value: Value | undefined) => {
    if (value === undefined) return () => Number.NaN;
    if (typeof value === "number") return () => value;
    const points = new Map(pointsOf(value as Series));
    return (slot: number) => points.get(slot) ?? Number.NaN;
  };
  const [yes, no] = [valueAt(then), valueAt(otherwise)];
  return mapSeries(condition as Series, (value, slot) => (value !== 0 ? yes(slot) : no(slot)));
}

const arrayOf = (name: string, item: Value | undefined): readonly Series[] =>
  item !== undefined && isArray(item)
    ? item
    : item !== undefined && isSeries(item)
      ? [item]
      : bad(name, "an array of time series is expected");

const orders: Readonly<Record<string, (values: readonly number[]) => number>> = {
  AVG: mean,
  MIN: smallest,
  MAX: largest,
  SUM: total,
  STDDEV: deviation,
};

function sort([list, by, order, limit]: readonly Value[]): Value {
  const measure = typeof by === "string" ? orders[by.toUpperCase()] : undefined;
  if (!measure) return bad("SORT", "the second argument is AVG, MIN, MAX, SUM or STDDEV");
  const direction = typeof order === "string" ? { ASC: 1, DESC: -1 }[order.toUpperCase()] : undefined;
  if (direction === undefined) return bad("SORT", "the third argument is ASC or DESC");
  const sorted = arrayOf("SORT", list)
    .map((series) => ({ series, key: series.values.length > 0 ? measure(series.values) : Number.NaN }))
    .sort((a, b) => (Number.isNaN(a.key) ? (Number.isNaN(b.key) ? 0 : 1) : Number.isNaN(b.key) ? -1 : direction * (a.key - b.key)))
    .map(({ series }) => series);
  return typeof limit === "number" ? sorted.slice(0, limit) : sorted;
}

const date = (name: string, of: (date: Date) => number) =>
  perSeries(name, (series) => mapSeries(series, (_value, slot) => of(new Date(slot * 1000))));

export const functions: Readonly<Record<string, MathFunction>> = {
  ABS: each("ABS", Math.abs),
  CEIL: each("CEIL", Math.ceil),
  FLOOR: each("FLOOR", Math.floor),
  LOG: each("LOG", Math.log),
  LOG10: each("LOG10", Math.log10),
  SUM: summary("SUM", total),
  AVG: summary("AVG", mean),
  MIN: summary("MIN", smallest),
  MAX: summary("MAX", largest),
  STDDEV: summary("STDDEV", deviation),
  DATAPOINT_COUNT: ([item]) => {
    if (item === undefined || typeof item !== "object") return bad("DATAPOINT_COUNT", "a time series is expected");
    return isArray(item) ? across(item, (values) => values.length) : (item as Series).values.length;
  },
  DIFF: perSeries("DIFF", (series) => steps(series, (now, before) => now - before)),
  DIFF_TIME: perSeries("DIFF_TIME", (series) => steps(series, (_now, _before, seconds) => seconds)),
  RATE: perSeries("RATE", (series) => steps(series, (now, before, seconds) => (now - before) / seconds)),
  RUNNING_SUM: perSeries("RUNNING_SUM", (series) => {
    let sum = 0;
    return mapSeries(series, (value) => (sum += value));
  }),
  FILL: perSeries("FILL", fill),
  IF: choose,
  PERIOD: ([item]) => (item !== undefined && isSeries(item) ? item.period : bad("PERIOD", "a time series is expected")),
  TIME_SERIES: ([item], window) =>
    typeof item === "number"
      ? seriesOf(
          { label: "", period: window.period },
          grid(window, window.period).map((slot) => [slot, item] as const),
        )
      : bad("TIME_SERIES", "a number is expected"),
  METRIC_COUNT: ([item]) => arrayOf("METRIC_COUNT", item).length,
  FIRST: ([item]) => arrayOf("FIRST", item)[0] ?? { label: "", period: 60, slots: [], values: [] },
  LAST: ([item]) => arrayOf("LAST", item).at(-1) ?? { label: "", period: 60, slots: [], values: [] },
  REMOVE_EMPTY: ([item]) => arrayOf("REMOVE_EMPTY", item).filter(({ values }) => values.length > 0),
  SORT: sort,
  SLICE: ([item, start, end]) => {
    const list = arrayOf("SLICE", item);
    if (typeof start !== "number") return bad("SLICE", "the second argument is a number");
    if (end !== undefined) return typeof end === "number" ? list.slice(start, end) : bad("SLICE", "the third argument is a number");
    return list.slice(start);
  },
  EPOCH: date("EPOCH", (at) => at.getTime() / 1000),
  MINUTE: date("MINUTE", (at) => at.getUTCMinutes()),
  HOUR: date("HOUR", (at) => at.getUTCHours()),
  DAY: date("DAY", (at) => at.getUTCDay() || 7),
  DATE: date("DATE", (at) => at.getUTCDate()),
  MONTH: date("MONTH", (at) => at.getUTCMonth() + 1),
  YEAR: date("YEAR", (at) => at.getUTCFullYear()),
};

/** Functions of AWS that need what Gantry does not have. */
export const absent: Readonly<Record<string, string>> = {
  ANOMALY_DETECTION_BAND: "anomaly detection",
  INSIGHT_RULE_METRIC: "Contributor Insights",
  DB_PERF_INSIGHTS: "RDS",
  LAMBDA: "Lambda",
  SERVICE_QUOTA: "Service Quotas",
};
