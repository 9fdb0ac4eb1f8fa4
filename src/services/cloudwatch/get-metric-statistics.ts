import type { Datapoint, GetMetricStatisticsCommandInput, GetMetricStatisticsCommandOutput } from "@aws-sdk/client-cloudwatch";
import { readPeriods } from "#metrics/read.ts";
import { parseStatistic } from "#model/metrics/statistics.ts";
import type { Operation } from "./context.ts";
import { errors } from "./errors.ts";
import {
  checkBasicStatistic,
  checkMetricName,
  checkNamespace,
  checkPeriod,
  checkStatistic,
  checkUnit,
  dimensionsOf,
  secondsOf,
} from "./rules.ts";

const maxPoints = 1440;

export const getMetricStatistics: Operation<GetMetricStatisticsCommandInput, Omit<GetMetricStatisticsCommandOutput, "$metadata">> = async (
  cloudwatch,
  input,
  context,
) => {
  const metric = { namespace: input.Namespace!, name: input.MetricName!, dimensions: dimensionsOf(input.Dimensions, "") };
  checkNamespace(metric.namespace);
  checkMetricName(metric.name, "MetricName");
  checkUnit(input.Unit, "Unit");
  const statistics = input.Statistics ?? [];
  const extended = input.ExtendedStatistics ?? [];
  if (statistics.length === 0 && extended.length === 0) throw errors.combination("Must specify either Statistics or ExtendedStatistics");
  if (statistics.length > 0 && extended.length > 0)
    throw errors.combination("The parameters Statistics and ExtendedStatistics are mutually exclusive.");
  if (extended.length > 10) throw errors.validation("The collection ExtendedStatistics must not have a size greater than 10.");
  for (const stat of statistics) checkBasicStatistic(stat, "statistics");
  for (const stat of extended) checkStatistic(stat, "ExtendedStatistics");
  const period = input.Period!;
  checkPeriod(period, "Period");
  const start = secondsOf(input.StartTime!);
  const end = secondsOf(input.EndTime!);
  if (start >= end) throw errors.invalid("The parameter StartTime must be less than the parameter EndTime.");
  const wanted = Math.ceil((end - start) / period);
  if (wanted > maxPoints)
    throw errors.combination(
      `You have requested up to ${wanted.toLocaleString("en-US")} datapoints, which exceeds the limit of ${maxPoints.toLocaleString("en-US")}. You may reduce the datapoints requested by increasing Period, or decreasing the time range.`,
    );

  const store = cloudwatch.metrics();
  const span = { start, end, now: context.now / 1000, anchor: "start" } as const;
  const points: Datapoint[] = [];
  for (const { unit } of store.find(context, metric)) {
    if (input.Unit !== undefined && unit !== input.Unit) continue;
    const read = await readPeriods(store, context, { ...metric, unit }, span, period);
    for (const { slot, bundle } of read.points) {
      const basic = Object.fromEntries(statistics.map((stat) => [stat, parseStatistic(stat)!(bundle)]));
      const taken = extended
        .map((stat) => [stat, parseStatistic(stat)!(bundle)] as const)
        .filter((pair): pair is readonly [string, number] => pair[1] !== undefined);
      if (extended.length > 0 && taken.length === 0) continue;
      points.push({
        Timestamp: new Date(slot * 1000),
        ...basic,
        Unit: unit as never,
        ...(extended.length > 0 ? { ExtendedStatistics: Object.fromEntries(taken) } : {}),
      });
    }
  }
  return { Label: metric.name, Datapoints: points };
};
