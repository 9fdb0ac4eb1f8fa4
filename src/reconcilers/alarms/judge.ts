import type { MetricStore } from "#metrics/metric-store.ts";
import { answer, type Prepared, prepare } from "#metrics/query.ts";
import { type AlarmPoint, breachOf, evaluateAlarm, evaluationRange, significant } from "#model/alarms/evaluate.ts";
import { reasonDataOf, reasonOf } from "#model/alarms/reason.ts";
import type { AlarmRecord, AlarmStateValue, MetricAlarmRule, MetricQuery } from "#model/alarms/records.ts";
import { slotOf } from "#model/metrics/resolution.ts";

/** What a metric alarm says of its metric now; undefined: its state stands. */
export interface Judgement {
  readonly value: AlarmStateValue;
  readonly reason: string;
  readonly reasonData: string;
}

export function queriesOf({
  metrics,
  namespace,
  metricName,
  dimensions,
  period,
  statistic,
  extendedStatistic,
  unit,
}: MetricAlarmRule): readonly MetricQuery[] {
  if (metrics) return metrics;
  const stat = { namespace: namespace!, name: metricName!, dimensions, period: period!, stat: statistic ?? extendedStatistic!, unit };
  return [{ id: "m", returnData: true, stat }];
}

/** The period in which it is judged: that of its own metric, of the expression, or the longest that goes into it. */
export function periodOf(rule: MetricAlarmRule): number {
  const queries = queriesOf(rule);
  const shown = queries.find(({ returnData }) => returnData !== false);
  return (
    shown?.stat?.period ??
    shown?.period ??
    queries.reduce((longest, { stat, period }) => Math.max(longest, stat?.period ?? period ?? 0), 0) ??
    60
  );
}

/** Alarms on periods under a minute are judged every 10 seconds, all others every minute. */
export const intervalOf = (rule: MetricAlarmRule): number => (periodOf(rule) < 60 ? 10 : 60);

/** `now` in milliseconds. Throws MathError when the alarm's expression has no answer. */
export async function judge(
  store: MetricStore,
  alarm: AlarmRecord,
  current: AlarmStateValue,
  now: number,
  plan: Prepared = prepare(queriesOf(alarm.metric!)),
): Promise<Judgement | undefined> {
  const rule = alarm.metric!;
  const period = periodOf(rule);
  const end = slotOf(now / 1000, intervalOf(rule));
  const length = evaluationRange(rule.evaluationPeriods, period);
  const start = end - length * period;
  const answers = await answer(store, alarm, plan, { start, end, now: now / 1000, anchor: "start" });
  const shown = [...answers.values()].find(({ query }) => query.returnData !== false);
  const points = new Map<number, AlarmPoint>();
  shown?.series[0]?.slots.forEach((slot, i) =>
    points.set(slot, { slot, value: shown.series[0]!.values[i]!, samples: shown.samples?.get(slot) }),
  );
  const range = Array.from({ length }, (_, age) => points.get(end - (age + 1) * period));

  const datapointsToAlarm = rule.datapointsToAlarm ?? rule.evaluationPeriods;
  const treatMissingData = rule.treatMissingData ?? "missing";
  const breaches = breachOf(rule.comparisonOperator, rule.threshold);
  const verdict = evaluateAlarm({
    range,
    evaluationPeriods: rule.evaluationPeriods,
    datapointsToAlarm,
    breaches,
    treatMissingData,
    current,
  });
  const newest = verdict.points[0];
  const percentile = /^p([\d.]+)$/i.exec(rule.extendedStatistic ?? "");
  if (rule.lowSampleCount === "ignore" && percentile && newest && !significant(Number(percentile[1]), newest.samples ?? Infinity))
    return undefined;
  if (verdict.retained) return undefined;
  const facts = {
    verdict,
    current,
    operator: rule.comparisonOperator,
    threshold: rule.threshold,
    treatMissingData,
    evaluationPeriods: rule.evaluationPeriods,
    datapointsToAlarm,
    period,
    statistic: rule.statistic ?? rule.extendedStatistic,
    unit: rule.unit,
    now,
  };
  return { value: verdict.state, reason: reasonOf(facts), reasonData: reasonDataOf(facts) };
}
