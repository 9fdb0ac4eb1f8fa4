import type { GetMetricDataCommandInput, GetMetricDataCommandOutput, MetricDataResult } from "@aws-sdk/client-cloudwatch";
import { answer } from "#metrics/query.ts";
import { labelOf } from "#model/metrics/label.ts";
import type { Series } from "#model/metrics/math/values.ts";
import type { Operation } from "./context.ts";
import { errors } from "./errors.ts";
import { prepared, queriesOf, translatedLater } from "./queries.ts";
import { checkEnum, checkRange, secondsOf } from "./rules.ts";

const maxQueries = 500;
const maxDatapoints = 100_800;

export const getMetricData: Operation<GetMetricDataCommandInput, Omit<GetMetricDataCommandOutput, "$metadata">> = async (
  cloudwatch,
  input,
  context,
) => {
  const given = input.MetricDataQueries!;
  if (given.length === 0) throw errors.missing("MetricDataQueries");
  if (given.length > maxQueries)
    throw errors.validation(`The collection MetricDataQueries must not have a size greater than ${maxQueries}.`);
  checkEnum("scanBy", input.ScanBy, ["TimestampAscending", "TimestampDescending"]);
  checkRange("maxDatapoints", input.MaxDatapoints, 1, maxDatapoints);
  const timezone = input.LabelOptions?.Timezone;
  if (timezone !== undefined && !/^[+-]\d{4}$/.test(timezone))
    throw errors.validation("The parameter LabelOptions.Timezone must be of the form +hhmm or -hhmm.");
  const start = secondsOf(input.StartTime!);
  const end = secondsOf(input.EndTime!);
  if (start >= end) throw errors.validation("The parameter EndTime must be greater than StartTime");
  const queries = queriesOf(given, "MetricDataQueries");
  if (queries.every(({ returnData }) => returnData === false))
    throw errors.validation("At least one query must have ReturnData set to true.");
  const plan = prepared(queries);

  const scope = JSON.stringify(["GetMetricData", context.account, context.region, start, end, input.ScanBy, given]);
  const opened =
    input.NextToken === undefined ? undefined : (cloudwatch.deps.sealer.open(scope, input.NextToken) as { given?: unknown } | undefined);
  if (input.NextToken !== undefined && typeof opened?.given !== "number") throw errors.badToken();

  const span = { start, end, now: context.now / 1000, anchor: "period" } as const;
  const answers = await translatedLater(answer(cloudwatch.metrics(), context, plan, span));
  const shown: { id: string; label: string; series: Series }[] = [];
  for (const query of queries) {
    const { series, several } = answers.get(query.id)!;
    if (query.returnData === false) continue;
    for (const one of series) {
      const usual = one.label || query.id;
      const template =
        query.label !== undefined && several && !query.label.includes("${") ? `${query.label} ${usual}` : (query.label ?? usual);
      const label = template.includes("${")
        ? labelOf(template, {
            series: one,
            usual: several ? usual : (query.stat?.name ?? query.id),
            metric: query.stat,
            stat: query.stat?.stat,
            account: context.account,
            region: context.region,
            timezone,
          })
        : template;
      shown.push({ id: query.id, label, series: one });
    }
  }

  // A page goes on where the last one ended, counted over all results in their order.
  let skip = (opened?.given as number | undefined) ?? 0;
  const first = skip === 0;
  let room = input.MaxDatapoints ?? maxDatapoints;
  let told = skip;
  let more = false;
  const results: MetricDataResult[] = [];
  for (const { id, label, series } of shown) {
    const length = series.values.length;
    const from = Math.min(skip, length);
    skip -= from;
    if (!first && from === length) continue;
    const to = Math.min(length, from + room);
    room -= to - from;
    told += to - from;
    if (to < length) more = true;
    if (more && to === from && !first) continue;
    const order = (list: readonly number[]) => (input.ScanBy === "TimestampAscending" ? list : list.toReversed()).slice(from, to);
    results.push({
      Id: id,
      Label: label,
      Timestamps: order(series.slots).map((slot) => new Date(slot * 1000)),
      Values: [...order(series.values)],
      StatusCode: to < length ? "PartialData" : "Complete",
    });
  }
  return { MetricDataResults: results, Messages: [], NextToken: more ? cloudwatch.deps.sealer.seal(scope, { given: told }) : undefined };
};
