import { join } from "node:path";
import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { tagFacts } from "#api/tag-facts.ts";
import { alarmKeys } from "#model/alarms/keys.ts";
import type { CloudwatchOperations } from "#api/generated/cloudwatch.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { MetricStore } from "#metrics/metric-store.ts";
import { createMetricSink } from "#metrics/sink.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import { ActionDispatcher, type AlarmActions } from "#reconcilers/alarms/actions.ts";
import { AlarmEvaluator } from "#reconcilers/alarms/evaluator.ts";
import { snsWebhooks } from "#reconcilers/alarms/webhooks.ts";
import { createWriter } from "#store/unit.ts";
import { deleteAlarms, disableAlarmActions, enableAlarmActions, setAlarmState } from "./change-alarms.ts";
import type { CloudWatch, Operation } from "./context.ts";
import { deleteDashboards, getDashboard, listDashboards, putDashboard } from "./dashboards.ts";
import { describeAlarmHistory, describeAlarms, describeAlarmsForMetric } from "./describe-alarms.ts";
import { getMetricData } from "./get-metric-data.ts";
import { getMetricStatistics } from "./get-metric-statistics.ts";
import { listMetrics } from "./list-metrics.ts";
import { putCompositeAlarm, putMetricAlarm } from "./put-alarms.ts";
import { putMetricData } from "./put-metric-data.ts";
import { listTagsForResource, tagResource, untagResource } from "./tags.ts";

export interface CloudWatchPart extends ServerPart {
  /** Where the server's parts say what they measured; it may be used before the start. */
  readonly sink: MetricSink;
  /** Who carries out alarms' actions registers here, before the start. */
  readonly actions: AlarmActions;
  /** Open once the part has started: for those who judge metrics themselves. */
  metrics(): MetricStore;
  /** Tests: what was asked so far is judged and told. */
  idle(): Promise<void>;
}

/** Amazon CloudWatch: metrics in files under `<home>/metrics`, alarms and dashboards in the store. Source: Amazon CloudWatch API Reference. */
export function createCloudWatch(deps: ServerDeps): CloudWatchPart {
  const { store, clock, random, config } = deps;
  const log = deps.log.child({ part: "cloudwatch" });
  const writer = createWriter(store);
  const sink = createMetricSink(log);
  const actions = new ActionDispatcher({ store, clock, random, writer, log });
  actions.onAlarm(
    "arn:aws:sns:",
    snsWebhooks(config.webhooks, random, () => clock.now()),
  );
  let opened: MetricStore | undefined;
  const metrics = () => {
    if (!opened) throw new Error("the metrics are not open yet");
    return opened;
  };
  const evaluator = new AlarmEvaluator({ store, clock, random, writer, log, metrics, actions });
  const cloudwatch: CloudWatch = { deps, writer, metrics, wake: () => evaluator.wake() };
  const bind =
    <I, O>(operation: Operation<I, O>) =>
    (input: I, context: Parameters<Operation<I, O>>[2]) =>
      operation(cloudwatch, input, context);
  const handlers = {
    PutMetricData: bind(putMetricData),
    GetMetricData: bind(getMetricData),
    GetMetricStatistics: bind(getMetricStatistics),
    ListMetrics: bind(listMetrics),
    PutMetricAlarm: bind(putMetricAlarm),
    PutCompositeAlarm: bind(putCompositeAlarm),
    DescribeAlarms: bind(describeAlarms),
    DescribeAlarmsForMetric: bind(describeAlarmsForMetric),
    DescribeAlarmHistory: bind(describeAlarmHistory),
    SetAlarmState: bind(setAlarmState),
    EnableAlarmActions: bind(enableAlarmActions),
    DisableAlarmActions: bind(disableAlarmActions),
    DeleteAlarms: bind(deleteAlarms),
    PutDashboard: bind(putDashboard),
    GetDashboard: bind(getDashboard),
    ListDashboards: bind(listDashboards),
    DeleteDashboards: bind(deleteDashboards),
    TagResource: bind(tagResource),
    UntagResource: bind(untagResource),
    ListTagsForResource: bind(listTagsForResource),
  } satisfies Handlers<CloudwatchOperations>;
  return {
    resources: [
      tagFacts(deps.store, "cloudwatch", (scope) => {
        const [, kind, name = ""] = /^(alarm:|dashboard\/)(.+)$/.exec(scope.resource) ?? [];
        return kind === "alarm:" ? alarmKeys.alarm(scope, name) : kind === undefined ? undefined : alarmKeys.dashboard(scope, name);
      }),
    ],
    registrations: [{ service: "cloudwatch", handlers: handlers as Readonly<Record<string, Handler>> }],
    sink,
    actions,
    metrics,
    async start() {
      opened = await MetricStore.open({ directory: join(config.home, "metrics"), clock, log });
      sink.open(opened);
      evaluator.start();
    },
    async stop() {
      await evaluator.stop();
      await actions.stop();
      await sink.settled();
      await opened?.close();
    },
    async reset() {
      await opened?.clear();
    },
    async idle() {
      await sink.settled();
      await evaluator.idle();
      await actions.idle();
    },
    gauges() {
      const status = opened?.status();
      if (!status) return [];
      return [
        { name: "gantry_metric_series", help: "Series of CloudWatch metrics.", value: status.series },
        { name: "gantry_metric_blocks", help: "Files that hold their data points.", value: status.blocks },
        { name: "gantry_metric_points_waiting", help: "Data points in the log, not yet in a block.", value: status.waiting },
      ];
    },
    async status() {
      const status = opened?.status();
      return {
        name: "metrics",
        detail: status ? `${status.series} series, ${status.blocks} blocks, ${status.waiting} points in the log` : "not open",
      };
    },
  };
}
