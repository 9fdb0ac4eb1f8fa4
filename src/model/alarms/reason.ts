import type { AlarmPoint, Verdict } from "./evaluate.ts";
import type { AlarmStateValue, ComparisonOperator, MissingData } from "./records.ts";

const comparisons: Readonly<Record<ComparisonOperator, string>> = {
  GreaterThanOrEqualToThreshold: "greater than or equal to",
  GreaterThanThreshold: "greater than",
  LessThanThreshold: "less than",
  LessThanOrEqualToThreshold: "less than or equal to",
};

export interface ReasonFacts {
  readonly verdict: Verdict;
  readonly current: AlarmStateValue;
  readonly operator: ComparisonOperator;
  readonly threshold: number;
  readonly treatMissingData: MissingData;
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm: number;
  readonly period: number;
  readonly statistic: string | undefined;
  readonly unit: string | undefined;
  /** Milliseconds. */
  readonly now: number;
}

/** Java writes whole numbers with `.0`, so AWS does. */
const decimal = (value: number) => (Number.isInteger(value) && Math.abs(value) < 1e15 ? `${value}.0` : String(value));
const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? "" : "s"}`;

/** Why, in AWS's words. */
export function reasonOf(facts: ReasonFacts): string {
  const { verdict, operator, threshold, treatMissingData, evaluationPeriods, datapointsToAlarm, current } = facts;
  if (verdict.state === "INSUFFICIENT_DATA")
    return `Insufficient Data: ${plural(evaluationPeriods, "datapoint")} ${evaluationPeriods === 1 ? "was" : "were"} unknown.`;
  const treated = treatMissingData === "breaching" ? "Breaching" : "NonBreaching";
  if (verdict.points.length === 0)
    return `Threshold Crossed: no datapoints were received for ${plural(evaluationPeriods, "period")} and ${plural(verdict.filled, "missing datapoint")} ${verdict.filled === 1 ? "was" : "were"} treated as [${treated}].`;
  const alarm = verdict.state === "ALARM";
  const shown = alarm ? verdict.breaching : verdict.points.length - verdict.breaching;
  const list = verdict.points.slice(0, 5).map(({ value, slot }) => `${decimal(value)} (${shortTime(slot)})`);
  const missing =
    verdict.filled > 0 && (treatMissingData === "breaching" || treatMissingData === "notBreaching")
      ? ` and ${plural(verdict.filled, "missing datapoint")} ${verdict.filled === 1 ? "was" : "were"} treated as [${treated}]`
      : "";
  const minimum = alarm ? datapointsToAlarm : evaluationPeriods - datapointsToAlarm + 1;
  return (
    `Threshold Crossed: ${shown} out of the last ${plural(verdict.points.length, "datapoint")} [${list.join(", ")}] ${shown === 1 ? "was" : "were"} ` +
    `${alarm ? "" : "not "}${comparisons[operator]} the threshold (${decimal(threshold)})${missing} ` +
    `(minimum ${plural(minimum, "datapoint")} for ${current === verdict.state ? (alarm ? "OK" : "ALARM") : current} -> ${verdict.state} transition).`
  );
}

export function reasonDataOf(facts: ReasonFacts): string {
  const { verdict, threshold, period, statistic, unit, now } = facts;
  const oldest = verdict.points.at(-1);
  const point = ({ slot, value, samples }: AlarmPoint) => ({
    timestamp: javaTime(slot * 1000),
    ...(samples === undefined ? {} : { sampleCount: samples }),
    value,
  });
  return JSON.stringify({
    version: "1.0",
    queryDate: javaTime(now),
    ...(oldest ? { startDate: javaTime(oldest.slot * 1000) } : {}),
    ...(statistic === undefined ? {} : { statistic }),
    period,
    recentDatapoints: verdict.points.map(({ value }) => value).toReversed(),
    threshold,
    ...(unit === undefined ? {} : { unit }),
    evaluatedDatapoints: verdict.points.map(point),
  });
}

/** `2026-01-02T03:04:05.678+0000` */
export const javaTime = (ms: number): string => new Date(ms).toISOString().replace("Z", "+0000");

function shortTime(seconds: number): string {
  const [date, time] = new Date(seconds * 1000).toISOString().split("T") as [string, string];
  const [year, month, day] = date.split("-") as [string, string, string];
  return `${day}/${month}/${year.slice(2)} ${time.slice(0, 8)}`;
}
