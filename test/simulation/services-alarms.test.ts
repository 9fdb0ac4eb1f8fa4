/** Alarms that fail deployments: rolling ones and those that shift traffic, while they run and while they are watched on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeploymentConfiguration, ServiceDeployment } from "@aws-sdk/client-ecs";
import { messages, ServiceWorld } from "./services-support.ts";

const watched = (rollback: boolean, more: DeploymentConfiguration = {}): DeploymentConfiguration => ({
  alarms: { alarmNames: ["errors", "latency"], enable: true, rollback },
  ...more,
});

async function created(deploymentConfiguration: DeploymentConfiguration): Promise<ServiceWorld> {
  const w = await ServiceWorld.with(3, false, { balanced: ["web"] });
  w.world.setAlarm("errors", "OK");
  const behind = deploymentConfiguration.strategy ? { loadBalancers: [...w.world.balanced.get("web")!.loadBalancers] } : {};
  await w.create("web", "app:1", 4, { deploymentConfiguration, ...behind });
  await completed(w, "app:1");
  return w;
}

async function deployment(w: ServiceWorld): Promise<ServiceDeployment> {
  const { serviceDeployments } = await w.call<{ serviceDeployments: { serviceDeploymentArn: string }[] }>("ListServiceDeployments", {
    service: "web",
  });
  const serviceDeploymentArns = [serviceDeployments[0]!.serviceDeploymentArn];
  return (await w.call<{ serviceDeployments: ServiceDeployment[] }>("DescribeServiceDeployments", { serviceDeploymentArns }))
    .serviceDeployments[0]!;
}

const completed = (w: ServiceWorld, revision: string) =>
  w.until(
    async () => {
      const { deployments, runningCount, taskDefinition } = await w.describe("web");
      const [only, ...others] = deployments!;
      return others.length === 0 && only!.rolloutState === "COMPLETED" && runningCount === 4 && taskDefinition!.endsWith(`/${revision}`);
    },
    600_000,
    `${revision} never completed`,
  );

test("rolling: an alarm while it runs sends it back, and says which", async () => {
  const w = await created(watched(true));
  await w.update("web", { taskDefinition: "app:2" });
  await w.pass(1500);
  assert.deepEqual((await deployment(w)).alarms, { status: "MONITORING", alarmNames: ["errors", "latency"], triggeredAlarmNames: [] });
  w.world.setAlarm("latency", "ALARM");
  await w.pass(100);
  const failed = (await w.describe("web")).deployments!.find(({ rolloutState }) => rolloutState === "FAILED");
  assert.equal(failed?.rolloutStateReason, "ECS deployment failed: alarm detected.");
  const now = await deployment(w);
  assert.equal(now.status, "ROLLBACK_IN_PROGRESS");
  assert.deepEqual(now.alarms, { status: "TRIGGERED", alarmNames: ["errors", "latency"], triggeredAlarmNames: ["latency"] });
  assert.equal(now.deploymentCircuitBreaker!.status, "DISABLED");
  // The alarm stays: it does not fail the way back, too.
  await completed(w, "app:1");
  assert.equal((await deployment(w)).status, "ROLLBACK_SUCCESSFUL");
  const said = messages(await w.describe("web"));
  assert.ok(said.some((each) => /^\(service web\) \(deployment ecs-svc\/\d+\) deployment failed: alarm detected\.$/.test(each)));
  assert.ok(said.some((each) => /^\(service web\) rolling back to deployment ecs-svc\/\d+\.$/.test(each)));
  await w.rests();
});

test("rolling: without rollback the deployment fails and starts nothing more", async () => {
  const w = await created(watched(false));
  await w.update("web", { taskDefinition: "app:2" });
  await w.pass(700);
  w.world.setAlarm("errors", "ALARM");
  await w.pass(60_000);
  const [primary] = (await w.describe("web")).deployments!;
  assert.equal(primary!.rolloutState, "FAILED");
  assert.ok(primary!.taskDefinition!.endsWith("/app:2"));
  const before = w.all("web").length;
  await w.pass(60_000);
  assert.equal(w.all("web").length, before);
});

test("rolling: once all tasks are there it is watched for as long as the slowest alarm needs, then it is completed", async () => {
  const w = await created(watched(true));
  await w.update("web", { taskDefinition: "app:2" });
  const tasks = await w.until(() => w.of("web", "app:2").length === 4 && w.live("web").length === 4 && w.healthy("web").length === 4);
  const whole = await w.until(async () => (await w.describe("web")).deployments!.length === 1, 120_000);
  assert.ok(whole > 55_000 && whole < 65_000, `${tasks} ms, then ${whole} ms`);
  assert.deepEqual((await deployment(w)).alarms!.status, "MONITORING_COMPLETE");
  // After that an alarm is nobody's.
  w.world.setAlarm("errors", "ALARM");
  await w.pass(10_000);
  assert.equal((await w.describe("web")).deployments![0]!.rolloutState, "COMPLETED");
  await w.rests();
});

test("rolling: an alarm in the time after sends the whole of it back", async () => {
  const w = await created(watched(true));
  await w.update("web", { taskDefinition: "app:2" });
  await w.until(() => w.of("web", "app:2").length === 4 && w.live("web").length === 4 && w.healthy("web").length === 4);
  await w.pass(30_000);
  assert.equal((await w.describe("web")).deployments!.length, 2, "what was there before is kept until then");
  w.world.setAlarm("errors", "ALARM");
  await completed(w, "app:1");
  assert.equal(w.of("web", "app:1").length, 4);
  assert.equal((await deployment(w)).status, "ROLLBACK_SUCCESSFUL");
});

test("one that is in ALARM already says nothing of a deployment: it may be the one that mends it", async () => {
  const w = await created(watched(true));
  w.world.setAlarm("errors", "ALARM");
  await w.pass(1000);
  const begun = w.world.clock.now();
  await w.update("web", { taskDefinition: "app:2" });
  await w.pass(2000);
  assert.equal((await deployment(w)).alarms!.status, "DISABLED");
  w.world.setAlarm("latency", "ALARM");
  await completed(w, "app:2");
  assert.ok(w.world.clock.now() - begun < 50_000, "nothing is waited for");
  assert.equal((await deployment(w)).status, "SUCCESSFUL");
});

for (const [strategy, more, share] of [
  ["BLUE_GREEN", {}, 100],
  ["CANARY", { canaryConfiguration: { canaryPercent: 20, canaryBakeTimeInMinutes: 5 } }, 20],
  ["LINEAR", { linearConfiguration: { stepPercent: 25, stepBakeTimeInMinutes: 5 } }, 50],
] as const) {
  test(`${strategy}: an alarm at ${share} % of production traffic gives all of it back`, async () => {
    const w = await created(watched(true, { strategy, bakeTimeInMinutes: 5, ...more }));
    await w.update("web", { taskDefinition: "app:2" });
    const has = (revision: string) => w.world.balancers.shareOf("web", "production", revision);
    await w.until(() => has("app:2") === share, 1_200_000);
    await w.pass(10_000);
    w.world.setAlarm("errors", "ALARM");
    await w.pass(100);
    assert.equal(has("app:1"), 100, "in one step");
    const now = await deployment(w);
    assert.deepEqual([now.status, now.alarms!.triggeredAlarmNames], ["ROLLBACK_IN_PROGRESS", ["errors"]]);
    await completed(w, "app:1");
    assert.equal(w.live("web").length, 4);
    assert.equal((await deployment(w)).status, "ROLLBACK_SUCCESSFUL");
    await w.rests();
  });
}
