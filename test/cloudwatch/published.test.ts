/** What Gantry publishes by itself: ECS's utilization and Container Insights from agents' reports, logs and their metric filters. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { AutoScalingClient, CreateAutoScalingGroupCommand, DescribeAutoScalingGroupsCommand } from "@aws-sdk/client-auto-scaling";
import * as cw from "@aws-sdk/client-cloudwatch";
import * as logs from "@aws-sdk/client-cloudwatch-logs";
import { CreateLaunchTemplateCommand, DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import * as ecs from "@aws-sdk/client-ecs";
import { ecsKeys } from "#model/ecs-keys.ts";
import { FakeClock, settle } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import type { Measurement, MetricSink } from "#platform/metric-sink.ts";
import { createEcsMetrics } from "#reconcilers/metrics/ecs-metrics.ts";
import { createAutoScaling } from "#services/autoscaling/index.ts";
import { createCloudWatch } from "#services/cloudwatch/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createLogs } from "#services/logs/logs.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { startServer } from "../support/http.ts";
import { until } from "../support/until.ts";

const scope = { account: "000000000000", region: "us-east-1" };
const set = (value: number) => ({ min: value, max: value, sampleCount: 1, sum: value });

test("ECS: a service's utilization from each report, a cluster's and Container Insights at the minute's end", async () => {
  const home = await mkdtemp(join(tmpdir(), "gantry-published-"));
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const store = await openSqliteStore({ path: join(home, "store.sqlite"), clock });
  const told: (Measurement & { readonly namespace: string })[] = [];
  const sink: MetricSink = { put: (_scope, namespace, data) => void told.push(...data.map((each) => ({ ...each, namespace }))) };
  const metrics = createEcsMetrics({ store, clock, log: silentLogger, sink });
  try {
    const arn = (id: string) => `arn:aws:ecs:us-east-1:000000000000:task/main/${id}`;
    const resources = { cpu: 512, memory: 1024, portsTcp: [], portsUdp: [] };
    const task = (id: string, launchType: string) => ({
      arn: arn(id),
      id,
      cluster: "main",
      taskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/web:3",
      containerInstanceId: "i1",
      launchType,
      group: "service:web",
      startedBy: "ecs-svc/d",
      desiredStatus: "RUNNING",
      resources,
      containers: [
        { name: "app", cpu: "256" },
        { name: "side", cpu: "0" },
      ],
    });
    const key = (kind: "task" | "taskObserved", id: string) => ecsKeys[kind](scope, "main", id);
    await store.transaction({
      writes: [
        {
          put: ecsKeys.cluster(scope, "main"),
          value: { name: "main", status: "ACTIVE", settings: [{ name: "containerInsights", value: "enhanced" }] },
        },
        {
          put: ecsKeys.containerInstance(scope, "main", "i1"),
          value: { id: "i1", ec2InstanceId: "i-1", status: "ACTIVE", registeredResources: { cpu: 2048, memory: 4096 } },
        },
        { put: ecsKeys.allocation(scope, "main", "i1"), value: { tasks: { a: resources } } },
        { put: ecsKeys.service(scope, "main", "web"), value: { name: "web", status: "ACTIVE", desiredCount: 3 } },
        { put: ecsKeys.deployment(scope, "main", "web", "d"), value: { status: "PRIMARY", revision: "r" } },
        {
          put: ecsKeys.serviceRevision(scope, "main", "web", "r"),
          value: { monitoring: { metricConfigurations: [{ metricNames: ["MemoryUtilization"], resolutionSeconds: 20 }] } },
        },
        { put: key("task", "a"), value: task("a", "EC2") },
        { put: key("taskObserved", "a"), value: { lastStatus: "RUNNING" } },
        { put: key("task", "f"), value: { ...task("f", "FARGATE"), ephemeralStorageGiB: 20 } },
      ],
    });
    metrics.start();
    const report = (id: string, cpu: number) =>
      metrics.observe({
        taskArn: arn(id),
        taskDefinitionFamily: "web",
        taskDefinitionVersion: "3",
        containerMetrics: [
          {
            containerName: "app",
            cpuStatsSet: set(cpu),
            memoryStatsSet: set(200),
            networkStatsSet: { rxBytes: set(600), txBytes: set(1200) },
            storageStatsSet: { readSizeBytes: set(10), writeSizeBytes: set(20) },
          },
          {
            containerName: "side",
            cpuStatsSet: set(0),
            memoryStatsSet: set(56),
            networkStatsSet: { rxBytes: set(600), txBytes: set(1200) },
          },
        ],
      });
    for (const cpu of [10, 20, 30]) {
      report("a", cpu);
      report("f", 50);
      await clock.advance(15_000);
    }
    metrics.observe({ taskArn: arn("a"), taskDefinitionFamily: "web", taskDefinitionVersion: "3", containerMetrics: null as never });
    const of = (namespace: string, name: string, dimensions: object) =>
      told
        .filter(
          (each) => each.namespace === namespace && each.name === name && JSON.stringify(each.dimensions) === JSON.stringify(dimensions),
        )
        .map(({ values }) => values[0]);
    const service = { ClusterName: "main", ServiceName: "web" };
    // 10 % of a core is 102.4 units, of 512.
    assert.deepEqual(of("AWS/ECS", "CPUUtilization", service), [20, 100, 40, 100, 60, 100]);
    assert.deepEqual(of("AWS/ECS", "MemoryUtilization", service)[0], 25);
    // As finely as the service's revision says of each metric.
    const utilization = (name: string) => told.filter((each) => each.namespace === "AWS/ECS" && each.name === name);
    assert.ok(utilization("CPUUtilization").every(({ resolution }) => resolution === undefined));
    assert.ok(utilization("MemoryUtilization").every(({ resolution, at }) => resolution === 1 && at % 20_000 === 0));
    await clock.advance(15_000);
    for (let i = 0; i < 20; i++) await settle();
    const cluster = { ClusterName: "main" };
    assert.deepEqual(of("AWS/ECS", "CPUReservation", cluster), [25]);
    assert.deepEqual(of("AWS/ECS", "MemoryReservation", cluster), [25]);
    // Fargate's tasks are not on the cluster's own machines.
    assert.deepEqual(
      of("AWS/ECS", "CPUUtilization", cluster).map((value) => Math.round(value!)),
      [10],
    );
    const insights = (name: string, dimensions: object) => of("ECS/ContainerInsights", name, dimensions).map((value) => Math.round(value!));
    assert.deepEqual(insights("CpuUtilized", service), [205, 512]);
    assert.deepEqual(insights("MemoryUtilized", { ClusterName: "main", TaskDefinitionFamily: "web" }), [256, 256]);
    assert.deepEqual(insights("NetworkRxBytes", service), [30, 30]);
    assert.deepEqual(
      ["DesiredTaskCount", "RunningTaskCount", "PendingTaskCount", "DeploymentCount", "TaskSetCount"].flatMap((name) =>
        insights(name, service),
      ),
      [3, 1, 1, 1, 0],
    );
    assert.deepEqual(
      ["TaskCount", "ServiceCount", "ContainerInstanceCount", "instance_number_of_running_tasks"].flatMap((name) =>
        insights(name, cluster),
      ),
      [1, 1, 1, 1],
    );
    const container = { ClusterName: "main", TaskDefinitionFamily: "web", ServiceName: "web", TaskId: "a", ContainerName: "app" };
    assert.deepEqual(insights("ContainerCpuUtilization", container), [80]);
    assert.deepEqual(insights("ContainerMemoryUtilized", container), [200]);
    assert.ok(told.every(({ at, namespace }) => namespace === "AWS/ECS" || at === Date.UTC(2026, 0, 1)));
  } finally {
    await metrics.stop();
    await store.close();
    await rm(home, { recursive: true, force: true });
  }
});

test("capacity providers: CapacityProviderReservation each minute, above the target while tasks wait, below it when they are gone", async () => {
  const clock = new FakeClock(Math.floor(Date.now() / 60_000) * 60_000 + 55_000);
  const server = await startServer({
    clock,
    parts: (deps) => {
      const cloudwatch = createCloudWatch(deps);
      return [cloudwatch, createEc2(deps), createAutoScaling(deps), createEcs({ ...deps, metrics: cloudwatch.sink })];
    },
  });
  const clients = [
    new ecs.ECSClient(server.sdk()),
    new EC2Client(server.sdk()),
    new AutoScalingClient(server.sdk()),
    new cw.CloudWatchClient(server.sdk()),
  ] as const;
  const [tasks, machines, groups, watch] = clients;
  try {
    const { Subnets } = await machines.send(new DescribeSubnetsCommand({}));
    await machines.send(
      new CreateLaunchTemplateCommand({
        LaunchTemplateName: "nodes",
        LaunchTemplateData: { ImageId: "ami-0ec5000000000a001", InstanceType: "t3.medium" },
      }),
    );
    await groups.send(
      new CreateAutoScalingGroupCommand({
        AutoScalingGroupName: "nodes",
        MinSize: 0,
        MaxSize: 2,
        VPCZoneIdentifier: Subnets![0]!.SubnetId!,
        LaunchTemplate: { LaunchTemplateName: "nodes", Version: "$Latest" },
      }),
    );
    const { AutoScalingGroups } = await groups.send(new DescribeAutoScalingGroupsCommand({}));
    const autoScalingGroupArn = AutoScalingGroups![0]!.AutoScalingGroupARN!;
    const managedScaling = { status: "ENABLED" as const, targetCapacity: 100 };
    await tasks.send(
      new ecs.CreateCapacityProviderCommand({ name: "cp", autoScalingGroupProvider: { autoScalingGroupArn, managedScaling } }),
    );
    await tasks.send(
      new ecs.CreateClusterCommand({
        clusterName: "main",
        capacityProviders: ["cp"],
        defaultCapacityProviderStrategy: [{ capacityProvider: "cp", weight: 1 }],
      }),
    );
    // One for each instance, by its port.
    const containerDefinitions = [{ name: "web", image: "web", memory: 64, portMappings: [{ containerPort: 80, hostPort: 8080 }] }];
    await tasks.send(new ecs.RegisterTaskDefinitionCommand({ family: "web", containerDefinitions }));
    const run = await tasks.send(new ecs.RunTaskCommand({ cluster: "main", taskDefinition: "web", count: 3 }));
    assert.deepEqual(
      run.tasks!.map(({ lastStatus }) => lastStatus),
      ["PROVISIONING", "PROVISIONING", "PROVISIONING"],
    );
    const Dimensions = [
      { Name: "CapacityProviderName", Value: "cp" },
      { Name: "ClusterName", Value: "main" },
    ];
    const metric = { Namespace: "AWS/ECS/ManagedScaling", MetricName: "CapacityProviderReservation", Dimensions };
    const first = clock.now() - 55_000;
    const ask = async () => {
      const MetricDataQueries = ["Average", "SampleCount"].map((Stat) => ({
        Id: Stat.toLowerCase(),
        MetricStat: { Metric: metric, Period: 60, Stat, Unit: "Percent" as const },
      }));
      const { MetricDataResults } = await watch.send(
        new cw.GetMetricDataCommand({
          MetricDataQueries,
          StartTime: new Date(first),
          EndTime: new Date(first + 300_000),
          ScanBy: "TimestampAscending",
        }),
      );
      return MetricDataResults!.map(({ Values }) => Values!);
    };
    /** Timers of a quarter of a minute, and whatever they set off. */
    const pass = async (ms: number) => {
      for (let gone = 0; gone < ms; gone += 5_000) {
        await clock.advance(5_000);
        for (let i = 0; i < 20; i++) await settle();
      }
    };
    /** In three seconds of the clock, and as long as the disk takes: points are written in real time. */
    const soon = (what: string, holds: () => Promise<boolean>) => {
      let steps = 0;
      return until(what, async () => {
        if (await holds()) return true;
        if (steps++ < 30) await clock.advance(100);
        return false;
      });
    };
    const desired = async () => (await groups.send(new DescribeAutoScalingGroupsCommand({}))).AutoScalingGroups![0]!;
    await soon("two instances, the group's most", async () => (await desired()).Instances!.length === 2);
    await pass(10_000);
    // Three are needed, two are there; the first minute saw none.
    await soon("a value of the second minute", async () => (await ask())[0]!.length === 2);
    assert.deepEqual(await ask(), [
      [200, 150],
      [1, 1],
    ]);
    for (const { taskArn } of run.tasks!) await tasks.send(new ecs.StopTaskCommand({ cluster: "main", task: taskArn! }));
    await pass(60_000);
    await soon("a value of the third minute", async () => (await ask())[0]!.length === 3);
    await pass(60_000);
    await soon("a value of the fourth minute", async () => (await ask())[0]!.length === 4);
    assert.deepEqual(await ask(), [
      [200, 150, 0, 0],
      [1, 1, 1, 1],
    ]);
    const { Metrics } = await watch.send(new cw.ListMetricsCommand({ Namespace: "AWS/ECS/ManagedScaling" }));
    assert.deepEqual(Metrics, [metric]);
  } finally {
    for (const client of clients) client.destroy();
    await server.close();
  }
});

test("logs: what comes in is counted, metric filters publish, TestMetricFilter shows what they take", async () => {
  const server = await startServer({
    parts: (deps) => {
      const cloudwatch = createCloudWatch(deps);
      return [cloudwatch, createLogs({ ...deps, metrics: cloudwatch.sink })];
    },
  });
  const log = new logs.CloudWatchLogsClient(server.sdk());
  const watch = new cw.CloudWatchClient(server.sdk());
  try {
    const logGroupName = "/app";
    await log.send(new logs.CreateLogGroupCommand({ logGroupName }));
    await log.send(new logs.CreateLogStreamCommand({ logGroupName, logStreamName: "s" }));
    const filter = (filterName: string, filterPattern: string, transformation: Partial<logs.MetricTransformation>) =>
      log.send(
        new logs.PutMetricFilterCommand({
          logGroupName,
          filterName,
          filterPattern,
          metricTransformations: [{ metricName: filterName, metricNamespace: "App", metricValue: "1", ...transformation }],
        }),
      );
    await filter("errors", '{ $.level = "error" }', { dimensions: { Service: "$.service" }, unit: "Count" });
    await filter("latency", "{ $.ms = * }", { metricValue: "$.ms" });
    await filter("fatal", "FATAL", { defaultValue: 0 });
    await assert.rejects(filter("bad", "{ $.x", {}), { name: "InvalidParameterException" });
    await assert.rejects(filter("bad", "x", { metricValue: "one" }), { name: "InvalidParameterException" });
    const now = Date.now();
    const events = [
      { level: "error", service: "web", ms: 5 },
      { level: "error", service: "web", ms: 15 },
      { level: "info", ms: "no" },
    ].map((one) => ({ timestamp: now, message: JSON.stringify(one) }));
    await log.send(new logs.PutLogEventsCommand({ logGroupName, logStreamName: "s", logEvents: events }));
    const ask = (Namespace: string, MetricName: string, Dimensions: cw.Dimension[] = []) =>
      until(`${Namespace} ${MetricName}`, async () => {
        const { Datapoints } = await watch.send(
          new cw.GetMetricStatisticsCommand({
            Namespace,
            MetricName,
            Dimensions,
            StartTime: new Date(now - 120_000),
            EndTime: new Date(now + 120_000),
            Period: 3600,
            Statistics: ["Sum", "SampleCount"],
          }),
        );
        return Datapoints!.length > 0 && [Datapoints![0]!.Sum, Datapoints![0]!.SampleCount];
      });
    assert.deepEqual(await ask("App", "errors", [{ Name: "Service", Value: "web" }]), [2, 2]);
    assert.deepEqual(await ask("App", "latency"), [20, 2]);
    assert.deepEqual(await ask("App", "fatal"), [0, 1]);
    const group = [{ Name: "LogGroupName", Value: logGroupName }];
    assert.deepEqual(await ask("AWS/Logs", "IncomingLogEvents", group), [3, 1]);
    assert.deepEqual(await ask("AWS/Logs", "IncomingBytes", group), [events.reduce((sum, { message }) => sum + message.length, 0), 1]);

    const described = await log.send(new logs.DescribeMetricFiltersCommand({ logGroupName, filterNamePrefix: "e" }));
    assert.deepEqual(
      described.metricFilters!.map(({ filterName }) => filterName),
      ["errors"],
    );
    assert.equal((await log.send(new logs.DescribeLogGroupsCommand({}))).logGroups![0]!.metricFilterCount, 3);
    const { matches } = await log.send(
      new logs.TestMetricFilterCommand({
        filterPattern: "[ip, user, ..., status = 4*, bytes]",
        logEventMessages: ['127.0.0.1 frank [10/Oct/2000] "GET /" 404 1534', "127.0.0.1 frank x 200 1"],
      }),
    );
    assert.deepEqual(matches, [
      {
        eventNumber: 1,
        eventMessage: '127.0.0.1 frank [10/Oct/2000] "GET /" 404 1534',
        extractedValues: { $ip: "127.0.0.1", $user: "frank", $status: "404", $bytes: "1534" },
      },
    ]);
    await log.send(new logs.DeleteMetricFilterCommand({ logGroupName, filterName: "fatal" }));
    await assert.rejects(log.send(new logs.DeleteMetricFilterCommand({ logGroupName, filterName: "fatal" })), {
      name: "ResourceNotFoundException",
    });
    await log.send(new logs.DeleteLogGroupCommand({ logGroupName }));
    assert.deepEqual((await server.deps.store.list("/logs/")).entries, []);
  } finally {
    log.destroy();
    watch.destroy();
    await server.close();
  }
});
