import assert from "node:assert/strict";
import { test } from "node:test";
import type { DescribeScalingActivitiesResponse } from "@aws-sdk/client-application-auto-scaling";
import type { Service } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { Load, scalingBeside, target, told } from "./scaling-support.ts";
import { serviceDefinitions } from "./services-definitions.ts";
import { type Fate, fates, World } from "./world.ts";

interface End {
  readonly writes: number;
  readonly activities: readonly string[];
}

/** A service is loaded and scales out, is relieved and scales in, with something happening to the server at one of the writes from the moment that the load comes. */
async function live(at: number | undefined, fate: Fate): Promise<End> {
  const held: { load?: Load } = {};
  const world = new World(1, {
    ...{ instances: 2, chaos: 0, definitions: serviceDefinitions },
    beside: scalingBeside(() => held.load!.store, { scaleOutSeconds: 60, scaleInSeconds: 60 }),
  });
  const load = (held.load = await Load.on(world.clock));
  const call = async <T>(operation: string, input: object): Promise<T> => {
    for (let attempt = 0; attempt < 60; attempt++) {
      await world.startServer();
      const result = await world.call<T>(operation, { cluster: "sim", ...input });
      if (result instanceof ApiError) assert.fail(`${operation}: ${result.code}: ${result.message}`);
      if (result !== undefined) return result;
      await world.clock.advance(1000);
    }
    return assert.fail(`${operation} was never answered`);
  };
  const service = async () => (await call<{ services: Service[] }>("DescribeServices", { services: ["web"] })).services[0]!;
  const pass = async (minutes: number) => {
    for (let step = 0; step < minutes * 4; step++) {
      await world.clock.advance(15_000);
      if (world.violations.length > 0) throw world.violations[0]!;
      await load.tell(world.clock.now(), (await service()).runningCount!);
    }
  };
  try {
    await world.startServer();
    for (const agent of world.agents) agent.start();
    await world.clock.advance(2000);
    await call("CreateService", { serviceName: "web", taskDefinition: "app:1", desiredCount: 2, launchType: "EC2" });
    await call("application-autoscaling:RegisterScalableTarget", { ...target, MinCapacity: 1, MaxCapacity: 10 });
    await call("application-autoscaling:PutScalingPolicy", {
      ...target,
      PolicyName: "cpu",
      PolicyType: "TargetTrackingScaling",
      TargetTrackingScalingPolicyConfiguration: {
        TargetValue: 50,
        ScaleOutCooldown: 120,
        ScaleInCooldown: 120,
        PredefinedMetricSpecification: { PredefinedMetricType: "ECSServiceAverageCPUUtilization" },
      },
    });
    load.percent = 95;
    await pass(2);
    const before = world.disk.revision;
    if (at !== undefined) world.happen(fate, at);
    load.percent = 200;
    await pass(5);
    load.percent = 140;
    await pass(7);
    world.disarm();
    const writes = world.disk.revision - before;
    const { desiredCount, runningCount } = await service();
    assert.deepEqual([desiredCount, runningCount], [3, 3]);
    const { ScalingActivities } = await call<DescribeScalingActivitiesResponse>(
      "application-autoscaling:DescribeScalingActivities",
      target,
    );
    assert.deepEqual(world.records("/cloudwatch-action/"), []);
    return { writes, activities: told(ScalingActivities!).map((text) => text.replace(/-[0-9a-f-]{36} /, " ")) };
  } finally {
    await world.stopServer();
    await load.end();
  }
}

test("killed at any write, or with changes lost there, a service scales once for each reason, and says so", async () => {
  const { writes, activities } = await live(undefined, fates[0]);
  assert.deepEqual(activities, [
    "Setting desired count to 4. Successful: monitor alarm TargetTracking-service/sim/web-AlarmHigh in state ALARM triggered policy cpu",
    "Setting desired count to 3. Successful: monitor alarm TargetTracking-service/sim/web-AlarmLow in state ALARM triggered policy cpu",
  ]);
  assert.ok(writes > 12, `${writes} writes`);
  for (const fate of fates)
    for (let at = 0; at < writes; at++) {
      const end = await live(at, fate).catch((error: unknown) => {
        throw new Error(`${fate} write ${at}`, { cause: error });
      });
      assert.deepEqual(end.activities, activities, `${fate} write ${at}`);
    }
});
