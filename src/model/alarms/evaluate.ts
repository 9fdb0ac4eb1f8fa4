import type { AlarmStateValue, ComparisonOperator, MissingData } from "./records.ts";

/** A data point of the evaluation range. `slot`: its beginning, seconds. */
export interface AlarmPoint {
  readonly slot: number;
  readonly value: number;
  /** Samples behind it, where known. */
  readonly samples?: number;
}

export interface EvaluationInput {
  /** The evaluation range, newest first; undefined where data is missing. */
  readonly range: readonly (AlarmPoint | undefined)[];
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly breaches: (value: number) => boolean;
  readonly treatMissingData: MissingData;
  readonly current: AlarmStateValue;
}

export interface Verdict {
  readonly state: AlarmStateValue;
  /** The real points that were looked at, newest first. */
  readonly points: readonly AlarmPoint[];
  readonly breaching: number;
  /** Missing points that were filled in by `treatMissingData`. */
  readonly filled: number;
  /** The state stands because of missing data. */
  readonly retained?: true;
}

/**
 * How many periods are looked at. AWS says only that it is more than EvaluationPeriods, and shows 5 for 3: so two more; not so for those of an hour and
 * longer, where old data would hold a state for hours.
 */
export const evaluationRange = (evaluationPeriods: number, period: number): number => evaluationPeriods + (period < 3600 ? 2 : 1);

const comparisons: Readonly<Record<ComparisonOperator, (value: number, threshold: number) => boolean>> = {
  GreaterThanOrEqualToThreshold: (value, threshold) => value >= threshold,
  GreaterThanThreshold: (value, threshold) => value > threshold,
  LessThanThreshold: (value, threshold) => value < threshold,
  LessThanOrEqualToThreshold: (value, threshold) => value <= threshold,
};

export const comparisonOperators: readonly string[] = Object.keys(comparisons);

export const breachOf =
  (operator: ComparisonOperator, threshold: number) =>
  (value: number): boolean =>
    comparisons[operator](value, threshold);

/**
 * The state of a metric alarm. Pure. Source: "Configuring how CloudWatch alarms treat missing data" with its two tables, which are the test:
 * enough real points are judged by themselves; otherwise missing ones are filled in; a breaching point that is old enough, with nothing but breaching
 * or missing ones in the range, is an alarm even if too few are there.
 */
export function evaluateAlarm({
  range,
  evaluationPeriods,
  datapointsToAlarm,
  breaches,
  treatMissingData,
  current,
}: EvaluationInput): Verdict {
  const real = range.flatMap((point, age) => (point ? [{ point, age: age + 1 }] : []));
  const judged = real.slice(0, evaluationPeriods);
  const points = judged.map(({ point }) => point);
  const breaching = points.filter(({ value }) => breaches(value)).length;
  const filled = evaluationPeriods - points.length;
  const verdict = (alarm: boolean): Verdict => ({ state: alarm ? "ALARM" : "OK", points, breaching, filled });
  const retained = (): Verdict => ({ state: current, points, breaching, filled, retained: true });
  const enough = breaching >= datapointsToAlarm;
  if (filled <= 0 || treatMissingData === "notBreaching") return verdict(enough);
  if (treatMissingData === "breaching") return verdict(breaching + filled >= datapointsToAlarm);
  if (real.length === 0) return treatMissingData === "ignore" ? retained() : { ...verdict(false), state: "INSUFFICIENT_DATA" };
  if (enough) return verdict(true);
  const oldEnough = breaching === real.length && real.at(-1)!.age >= datapointsToAlarm;
  if (!oldEnough) return verdict(false);
  return treatMissingData === "ignore" ? retained() : verdict(true);
}

/** Whether so few samples say anything about this percentile (0 to 100). Source: "Percentile-based alarms and low data samples". */
export function significant(percent: number, samples: number): boolean {
  const share = percent / 100;
  if (share <= 0 || share >= 1) return true;
  return samples >= 10 / (share >= 0.5 ? 1 - share : share) - 1e-9;
}
