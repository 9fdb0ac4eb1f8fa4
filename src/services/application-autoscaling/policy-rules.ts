import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import { parseResourceLabel } from "#model/application-autoscaling/alarms.ts";
import {
  predefinedMetrics,
  type Step,
  type StepScaling,
  type TrackedMetric,
  type Tracking,
} from "#model/application-autoscaling/records.ts";
import type { MetricQuery } from "#model/alarms/records.ts";
import { parseExpression, MathError } from "#model/metrics/math/syntax.ts";
import { sortedDimensions, units } from "#model/metrics/identity.ts";
import { parseStatistic } from "#model/metrics/statistics.ts";
import { constraint, errors } from "./context.ts";

/** What a scaling policy may say. Source: Application Auto Scaling API Reference, the configurations of its policies. */

const { validation } = errors;

const oneOf = (member: string, value: string | undefined, values: readonly string[]): void => {
  if (value !== undefined && !values.includes(value)) throw constraint(member, value, `satisfy enum value set: [${values.join(", ")}]`);
};

const cooldown = (member: string, value: number | undefined): void => {
  if (value !== undefined && (!Number.isInteger(value) || value < 0))
    throw validation(`${member} must be a whole number of seconds that is not negative.`);
};

export function stepScaling(input: Sdk.StepScalingPolicyConfiguration): StepScaling {
  const path = "stepScalingPolicyConfiguration";
  if (input.AdjustmentType === undefined) throw validation("AdjustmentType is required for a step scaling policy.");
  oneOf(`${path}.adjustmentType`, input.AdjustmentType, ["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]);
  oneOf(`${path}.metricAggregationType`, input.MetricAggregationType, ["Average", "Minimum", "Maximum"]);
  cooldown("Cooldown", input.Cooldown);
  const given = input.StepAdjustments ?? [];
  if (given.length === 0) throw validation("At least one step adjustment must be specified.");
  if (given.length > 20) throw errors.limit("A step scaling policy has 20 step adjustments at most.");
  const { MinAdjustmentMagnitude: least } = input;
  if (least !== undefined && input.AdjustmentType !== "PercentChangeInCapacity")
    throw validation("MinAdjustmentMagnitude is supported with the adjustment type PercentChangeInCapacity only.");
  if (least !== undefined && (!Number.isInteger(least) || least < 1))
    throw validation("MinAdjustmentMagnitude must be a positive whole number.");
  const steps = given.map(
    ({ MetricIntervalLowerBound: lower, MetricIntervalUpperBound: upper, ScalingAdjustment: adjustment = 0 }): Step => {
      if (!Number.isInteger(adjustment)) throw validation("ScalingAdjustment must be a whole number.");
      if (input.AdjustmentType === "ExactCapacity" && adjustment < 0)
        throw validation("ScalingAdjustment must not be negative for the adjustment type ExactCapacity.");
      return { ...(lower === undefined ? {} : { lower }), ...(upper === undefined ? {} : { upper }), adjustment };
    },
  );
  checkSteps(steps);
  return {
    adjustmentType: input.AdjustmentType,
    steps,
    ...(least === undefined ? {} : { minAdjustmentMagnitude: least }),
    ...(input.Cooldown === undefined ? {} : { cooldown: input.Cooldown }),
    ...(input.MetricAggregationType === undefined ? {} : { aggregation: input.MetricAggregationType }),
  };
}

function checkSteps(steps: readonly Step[]): void {
  for (const { lower, upper } of steps) {
    if (lower === undefined && upper === undefined && steps.length > 1)
      throw validation("At least one of MetricIntervalLowerBound and MetricIntervalUpperBound must be specified for each step adjustment.");
    if (lower === undefined && upper === undefined)
      throw validation("The upper and lower bound can't be null in the same step adjustment.");
    if (lower !== undefined && upper !== undefined && lower >= upper)
      throw validation("MetricIntervalUpperBound must be greater than MetricIntervalLowerBound.");
  }
  if (steps.filter(({ lower }) => lower === undefined).length > 1)
    throw validation("At most one step adjustment may have an unspecified MetricIntervalLowerBound.");
  if (steps.filter(({ upper }) => upper === undefined).length > 1)
    throw validation("At most one step adjustment may have an unspecified MetricIntervalUpperBound.");
  const sorted = steps.toSorted((a, b) => (a.lower ?? -Infinity) - (b.lower ?? -Infinity));
  for (const [i, step] of sorted.entries()) {
    const next = sorted[i + 1];
    if (!next) continue;
    if ((step.upper ?? Infinity) > (next.lower ?? -Infinity)) throw validation("StepAdjustment intervals can't overlap.");
    if ((step.upper ?? Infinity) < (next.lower ?? -Infinity)) throw validation("StepAdjustment intervals can't have gaps between them.");
  }
  const [first, last] = [sorted[0]!, sorted.at(-1)!];
  if (first.lower !== undefined && first.lower < 0)
    throw validation("If one step adjustment has a negative lower bound, there must be a step adjustment with an unspecified lower bound.");
  if (last.upper !== undefined && last.upper > 0)
    throw validation("If one step adjustment has a positive upper bound, there must be a step adjustment with an unspecified upper bound.");
}

export function tracking(input: Sdk.TargetTrackingScalingPolicyConfiguration): Tracking {
  const { TargetValue: targetValue = 0, ScaleInCooldown: scaleInCooldown, ScaleOutCooldown: scaleOutCooldown } = input;
  if (!Number.isFinite(targetValue) || Math.abs(targetValue) > 2 ** 360)
    throw validation("TargetValue must be in the range of -2^360 to 2^360.");
  // A share of nothing has no size.
  if (targetValue <= 0) throw validation("TargetValue must be greater than 0.");
  cooldown("ScaleInCooldown", scaleInCooldown);
  cooldown("ScaleOutCooldown", scaleOutCooldown);
  return {
    targetValue,
    metric: metricOf(input),
    ...(scaleInCooldown === undefined ? {} : { scaleInCooldown }),
    ...(scaleOutCooldown === undefined ? {} : { scaleOutCooldown }),
    disableScaleIn: input.DisableScaleIn ?? false,
  };
}

function metricOf({
  PredefinedMetricSpecification: predefined,
  CustomizedMetricSpecification: customized,
}: Sdk.TargetTrackingScalingPolicyConfiguration): TrackedMetric {
  if ((predefined === undefined) === (customized === undefined))
    throw validation("Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified.");
  if (predefined) {
    const type = predefinedMetrics.find((known) => known === predefined.PredefinedMetricType);
    if (!type) throw validation(`PredefinedMetricType ${predefined.PredefinedMetricType} is not supported for service namespace ecs.`);
    const { ResourceLabel: resourceLabel } = predefined;
    if ((type === "ALBRequestCountPerTarget") !== (resourceLabel !== undefined))
      throw validation(
        resourceLabel === undefined
          ? "ResourceLabel is required for the metric type ALBRequestCountPerTarget."
          : "ResourceLabel can be specified for the metric type ALBRequestCountPerTarget only.",
      );
    if (resourceLabel !== undefined && !parseResourceLabel(resourceLabel))
      throw validation(
        `ResourceLabel ${resourceLabel} is not valid: it is app/<load-balancer-name>/<load-balancer-id>/targetgroup/<target-group-name>/<target-group-id>.`,
      );
    return { predefined: type, ...(resourceLabel === undefined ? {} : { resourceLabel }) };
  }
  return customized!.Metrics ? { metrics: queriesOf(customized!) } : oneMetric(customized!);
}

function oneMetric({ MetricName, Namespace, Dimensions, Statistic, Unit }: Sdk.CustomizedMetricSpecification): TrackedMetric {
  if (!MetricName || !Namespace || !Statistic)
    throw validation("CustomizedMetricSpecification must have either Metrics or MetricName, Namespace and Statistic.");
  oneOf("targetTrackingScalingPolicyConfiguration.customizedMetricSpecification.statistic", Statistic, [
    "Average",
    "Minimum",
    "Maximum",
    "SampleCount",
    "Sum",
  ]);
  checkUnit(Unit);
  return {
    customized: {
      name: MetricName,
      namespace: Namespace,
      dimensions: dimensionsOf(Dimensions),
      statistic: Statistic,
      ...(Unit === undefined ? {} : { unit: Unit }),
    },
  };
}

function checkUnit(unit: string | undefined): void {
  if (unit !== undefined && !units.has(unit)) throw validation(`The unit ${unit} is not one of CloudWatch's.`);
}

function dimensionsOf(given: readonly { Name?: string | undefined; Value?: string | undefined }[] | undefined) {
  if ((given?.length ?? 0) > 30) throw validation("A metric has 30 dimensions at most.");
  return sortedDimensions(
    (given ?? []).map(({ Name: name = "", Value: value = "" }) => {
      if (name === "" || value === "") throw validation("A dimension has a name and a value.");
      return { name, value };
    }),
  );
}

function queriesOf(spec: Sdk.CustomizedMetricSpecification): MetricQuery[] {
  for (const member of ["MetricName", "Namespace", "Dimensions", "Statistic", "Unit"] as const)
    if (spec[member] !== undefined) throw validation(`${member} must not be specified together with Metrics.`);
  const given = spec.Metrics ?? [];
  if (given.length === 0 || given.length > 10) throw validation("Metrics must have 1 to 10 metric data queries.");
  const ids = new Set<string>();
  const queries = given.map(({ Id: id = "", Expression, Label, MetricStat, ReturnData }): MetricQuery => {
    if (!/^[a-z]\w{0,254}$/.test(id))
      throw validation(`The Id ${id} must begin with a lowercase letter and have letters, numbers and underscores only.`);
    if (ids.has(id)) throw validation(`The Ids of Metrics must be unique: ${id}.`);
    ids.add(id);
    if ((Expression === undefined) === (MetricStat === undefined))
      throw validation(`Exactly one of Expression and MetricStat must be specified for ${id}.`);
    const common = {
      id,
      ...(Label === undefined ? {} : { label: Label }),
      ...(ReturnData === undefined ? {} : { returnData: ReturnData }),
    };
    if (Expression !== undefined) return { ...common, expression: checkedExpression(Expression) };
    const { Metric: metric, Stat: stat = "", Unit: unit } = MetricStat!;
    if (!metric?.Namespace || !metric.MetricName) throw validation(`The metric of ${id} must have a Namespace and a MetricName.`);
    if (!parseStatistic(stat)) throw validation(`${stat} is no statistic of CloudWatch.`);
    checkUnit(unit);
    return {
      ...common,
      stat: {
        namespace: metric.Namespace,
        name: metric.MetricName,
        dimensions: dimensionsOf(metric.Dimensions),
        period: 60,
        stat,
        ...(unit === undefined ? {} : { unit }),
      },
    };
  });
  if (queries.filter(({ returnData }) => returnData !== false).length !== 1)
    throw validation("ReturnData must be true for exactly one element of Metrics.");
  return queries;
}

function checkedExpression(expression: string): string {
  try {
    parseExpression(expression);
  } catch (error) {
    throw error instanceof MathError ? validation(error.message) : error;
  }
  if (/\bSEARCH\s*\(/i.test(expression)) throw validation("SEARCH is not supported in scaling policies.");
  return expression;
}
