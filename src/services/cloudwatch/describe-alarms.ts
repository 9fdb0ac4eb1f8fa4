import type {
  DescribeAlarmHistoryCommandInput,
  DescribeAlarmHistoryCommandOutput,
  DescribeAlarmsCommandInput,
  DescribeAlarmsCommandOutput,
  DescribeAlarmsForMetricCommandInput,
  DescribeAlarmsForMetricCommandOutput,
} from "@aws-sdk/client-cloudwatch";
import { pageOf } from "#api/pagination.ts";
import { alarmArn, alarmKeys, type Scope } from "#model/alarms/keys.ts";
import type { AlarmHistoryRecord, AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import { alarmsOf, parseRule } from "#model/alarms/rule.ts";
import { metricKey } from "#model/metrics/identity.ts";
import { queriesOf } from "#reconcilers/alarms/judge.ts";
import { compositeAlarmView, metricAlarmView } from "./alarm-view.ts";
import type { CloudWatch, Operation } from "./context.ts";
import { errors } from "./errors.ts";
import { checkEnum, checkLength, checkRange, dimensionsOf } from "./rules.ts";

type Output<T> = Omit<T, "$metadata">;

interface Both {
  readonly alarm: AlarmRecord;
  readonly state: AlarmStateRecord;
}

/** All alarms of a place with their states, by name. */
async function allOf({ deps: { store } }: CloudWatch, scope: Scope): Promise<Both[]> {
  const [alarms, states] = await Promise.all([
    store.list<AlarmRecord>(alarmKeys.alarms(scope)),
    store.list<AlarmStateRecord>(alarmKeys.states(scope)),
  ]);
  const byKey = new Map(states.entries.map(({ key, value }) => [key, value]));
  return alarms.entries
    .flatMap(({ value: alarm }) => {
      const state = byKey.get(alarmKeys.state(scope, alarm.name));
      return state ? [{ alarm, state }] : [];
    })
    .sort((a, b) => (a.alarm.name < b.alarm.name ? -1 : 1));
}

/** Without AlarmTypes only metric alarms are told. Source: DescribeAlarms, AlarmTypes. */
export const describeAlarms: Operation<DescribeAlarmsCommandInput, Output<DescribeAlarmsCommandOutput>> = async (
  cloudwatch,
  input,
  context,
) => {
  const { AlarmNames: names, AlarmNamePrefix: prefix, ChildrenOfAlarmName: parent, ParentsOfAlarmName: child } = input;
  checkRange("maxRecords", input.MaxRecords, 1, 100);
  checkEnum("stateValue", input.StateValue, ["OK", "ALARM", "INSUFFICIENT_DATA"]);
  for (const type of input.AlarmTypes ?? []) checkEnum("alarmTypes", type, ["CompositeAlarm", "MetricAlarm", "LogAlarm"]);
  if (names && names.length > 100) throw errors.validation("The collection AlarmNames must not have a size greater than 100.");
  if (names && prefix !== undefined) throw errors.combination("AlarmNames and AlarmNamePrefix are mutually exclusive.");
  if (input.ActionPrefix !== undefined) checkLength("actionPrefix", input.ActionPrefix, 1024);
  const related = [parent, child].filter((one) => one !== undefined);
  if (
    related.length === 2 ||
    (related.length === 1 && (names || prefix !== undefined || input.StateValue !== undefined || input.ActionPrefix !== undefined))
  )
    throw errors.validation("ChildrenOfAlarmName and ParentsOfAlarmName must not be combined with other filters.");
  const everything = await allOf(cloudwatch, context);
  const rulesOf = ({ alarm }: Both) => (alarm.composite ? alarmsOf(parseRule(alarm.composite.rule)) : []);
  const children = parent === undefined ? undefined : everything.filter(({ alarm }) => alarm.name === parent).flatMap(rulesOf);
  if (children && !everything.some(({ alarm }) => alarm.name === parent)) throw errors.noAlarm(parent!);
  const types = input.AlarmTypes ?? (related.length > 0 ? ["MetricAlarm", "CompositeAlarm"] : ["MetricAlarm"]);
  const found = everything.filter(
    (both) =>
      types.includes(both.alarm.composite ? "CompositeAlarm" : "MetricAlarm") &&
      (!names || names.includes(both.alarm.name)) &&
      (prefix === undefined || both.alarm.name.startsWith(prefix)) &&
      (input.StateValue === undefined || both.state.value === input.StateValue) &&
      (input.ActionPrefix === undefined ||
        [...both.alarm.okActions, ...both.alarm.alarmActions, ...both.alarm.insufficientDataActions].some((arn) =>
          arn.startsWith(input.ActionPrefix!),
        )) &&
      (!children || children.includes(both.alarm.name)) &&
      (child === undefined || rulesOf(both).includes(child)),
  );
  const { NextToken: token, ...question } = input;
  const page = pageOf(cloudwatch.deps.sealer, found, ({ alarm }) => alarm.name, {
    scope: JSON.stringify(["DescribeAlarms", context.account, context.region, question]),
    limit: input.MaxRecords ?? 50,
    token,
    badToken: errors.badToken,
  });
  // Relatives are told by name and ARN only.
  if (related.length > 0) {
    const short = ({ alarm, state }: Both) => ({
      AlarmName: alarm.name,
      AlarmArn: alarmArn(context, alarm.name),
      ...(child === undefined ? { StateValue: state.value, StateUpdatedTimestamp: new Date(state.updated) } : {}),
    });
    return {
      MetricAlarms: page.items.filter(({ alarm }) => alarm.metric).map(short),
      CompositeAlarms: page.items.filter(({ alarm }) => alarm.composite).map(short),
      NextToken: page.nextToken,
    };
  }
  return {
    MetricAlarms: page.items.filter(({ alarm }) => alarm.metric).map(({ alarm, state }) => metricAlarmView(alarm, state)),
    CompositeAlarms: page.items.filter(({ alarm }) => alarm.composite).map(({ alarm, state }) => compositeAlarmView(alarm, state)),
    NextToken: page.nextToken,
  };
};

export const describeAlarmsForMetric: Operation<DescribeAlarmsForMetricCommandInput, Output<DescribeAlarmsForMetricCommandOutput>> = async (
  cloudwatch,
  input,
  context,
) => {
  const wanted = metricKey({ namespace: input.Namespace!, name: input.MetricName!, dimensions: dimensionsOf(input.Dimensions, "") });
  const found = (await allOf(cloudwatch, context)).filter(({ alarm: { metric } }) => {
    if (!metric) return false;
    return queriesOf(metric).some(
      ({ stat }) =>
        stat &&
        metricKey(stat) === wanted &&
        (input.Statistic === undefined || stat.stat === input.Statistic) &&
        (input.ExtendedStatistic === undefined || stat.stat === input.ExtendedStatistic) &&
        (input.Period === undefined || stat.period === input.Period) &&
        (input.Unit === undefined || stat.unit === input.Unit),
    );
  });
  return { MetricAlarms: found.map(({ alarm, state }) => metricAlarmView(alarm, state)) };
};

export const describeAlarmHistory: Operation<DescribeAlarmHistoryCommandInput, Output<DescribeAlarmHistoryCommandOutput>> = async (
  cloudwatch,
  input,
  context,
) => {
  checkRange("maxRecords", input.MaxRecords, 1, 100);
  checkEnum("historyItemType", input.HistoryItemType, [
    "ConfigurationUpdate",
    "StateUpdate",
    "Action",
    "AlarmContributorStateUpdate",
    "AlarmContributorAction",
  ]);
  checkEnum("scanBy", input.ScanBy, ["TimestampDescending", "TimestampAscending"]);
  const types = input.AlarmTypes ?? ["MetricAlarm"];
  const { entries } = await cloudwatch.deps.store.list<AlarmHistoryRecord>(alarmKeys.histories(context));
  const found = entries.filter(
    ({ value }) =>
      (input.AlarmName === undefined
        ? types.includes(value.type)
        : value.name === input.AlarmName && (!input.AlarmTypes || types.includes(value.type))) &&
      (input.HistoryItemType === undefined || value.item === input.HistoryItemType) &&
      (input.StartDate === undefined || value.at >= input.StartDate.getTime()) &&
      (input.EndDate === undefined || value.at <= input.EndDate.getTime()),
  );
  const ascending = input.ScanBy === "TimestampAscending";
  const { NextToken: token, ...question } = input;
  // pageOf wants ascending positions: from the newest, times are counted down, and what happened in one millisecond has its key.
  const numbered = found
    .map((entry) => ({ entry, at: ascending ? entry.key : `${String(1e15 - entry.value.at).padStart(16, "0")}/${entry.key}` }))
    .sort((a, b) => (a.at < b.at ? -1 : 1));
  const page = pageOf(cloudwatch.deps.sealer, numbered, ({ at }) => at, {
    scope: JSON.stringify(["DescribeAlarmHistory", context.account, context.region, question]),
    limit: input.MaxRecords ?? 50,
    token,
    badToken: errors.badToken,
  });
  return {
    AlarmHistoryItems: page.items.map(({ entry: { value } }) => ({
      AlarmName: value.name,
      AlarmType: value.type,
      Timestamp: new Date(value.at),
      HistoryItemType: value.item,
      HistorySummary: value.summary,
      HistoryData: value.data,
    })),
    NextToken: page.nextToken,
  };
};
