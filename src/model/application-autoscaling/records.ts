import type { MetricQuery } from "#model/alarms/records.ts";
import type { Dimension } from "#model/metrics/identity.ts";
import type { Resource } from "./keys.ts";

/** Records of Application Auto Scaling. Times are milliseconds since the epoch, cooldowns seconds. Each is in the account and region of its key. */

/** Writers: the operations; the reconciler, when a scheduled action sets the limits and when the service is gone. */
export interface TargetRecord extends Resource {
  /** Last part of its ARN. */
  readonly id: string;
  readonly min: number;
  readonly max: number;
  readonly createdAt: number;
  readonly suspended: Suspended;
}

export interface Suspended {
  readonly in: boolean;
  readonly out: boolean;
  readonly scheduled: boolean;
}

/** Lies at the target's id, where policies of IAM that ask for tags find it by the ARN. */
export interface TargetTagsRecord extends Resource {
  readonly tags: Readonly<Record<string, string>>;
}

interface PolicyCommon extends Resource {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
}

export interface TrackingPolicyRecord extends PolicyCommon {
  readonly type: "TargetTrackingScaling";
  readonly tracking: Tracking;
  /** Names of its alarms; none of `low` when it does not scale in. */
  readonly alarms: { readonly high: string; readonly low?: string };
}

export interface StepPolicyRecord extends PolicyCommon {
  readonly type: "StepScaling";
  readonly step: StepScaling;
}

export type PolicyRecord = TrackingPolicyRecord | StepPolicyRecord;

export interface Tracking {
  readonly targetValue: number;
  readonly metric: TrackedMetric;
  readonly scaleOutCooldown?: number;
  readonly scaleInCooldown?: number;
  readonly disableScaleIn: boolean;
}

export type TrackedMetric =
  | { readonly predefined: PredefinedMetric; readonly resourceLabel?: string }
  | {
      readonly customized: {
        readonly namespace: string;
        readonly name: string;
        readonly dimensions: readonly Dimension[];
        readonly statistic: string;
        readonly unit?: string;
      };
    }
  | { readonly metrics: readonly MetricQuery[] };

export const predefinedMetrics = [
  "ECSServiceAverageCPUUtilization",
  "ECSServiceAverageMemoryUtilization",
  "ECSServiceAverageCPUUtilizationHighResolution",
  "ECSServiceAverageMemoryUtilizationHighResolution",
  "ALBRequestCountPerTarget",
] as const;
export type PredefinedMetric = (typeof predefinedMetrics)[number];

export interface StepScaling {
  readonly adjustmentType: "ChangeInCapacity" | "PercentChangeInCapacity" | "ExactCapacity";
  readonly steps: readonly Step[];
  readonly minAdjustmentMagnitude?: number;
  readonly cooldown?: number;
  readonly aggregation?: "Average" | "Minimum" | "Maximum";
}

/** Bounds are differences from the alarm's threshold; one that is absent is infinite. */
export interface Step {
  readonly lower?: number;
  readonly upper?: number;
  readonly adjustment: number;
}

export interface ScheduledActionRecord extends Resource {
  readonly name: string;
  readonly arn: string;
  readonly createdAt: number;
  /** It does not run for a time that was before this. */
  readonly updatedAt: number;
  readonly schedule: string;
  readonly timezone?: string;
  readonly startTime?: number;
  readonly endTime?: number;
  readonly min?: number;
  readonly max?: number;
}

export type ActivityStatus = "Pending" | "InProgress" | "Successful" | "Overridden" | "Unfulfilled" | "Failed";

/** Writer: whoever scales, in the transaction that does it. */
export interface ActivityRecord extends Resource {
  readonly id: string;
  readonly description: string;
  readonly cause: string;
  readonly startedAt: number;
  readonly endedAt?: number;
  readonly status: ActivityStatus;
  readonly statusMessage: string;
  /** The desired count that it set; none of one that did not scale, or changed the limits only. */
  readonly to?: number;
  /** Told only to those who ask for what was not scaled. */
  readonly notScaled?: readonly NotScaled[];
}

export interface NotScaled {
  readonly code:
    | "AlreadyAtMaxCapacity"
    | "AlreadyAtMinCapacity"
    | "AlreadyAtDesiredCapacity"
    | "AutoScalingAnticipatedFlapping"
    | "TargetServicePutResourceAsUnscalable";
  readonly max?: number;
  readonly min?: number;
  readonly current?: number;
}

/** What is remembered of a target's scaling. Writer: whoever scales it, in the same transaction. */
export interface ScalingStateRecord {
  readonly out?: Cooldown;
  readonly in?: Cooldown;
  /** Key of the activity that waits for the service to get there. */
  readonly open?: string;
  /** Alarm and policy → when the newest word of theirs became due that was heeded. */
  readonly heard: Readonly<Record<string, number>>;
  /** Scheduled action → the newest time of its schedule that was carried out or passed over. */
  readonly ran: Readonly<Record<string, number>>;
  /** Alarm and policy → why it did not scale, said since the last scaling: so that it is not said every minute. */
  readonly unscaled?: Readonly<Record<string, NotScaled["code"]>>;
}

/** A scaling that further ones wait for. */
export interface Cooldown {
  readonly at: number;
  readonly until: number;
  /** The tasks that ran when it began: what further scaling out counts from. */
  readonly from: number;
  readonly to: number;
}
