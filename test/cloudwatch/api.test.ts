/** CloudWatch by the SDK, in each protocol that its clients speak, and by both CLIs. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as cw from "@aws-sdk/client-cloudwatch";
import { AwsQueryProtocol } from "@aws-sdk/core/protocols";
import { SmithyRpcV2CborProtocol } from "@smithy/core/cbor";
import { FakeClock } from "#platform/fake-clock.ts";
import { type CloudWatchPart, createCloudWatch } from "#services/cloudwatch/index.ts";
import { awsBinaries, startServer, type TestServer } from "../support/http.ts";
import { until } from "../support/until.ts";

const minute = 60_000;
let server: TestServer;
let client: cw.CloudWatchClient;
const start = Math.floor(Date.now() / minute) * minute - 30 * minute;

before(async () => {
  server = await startServer({ parts: (deps) => [createCloudWatch(deps)] });
  client = new cw.CloudWatchClient(server.sdk());
});
after(async () => {
  client.destroy();
  await server.close();
});

const at = (minutes: number, seconds = 0) => new Date(start + minutes * minute + seconds * 1000);

for (const [name, protocol] of [
  ["JSON 1.0", undefined],
  ["Query", AwsQueryProtocol],
  ["CBOR", SmithyRpcV2CborProtocol],
] as const) {
  test(`data goes in and comes out in ${name}`, async () => {
    const sdk = new cw.CloudWatchClient({
      ...server.sdk(),
      ...(protocol ? { protocol } : {}),
      // The SDK's CBOR names the length that the body had before gzip.
      disableRequestCompression: name === "CBOR",
    } as cw.CloudWatchClientConfig);
    const Namespace = `App/${name.replace(" ", "")}`;
    const Dimensions = [{ Name: "Host", Value: "a & b" }];
    // Long enough to be sent as gzip.
    const filler = Array.from({ length: 200 }, (_, i) => ({ MetricName: `Filler-with-a-long-name-${i}`, Value: i, Timestamp: at(0) }));
    await sdk.send(
      new cw.PutMetricDataCommand({
        Namespace,
        MetricData: [
          { MetricName: "Latency", Dimensions, Timestamp: at(0, 5), Value: 1.5, Unit: "Milliseconds" },
          { MetricName: "Latency", Dimensions, Timestamp: at(0, 55), Values: [2.5, 10], Counts: [2, 1], Unit: "Milliseconds" },
          {
            MetricName: "Latency",
            Dimensions,
            Timestamp: at(1),
            StatisticValues: { SampleCount: 4, Sum: 10, Minimum: 1, Maximum: 5 },
            Unit: "Milliseconds",
          },
          ...filler,
        ],
      }),
    );
    const statistics = await sdk.send(
      new cw.GetMetricStatisticsCommand({
        Namespace,
        MetricName: "Latency",
        Dimensions,
        StartTime: at(0),
        EndTime: at(5),
        Period: 60,
        Statistics: ["SampleCount", "Sum", "Average", "Minimum", "Maximum"],
      }),
    );
    assert.deepEqual(
      statistics.Datapoints!.sort((a, b) => a.Timestamp!.getTime() - b.Timestamp!.getTime()),
      [
        { Timestamp: at(0), SampleCount: 4, Sum: 16.5, Average: 4.125, Minimum: 1.5, Maximum: 10, Unit: "Milliseconds" },
        { Timestamp: at(1), SampleCount: 4, Sum: 10, Average: 2.5, Minimum: 1, Maximum: 5, Unit: "Milliseconds" },
      ],
    );
    const percentiles = await sdk.send(
      new cw.GetMetricStatisticsCommand({
        Namespace,
        MetricName: "Latency",
        Dimensions,
        StartTime: at(0),
        EndTime: at(5),
        Period: 60,
        ExtendedStatistics: ["p50", "p100"],
      }),
    );
    // Of a statistic set no percentile is known.
    assert.deepEqual(percentiles.Datapoints, [{ Timestamp: at(0), ExtendedStatistics: { p50: 2.5, p100: 10 }, Unit: "Milliseconds" }]);
    const { Metrics } = await sdk.send(new cw.ListMetricsCommand({ Namespace, Dimensions: [{ Name: "Host" }] }));
    assert.deepEqual(Metrics, [{ Namespace, MetricName: "Latency", Dimensions }]);
    await assert.rejects(sdk.send(new cw.PutMetricDataCommand({ Namespace: "AWS/ECS", MetricData: [{ MetricName: "x", Value: 1 }] })), {
      name: "InvalidParameterValueException",
    });
    await assert.rejects(sdk.send(new cw.GetDashboardCommand({ DashboardName: "none" })), {
      name: /DashboardNotFoundError|ResourceNotFound/,
    });
    sdk.destroy();
  });
}

test("metric math, labels, order and pages of GetMetricData", async () => {
  const Namespace = "Math";
  const put = (MetricName: string, values: (number | undefined)[]) =>
    values.flatMap((Value, i) => (Value === undefined ? [] : [{ MetricName, Value, Timestamp: at(i) }]));
  await client.send(
    new cw.PutMetricDataCommand({ Namespace, MetricData: [...put("Errors", [1, undefined, 3, 4]), ...put("Requests", [10, 20, 0, 40])] }),
  );
  const metric = (Id: string, MetricName: string) => ({
    Id,
    ReturnData: false,
    MetricStat: { Metric: { Namespace, MetricName }, Period: 60, Stat: "Sum" },
  });
  const ask = async (expressions: Record<string, string>, more: object = {}) => {
    const answer = await client.send(
      new cw.GetMetricDataCommand({
        StartTime: at(0),
        EndTime: at(4),
        ScanBy: "TimestampAscending",
        MetricDataQueries: [
          metric("errors", "Errors"),
          metric("requests", "Requests"),
          ...Object.entries(expressions).map(([Id, Expression]) => ({ Id, Expression })),
        ],
        ...more,
      }),
    );
    return answer;
  };
  const { MetricDataResults } = await ask({
    rate: "100 * errors / requests",
    filled: "FILL(errors, 0)",
    sum: "SUM(METRICS())",
    some: "IF(requests > 15 AND requests < 100, requests)",
    found: "SUM(SEARCH('{Math} MetricName=\"Requests\"', 'Sum', 60))",
    running: "RUNNING_SUM(requests)",
  });
  const values = Object.fromEntries(MetricDataResults!.map(({ Id, Values }) => [Id, Values]));
  assert.deepEqual(values, {
    rate: [10, 10],
    filled: [1, 0, 3, 4],
    sum: [11, 20, 3, 44],
    some: [20, 40],
    found: [10, 20, 0, 40],
    running: [10, 30, 30, 70],
  });

  const first = await ask({ a: "errors", b: "requests" }, { MaxDatapoints: 4, ScanBy: "TimestampDescending" });
  assert.deepEqual(
    first.MetricDataResults!.map(({ Id, Values, StatusCode }) => [Id, Values, StatusCode]),
    [
      ["a", [4, 3, 1], "Complete"],
      ["b", [40], "PartialData"],
    ],
  );
  const second = await ask({ a: "errors", b: "requests" }, { MaxDatapoints: 4, ScanBy: "TimestampDescending", NextToken: first.NextToken });
  assert.deepEqual(
    second.MetricDataResults!.map(({ Id, Values, StatusCode }) => [Id, Values, StatusCode]),
    [["b", [0, 20, 10], "Complete"]],
  );
  assert.equal(second.NextToken, undefined);

  const labelled = await client.send(
    new cw.GetMetricDataCommand({
      StartTime: at(0),
      EndTime: at(4),
      MetricDataQueries: [{ ...metric("m", "Requests"), ReturnData: true, Label: "${PROP('MetricName')}: ${MAX} at most, last ${LAST}" }],
    }),
  );
  assert.equal(labelled.MetricDataResults![0]!.Label, "Requests: 40 at most, last 40");
  for (const [expression, message] of [
    ["errors +", /ends too early/],
    ["nothing", /Undeclared/],
    ["ANOMALY_DETECTION_BAND(errors, 2)", /anomaly detection/],
    ["PERIOD(errors)", /time series/],
    ["SELECT AVG(x) FROM y", /Insights/],
  ] as const)
    await assert.rejects(ask({ wrong: expression }), { name: "ValidationException", message });
});

test("what AWS refuses is refused", async () => {
  const put = (datum: Partial<cw.MetricDatum>, Namespace = "N") =>
    client.send(new cw.PutMetricDataCommand({ Namespace, MetricData: [{ MetricName: "M", ...datum }] }));
  const value = { name: "InvalidParameterValueException" };
  const combination = { name: "InvalidParameterCombinationException" };
  await assert.rejects(put({}), combination);
  await assert.rejects(put({ Value: 1, Values: [1] }), combination);
  await assert.rejects(put({ Values: [1, 2], Counts: [1] }), value);
  await assert.rejects(put({ Value: 2 ** 361 }), value);
  await assert.rejects(put({ Value: 1, StorageResolution: 30 }), value);
  await assert.rejects(put({ Value: 1, Unit: "Bananas" as "Count" }), value);
  await assert.rejects(put({ Value: 1, Timestamp: new Date(Date.now() - 15 * 24 * 60 * minute) }), value);
  await assert.rejects(put({ Value: 1, Timestamp: new Date(Date.now() + 3 * 60 * minute) }), value);
  await assert.rejects(put({ Value: 1, Dimensions: Array.from({ length: 31 }, (_, i) => ({ Name: `d${i}`, Value: "x" })) }), value);
  await assert.rejects(put({ StatisticValues: { SampleCount: 1, Sum: 1, Minimum: 2, Maximum: 1 } }), value);
  await assert.rejects(
    client.send(
      new cw.GetMetricStatisticsCommand({
        Namespace: "N",
        MetricName: "M",
        StartTime: at(0),
        EndTime: at(3000),
        Period: 60,
        Statistics: ["Sum"],
      }),
    ),
    combination,
  );
  await assert.rejects(
    client.send(new cw.PutInsightRuleCommand({ RuleName: "r", RuleDefinition: "{}" })),
    (error: cw.CloudWatchServiceException) => error.$metadata.httpStatusCode === 501,
  );
});

test("ListMetrics comes in pages of 500", async () => {
  for (let from = 0; from < 1100; from += 550)
    await client.send(
      new cw.PutMetricDataCommand({
        Namespace: "Many",
        MetricData: Array.from({ length: 550 }, (_, i) => ({ MetricName: `m${from + i}`, Value: 1 })),
      }),
    );
  const sizes: number[] = [];
  const names = new Set<string>();
  for await (const page of cw.paginateListMetrics({ client }, { Namespace: "Many" })) {
    sizes.push(page.Metrics!.length);
    for (const metric of page.Metrics!) names.add(metric.MetricName!);
  }
  assert.deepEqual([sizes, names.size], [[500, 500, 100], 1100]);
});

test("dashboards and tags", async () => {
  const DashboardBody = JSON.stringify({ widgets: [{ type: "text", properties: { markdown: "# hello" } }] });
  await client.send(new cw.PutDashboardCommand({ DashboardName: "main", DashboardBody, Tags: [{ Key: "team", Value: "a" }] }));
  const got = await client.send(new cw.GetDashboardCommand({ DashboardName: "main" }));
  assert.equal(got.DashboardBody, DashboardBody);
  assert.equal(got.DashboardArn, "arn:aws:cloudwatch::000000000000:dashboard/main");
  assert.deepEqual((await client.send(new cw.ListTagsForResourceCommand({ ResourceARN: got.DashboardArn }))).Tags, [
    { Key: "team", Value: "a" },
  ]);
  assert.equal(
    (await client.send(new cw.ListDashboardsCommand({ DashboardNamePrefix: "ma" }))).DashboardEntries![0]!.Size,
    DashboardBody.length,
  );
  await assert.rejects(client.send(new cw.PutDashboardCommand({ DashboardName: "main", DashboardBody: "[]" })), {
    name: /DashboardInvalidInputError|InvalidParameterInput/,
  });
  await assert.rejects(client.send(new cw.DeleteDashboardsCommand({ DashboardNames: ["main", "none"] })), {
    name: /DashboardNotFoundError|ResourceNotFound/,
  });
  await client.send(new cw.DeleteDashboardsCommand({ DashboardNames: ["main"] }));
  assert.deepEqual((await client.send(new cw.ListDashboardsCommand({}))).DashboardEntries, []);
});

for (const binary of awsBinaries)
  test(`the CLI ${binary} puts, reads and alarms`, async () => {
    const name = `cli${binary.length}`;
    await server.awsWith(
      binary,
      "cloudwatch",
      "put-metric-data",
      "--namespace",
      name,
      "--metric-name",
      "M",
      "--value",
      "7",
      "--dimensions",
      "A=b",
    );
    const listed = JSON.parse(await server.awsWith(binary, "cloudwatch", "list-metrics", "--namespace", name, "--output", "json")) as {
      Metrics: unknown[];
    };
    assert.deepEqual(listed.Metrics, [{ Namespace: name, MetricName: "M", Dimensions: [{ Name: "A", Value: "b" }] }]);
    await server.awsWith(
      binary,
      "cloudwatch",
      "put-metric-alarm",
      "--alarm-name",
      name,
      "--namespace",
      name,
      "--metric-name",
      "M",
      "--statistic",
      "Sum",
      "--period",
      "60",
      "--evaluation-periods",
      "1",
      "--threshold",
      "5",
      "--comparison-operator",
      "GreaterThanThreshold",
      // The CLI takes its time: minutes may go by until it looks.
      "--treat-missing-data",
      "ignore",
    );
    await server.awsWith(
      binary,
      "cloudwatch",
      "set-alarm-state",
      "--alarm-name",
      name,
      "--state-value",
      "ALARM",
      "--state-reason",
      "testing",
    );
    const state = await server.awsWith(
      binary,
      "cloudwatch",
      "describe-alarms",
      "--alarm-names",
      name,
      "--query",
      "MetricAlarms[0].StateValue",
      "--output",
      "text",
    );
    assert.equal(state.trim(), "ALARM");
  });

test("alarms: judged in their time, told to a webhook, kept in history, shown by filters", async (t) => {
  const received: { topic: unknown; subject: string; message: { NewStateValue: string; OldStateValue: string } }[] = [];
  let fail = 1;
  const hook = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      if (fail-- > 0) return void response.writeHead(500).end();
      const note = JSON.parse(body) as { Subject: string; Message: string };
      received.push({ topic: request.headers["x-amz-sns-topic-arn"], subject: note.Subject, message: JSON.parse(note.Message) as never });
      response.end();
    });
  });
  await new Promise<void>((resolve) => hook.listen(0, "127.0.0.1", resolve));
  const topic = "arn:aws:sns:us-east-1:000000000000:ops";
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  let cloudwatch!: CloudWatchPart;
  const path = join(server.home, "webhooks.json");
  await writeFile(path, JSON.stringify({ [topic]: `http://127.0.0.1:${(hook.address() as { port: number }).port}/` }));
  const simulated = await startServer({
    clock,
    open: true,
    config: { webhooks: path },
    parts: (deps) => [(cloudwatch = createCloudWatch(deps))],
  });
  // The signature's time is real, the server's is not: --open does not mind.
  const sdk = new cw.CloudWatchClient(simulated.sdk());
  t.after(async () => {
    sdk.destroy();
    await simulated.close();
    hook.close();
  });
  const comeTo = async (states: Record<string, string>) => {
    for (let tries = 0; tries < 60; tries++) {
      await cloudwatch.idle();
      const { MetricAlarms, CompositeAlarms } = await sdk.send(
        new cw.DescribeAlarmsCommand({ AlarmTypes: ["MetricAlarm", "CompositeAlarm"] }),
      );
      const now = Object.fromEntries([...MetricAlarms!, ...CompositeAlarms!].map(({ AlarmName, StateValue }) => [AlarmName, StateValue]));
      if (Object.entries(states).every(([name, state]) => now[name] === state)) return;
      await clock.advance(10_000);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.fail(`never came to ${JSON.stringify(states)}`);
  };
  const seen: string[] = [];
  cloudwatch.actions.onAlarm(
    "arn:aws:autoscaling:",
    async ({ state, repeated }) => void seen.push(`${state.value}${repeated ? " again" : ""}`),
    { repeat: true },
  );
  await sdk.send(
    new cw.PutMetricAlarmCommand({
      AlarmName: "cpu",
      Namespace: "App",
      MetricName: "Cpu",
      Statistic: "Average",
      Period: 60,
      EvaluationPeriods: 2,
      Threshold: 80,
      ComparisonOperator: "GreaterThanThreshold",
      AlarmActions: [topic, "arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:x"],
      OKActions: [topic],
      Tags: [{ Key: "team", Value: "a" }],
    }),
  );
  await sdk.send(new cw.PutCompositeAlarmCommand({ AlarmName: "all", AlarmRule: "ALARM(cpu) AND NOT OK(cpu)" }));
  await assert.rejects(sdk.send(new cw.PutCompositeAlarmCommand({ AlarmName: "none", AlarmRule: "ALARM(nothing)" })), {
    name: "ValidationException",
  });
  await assert.rejects(sdk.send(new cw.PutCompositeAlarmCommand({ AlarmName: "cpu2", AlarmRule: "ALARM(" })), {
    name: "ValidationException",
  });
  const put = (Value: number, minutes: number) =>
    sdk.send(
      new cw.PutMetricDataCommand({
        Namespace: "App",
        MetricData: Array.from({ length: minutes }, (_, i) => ({
          MetricName: "Cpu",
          Value,
          Timestamp: new Date(clock.now() + i * minute),
        })),
      }),
    );
  await comeTo({ cpu: "INSUFFICIENT_DATA", all: "OK" });
  await put(95, 3);
  await comeTo({ cpu: "ALARM", all: "ALARM" });
  await clock.advance(3 * minute);
  await put(10, 10);
  await comeTo({ cpu: "OK", all: "OK" });
  await until("three notices", async () => {
    if (received.length < 3) await clock.advance(1000);
    // What was received is also written down.
    await cloudwatch.idle();
    return received.length >= 3;
  });
  assert.deepEqual(
    received.map(({ message, topic: to }) => [to, message.OldStateValue, message.NewStateValue]),
    [
      // The first of two points that breach is not an alarm yet.
      [topic, "INSUFFICIENT_DATA", "OK"],
      [topic, "OK", "ALARM"],
      [topic, "ALARM", "OK"],
    ],
  );
  assert.equal(received[1]!.subject, 'ALARM: "cpu" in us-east-1');
  assert.equal(seen[0], "ALARM");
  assert.ok(seen.slice(1).length > 0 && seen.slice(1).every((one) => one === "ALARM again"), String(seen));
  const history = await sdk.send(new cw.DescribeAlarmHistoryCommand({ AlarmName: "cpu", ScanBy: "TimestampAscending" }));
  assert.deepEqual(
    history.AlarmHistoryItems!.filter(({ HistoryItemType }) => HistoryItemType !== "Action").map(({ HistorySummary }) => HistorySummary),
    [
      'Alarm "cpu" created',
      "Alarm updated from INSUFFICIENT_DATA to OK",
      "Alarm updated from OK to ALARM",
      "Alarm updated from ALARM to OK",
    ],
  );
  assert.equal(
    history.AlarmHistoryItems!.filter(({ HistorySummary }) => HistorySummary === `Successfully executed action ${topic}`).length,
    3,
  );
  const pages: string[] = [];
  for await (const page of cw.paginateDescribeAlarmHistory({ client: sdk, pageSize: 2 }, { AlarmName: "cpu" }))
    pages.push(...page.AlarmHistoryItems!.map(({ HistorySummary }) => HistorySummary!));
  assert.equal(pages.length, history.AlarmHistoryItems!.length);
  assert.equal(pages.at(-1), 'Alarm "cpu" created');

  const alarm = (await sdk.send(new cw.DescribeAlarmsCommand({ ActionPrefix: "arn:aws:sns", StateValue: "OK" }))).MetricAlarms![0]!;
  assert.match(
    alarm.StateReason!,
    /^Threshold Crossed: 2 out of the last 2 datapoints \[10\.0 \(.*\), 10\.0 \(.*\)\] were not greater than the threshold \(80\.0\) \(minimum 1 datapoint for ALARM -> OK transition\)\.$|^Threshold Crossed: 1 out of the last 2 datapoints/,
  );
  assert.equal((await sdk.send(new cw.DescribeAlarmsForMetricCommand({ Namespace: "App", MetricName: "Cpu" }))).MetricAlarms!.length, 1);
  assert.deepEqual(
    (await sdk.send(new cw.DescribeAlarmsCommand({ ChildrenOfAlarmName: "all" }))).MetricAlarms!.map(({ AlarmName }) => AlarmName),
    ["cpu"],
  );
  assert.deepEqual(
    (await sdk.send(new cw.DescribeAlarmsCommand({ ParentsOfAlarmName: "cpu" }))).CompositeAlarms!.map(({ AlarmName }) => AlarmName),
    ["all"],
  );
  assert.deepEqual((await sdk.send(new cw.ListTagsForResourceCommand({ ResourceARN: alarm.AlarmArn! }))).Tags, [
    { Key: "team", Value: "a" },
  ]);
  await sdk.send(new cw.DisableAlarmActionsCommand({ AlarmNames: ["cpu"] }));
  await sdk.send(new cw.SetAlarmStateCommand({ AlarmName: "cpu", StateValue: "ALARM", StateReason: "by hand" }));
  await cloudwatch.idle();
  assert.equal(received.length, 3);
  await comeTo({ cpu: "OK" });
  await sdk.send(new cw.DeleteAlarmsCommand({ AlarmNames: ["all"] }));
  await sdk.send(new cw.DeleteAlarmsCommand({ AlarmNames: ["cpu"] }));
  assert.deepEqual((await sdk.send(new cw.DescribeAlarmsCommand({}))).MetricAlarms, []);
});
