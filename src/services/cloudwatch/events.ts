import { alarmArn, alarmKeys } from "#model/alarms/keys.ts";
import { javaTime } from "#model/alarms/reason.ts";
import type { AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import type { DraftEvent } from "#reconcilers/events/deliveries.ts";
import type { EventSource } from "#reconcilers/events/publishing.ts";

const detailType = "CloudWatch Alarm State Change";
const states = /^\/cloudwatch-alarm-state\/(\d{12})\/([^/]+)\/(.+)$/;

/** Alarms that change their state. Source: CloudWatch User Guide, "Alarm events and EventBridge". */
export const alarmEvents: EventSource = {
  concerns: (key) => states.test(key),
  async eventsOf(reading) {
    const events: DraftEvent[] = [];
    for (const key of reading.keys) {
      const [, account = "", region = "", encoded = ""] = states.exec(key) ?? [];
      const scope = { account, region };
      if (!reading.wanted(scope, "aws.cloudwatch", detailType)) continue;
      const before = await reading.before<AlarmStateRecord>(key);
      const after = await reading.after<AlarmStateRecord>(key);
      if (!before || !after || before.value === after.value) continue;
      const name = decodeURIComponent(encoded);
      const alarm = await reading.after<AlarmRecord>(alarmKeys.alarm(scope, name));
      if (!alarm) continue;
      const detail = {
        alarmName: name,
        configuration: configurationOf(alarm),
        previousState: stateOf(before),
        state: stateOf(after),
      };
      events.push({ ...scope, source: "aws.cloudwatch", detailType, resources: [alarmArn(scope, name)], detail });
    }
    return events;
  },
};

const stateOf = ({ value, reason, reasonData, updated, suppressed }: AlarmStateRecord) => ({
  ...(suppressed ? { actionsSuppressedBy: suppressed.by, actionsSuppressedReason: suppressed.reason } : {}),
  reason,
  reasonData,
  timestamp: javaTime(updated),
  value,
});

function configurationOf({ description, metric, composite }: AlarmRecord) {
  if (composite)
    return {
      description,
      alarmRule: composite.rule,
      actionsSuppressor: composite.suppressor,
      actionsSuppressorWaitPeriod: composite.waitPeriod,
      actionsSuppressorExtensionPeriod: composite.extensionPeriod,
    };
  const rule = metric!;
  const metricOf = (namespace: string, name: string, dimensions: readonly { readonly name: string; readonly value: string }[]) => ({
    namespace,
    name,
    dimensions: Object.fromEntries(dimensions.map((dimension) => [dimension.name, dimension.value])),
  });
  const single = {
    id: "m1",
    metricStat: {
      metric: metricOf(rule.namespace ?? "", rule.metricName ?? "", rule.dimensions),
      period: rule.period,
      stat: rule.statistic ?? rule.extendedStatistic,
      unit: rule.unit,
    },
    returnData: true,
  };
  const metrics = rule.metrics?.map(({ id, expression, label, returnData = true, stat, period, accountId }) => ({
    id,
    accountId,
    expression,
    label,
    period,
    ...(stat
      ? {
          metricStat: {
            metric: metricOf(stat.namespace, stat.name, stat.dimensions),
            period: stat.period,
            stat: stat.stat,
            unit: stat.unit,
          },
        }
      : {}),
    returnData,
  }));
  return { description, metrics: metrics ?? [single] };
}
