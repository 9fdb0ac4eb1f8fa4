import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import { alarmArn } from "#model/alarms/keys.ts";
import type { MetricQuery } from "#model/alarms/records.ts";
import { resourceId, type Scope } from "#model/application-autoscaling/keys.ts";
import type { ActivityRecord, PolicyRecord, ScheduledActionRecord, StepScaling, Tracking } from "#model/application-autoscaling/records.ts";
import type { Dimension } from "#model/metrics/identity.ts";
import { dimension } from "./context.ts";

const common = (record: { readonly cluster: string; readonly service: string }) =>
  ({ ServiceNamespace: "ecs", ResourceId: resourceId(record), ScalableDimension: dimension }) as const;

export function policyView(policy: PolicyRecord, alarms: readonly string[], scope: Scope): Sdk.ScalingPolicy {
  return {
    PolicyARN: policy.arn,
    PolicyName: policy.name,
    ...common(policy),
    PolicyType: policy.type,
    ...(policy.type === "StepScaling"
      ? { StepScalingPolicyConfiguration: stepView(policy.step) }
      : { TargetTrackingScalingPolicyConfiguration: trackingView(policy.tracking) }),
    Alarms: alarms.map((name) => ({ AlarmName: name, AlarmARN: alarmArn(scope, name) })),
    CreationTime: new Date(policy.createdAt),
  };
}

const stepView = ({
  adjustmentType,
  steps,
  minAdjustmentMagnitude,
  cooldown,
  aggregation,
}: StepScaling): Sdk.StepScalingPolicyConfiguration => ({
  AdjustmentType: adjustmentType,
  StepAdjustments: steps.map(({ lower, upper, adjustment }) => ({
    MetricIntervalLowerBound: lower,
    MetricIntervalUpperBound: upper,
    ScalingAdjustment: adjustment,
  })),
  MinAdjustmentMagnitude: minAdjustmentMagnitude,
  Cooldown: cooldown,
  MetricAggregationType: aggregation,
});

const dimensionsView = (dimensions: readonly Dimension[]) =>
  dimensions.length > 0 ? { Dimensions: dimensions.map(({ name, value }) => ({ Name: name, Value: value })) } : {};

function trackingView({ targetValue, metric, scaleOutCooldown, scaleInCooldown, disableScaleIn }: Tracking) {
  return {
    TargetValue: targetValue,
    ...("predefined" in metric
      ? { PredefinedMetricSpecification: { PredefinedMetricType: metric.predefined, ResourceLabel: metric.resourceLabel } }
      : "metrics" in metric
        ? { CustomizedMetricSpecification: { Metrics: metric.metrics.map(queryView) } }
        : {
            CustomizedMetricSpecification: {
              MetricName: metric.customized.name,
              Namespace: metric.customized.namespace,
              ...dimensionsView(metric.customized.dimensions),
              Statistic: metric.customized.statistic as Sdk.MetricStatistic,
              Unit: metric.customized.unit,
            },
          }),
    ScaleOutCooldown: scaleOutCooldown,
    ScaleInCooldown: scaleInCooldown,
    DisableScaleIn: disableScaleIn,
  } satisfies Sdk.TargetTrackingScalingPolicyConfiguration;
}

const queryView = ({ id, label, returnData, expression, stat }: MetricQuery): Sdk.TargetTrackingMetricDataQuery => ({
  Id: id,
  Label: label,
  ReturnData: returnData,
  Expression: expression,
  MetricStat: stat && {
    Metric: { Namespace: stat.namespace, MetricName: stat.name, ...dimensionsView(stat.dimensions) },
    Stat: stat.stat,
    Unit: stat.unit,
  },
});

const date = (at: number | undefined) => (at === undefined ? undefined : new Date(at));

export const actionView = (action: ScheduledActionRecord): Sdk.ScheduledAction => ({
  ScheduledActionName: action.name,
  ScheduledActionARN: action.arn,
  ...common(action),
  Schedule: action.schedule,
  Timezone: action.timezone,
  StartTime: date(action.startTime),
  EndTime: date(action.endTime),
  ScalableTargetAction: { MinCapacity: action.min, MaxCapacity: action.max },
  CreationTime: new Date(action.createdAt),
});

export const activityView = (activity: ActivityRecord): Sdk.ScalingActivity => ({
  ActivityId: activity.id,
  ...common(activity),
  Description: activity.description,
  Cause: activity.cause,
  StartTime: new Date(activity.startedAt),
  EndTime: date(activity.endedAt),
  StatusCode: activity.status,
  StatusMessage: activity.statusMessage,
  NotScaledReasons: activity.notScaled?.map(({ code, max, min, current }) => ({
    Code: code,
    MaxCapacity: max,
    MinCapacity: min,
    CurrentCapacity: current,
  })),
});
