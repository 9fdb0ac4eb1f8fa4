/** A service that scales itself, in AWS's own pace and virtual time: real alarms, reconcilers and tasks, scripted agents, a load that the test sets. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { DescribeScalingActivitiesResponse, PutScalingPolicyResponse, ScalableTarget } from "@aws-sdk/client-application-auto-scaling";
import { Load, scalingBeside, target, told } from "./scaling-support.ts";
import { ServiceWorld } from "./services-support.ts";

const minute = 60_000;
let load: Load;
let world: ServiceWorld;

/** Minutes go by with their data points. */
async function pass(minutes: number): Promise<void> {
  for (let step = 0; step < minutes * 6; step++) {
    await world.pass(10_000);
    await load.tell(world.world.clock.now(), (await world.describe("web")).runningCount!);
  }
}

/** How many minutes it takes until the service is to have so many tasks. */
async function untilDesired(count: number, atMost: number): Promise<number> {
  const begun = world.world.clock.now();
  for (let step = 0; step < atMost * 6; step++) {
    if ((await world.describe("web")).desiredCount === count) return (world.world.clock.now() - begun) / minute;
    await pass(1 / 6);
  }
  return assert.fail(`never ${count}: ${(await world.describe("web")).desiredCount} ${(await activities(true)).join("\n")}`);
}

async function activities(all = false): Promise<string[]> {
  const answer = await world.call<DescribeScalingActivitiesResponse>("application-autoscaling:DescribeScalingActivities", {
    ...target,
    IncludeNotScaledActivities: all,
  });
  return told(answer.ScalingActivities!);
}

const limits = async () =>
  (await world.call<{ ScalableTargets: ScalableTarget[] }>("application-autoscaling:DescribeScalableTargets", { ServiceNamespace: "ecs" }))
    .ScalableTargets[0];

async function begin(desired: number, policy: object = {}): Promise<PutScalingPolicyResponse> {
  await world.create("web", "app:1", desired);
  await world.stable("web");
  await world.call("application-autoscaling:RegisterScalableTarget", { ...target, MinCapacity: 1, MaxCapacity: 10 });
  return world.call("application-autoscaling:PutScalingPolicy", {
    ...target,
    PolicyName: "cpu",
    PolicyType: "TargetTrackingScaling",
    TargetTrackingScalingPolicyConfiguration: {
      TargetValue: 50,
      PredefinedMetricSpecification: { PredefinedMetricType: "ECSServiceAverageCPUUtilization" },
      ...policy,
    },
  });
}

describe("target tracking", () => {
  before(async () => {
    const held: { load?: Load } = {};
    world = await ServiceWorld.with(3, false, { beside: scalingBeside(() => held.load!.store) });
    held.load = load = await Load.on(world.world.clock);
    await world.pass(minute - (world.world.clock.now() % minute));
  });
  after(async () => {
    await world.world.stopServer();
    await load.end();
  });

  test("CPU rises: out after three minutes, in proportion; it falls: in after fifteen, one at a time", async () => {
    load.percent = 90;
    const { Alarms } = await begin(2);
    assert.deepEqual(
      Alarms!.map(({ AlarmName }) => AlarmName!.replace(/-[0-9a-f-]{36}$/, "")),
      ["TargetTracking-service/sim/web-AlarmHigh", "TargetTracking-service/sim/web-AlarmLow"],
    );
    await pass(20);
    assert.deepEqual(await activities(true), [], "45 percent of 50: nothing to do");

    load.percent = 280;
    const out = await untilDesired(6, 8);
    assert.ok(out >= 3 && out <= 5, `out after ${out} minutes`);
    await pass(2);
    const high = Alarms![0]!.AlarmName;
    assert.deepEqual(await activities(), [
      `Setting desired count to 6. Successful: monitor alarm ${high} in state ALARM triggered policy cpu`,
    ]);
    assert.equal((await world.describe("web")).runningCount, 6);

    load.percent = 20;
    const inwards = await untilDesired(5, 25);
    assert.ok(inwards >= 14 && inwards <= 17, `in after ${inwards} minutes`);
    const next = await untilDesired(4, 10);
    assert.ok(next >= 5 && next <= 7, `the next after ${next} minutes: the cooldown is 5`);
    await untilDesired(1, 30);
    await pass(10);
    assert.equal((await activities()).length, 6);
    assert.match((await activities(true)).at(-1)!, /^Attempting to scale due to alarm triggered/);
  });

  test("what may not scale in during a deployment scales out all the same", async () => {
    load.percent = 40;
    await pass(20);
    // Three tasks for the work of one: it would scale in, but a deployment begins that does not end.
    await world.update("web", { desiredCount: 3, taskDefinition: "app-nostart:1" });
    const before = (await activities()).length;
    await pass(12);
    assert.equal((await activities()).length, before, (await activities()).join("\n"));
    const { ScalingActivities } = await world.call<DescribeScalingActivitiesResponse>("application-autoscaling:DescribeScalingActivities", {
      ...target,
      IncludeNotScaledActivities: true,
    });
    assert.deepEqual(ScalingActivities![0]!.NotScaledReasons?.[0]?.Code, "TargetServicePutResourceAsUnscalable");
    assert.equal((await world.describe("web")).desiredCount, 3);
    load.percent = 300;
    await untilDesired(6, 10);
    // What nobody waits for any more: the deployment is given up, and the service gets there.
    await world.update("web", { taskDefinition: "app:1" });
    await world.stable("web");
  });

  test("suspended, nothing scales; protected tasks are counted out, and live on", async () => {
    await world.call("application-autoscaling:RegisterScalableTarget", { ...target, SuspendedState: { DynamicScalingInSuspended: true } });
    load.percent = 10;
    const { desiredCount } = await world.describe("web");
    await pass(25);
    assert.equal((await world.describe("web")).desiredCount, desiredCount);
    const tasks = world.live("web").map(({ arn }) => arn);
    await world.call("UpdateTaskProtection", { tasks, protectionEnabled: true, expiresInMinutes: 30 });
    await world.call("application-autoscaling:RegisterScalableTarget", { ...target, SuspendedState: { DynamicScalingInSuspended: false } });
    await untilDesired(desiredCount! - 1, 10);
    await pass(1);
    assert.equal(world.live("web").length, desiredCount);
    assert.match((await activities()).at(-1)!, /InProgress/);
    await world.call("UpdateTaskProtection", { tasks, protectionEnabled: false });
    await pass(1);
    assert.equal(world.live("web").length, desiredCount! - 1);
    assert.match((await activities()).at(-1)!, /Successful/);
  });

  test("a service that is deleted takes its scaling with it", async () => {
    await world.call("DeleteService", { service: "web", force: true });
    await world.until(async () => (await limits()) === undefined, 5 * minute);
    assert.ok((await activities()).length > 0, "what it did can still be looked up");
    assert.deepEqual(world.world.records("/cloudwatch-alarm/"), []);
    assert.deepEqual(world.world.records("/appscaling/policy/"), []);
  });
});

describe("limits and schedules", () => {
  before(async () => {
    world = await ServiceWorld.with(3, false, { beside: scalingBeside(() => assert.fail("nobody asks for metrics")) });
  });
  after(() => world.world.stopServer());

  const put = (ScheduledActionName: string, Schedule: string, action: object, more: object = {}) =>
    world.call("application-autoscaling:PutScheduledAction", {
      ...target,
      ScheduledActionName,
      Schedule,
      ScalableTargetAction: action,
      ...more,
    });
  const desired = async () => (await world.describe("web")).desiredCount;
  /** The simulation begins on 1 January 2026, at midnight. */
  const at = (text: string) => Date.parse(`${text}Z`);
  const passUntil = (text: string) => world.pass(at(text) - world.world.clock.now());

  test("limits that leave a service outside bring it in, at once", async () => {
    await world.create("web", "app:1", 2);
    await world.stable("web");
    await world.call("application-autoscaling:RegisterScalableTarget", { ...target, MinCapacity: 3, MaxCapacity: 6 });
    assert.equal(await desired(), 3);
    await world.stable("web");
    await world.pass(10_000);
    await world.call("application-autoscaling:RegisterScalableTarget", { ...target, MinCapacity: 1, MaxCapacity: 2 });
    assert.equal(await desired(), 2);
    await world.stable("web");
    await world.pass(10_000);
    // Whoever wants more than the most gets it: the limits are those of scaling.
    await world.update("web", { desiredCount: 4 });
    await world.pass(10 * minute);
    assert.equal(await desired(), 4);
    await world.call("application-autoscaling:RegisterScalableTarget", { ...target, MinCapacity: 1, MaxCapacity: 6 });
    assert.deepEqual(await activities(), [
      "Setting desired count to 3. Successful: minimum capacity was set to 3",
      "Setting desired count to 2. Successful: maximum capacity was set to 2",
    ]);
  });

  test("at and cron, in their time zones", async () => {
    await put("once", "at(2026-01-02T10:00:00)", { MinCapacity: 5 }, { Timezone: "America/New_York" });
    await passUntil("2026-01-02T14:59:59");
    assert.equal(await desired(), 4);
    await world.pass(2000);
    assert.equal(await desired(), 5);
    await put("morning", "cron(0 9 * * ? *)", { MinCapacity: 3 }, { Timezone: "Europe/Berlin" });
    await put("evening", "cron(0 18 ? * MON-FRI *)", { MinCapacity: 1, MaxCapacity: 2 }, { Timezone: "Europe/Berlin" });
    // A Friday.
    await passUntil("2026-01-02T16:59:59");
    assert.equal(await desired(), 5);
    await world.pass(2000);
    assert.equal(await desired(), 2);
    // More than the most of before: the limits do not fit, and stay.
    await passUntil("2026-01-03T08:00:01");
    assert.equal(await desired(), 2);
    assert.match((await activities()).at(-1)!, /^Setting min capacity to 3 Failed: scheduled action name morning was triggered$/);
    await put("morning", "cron(0 9 * * ? *)", { MinCapacity: 3, MaxCapacity: 6 });
    await passUntil("2026-01-04T08:00:01");
    assert.equal(await desired(), 3);
  });

  test("what falls into a suspension does not come after it; what falls into a stop comes once", async () => {
    await world.call("application-autoscaling:DeleteScheduledAction", { ...target, ScheduledActionName: "morning" });
    await world.call("application-autoscaling:DeleteScheduledAction", { ...target, ScheduledActionName: "evening" });
    await world.call("application-autoscaling:RegisterScalableTarget", {
      ...target,
      MinCapacity: 1,
      MaxCapacity: 6,
      SuspendedState: { ScheduledScalingSuspended: true },
    });
    await put("often", "rate(10 minutes)", { MinCapacity: 4 });
    await world.pass(25 * minute);
    assert.equal(await desired(), 3);
    await world.call("application-autoscaling:RegisterScalableTarget", { ...target, SuspendedState: { ScheduledScalingSuspended: false } });
    await world.pass(4 * minute);
    assert.equal(await desired(), 3);
    const before = (await activities()).length;
    await world.world.stopServer();
    await world.pass(65 * minute);
    await world.world.startServer();
    await world.pass(1000);
    assert.deepEqual(
      (await activities()).slice(before).map((text) => text.replace(/:.*/, "")),
      ["Setting min capacity to 4 Successful", "Setting desired count to 4. InProgress"],
    );
  });
});
