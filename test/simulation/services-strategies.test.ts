/** BLUE_GREEN, LINEAR and CANARY, step by step, with agents that behave: what each stage means for tasks and traffic, and how each way of failing ends. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeploymentConfiguration, Service, ServiceDeployment, ServiceRevision } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import type { HookPayload } from "#reconcilers/services/hooks.ts";
import { messages, ServiceWorld } from "./services-support.ts";

const hookArn = "arn:aws:lambda:us-east-1:000000000000:function:hook";
type Answer = (payload: HookPayload) => unknown;

class Rollout extends ServiceWorld {
  readonly asked: HookPayload[] = [];
  answer: Answer = () => ({ hookStatus: "SUCCEEDED" });

  /** A service `web` of four, behind a load balancer unless it is headless, with app:1 deployed. */
  static async of(deploymentConfiguration: DeploymentConfiguration, headless = false): Promise<Rollout> {
    const self: Rollout = new Rollout(3, false, {
      balanced: ["web"],
      callHook: async (_target, payload) => {
        self.asked.push(payload);
        return self.answer(payload);
      },
    });
    await self.world.startServer();
    for (const agent of self.world.agents) agent.start();
    await self.pass(2000);
    await self.create("web", "app:1", 4, {
      deploymentConfiguration,
      ...(headless ? {} : { loadBalancers: [...self.balancers.loadBalancers] }),
    });
    await self.rolledOut("app:1", 600_000);
    self.asked.length = 0;
    return self;
  }

  /** One deployment, and it has completed: the waiter is content earlier, while a first one still bakes. */
  async rolledOut(revision: string, withinMs = 300_000): Promise<Service> {
    let last: Service | undefined;
    await this.until(
      async () => {
        last = await this.describe("web");
        const [only, ...others] = last.deployments!;
        return others.length === 0 && only!.rolloutState === "COMPLETED" && last.runningCount === last.desiredCount;
      },
      withinMs,
      () => `never rolled out: ${JSON.stringify(last?.deployments)}`,
    );
    assert.ok(last!.taskDefinition!.endsWith(`/${revision}`), `${last!.taskDefinition} and not ${revision}`);
    return last!;
  }

  get balancers() {
    return this.world.balanced.get("web")!;
  }

  /** Percent of the traffic of a rule that tasks of this revision get. */
  share(rule: "production" | "test", revision: string): number {
    return this.world.balancers.shareOf("web", rule, revision);
  }

  async deployment(): Promise<ServiceDeployment> {
    const { serviceDeployments } = await this.call<{ serviceDeployments: { serviceDeploymentArn: string }[] }>("ListServiceDeployments", {
      service: "web",
    });
    const serviceDeploymentArns = [serviceDeployments[0]!.serviceDeploymentArn];
    const answer = await this.call<{ serviceDeployments: ServiceDeployment[] }>("DescribeServiceDeployments", { serviceDeploymentArns });
    return answer.serviceDeployments[0]!;
  }

  async stage(stage: string, withinMs = 60_000): Promise<ServiceDeployment> {
    let last: ServiceDeployment | undefined;
    await this.until(
      async () => (last = await this.deployment()).lifecycleStage === stage && last.status === "IN_PROGRESS",
      withinMs,
      () => `never at ${stage}: ${last?.lifecycleStage} ${last?.status} ${last?.statusReason}`,
    );
    return last!;
  }

  /** The configured target group that a task definition's tasks are in: 0 or 1. */
  groupOf(revision: string): number {
    const groups = new Set(this.of("web", revision).map(({ loadBalancers }) => loadBalancers![0]!.arn));
    assert.equal(groups.size, 1);
    return this.balancers.groups.indexOf([...groups][0]!);
  }

  /** Rolled back: app:1 has all traffic and is all there is. */
  async isBack(): Promise<Service> {
    const service = await this.rolledOut("app:1");
    assert.equal(this.live("web").length, 4);
    assert.equal(this.of("web", "app:1").length, 4);
    assert.equal(this.share("production", "app:1"), 100);
    await this.rests();
    return service;
  }
}

const blueGreen = (more: DeploymentConfiguration = {}): DeploymentConfiguration => ({
  strategy: "BLUE_GREEN",
  bakeTimeInMinutes: 1,
  ...more,
});
const hookAt = (stage: string, more: object = {}): DeploymentConfiguration =>
  blueGreen({
    lifecycleHooks: [
      { hookTargetArn: hookArn, roleArn: "arn:aws:iam::000000000000:role/hook", lifecycleStages: [stage as "POST_SCALE_UP"], ...more },
    ],
  });

test("blue/green: green comes up whole beside blue, gets test traffic first, then production's; blue goes after the bake time; groups change parts", async () => {
  const w = await Rollout.of(hookAt("POST_TEST_TRAFFIC_SHIFT"));
  assert.equal(w.groupOf("app:1"), 0);
  let held = true;
  w.answer = () => (held ? { hookStatus: "IN_PROGRESS", callBackDelay: 2 } : { hookStatus: "SUCCEEDED" });
  await w.update("web", { taskDefinition: "app:2" });

  const scaling = await w.stage("SCALE_UP");
  assert.deepEqual([w.share("production", "app:1"), w.share("test", "app:1")], [100, 100]);
  assert.equal(scaling.sourceServiceRevisions![0]!.requestedProductionTrafficWeight, 100);
  assert.equal(scaling.targetServiceRevision!.requestedProductionTrafficWeight, 0);

  const testing = await w.stage("POST_TEST_TRAFFIC_SHIFT");
  assert.equal(w.groupOf("app:2"), 1);
  assert.equal(w.healthy("web").length, 8);
  assert.deepEqual([w.share("production", "app:1"), w.share("test", "app:2")], [100, 100]);
  assert.deepEqual(
    [testing.targetServiceRevision!.requestedTestTrafficWeight, testing.targetServiceRevision!.requestedProductionTrafficWeight],
    [100, 0],
  );
  assert.deepEqual(
    testing.lifecycleHookDetails!.map(({ targetArn, targetType, status, timeoutAction }) => ({
      targetArn,
      targetType,
      status,
      timeoutAction,
    })),
    [{ targetArn: hookArn, targetType: "AWS_LAMBDA", status: "IN_PROGRESS", timeoutAction: "ROLLBACK" }],
  );
  const { serviceRevisions } = await w.call<{ serviceRevisions: ServiceRevision[] }>("DescribeServiceRevisions", {
    serviceRevisionArns: [testing.targetServiceRevision!.arn],
  });
  assert.deepEqual(serviceRevisions[0]!.resolvedConfiguration, {
    loadBalancers: [{ targetGroupArn: w.balancers.groups[1], productionListenerRule: w.balancers.production }],
  });
  const open = await w.describe("web");
  assert.deepEqual(
    open.deployments!.map(({ status, rolloutState, runningCount }) => ({ status, rolloutState, runningCount })),
    [
      { status: "PRIMARY", rolloutState: "IN_PROGRESS", runningCount: 4 },
      { status: "ACTIVE", rolloutState: "COMPLETED", runningCount: 4 },
    ],
  );
  assert.equal(open.currentServiceDeployment, testing.serviceDeploymentArn);

  held = false;
  const baking = await w.stage("BAKE_TIME");
  assert.equal(w.share("production", "app:2"), 100);
  assert.equal(baking.sourceServiceRevisions![0]!.requestedProductionTrafficWeight, 0);
  await w.pass(50_000);
  assert.equal(w.healthy("web").length, 8, "blue stays until the bake time is over");
  await w.until(async () => (await w.describe("web")).deployments!.length === 1, 60_000);
  assert.equal(w.of("web", "app:2").length, 4);
  assert.equal(w.live("web").length, 4);
  const done = await w.deployment();
  assert.equal(done.status, "SUCCESSFUL");
  assert.equal(done.lifecycleStage, "CLEAN_UP");
  assert.ok(messages(await w.describe("web")).some((each) => /deployment completed/.test(each)));

  // Back into the first group.
  w.answer = () => ({ hookStatus: "SUCCEEDED" });
  await w.update("web", { taskDefinition: "app:3" });
  await w.rolledOut("app:3");
  assert.equal(w.groupOf("app:3"), 0);
  assert.deepEqual([w.share("production", "app:3"), w.share("test", "app:3")], [100, 100]);
  await w.rests();
});

for (const [strategy, configuration, shares] of [
  ["LINEAR", { linearConfiguration: { stepPercent: 33.3, stepBakeTimeInMinutes: 2 } }, [33.3, 66.6, 99.9, 100]],
  ["CANARY", { canaryConfiguration: { canaryPercent: 0.5, canaryBakeTimeInMinutes: 3 } }, [0.5, 100]],
  ["LINEAR", {}, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]],
  ["CANARY", {}, [5, 100]],
] as const) {
  test(`${strategy} ${JSON.stringify(configuration)}: ${shares.join(", ")} % of production traffic, each for its time`, async () => {
    const w = await Rollout.of({ strategy, bakeTimeInMinutes: 0, ...configuration } as DeploymentConfiguration);
    await w.update("web", { taskDefinition: "app:2" });
    const seen: { share: number; at: number }[] = [];
    const begun = w.world.clock.now();
    while (seen.at(-1)?.share !== 100) {
      assert.ok(w.world.clock.now() - begun < 2 * 3_600_000);
      await w.pass(500);
      const share = Math.round(w.share("production", "app:2") * 10) / 10;
      if (share > 0 && share !== seen.at(-1)?.share) seen.push({ share, at: w.world.clock.now() });
    }
    assert.deepEqual(
      seen.map(({ share }) => share),
      shares,
    );
    const minutes =
      "linearConfiguration" in configuration ? 2 : "canaryConfiguration" in configuration ? 3 : strategy === "LINEAR" ? 6 : 10;
    for (const [at, { at: time }] of seen.entries())
      if (at > 0)
        assert.ok(Math.abs(time - seen[at - 1]!.at - minutes * 60_000) < 1000, `${time - seen[at - 1]!.at} ms at ${shares[at - 1]} %`);
    await w.rolledOut("app:2");
    assert.equal(w.of("web", "app:2").length, 4);
    await w.rests();
  });
}

test("a hook sees AWS's payload, is asked again after its delay with what it answered, and what it says goes", async () => {
  const w = await Rollout.of(hookAt("PRODUCTION_TRAFFIC_SHIFT", { hookDetails: { bucket: "b" } }));
  const times: number[] = [];
  w.answer = ({ hookDetails }) => {
    times.push(w.world.clock.now());
    const seen = (hookDetails as { seen?: number }).seen ?? 0;
    return seen < 2
      ? { hookStatus: "IN_PROGRESS", ...(seen === 0 ? {} : { callBackDelay: 7 }), hookDetails: { seen: seen + 1 } }
      : { hookStatus: "SUCCEEDED" };
  };
  const before = await w.deployment();
  await w.update("web", { taskDefinition: "app:2" });
  await w.rolledOut("app:2");
  const after = await w.deployment();
  assert.deepEqual(
    times.slice(1).map((time, at) => Math.round((time - times[at]!) / 1000)),
    [30, 7],
  );
  const [source, target] = [before.targetServiceRevision!.arn!, after.targetServiceRevision!.arn!];
  const executionDetails = {
    testTrafficWeights: { [source]: 0, [target]: 100 },
    productionTrafficWeights: { [source]: 0, [target]: 100 },
    serviceArn: "arn:aws:ecs:us-east-1:000000000000:service/sim/web",
    targetServiceRevisionArn: target,
  };
  const [{ executionId }] = w.asked as [HookPayload];
  assert.deepEqual(
    w.asked,
    [{ bucket: "b" }, { seen: 1 }, { seen: 2 }].map((hookDetails) => ({
      executionId,
      lifecycleStage: "PRODUCTION_TRAFFIC_SHIFT",
      resourceArn: after.serviceDeploymentArn,
      executionDetails,
      hookDetails,
    })),
  );
});

const stages = [
  "PRE_SCALE_UP",
  "POST_SCALE_UP",
  "TEST_TRAFFIC_SHIFT",
  "POST_TEST_TRAFFIC_SHIFT",
  "PRE_PRODUCTION_TRAFFIC_SHIFT",
  "PRODUCTION_TRAFFIC_SHIFT",
  "POST_PRODUCTION_TRAFFIC_SHIFT",
];
const refusals: readonly (readonly [string, Answer, RegExp])[] = [
  ["says FAILED", () => ({ hookStatus: "FAILED" }), /it answered FAILED/],
  ["answers nonsense", () => ({ ok: true }), /no valid hookStatus/],
  ["cannot be called", () => Promise.reject(new Error("connection refused")), /connection refused/],
];
for (const [at, stage] of stages.entries()) {
  const [how, answer, reason] = refusals[at % refusals.length]!;
  test(`a hook at ${stage} that ${how}: all traffic is blue's at once, green is cleaned up`, async () => {
    const w = await Rollout.of(hookAt(stage));
    w.answer = answer;
    await w.update("web", { taskDefinition: "app:2" });
    await w.until(async () => (await w.deployment()).status!.startsWith("ROLLBACK"), 60_000);
    assert.equal(w.share("production", "app:1"), 100, "in one step");
    assert.match((await w.deployment()).statusReason!, reason);
    const service = await w.isBack();
    assert.ok(messages(service).some((each) => /rolling back to deployment/.test(each)));
    const failed = await w.deployment();
    assert.equal(failed.status, "ROLLBACK_SUCCESSFUL");
    assert.equal(failed.targetServiceRevision!.requestedProductionTrafficWeight, 0);
    assert.equal(failed.rollback!.serviceRevisionArn, failed.sourceServiceRevisions![0]!.arn);
  });
}

test("a hook that never answers times out: the deployment is rolled back, or goes on where that is asked for", async () => {
  for (const action of ["ROLLBACK", "CONTINUE"] as const) {
    const w = await Rollout.of(hookAt("POST_SCALE_UP", { timeoutConfiguration: { timeoutInMinutes: 2, action } }));
    w.answer = () => new Promise(() => {});
    await w.update("web", { taskDefinition: "app:2" });
    const waiting = await w.stage("POST_SCALE_UP");
    const expiresAt = waiting.lifecycleHookDetails![0]!.expiresAt!.getTime();
    await w.until(async () => (await w.deployment()).lifecycleStage !== "POST_SCALE_UP", 180_000);
    assert.ok(Math.abs(w.world.clock.now() - expiresAt) < 1000);
    if (action === "ROLLBACK") {
      await w.isBack();
      assert.match((await w.deployment()).statusReason!, /timed out at POST_SCALE_UP/);
    } else await w.rolledOut("app:2");
  }
});

test("PAUSE: the deployment waits for ContinueServiceDeployment, which lets it go on or sends it back", async () => {
  for (const action of ["CONTINUE", "ROLLBACK"] as const) {
    const w = await Rollout.of(blueGreen());
    const paused = blueGreen({ lifecycleHooks: [{ targetType: "PAUSE", lifecycleStages: ["POST_SCALE_UP"] }] });
    await w.update("web", { taskDefinition: "app:2", deploymentConfiguration: paused });
    const { serviceDeploymentArn, lifecycleHookDetails } = await w.stage("POST_SCALE_UP");
    const [{ hookId, status }] = lifecycleHookDetails as [{ hookId: string; status: string }];
    assert.equal(status, "AWAITING_ACTION");
    await w.pass(600_000);
    await w.stage("POST_SCALE_UP");
    await assert.rejects(w.call("ContinueServiceDeployment", { serviceDeploymentArn, hookId: "other" }), {
      code: "InvalidParameterException",
    });
    await w.call("ContinueServiceDeployment", { serviceDeploymentArn, hookId, action });
    if (action === "ROLLBACK") await w.isBack();
    else await w.rolledOut("app:2");
    await assert.rejects(w.call("ContinueServiceDeployment", { serviceDeploymentArn, hookId, action }), {
      code: "InvalidParameterException",
    });
  }
});

test("StopServiceDeployment while it bakes: all traffic goes back in one step; in CLEAN_UP there is nothing to go back to", async () => {
  for (const [stopType, status] of [
    ["ROLLBACK", "ROLLBACK_SUCCESSFUL"],
    ["ABORT", "STOPPED"],
  ] as const) {
    const w = await Rollout.of(blueGreen());
    await w.update("web", { taskDefinition: "app:2" });
    const { serviceDeploymentArn } = await w.stage("BAKE_TIME");
    assert.equal(w.share("production", "app:2"), 100);
    await w.call("StopServiceDeployment", { serviceDeploymentArn, stopType });
    await w.pass(50);
    assert.equal(w.share("production", "app:1"), 100);
    await w.isBack();
    assert.equal((await w.deployment()).status, status);
  }
  const w = await Rollout.of(blueGreen());
  await w.update("web", { taskDefinition: "app:2" });
  const { serviceDeploymentArn } = await w.stage("CLEAN_UP", 120_000);
  await assert.rejects(w.call("StopServiceDeployment", { serviceDeploymentArn }), { code: "ConflictException" });
  await w.rolledOut("app:2");
});

test("a new UpdateService while green runs: traffic goes back to blue, green makes room, the next one comes", async () => {
  for (const stage of ["POST_TEST_TRAFFIC_SHIFT", "BAKE_TIME"]) {
    const w = await Rollout.of(stage === "BAKE_TIME" ? blueGreen({ bakeTimeInMinutes: 5 }) : hookAt(stage));
    w.answer = ({ lifecycleStage }) =>
      lifecycleStage === stage ? { hookStatus: "IN_PROGRESS", callBackDelay: 1 } : { hookStatus: "SUCCEEDED" };
    await w.update("web", { taskDefinition: "app:2" });
    const replaced = await w.stage(stage);
    await w.update("web", { taskDefinition: "app:3", deploymentConfiguration: { lifecycleHooks: [], bakeTimeInMinutes: 0 } });
    await w.pass(50);
    await w.stage("RECONCILE_SERVICE");
    assert.equal(w.share("production", "app:1"), 100);
    await w.stage("SCALE_UP");
    assert.equal(w.of("web", "app:2").length, 0, "what was replaced has gone first");
    assert.equal(w.of("web", "app:1").length, 4);
    await w.rolledOut("app:3");
    assert.equal(w.share("production", "app:3"), 100);
    const { serviceDeployments } = await w.call<{ serviceDeployments: ServiceDeployment[] }>("DescribeServiceDeployments", {
      serviceDeploymentArns: [replaced.serviceDeploymentArn],
    });
    assert.equal(serviceDeployments[0]!.status, "STOPPED");
    await w.rests();
  }
});

test("a green revision that cannot start trips the circuit breaker; without one it waits, and blue serves", async () => {
  for (const broken of ["app-nostart", "app-crash", "app-ill"]) {
    const w = await Rollout.of(blueGreen({ deploymentCircuitBreaker: { enable: true, rollback: true } }));
    await w.update("web", { taskDefinition: broken });
    await w.until(
      async () => {
        assert.equal(w.share("production", "app:1"), 100);
        assert.equal(w.of("web", "app:1").length, 4);
        return (await w.deployment()).status!.startsWith("ROLLBACK");
      },
      600_000,
      `${broken} never failed`,
    );
    await w.isBack();
    assert.equal((await w.deployment()).deploymentCircuitBreaker!.status, "TRIGGERED");
  }
  const w = await Rollout.of(blueGreen());
  await w.update("web", { taskDefinition: "app-nostart" });
  await w.pass(300_000);
  assert.equal((await w.deployment()).lifecycleStage, "SCALE_UP");
  assert.equal(w.of("web", "app:1").length, 4);
  assert.equal(w.share("production", "app:1"), 100);
});

test("blue is kept whole while green bakes: what it loses is started again", async () => {
  const w = await Rollout.of(blueGreen({ bakeTimeInMinutes: 5 }));
  await w.update("web", { taskDefinition: "app:2" });
  await w.stage("BAKE_TIME");
  await w.stopTask(w.of("web", "app:1")[0]!.arn);
  await w.stopTask(w.of("web", "app:2")[0]!.arn);
  await w.pass(20_000);
  assert.deepEqual([w.healthy("web").length, w.of("web", "app:1").length, w.of("web", "app:2").length], [8, 4, 4]);
  await w.update("web", { desiredCount: 6 });
  await w.pass(20_000);
  assert.deepEqual([w.of("web", "app:1").length, w.of("web", "app:2").length], [6, 6]);
  await w.rolledOut("app:2", 400_000);
  assert.equal(w.live("web").length, 6);
});

test("without a load balancer the stages are the same", async () => {
  const w = await Rollout.of(hookAt("POST_TEST_TRAFFIC_SHIFT"), true);
  w.answer = () => ({ hookStatus: "IN_PROGRESS", callBackDelay: 1 });
  await w.update("web", { taskDefinition: "app:2" });
  await w.stage("POST_TEST_TRAFFIC_SHIFT");
  assert.equal(w.healthy("web").length, 8);
  w.answer = () => ({ hookStatus: "SUCCEEDED" });
  await w.stage("BAKE_TIME");
  await w.rolledOut("app:2");
  assert.equal(w.of("web", "app:2").length, 4);
  await w.rests();
});

test("from rolling updates to blue/green and back, at rest only; each takes over where the other's tasks are", async () => {
  const w = await Rollout.of({ strategy: "ROLLING" });
  assert.equal(w.groupOf("app:1"), 0);
  await w.update("web", { taskDefinition: "app:2", deploymentConfiguration: blueGreen({ bakeTimeInMinutes: 0 }) });
  const change = w.update("web", { deploymentConfiguration: { strategy: "ROLLING" } });
  await assert.rejects(change, (error: ApiError) => error.code === "InvalidParameterException" && /in progress/.test(error.message));
  await w.rolledOut("app:2");
  assert.equal(w.groupOf("app:2"), 1);
  await w.update("web", { taskDefinition: "app:3", deploymentConfiguration: { strategy: "ROLLING" } });
  await w.watchRollout("web");
  assert.equal(w.groupOf("app:3"), 1, "a rolling update stays in the group that serves");
  assert.equal(w.share("production", "app:3"), 100);
  await w.rests();
});

test("a listener rule that goes while it is needed ends the deployment, and blue serves on", async () => {
  const w = await Rollout.of(hookAt("POST_SCALE_UP"));
  w.answer = () => ({ hookStatus: "IN_PROGRESS", callBackDelay: 1 });
  await w.update("web", { taskDefinition: "app:2" });
  await w.stage("POST_SCALE_UP");
  w.world.balancers.removeTestListener("web");
  await w.until(async () => (await w.deployment()).status!.startsWith("ROLLBACK"), 20_000);
  assert.match((await w.deployment()).statusReason!, /does not exist/);
  await w.isBack();
});
