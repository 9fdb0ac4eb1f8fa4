import { readFile } from "node:fs/promises";
import { alarmArn } from "#model/alarms/keys.ts";
import { javaTime } from "#model/alarms/reason.ts";
import type { Random } from "#platform/random.ts";
import type { AlarmHandler, AlarmNotice } from "./actions.ts";

const answerWithinMs = 15_000;

/**
 * SNS topics that are somebody's URL: the file that `GANTRY_WEBHOOKS` names maps ARNs to them. It is read for each notice, so it can be changed while the
 * server runs. The body is that of an SNS notification, without a signature, for there is no certificate behind it.
 */
export function snsWebhooks(path: string | undefined, random: Random, now: () => number): AlarmHandler {
  return async (notice) => {
    const url = await urlOf(path, notice.action);
    const messageId = random.uuid();
    const body = JSON.stringify({
      Type: "Notification",
      MessageId: messageId,
      TopicArn: notice.action,
      Subject: `${notice.state.value}: "${notice.alarm.name}" in ${notice.alarm.region}`,
      Message: JSON.stringify(messageOf(notice)),
      Timestamp: new Date(now()).toISOString(),
    });
    const headers = {
      "content-type": "text/plain; charset=UTF-8",
      "x-amz-sns-message-type": "Notification",
      "x-amz-sns-message-id": messageId,
      "x-amz-sns-topic-arn": notice.action,
    };
    const response = await fetch(url, { method: "POST", headers, body, signal: AbortSignal.timeout(answerWithinMs), redirect: "error" });
    await response.body?.cancel();
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  };
}

async function urlOf(path: string | undefined, arn: string): Promise<string> {
  if (path === undefined) throw new Error("GANTRY_WEBHOOKS names no file that says where topics go");
  const urls = JSON.parse(await readFile(path, "utf8")) as Readonly<Record<string, unknown>>;
  const url = urls[arn];
  if (typeof url !== "string") throw new Error(`${path} has no URL for ${arn}`);
  return url;
}

/** What CloudWatch writes to a topic. */
export function messageOf({ alarm, from, state }: AlarmNotice): Record<string, unknown> {
  const common = {
    AlarmName: alarm.name,
    AlarmDescription: alarm.description ?? null,
    AWSAccountId: alarm.account,
    AlarmConfigurationUpdatedTimestamp: javaTime(alarm.updated),
    NewStateValue: state.value,
    NewStateReason: state.reason,
    StateChangeTime: javaTime(state.transitioned),
    Region: alarm.region,
    AlarmArn: alarmArn(alarm, alarm.name),
    OldStateValue: from,
    OKActions: alarm.okActions,
    AlarmActions: alarm.alarmActions,
    InsufficientDataActions: alarm.insufficientDataActions,
  };
  if (alarm.composite) return { ...common, AlarmRule: alarm.composite.rule };
  const rule = alarm.metric!;
  return {
    ...common,
    Trigger: {
      ...(rule.metrics
        ? {
            Metrics: rule.metrics.map(({ id, expression, label, returnData, stat }) => ({
              Id: id,
              Expression: expression,
              Label: label,
              ReturnData: returnData ?? true,
              MetricStat: stat && {
                Metric: { Namespace: stat.namespace, MetricName: stat.name, Dimensions: stat.dimensions },
                Period: stat.period,
                Stat: stat.stat,
                Unit: stat.unit,
              },
            })),
          }
        : {
            MetricName: rule.metricName,
            Namespace: rule.namespace,
            StatisticType: rule.statistic === undefined ? "ExtendedStatistic" : "Statistic",
            // SNS messages write statistics in capitals.
            ...(rule.statistic === undefined
              ? { ExtendedStatistic: rule.extendedStatistic }
              : { Statistic: rule.statistic.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase() }),
            Unit: rule.unit ?? null,
            Dimensions: rule.dimensions,
          }),
      Period: rule.period,
      EvaluationPeriods: rule.evaluationPeriods,
      DatapointsToAlarm: rule.datapointsToAlarm,
      ComparisonOperator: rule.comparisonOperator,
      Threshold: rule.threshold,
      TreatMissingData: rule.treatMissingData ?? "missing",
      EvaluateLowSampleCountPercentile: rule.lowSampleCount ?? "",
    },
  };
}
