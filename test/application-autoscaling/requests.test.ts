/** ALBRequestCountPerTarget: the alarms of such a policy look at exactly what the load balancers' metrics publish. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  ApplicationAutoScalingClient,
  PutScalingPolicyCommand,
  RegisterScalableTargetCommand,
} from "@aws-sdk/client-application-auto-scaling";
import { CloudWatchClient, DescribeAlarmsCommand, GetMetricStatisticsCommand, type MetricAlarm } from "@aws-sdk/client-cloudwatch";
import { DescribeSubnetsCommand, EC2Client } from "@aws-sdk/client-ec2";
import { CreateClusterCommand, CreateServiceCommand, ECSClient, RegisterTaskDefinitionCommand } from "@aws-sdk/client-ecs";
import * as Elb from "@aws-sdk/client-elastic-load-balancing-v2";
import { FakeClock } from "#platform/fake-clock.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import { createBalancerMetrics } from "#reconcilers/load-balancers/published.ts";
import { BalancerRecords } from "#reconcilers/load-balancers/records.ts";
import { createApplicationAutoScaling } from "#services/application-autoscaling/index.ts";
import { createCloudWatch } from "#services/cloudwatch/index.ts";
import { createEc2 } from "#services/ec2/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createElbv2 } from "#services/elbv2/index.ts";
import { startServer } from "../support/http.ts";
import { until } from "../support/until.ts";

const minuteMs = 60_000;
const clock = new FakeClock(Math.ceil(Date.now() / minuteMs) * minuteMs);
let sink!: MetricSink;
// Nothing is signed: the clock goes ahead of the clients'.
const server = await startServer({
  open: true,
  clock,
  parts: (deps) => {
    const cloudwatch = createCloudWatch(deps);
    ({ sink } = cloudwatch);
    const ecs = createEcs(deps);
    return [cloudwatch, createEc2(deps), ecs, createElbv2(deps), createApplicationAutoScaling(deps, cloudwatch, ecs)];
  },
});
const options = server.sdk();
const [ecs, elb, ec2] = [new ECSClient(options), new Elb.ElasticLoadBalancingV2Client(options), new EC2Client(options)];
const [scaling, cloudwatch] = [new ApplicationAutoScalingClient(options), new CloudWatchClient(options)];
after(async () => {
  for (const client of [ecs, elb, ec2, scaling, cloudwatch]) client.destroy();
  await server.close();
});

/** A service behind a load balancer, two healthy targets in its group; the ARNs of both. */
async function balanced(): Promise<{ loadBalancer: string; targetGroup: string }> {
  const { Subnets = [] } = await ec2.send(new DescribeSubnetsCommand({}));
  const subnets = Subnets.map(({ SubnetId }) => SubnetId!);
  const { LoadBalancers } = await elb.send(new Elb.CreateLoadBalancerCommand({ Name: "web", Subnets: subnets }));
  const loadBalancer = LoadBalancers![0]!.LoadBalancerArn!;
  const group = { Name: "web", Protocol: "HTTP", Port: 80, VpcId: Subnets[0]!.VpcId, TargetType: "ip" } as const;
  const { TargetGroups } = await elb.send(new Elb.CreateTargetGroupCommand(group));
  const targetGroup = TargetGroups![0]!.TargetGroupArn!;
  const DefaultActions = [{ Type: "forward" as const, TargetGroupArn: targetGroup }];
  await elb.send(new Elb.CreateListenerCommand({ LoadBalancerArn: loadBalancer, Protocol: "HTTP", Port: 80, DefaultActions }));
  const network = Subnets[0]!.CidrBlock!.replace(/\.\d+\/\d+$/, "");
  const Targets = [10, 11].map((host) => ({ Id: `${network}.${host}` }));
  await elb.send(new Elb.RegisterTargetsCommand({ TargetGroupArn: targetGroup, Targets }));
  const containerDefinitions = [{ name: "web", image: "busybox", memory: 64, portMappings: [{ containerPort: 80 }] }];
  await ecs.send(new RegisterTaskDefinitionCommand({ family: "web", networkMode: "awsvpc", containerDefinitions }));
  await ecs.send(new CreateClusterCommand({ clusterName: "main" }));
  await ecs.send(
    new CreateServiceCommand({
      ...{ cluster: "main", serviceName: "web", taskDefinition: "web", desiredCount: 1 },
      loadBalancers: [{ targetGroupArn: targetGroup, containerName: "web", containerPort: 80 }],
      networkConfiguration: { awsvpcConfiguration: { subnets } },
    }),
  );
  return { loadBalancer, targetGroup };
}

/** What the agents tell of is published as the server's own reconciler does it, from the records that are there. */
async function publisher() {
  const records = new BalancerRecords();
  for (const entry of (await server.deps.store.list("/elb/")).entries) records.put(entry.key, entry);
  const registered = new Map([...records.targets.values()].map(({ healthKey, target }) => [healthKey, target.registeredAt]));
  assert.equal(registered.size, 2);
  const seen = (key: string) => ({ registeredAt: registered.get(key)!, state: "healthy", changedAt: 0 }) as const;
  return createBalancerMetrics({ sink, clock, records: () => records, seen });
}

test("requests for each target, as the load balancers publish them, set off the alarm that the policy made", async () => {
  const { loadBalancer, targetGroup } = await balanced();
  const at = { ServiceNamespace: "ecs", ResourceId: "service/main/web", ScalableDimension: "ecs:service:DesiredCount" } as const;
  await scaling.send(new RegisterScalableTargetCommand({ ...at, MinCapacity: 1, MaxCapacity: 5 }));
  const ResourceLabel = `${loadBalancer.split(":loadbalancer/")[1]}/${targetGroup.split(":").at(-1)}`;
  const PredefinedMetricSpecification = { PredefinedMetricType: "ALBRequestCountPerTarget", ResourceLabel } as const;
  await scaling.send(
    new PutScalingPolicyCommand({
      ...at,
      PolicyName: "requests",
      PolicyType: "TargetTrackingScaling",
      TargetTrackingScalingPolicyConfiguration: { TargetValue: 100, PredefinedMetricSpecification },
    }),
  );
  const alarms = async () => (await cloudwatch.send(new DescribeAlarmsCommand({}))).MetricAlarms!;
  const high = (list: readonly MetricAlarm[]) => list.find(({ AlarmName }) => AlarmName!.includes("AlarmHigh"))!;
  const made = await alarms();
  assert.equal(made.length, 2);
  for (const alarm of made)
    assert.deepEqual(
      [alarm.Namespace, alarm.MetricName, alarm.Statistic, alarm.Period, alarm.Dimensions],
      [
        "AWS/ApplicationELB",
        "RequestCountPerTarget",
        "Sum",
        60,
        [
          { Name: "LoadBalancer", Value: loadBalancer.split(":loadbalancer/")[1] },
          { Name: "TargetGroup", Value: targetGroup.split(":").at(-1) },
        ],
      ],
    );
  const metrics = await publisher();
  const part = { newConnections: 0, activeConnections: 0, connectionErrors: 0, times: [], answers: { "2XX": 301 } };
  const began = clock.now();
  for (let minute = 0; minute < 3; minute++) {
    await clock.advance(minuteMs - 2000);
    const targetGroups = [{ id: targetGroup, loadBalancerId: loadBalancer, requests: 301, ...part }];
    metrics.take({ messageId: String(minute), at: clock.now(), loadBalancers: [], targetGroups });
    await clock.advance(2000);
  }
  const { Namespace, MetricName, Dimensions, Period, Statistic } = high(made);
  const sums = async () => {
    const { Datapoints } = await cloudwatch.send(
      new GetMetricStatisticsCommand({
        ...{ Namespace, MetricName, Dimensions, Period, Statistics: [Statistic!] },
        ...{ StartTime: new Date(began), EndTime: new Date(clock.now()) },
      }),
    );
    return Datapoints!.map(({ Sum }) => Sum!);
  };
  // What was published is written in real time.
  await until("three sums", async () => (await sums()).length >= 3);
  assert.deepEqual(await sums(), [150.5, 150.5, 150.5]);
  // The evaluator looks once a minute, and reads in real time: the clock comes to the next look and waits there for what was read.
  await clock.advance(minuteMs);
  const state = await until("the alarm", async () => {
    const now = high(await alarms());
    return now.StateValue === "ALARM" && now;
  });
  assert.match(state.StateReason ?? "", /150\.5.*greater than the threshold \(100\.0\)/);
});
