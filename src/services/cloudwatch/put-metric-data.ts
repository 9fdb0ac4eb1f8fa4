import type { MetricDatum, PutMetricDataCommandInput } from "@aws-sdk/client-cloudwatch";
import type { NewPoint } from "#metrics/metric-store.ts";
import { Accumulator, type Bundle, bundleOf, bundleOfStatistics } from "#model/metrics/bundle.ts";
import { slotOf } from "#model/metrics/resolution.ts";
import { errors } from "./errors.ts";
import type { Operation } from "./context.ts";
import { checkMetricName, checkNamespace, checkUnit, dimensionsOf } from "./rules.ts";

const twoWeeks = 14 * 86_400_000;
const twoHours = 2 * 3_600_000;
const largest = 2 ** 360;

/** Source: PutMetricData: 1000 metrics a request, 150 values a metric, two weeks back, two hours ahead. */
export const putMetricData: Operation<PutMetricDataCommandInput, object> = async (cloudwatch, input, context) => {
  const namespace = input.Namespace!;
  checkNamespace(namespace);
  if (/^AWS\//.test(namespace)) throw errors.invalid("The value AWS/ for parameter Namespace is invalid.");
  // Entities are of Application Signals: their data is as good without them.
  const data = [...(input.MetricData ?? []), ...(input.EntityMetricData ?? []).flatMap(({ MetricData }) => MetricData ?? [])];
  if (data.length === 0) throw errors.missing("MetricData");
  if (data.length > 1000) throw errors.invalid("The collection MetricData must not have a size greater than 1000.");
  const { account, region, now } = context;
  const points = data.map((datum, i): NewPoint => {
    const path = `MetricData.member.${i + 1}.`;
    checkMetricName(datum.MetricName!, `${path}MetricName`);
    checkUnit(datum.Unit, `${path}Unit`);
    const step = datum.StorageResolution ?? 60;
    if (step !== 1 && step !== 60) throw errors.invalid(`The parameter ${path}StorageResolution must be 1 or 60.`);
    const at = datum.Timestamp?.getTime() ?? now;
    if (at < now - twoWeeks) throw errors.invalid(`The parameter ${path}Timestamp must specify a time within the past two weeks.`);
    if (at > now + twoHours)
      throw errors.invalid(`The parameter ${path}Timestamp must specify a time no more than two hours in the future.`);
    return {
      series: {
        account,
        region,
        namespace,
        name: datum.MetricName!,
        dimensions: dimensionsOf(datum.Dimensions, path),
        unit: datum.Unit ?? "None",
      },
      step,
      slot: slotOf(at / 1000, step),
      bundle: bundleFrom(datum, path),
    };
  });
  try {
    await cloudwatch.metrics().put(points);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") throw errors.full();
    throw error;
  }
  return {};
};

function bundleFrom({ Value, Values, Counts, StatisticValues }: MetricDatum, path: string): Bundle {
  const given = [Value, Values, StatisticValues].filter((one) => one !== undefined).length;
  if (given === 0)
    throw errors.combination(`At least one of the parameters ${path}Value, ${path}Values and ${path}StatisticValues must be specified.`);
  if (given > 1)
    throw errors.combination(
      `The parameters ${path}Value, ${path}Values and ${path}StatisticValues are mutually exclusive and you have specified more than one.`,
    );
  if (Counts && !Values) throw errors.combination(`The parameter ${path}Counts needs ${path}Values.`);
  if (Value !== undefined) return bundleOf(checked(Value, `${path}Value`));
  if (StatisticValues) {
    const at = `${path}StatisticValues.`;
    const [count, sum, min, max] = (["SampleCount", "Sum", "Minimum", "Maximum"] as const).map((member) =>
      checked(StatisticValues[member]!, at + member),
    ) as [number, number, number, number];
    if (count <= 0) throw errors.invalid(`The parameter ${at}SampleCount must be greater than 0.`);
    if (min > max) throw errors.invalid(`The parameter ${at}Maximum must be greater than or equal to ${at}Minimum.`);
    return bundleOfStatistics(count, sum, min, max);
  }
  if (Values!.length > 150) throw errors.invalid(`The collection ${path}Values must not have a size greater than 150.`);
  if (Counts && Counts.length !== Values!.length)
    throw errors.invalid(`The parameters ${path}Values and ${path}Counts must be of the same size.`);
  const sum = new Accumulator();
  Values!.forEach((value, i) => {
    const count = Counts?.[i] ?? 1;
    if (!(checked(count, `${path}Counts.member.${i + 1}`) >= 0))
      throw errors.invalid(`The parameter ${path}Counts.member.${i + 1} must not be negative.`);
    if (count > 0) sum.add(checked(value, `${path}Values.member.${i + 1}`), count);
  });
  if (sum.empty) throw errors.invalid(`The collection ${path}Values must not be empty.`);
  return sum.bundle();
}

function checked(value: number, path: string): number {
  if (!Number.isFinite(value)) throw errors.invalid(`The value ${value} for parameter ${path} is invalid.`);
  if (Math.abs(value) > largest) throw errors.invalid(`The value for parameter ${path} must be in the range of -2^360 to 2^360.`);
  return value;
}
