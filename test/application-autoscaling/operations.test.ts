/** Application Auto Scaling through HTTP, by the SDK and the AWS CLI, beside ECS and CloudWatch. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ApplicationAutoScalingClient,
  DeleteScalingPolicyCommand,
  DeleteScheduledActionCommand,
  DeregisterScalableTargetCommand,
  DescribeScalableTargetsCommand,
  DescribeScalingActivitiesCommand,
  DescribeScalingPoliciesCommand,
  DescribeScheduledActionsCommand,
  GetPredictiveScalingForecastCommand,
  ListTagsForResourceCommand,
  PutScalingPolicyCommand,
  type PutScalingPolicyCommandInput,
  PutScheduledActionCommand,
  type PutScheduledActionCommandInput,
  RegisterScalableTargetCommand,
  TagResourceCommand,
  UntagResourceCommand,
} from "@aws-sdk/client-application-auto-scaling";
import { CloudWatchClient, DescribeAlarmsCommand, PutMetricAlarmCommand, SetAlarmStateCommand } from "@aws-sdk/client-cloudwatch";
import {
  CreateClusterCommand,
  CreateServiceCommand,
  DescribeServicesCommand,
  ECSClient,
  type MonitoringConfiguration,
  RegisterTaskDefinitionCommand,
  UpdateServiceCommand,
} from "@aws-sdk/client-ecs";
import { createApplicationAutoScaling } from "#services/application-autoscaling/index.ts";
import { createCloudWatch } from "#services/cloudwatch/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { startServer, type TestServer } from "../support/http.ts";
import { eventually, until } from "../support/until.ts";

let server: TestServer;
let scaling: ApplicationAutoScalingClient;
let ecs: ECSClient;
let cloudwatch: CloudWatchClient;
let parts: { stop?(): Promise<void> }[];

before(async () => {
  server = await startServer({
    parts: (deps) => {
      const watched = createCloudWatch(deps);
      const own = createEcs(deps);
      return (parts = [watched, own, createApplicationAutoScaling(deps, watched, own)]) as [typeof watched];
    },
  });
  scaling = new ApplicationAutoScalingClient(server.sdk());
  ecs = new ECSClient(server.sdk());
  cloudwatch = new CloudWatchClient(server.sdk());
  await ecs.send(new CreateClusterCommand({ clusterName: "main" }));
  await ecs.send(
    new RegisterTaskDefinitionCommand({ family: "web", containerDefinitions: [{ name: "web", image: "busybox", memory: 64 }] }),
  );
  for (const serviceName of ["web", "other"])
    await ecs.send(new CreateServiceCommand({ cluster: "main", serviceName, taskDefinition: "web", desiredCount: 2 }));
});
after(async () => {
  for (const part of parts.toReversed()) await part.stop?.();
  for (const client of [scaling, ecs, cloudwatch]) client.destroy();
  await server.close();
});

const at = { ServiceNamespace: "ecs", ResourceId: "service/main/web", ScalableDimension: "ecs:service:DesiredCount" } as const;
const refused = (name: string, message?: RegExp | string) => (error: Error) => {
  assert.equal(error.name, name, error.message);
  if (typeof message === "string") assert.equal(error.message, message);
  else if (message) assert.match(error.message, message);
  return true;
};
const register = (more: object = {}) => scaling.send(new RegisterScalableTargetCommand({ ...at, MinCapacity: 1, MaxCapacity: 5, ...more }));
const desired = async (service = "web") =>
  (await ecs.send(new DescribeServicesCommand({ cluster: "main", services: [service] }))).services![0]!.desiredCount;
const none =
  "No scalable target registered for service namespace: ecs, resource ID: service/main/web, scalable dimension: ecs:service:DesiredCount";

describe("targets", () => {
  test("registered, changed in part, described, deregistered", async () => {
    const { ScalableTargetARN: arn } = await register({ Tags: { team: "a" } });
    assert.match(arn!, /^arn:aws:application-autoscaling:us-east-1:000000000000:scalable-target\/0ec5[0-9a-f]{32}$/);
    const again = await scaling.send(
      new RegisterScalableTargetCommand({ ...at, MaxCapacity: 8, SuspendedState: { ScheduledScalingSuspended: true } }),
    );
    assert.equal(again.ScalableTargetARN, arn);
    const { ScalableTargets } = await scaling.send(
      new DescribeScalableTargetsCommand({ ServiceNamespace: "ecs", ResourceIds: [at.ResourceId] }),
    );
    const [found] = ScalableTargets!;
    assert.deepEqual(
      { ...found, CreationTime: found!.CreationTime instanceof Date },
      {
        ...at,
        MinCapacity: 1,
        MaxCapacity: 8,
        RoleARN:
          "arn:aws:iam::000000000000:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService",
        CreationTime: true,
        SuspendedState: { DynamicScalingInSuspended: false, DynamicScalingOutSuspended: false, ScheduledScalingSuspended: true },
        ScalableTargetARN: arn,
      },
    );
    await scaling.send(new TagResourceCommand({ ResourceARN: arn, Tags: { b: "c" } }));
    await scaling.send(new UntagResourceCommand({ ResourceARN: arn, TagKeys: ["team"] }));
    assert.deepEqual((await scaling.send(new ListTagsForResourceCommand({ ResourceARN: arn }))).Tags, { b: "c" });
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`k${i}`, "v"]));
    await assert.rejects(scaling.send(new TagResourceCommand({ ResourceARN: arn, Tags: many })), refused("TooManyTagsException"));
    await scaling.send(new DeregisterScalableTargetCommand(at));
    await assert.rejects(scaling.send(new DeregisterScalableTargetCommand(at)), refused("ObjectNotFoundException", none));
    await assert.rejects(scaling.send(new ListTagsForResourceCommand({ ResourceARN: arn })), refused("ResourceNotFoundException"));
    assert.deepEqual((await scaling.send(new DescribeScalableTargetsCommand({ ServiceNamespace: "ecs" }))).ScalableTargets, []);
  });

  test("what is no target", async () => {
    const bad = (more: object, name: string, message?: RegExp | string) => assert.rejects(register(more), refused(name, message));
    await bad({ MinCapacity: undefined }, "ValidationException");
    await bad({ MinCapacity: -1 }, "ValidationException", /greater than or equal to 0/);
    await bad({ MinCapacity: 6 }, "ValidationException", "Minimum capacity cannot be greater than maximum capacity");
    await bad({ ResourceId: "service/main/nope" }, "ValidationException", /ECS service doesn't exist/);
    await bad({ ResourceId: "cluster/main" }, "ValidationException", "Unsupported service namespace, resource type or scalable dimension");
    await bad(
      { ScalableDimension: "ecs:service:Nope" },
      "ValidationException",
      "Unsupported service namespace, resource type or scalable dimension",
    );
    await bad({ ServiceNamespace: "nope" }, "ValidationException", /enum value set/);
    await bad({ ServiceNamespace: "dynamodb" }, "NotImplemented");
    await assert.rejects(
      scaling.send(new GetPredictiveScalingForecastCommand({ ...at, PolicyName: "p", StartTime: new Date(), EndTime: new Date() })),
      refused("NotImplemented"),
    );
  });
});

describe("policies", () => {
  const put = (PolicyName: string, more: Partial<PutScalingPolicyCommandInput>) =>
    scaling.send(new PutScalingPolicyCommand({ ...at, PolicyName, ...more }));
  const tracking = (more: object) =>
    put("cpu", {
      PolicyType: "TargetTrackingScaling",
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: 75,
        PredefinedMetricSpecification: { PredefinedMetricType: "ECSServiceAverageCPUUtilization" },
        ...more,
      },
    });
  const step = (more: object) =>
    put("step", {
      PolicyType: "StepScaling",
      StepScalingPolicyConfiguration: {
        AdjustmentType: "ChangeInCapacity",
        Cooldown: 0,
        StepAdjustments: [
          { MetricIntervalLowerBound: 0, MetricIntervalUpperBound: 20, ScalingAdjustment: 1 },
          { MetricIntervalLowerBound: 20, ScalingAdjustment: 3 },
        ],
        ...more,
      },
    });
  const alarms = async () => (await cloudwatch.send(new DescribeAlarmsCommand({}))).MetricAlarms!;
  before(() => register());
  after(() => scaling.send(new DeregisterScalableTargetCommand(at)));

  test("target tracking has two alarms of its own, which change and go with it", async () => {
    const made = await tracking({ ScaleInCooldown: 60 });
    assert.match(
      made.PolicyARN!,
      /^arn:aws:autoscaling:us-east-1:000000000000:scalingPolicy:[0-9a-f-]{36}:resource\/ecs\/service\/main\/web:policyName\/cpu$/,
    );
    const common = {
      Namespace: "AWS/ECS",
      MetricName: "CPUUtilization",
      Statistic: "Average",
      Period: 60,
      Dimensions: [
        { Name: "ClusterName", Value: "main" },
        { Name: "ServiceName", Value: "web" },
      ],
      AlarmActions: [made.PolicyARN],
      AlarmDescription: `DO NOT EDIT OR DELETE. For TargetTrackingScaling policy ${made.PolicyARN}.`,
    };
    const expected = [
      { ...common, EvaluationPeriods: 3, Threshold: 75, ComparisonOperator: "GreaterThanThreshold" },
      { ...common, EvaluationPeriods: 15, Threshold: 67.5, ComparisonOperator: "LessThanThreshold" },
    ];
    const found = await alarms();
    assert.deepEqual(
      found.map(({ AlarmName, AlarmArn }) => ({ AlarmName, AlarmARN: AlarmArn })),
      made.Alarms,
    );
    for (const [i, want] of expected.entries()) assert.partialDeepStrictEqual(found[i], want);
    const changed = await tracking({ TargetValue: 50, DisableScaleIn: true });
    assert.deepEqual([changed.PolicyARN, changed.Alarms], [made.PolicyARN, [made.Alarms![0]]]);
    assert.deepEqual(
      (await alarms()).map(({ Threshold }) => Threshold),
      [50],
    );
    const { ScalingPolicies } = await scaling.send(new DescribeScalingPoliciesCommand({ ServiceNamespace: "ecs", PolicyNames: ["cpu"] }));
    assert.partialDeepStrictEqual(ScalingPolicies![0], {
      ...at,
      PolicyName: "cpu",
      PolicyType: "TargetTrackingScaling",
      TargetTrackingScalingPolicyConfiguration: { TargetValue: 50, DisableScaleIn: true },
      Alarms: changed.Alarms,
    });
    await scaling.send(new DeleteScalingPolicyCommand({ ...at, PolicyName: "cpu" }));
    assert.deepEqual(await alarms(), []);
    await assert.rejects(scaling.send(new DeleteScalingPolicyCommand({ ...at, PolicyName: "cpu" })), refused("ObjectNotFoundException"));
  });

  test("customized metrics, and metric math", async () => {
    const customized = {
      MetricName: "depth",
      Namespace: "App",
      Statistic: "Average",
      Unit: "Count",
      Dimensions: [{ Name: "q", Value: "1" }],
    };
    await tracking({ PredefinedMetricSpecification: undefined, CustomizedMetricSpecification: customized });
    assert.partialDeepStrictEqual((await alarms())[0], { ...customized, Period: 60 });
    const stat = (MetricName: string) => ({ Metric: { MetricName, Namespace: "App" }, Stat: "Sum" });
    const Metrics = [
      { Id: "m1", MetricStat: stat("messages"), ReturnData: false },
      { Id: "m2", MetricStat: stat("tasks"), ReturnData: false },
      { Id: "e1", Expression: "m1 / m2", Label: "each", ReturnData: true },
    ];
    await tracking({ PredefinedMetricSpecification: undefined, CustomizedMetricSpecification: { Metrics } });
    const [high] = await alarms();
    assert.deepEqual(
      high!.Metrics!.map(({ Id, Expression, MetricStat }) => [Id, Expression, MetricStat?.Period]),
      [
        ["m1", undefined, 60],
        ["m2", undefined, 60],
        ["e1", "m1 / m2", undefined],
      ],
    );
    const { ScalingPolicies } = await scaling.send(new DescribeScalingPoliciesCommand({ ServiceNamespace: "ecs" }));
    assert.deepEqual(ScalingPolicies![0]!.TargetTrackingScalingPolicyConfiguration!.CustomizedMetricSpecification, { Metrics });
    await scaling.send(new DeleteScalingPolicyCommand({ ...at, PolicyName: "cpu" }));
  });

  test("high resolution: what the service publishes every 20 seconds is judged every 20 seconds", async () => {
    const fine = { PredefinedMetricSpecification: { PredefinedMetricType: "ECSServiceAverageCPUUtilizationHighResolution" } };
    await assert.rejects(tracking(fine), refused("ValidationException", /monitoring configuration/));
    const of = (resolutionSeconds: number, ...metricNames: string[]) => ({ metricConfigurations: [{ metricNames, resolutionSeconds }] });
    const update = (monitoring: MonitoringConfiguration) =>
      ecs.send(new UpdateServiceCommand({ cluster: "main", service: "web", monitoring }));
    await assert.rejects(update(of(30, "CPUUtilization")), refused("InvalidParameterException", /20 or 60/));
    await assert.rejects(update(of(20, "Disk")), refused("InvalidParameterException", /CPUUtilization or MemoryUtilization/));
    await update(of(20, "CPUUtilization"));
    await tracking(fine);
    assert.deepEqual(
      (await alarms()).map(({ Period, EvaluationPeriods }) => [Period, EvaluationPeriods]),
      [
        [20, 3],
        [20, 45],
      ],
    );
    await scaling.send(new DeleteScalingPolicyCommand({ ...at, PolicyName: "cpu" }));
  });

  test("a step policy is told by alarms that people made", async () => {
    const { PolicyARN, Alarms } = await step({});
    assert.deepEqual(Alarms, []);
    await cloudwatch.send(
      new PutMetricAlarmCommand({
        AlarmName: "deep",
        Namespace: "App",
        MetricName: "depth",
        Statistic: "Average",
        Period: 60,
        EvaluationPeriods: 1,
        Threshold: 10,
        ComparisonOperator: "GreaterThanThreshold",
        AlarmActions: [PolicyARN!, PolicyARN!.replace(/step$/, "gone")],
      }),
    );
    const { ScalingPolicies } = await scaling.send(new DescribeScalingPoliciesCommand({ ...at }));
    assert.deepEqual(
      ScalingPolicies![0]!.Alarms!.map(({ AlarmName }) => AlarmName),
      ["deep"],
    );
    assert.equal(ScalingPolicies![0]!.StepScalingPolicyConfiguration!.StepAdjustments!.length, 2);
    // Nobody has measured anything: the alarm is told to be one, and the policy finds nothing to go by.
    await cloudwatch.send(new SetAlarmStateCommand({ AlarmName: "deep", StateValue: "ALARM", StateReason: "a test" }));
    await (parts[0] as { idle?(): Promise<void> }).idle?.();
    assert.equal(await desired(), 2);
  });

  test("what is no policy", async () => {
    const bad = (sent: Promise<unknown>, message?: RegExp, name = "ValidationException") => assert.rejects(sent, refused(name, message));
    await bad(put("p", { ResourceId: "service/main/other", PolicyType: "StepScaling" }), /No scalable target/, "ObjectNotFoundException");
    await bad(put("p", { PolicyType: "StepScaling" }), /StepScalingPolicyConfiguration is required/);
    await bad(put("p", { PolicyType: "PredictiveScaling" }), /predictive/, "NotImplemented");
    await bad(step({ StepAdjustments: [] }));
    await bad(step({ StepAdjustments: [{ ScalingAdjustment: 1 }] }), /null in the same step/);
    await bad(step({ StepAdjustments: [{ MetricIntervalLowerBound: -5, ScalingAdjustment: 1 }] }), /negative lower bound/);
    await bad(
      step({ StepAdjustments: [{ MetricIntervalLowerBound: 0, MetricIntervalUpperBound: 5, ScalingAdjustment: 1 }] }),
      /positive upper bound/,
    );
    const two = (upper: number, lower: number) => [
      { MetricIntervalLowerBound: 0, MetricIntervalUpperBound: upper, ScalingAdjustment: 1 },
      { MetricIntervalLowerBound: lower, ScalingAdjustment: 2 },
    ];
    await bad(step({ StepAdjustments: two(5, 6) }), /gap/);
    await bad(step({ StepAdjustments: two(5, 4) }), /overlap/);
    await bad(step({ AdjustmentType: "ExactCapacity", StepAdjustments: [{ MetricIntervalLowerBound: 0, ScalingAdjustment: -1 }] }));
    await bad(step({ MinAdjustmentMagnitude: 1 }), /PercentChangeInCapacity/);
    await bad(tracking({ PredefinedMetricSpecification: undefined }), /Exactly one/);
    await bad(tracking({ PredefinedMetricSpecification: { PredefinedMetricType: "DynamoDBReadCapacityUtilization" } }), /not supported/);
    await bad(
      tracking({ PredefinedMetricSpecification: { PredefinedMetricType: "ALBRequestCountPerTarget" } }),
      /ResourceLabel is required/,
    );
    const label = "app/lb/0123456789abcdef/targetgroup/tg/0123456789abcdef";
    await bad(
      tracking({ PredefinedMetricSpecification: { PredefinedMetricType: "ALBRequestCountPerTarget", ResourceLabel: label } }),
      /not attached/,
    );
    await bad(
      tracking({ PredefinedMetricSpecification: { PredefinedMetricType: "ALBRequestCountPerTarget", ResourceLabel: "tg" } }),
      /not valid/,
    );
    await bad(tracking({ TargetValue: 0 }));
    await bad(tracking({ PredefinedMetricSpecification: undefined, CustomizedMetricSpecification: { MetricName: "m" } }));
    await bad(
      tracking({ PredefinedMetricSpecification: undefined, CustomizedMetricSpecification: { Metrics: [{ Id: "e", Expression: "1 +" }] } }),
    );
    await tracking({});
    await bad(
      put("second", {
        PolicyType: "TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration: {
          TargetValue: 10,
          PredefinedMetricSpecification: { PredefinedMetricType: "ECSServiceAverageCPUUtilization" },
        },
      }),
      /Only one TargetTrackingScaling policy/,
    );
  });
});

describe("scheduled actions", () => {
  const put = (ScheduledActionName: string, more: Partial<PutScheduledActionCommandInput> = {}) =>
    scaling.send(
      new PutScheduledActionCommand({
        ...at,
        ScheduledActionName,
        Schedule: "cron(0 8 ? * MON-FRI *)",
        ScalableTargetAction: { MinCapacity: 2 },
        ...more,
      }),
    );
  before(() => register());
  after(() => scaling.send(new DeregisterScalableTargetCommand(at)));

  test("put, changed, described, deleted", async () => {
    const [StartTime, EndTime] = [new Date(Date.now() + 1e7), new Date(Date.now() + 1e9)];
    await put("day", { StartTime, EndTime, Timezone: "Europe/Berlin" });
    await scaling.send(new PutScheduledActionCommand({ ...at, ScheduledActionName: "day", ScalableTargetAction: { MaxCapacity: 4 } }));
    const { ScheduledActions } = await scaling.send(new DescribeScheduledActionsCommand({ ...at, ScheduledActionNames: ["day"] }));
    const [found] = ScheduledActions!;
    assert.match(found!.ScheduledActionARN!, /:scheduledAction:[0-9a-f-]{36}:resource\/ecs\/service\/main\/web:scheduledActionName\/day$/);
    assert.deepEqual(
      [found!.Schedule, found!.Timezone, found!.StartTime, found!.EndTime, found!.ScalableTargetAction],
      ["cron(0 8 ? * MON-FRI *)", "Europe/Berlin", undefined, undefined, { MaxCapacity: 4 }],
    );
    await scaling.send(new DeleteScheduledActionCommand({ ...at, ScheduledActionName: "day" }));
    await assert.rejects(
      scaling.send(new DeleteScheduledActionCommand({ ...at, ScheduledActionName: "day" })),
      refused("ObjectNotFoundException", /No scheduled action found/),
    );
  });

  test("what is no scheduled action", async () => {
    for (const more of [
      { Schedule: undefined },
      { Schedule: "cron(0 8 * * MON *)" },
      { Schedule: "at(2020-01-01T00:00:00)" },
      { Timezone: "Mars/Olympus" },
      { ScalableTargetAction: {} },
      { ScalableTargetAction: { MinCapacity: 3, MaxCapacity: 2 } },
      { StartTime: new Date(Date.now() + 2e6), EndTime: new Date(Date.now() + 1e6) },
      { ScheduledActionName: "a/b" },
    ])
      await assert.rejects(put("x", more), refused("ValidationException"), JSON.stringify(more));
  });

  test("one that comes in real time", async () => {
    await ecs.send(new UpdateServiceCommand({ cluster: "main", service: "web", desiredCount: 2 }));
    // One whose time has come before it was put is refused.
    await eventually("put in time", () => {
      const soon = new Date(Date.now() + 2000).toISOString().slice(0, 19);
      return put("soon", { Schedule: `at(${soon})`, ScalableTargetAction: { MinCapacity: 4, MaxCapacity: 9 } });
    });
    await until("four are wanted", async () => (await desired()) === 4);
    const { ScalingActivities } = await scaling.send(new DescribeScalingActivitiesCommand({ ...at }));
    assert.deepEqual(
      ScalingActivities!
        .slice(0, 2)
        .map(({ Description, Cause, StatusCode, StatusMessage }) => [Description, Cause, StatusCode, StatusMessage]),
      [
        [
          "Setting desired count to 4.",
          "minimum capacity was set to 4",
          "InProgress",
          "Successfully set desired count to 4. Waiting for change to be fulfilled by ecs.",
        ],
        [
          "Setting min capacity to 4 and max capacity to 9",
          "scheduled action name soon was triggered",
          "Successful",
          "Successfully set min capacity to 4 and max capacity to 9",
        ],
      ],
    );
    const page = await scaling.send(new DescribeScalingActivitiesCommand({ ServiceNamespace: "ecs", MaxResults: 1 }));
    assert.ok(page.NextToken);
    await assert.rejects(
      scaling.send(new DescribeScalingActivitiesCommand({ ServiceNamespace: "ecs", NextToken: "x" })),
      refused("InvalidNextTokenException"),
    );
  });

  test("the AWS CLI speaks it", async () => {
    const answer = await server.aws("application-autoscaling", "describe-scalable-targets", "--service-namespace", "ecs");
    assert.equal((JSON.parse(answer) as { ScalableTargets: { MinCapacity: number }[] }).ScalableTargets[0]!.MinCapacity, 4);
  });
});
