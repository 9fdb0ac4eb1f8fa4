import type { AlarmRecord, MetricAlarmRule } from "#model/alarms/records.ts";
import type { Resource } from "./keys.ts";
import type { TrackedMetric, Tracking } from "./records.ts";

/**
 * The alarms of a target tracking policy. Source: Application Auto Scaling User Guide, "How target tracking scaling works", "Target tracking scaling
 * policies": a high alarm over 3 periods, a low one over 15 minutes, ten percent beneath the target so that it does not swing.
 */

/** How long a metric must stay beyond. AWS's: 3 periods, 900 seconds. */
export interface Pace {
  readonly highPeriods: number;
  readonly lowSeconds: number;
}

const highResolutionPeriod = 20;
/** Below the target by so much a service may scale in. */
export const lowMark = 0.9;

type Watched = Pick<
  MetricAlarmRule,
  "metricName" | "namespace" | "statistic" | "extendedStatistic" | "dimensions" | "period" | "unit" | "metrics"
>;

const ecsMetric = (metricName: string, period: number, { cluster, service }: Resource): Watched => ({
  namespace: "AWS/ECS",
  metricName,
  statistic: "Average",
  period,
  dimensions: [
    { name: "ClusterName", value: cluster },
    { name: "ServiceName", value: service },
  ],
});

/** `app/<name>/<id>/targetgroup/<name>/<id>`. */
export function parseResourceLabel(label: string): { readonly loadBalancer: string; readonly targetGroup: string } | undefined {
  const [, loadBalancer, targetGroup] = /^(app\/[^/]+\/[^/]+)\/(targetgroup\/[^/]+\/[^/]+)$/.exec(label) ?? [];
  return loadBalancer === undefined || targetGroup === undefined ? undefined : { loadBalancer, targetGroup };
}

export function watchedBy(metric: TrackedMetric, resource: Resource): Watched {
  if ("metrics" in metric) return { metrics: metric.metrics, dimensions: [] };
  if ("customized" in metric) {
    const { namespace, name, dimensions, statistic, unit } = metric.customized;
    return { namespace, metricName: name, dimensions, statistic, period: 60, ...(unit === undefined ? {} : { unit }) };
  }
  switch (metric.predefined) {
    case "ECSServiceAverageCPUUtilization":
      return ecsMetric("CPUUtilization", 60, resource);
    case "ECSServiceAverageMemoryUtilization":
      return ecsMetric("MemoryUtilization", 60, resource);
    case "ECSServiceAverageCPUUtilizationHighResolution":
      return ecsMetric("CPUUtilization", highResolutionPeriod, resource);
    case "ECSServiceAverageMemoryUtilizationHighResolution":
      return ecsMetric("MemoryUtilization", highResolutionPeriod, resource);
    case "ALBRequestCountPerTarget": {
      const label = parseResourceLabel(metric.resourceLabel ?? "");
      return {
        namespace: "AWS/ApplicationELB",
        metricName: "RequestCountPerTarget",
        statistic: "Sum",
        period: 60,
        dimensions: [
          { name: "LoadBalancer", value: label?.loadBalancer ?? "" },
          { name: "TargetGroup", value: label?.targetGroup ?? "" },
        ],
      };
    }
  }
}

export const alarmName = ({ cluster, service }: Resource, which: "High" | "Low", id: string): string =>
  `TargetTracking-service/${cluster}/${service}-Alarm${which}-${id}`;

/** The alarm as its policy wants it, without what the record says of its own life. */
export function trackingAlarm(
  policy: Resource & { readonly arn: string; readonly tracking: Tracking },
  which: "High" | "Low",
  pace: Pace,
): Pick<AlarmRecord, "description" | "actionsEnabled" | "okActions" | "alarmActions" | "insufficientDataActions" | "metric"> {
  const { metric, targetValue } = policy.tracking;
  const watched = watchedBy(metric, policy);
  const period = watched.period ?? 60;
  return {
    description: `DO NOT EDIT OR DELETE. For TargetTrackingScaling policy ${policy.arn}.`,
    actionsEnabled: true,
    okActions: [],
    alarmActions: [policy.arn],
    insufficientDataActions: [],
    metric: {
      ...watched,
      evaluationPeriods: which === "High" ? pace.highPeriods : Math.max(1, Math.round(pace.lowSeconds / period)),
      threshold: which === "High" ? targetValue : targetValue * lowMark,
      comparisonOperator: which === "High" ? "GreaterThanThreshold" : "LessThanThreshold",
    },
  };
}
