import type { Dimension } from "#model/metrics/identity.ts";

export type AlarmStateValue = "OK" | "ALARM" | "INSUFFICIENT_DATA";
export type MissingData = "missing" | "ignore" | "breaching" | "notBreaching";

/** What somebody asked for, by API. The state is another record with another writer. */
export interface AlarmRecord {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  readonly description?: string;
  readonly actionsEnabled: boolean;
  readonly okActions: readonly string[];
  readonly alarmActions: readonly string[];
  readonly insufficientDataActions: readonly string[];
  /** Milliseconds since the epoch, as all times here. */
  readonly created: number;
  readonly updated: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly metric?: MetricAlarmRule;
  readonly composite?: CompositeAlarmRule;
}

export interface MetricQuery {
  readonly id: string;
  readonly label?: string;
  readonly returnData?: boolean;
  readonly expression?: string;
  /** Seconds. */
  readonly period?: number;
  readonly accountId?: string;
  readonly stat?: {
    readonly namespace: string;
    readonly name: string;
    readonly dimensions: readonly Dimension[];
    readonly period: number;
    readonly stat: string;
    readonly unit?: string;
  };
}

export interface MetricAlarmRule {
  /** One metric, named in the alarm itself … */
  readonly metricName?: string;
  readonly namespace?: string;
  readonly statistic?: string;
  readonly extendedStatistic?: string;
  readonly dimensions: readonly Dimension[];
  readonly period?: number;
  readonly unit?: string;
  /** … or queries of which one returns data. */
  readonly metrics?: readonly MetricQuery[];
  readonly evaluationPeriods: number;
  readonly datapointsToAlarm?: number;
  readonly threshold: number;
  readonly comparisonOperator: ComparisonOperator;
  readonly treatMissingData?: MissingData;
  readonly lowSampleCount?: "evaluate" | "ignore";
}

export type ComparisonOperator =
  | "GreaterThanOrEqualToThreshold"
  | "GreaterThanThreshold"
  | "LessThanThreshold"
  | "LessThanOrEqualToThreshold";

export interface CompositeAlarmRule {
  readonly rule: string;
  readonly suppressor?: string;
  /** Seconds. */
  readonly waitPeriod?: number;
  readonly extensionPeriod?: number;
}

export interface AlarmStateRecord {
  readonly value: AlarmStateValue;
  readonly reason: string;
  /** JSON. */
  readonly reasonData?: string;
  /** When value, reason or data last changed. */
  readonly updated: number;
  /** When the value last changed. */
  readonly transitioned: number;
  /** Set by SetAlarmState, for the next evaluation to judge anew. */
  readonly forced?: boolean;
  /** Actions of a composite alarm that its suppressor holds back. */
  readonly suppressed?: Suppressed;
}

export interface Suppressed {
  readonly by: "WaitPeriod" | "Alarm" | "ExtensionPeriod";
  readonly reason: string;
  /** When this kind of waiting began. */
  readonly since: number;
  readonly from: AlarmStateValue;
}

export interface AlarmHistoryRecord {
  readonly name: string;
  readonly type: "MetricAlarm" | "CompositeAlarm";
  readonly at: number;
  readonly item: "ConfigurationUpdate" | "StateUpdate" | "Action";
  readonly summary: string;
  /** JSON. */
  readonly data: string;
}

/** An action that is due: kept until its handler has taken it, so that it happens at least once. */
export interface AlarmActionRecord {
  readonly alarm: string;
  readonly account: string;
  readonly region: string;
  readonly action: string;
  readonly from: AlarmStateValue;
  readonly state: AlarmStateRecord;
  readonly due: number;
  /** Told again because the alarm stays in its state, as AWS does for Auto Scaling. */
  readonly repeated: boolean;
}

export interface DashboardRecord {
  readonly name: string;
  readonly body: string;
  readonly modified: number;
  readonly tags: Readonly<Record<string, string>>;
}
