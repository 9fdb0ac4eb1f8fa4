import type { CompositeAlarm, MetricAlarm } from "@aws-sdk/client-cloudwatch";
import { alarmArn } from "#model/alarms/keys.ts";
import type { AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import { queryView } from "./queries.ts";

function commonView(alarm: AlarmRecord, state: AlarmStateRecord) {
  return {
    AlarmName: alarm.name,
    AlarmArn: alarmArn(alarm, alarm.name),
    AlarmDescription: alarm.description,
    AlarmConfigurationUpdatedTimestamp: new Date(alarm.updated),
    ActionsEnabled: alarm.actionsEnabled,
    OKActions: [...alarm.okActions],
    AlarmActions: [...alarm.alarmActions],
    InsufficientDataActions: [...alarm.insufficientDataActions],
    StateValue: state.value,
    StateReason: state.reason,
    StateReasonData: state.reasonData,
    StateUpdatedTimestamp: new Date(state.updated),
    StateTransitionedTimestamp: new Date(state.transitioned),
  };
}

export function metricAlarmView(alarm: AlarmRecord, state: AlarmStateRecord): MetricAlarm {
  const rule = alarm.metric!;
  return {
    ...commonView(alarm, state),
    MetricName: rule.metricName,
    Namespace: rule.namespace,
    Statistic: rule.statistic as MetricAlarm["Statistic"],
    ExtendedStatistic: rule.extendedStatistic,
    Dimensions: rule.dimensions.map(({ name, value }) => ({ Name: name, Value: value })),
    Period: rule.period,
    Unit: rule.unit as MetricAlarm["Unit"],
    EvaluationPeriods: rule.evaluationPeriods,
    DatapointsToAlarm: rule.datapointsToAlarm,
    Threshold: rule.threshold,
    ComparisonOperator: rule.comparisonOperator,
    TreatMissingData: rule.treatMissingData,
    EvaluateLowSampleCountPercentile: rule.lowSampleCount,
    Metrics: rule.metrics?.map(queryView) ?? [],
  };
}

export function compositeAlarmView(alarm: AlarmRecord, state: AlarmStateRecord): CompositeAlarm {
  const { rule, suppressor, waitPeriod, extensionPeriod } = alarm.composite!;
  return {
    ...commonView(alarm, state),
    AlarmRule: rule,
    ActionsSuppressor: suppressor,
    ActionsSuppressorWaitPeriod: waitPeriod,
    ActionsSuppressorExtensionPeriod: extensionPeriod,
    ActionsSuppressedBy: state.suppressed?.by,
    ActionsSuppressedReason: state.suppressed?.reason,
  };
}
