import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeploymentConfiguration, Service } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import type { HookPayload } from "#reconcilers/services/hooks.ts";
import { serviceDefinitions } from "./services-definitions.ts";
import { type Fate, fates, World } from "./world.ts";

interface End {
  readonly writes: number;
  /** Tasks that were ever started, by revision. */
  readonly started: Readonly<Record<string, number>>;
}

/**
 * One whole life of a service (created, steady, rolled to a new revision, deleted) with something happening to the server at one of its writes. The caller
 * repeats what was not answered until it sees what it asked for, as a deployment script does.
 */
async function live(at: number | undefined, fate: Fate, strategy?: DeploymentConfiguration): Promise<End> {
  const asked: HookPayload[] = [];
  const world = new World(1, {
    ...{ instances: 2, chaos: 0, definitions: serviceDefinitions },
    ...(strategy ? { balanced: ["web"] } : {}),
    callHook: async (_target, payload) => {
      asked.push(payload);
      return { hookStatus: "SUCCEEDED" };
    },
  });
  const before = world.disk.revision;
  if (at !== undefined) world.happen(fate, at);
  const pass = async (ms: number) => {
    await world.clock.advance(ms);
    if (world.violations.length > 0) throw world.violations[0]!;
  };
  /** Undefined: refused. What an earlier attempt has already brought about is refused with `done`. */
  const call = async <T>(operation: string, input: object, done?: string): Promise<T | undefined> => {
    for (let attempt = 0; attempt < 60; attempt++) {
      await world.startServer();
      const result = await world.call<T>(operation, { cluster: "sim", ...input });
      if (result instanceof ApiError && result.code === done && attempt > 0) return undefined;
      if (result instanceof ApiError) assert.fail(`${operation}: ${result.code}: ${result.message}`);
      if (result !== undefined) return result;
      await pass(1000);
    }
    return assert.fail(`${operation} was never answered`);
  };
  const until = async (holds: (service: Service) => boolean): Promise<Service> => {
    let last: Service | undefined;
    for (let i = 0; i < 120; i++) {
      last = (await call<{ services: Service[] }>("DescribeServices", { services: ["web"] }))!.services[0];
      if (last && holds(last)) return last;
      await pass(1000);
    }
    return assert.fail(`it never came to that: ${JSON.stringify({ ...last, events: last?.events?.slice(0, 3) })}`);
  };
  const stable = (revision: string) =>
    until(
      ({ deployments, runningCount, desiredCount, taskDefinition }) =>
        taskDefinition!.endsWith(revision) &&
        deployments!.length === 1 &&
        deployments![0]!.rolloutState === "COMPLETED" &&
        runningCount === desiredCount,
    );

  await world.startServer();
  for (const agent of world.agents) agent.start();
  await pass(2000);
  const input = {
    serviceName: "web",
    taskDefinition: "app:1",
    desiredCount: 2,
    launchType: "EC2",
    clientToken: "once",
    deploymentConfiguration: { minimumHealthyPercent: 50, maximumPercent: 150, ...strategy },
    ...(strategy?.strategy ? { loadBalancers: world.balanced.get("web")!.loadBalancers } : {}),
  };
  await call("CreateService", input, "InvalidParameterException");
  await stable("app:1");
  asked.length = 0;
  if (strategy?.alarms) {
    await call("UpdateService", { service: "web", taskDefinition: "app:2" });
    await pass(1000);
    world.setAlarm("errors", "ALARM");
    const back = await stable("app:1");
    assert.ok(back.events!.some(({ message }) => /deployment failed: alarm detected\.$/.test(message!)));
    assert.equal([...world.picture.deployments.values()].filter(({ outcome }) => outcome === "ROLLBACK_SUCCESSFUL").length, 1);
    for (let i = 0; i < 30 && world.picture.liveOf("web").length > 2; i++) await pass(1000);
    assert.equal(world.picture.liveOf("web").length, 2);
    world.setAlarm("errors", "OK");
  }
  await call("UpdateService", { service: "web", taskDefinition: "app:2" });
  const rolled = await stable("app:2");
  if (strategy?.lifecycleHooks) {
    assert.deepEqual(
      ["production", "test"].map((rule) => world.balancers.shareOf("web", rule as "test", "app:2")),
      [100, 100],
    );
    // Each at least once, in their order, and by one name each.
    const stages = asked.map(({ lifecycleStage }) => lifecycleStage).filter((stage, at, all) => stage !== all[at - 1]);
    assert.deepEqual(stages, strategy.lifecycleHooks![0]!.lifecycleStages);
    assert.equal(new Set(asked.map(({ executionId }) => executionId)).size, stages.length);
  }
  assert.ok(rolled.events!.some(({ message }) => message === "(service web) has reached a steady state."));
  await call("DeleteService", { service: "web", force: true }, "ServiceNotActiveException");
  await until(({ status }) => status === "INACTIVE");
  assert.equal(world.picture.liveOf("web").length, 0);
  const revision = world.disk.revision;
  await pass(60_000);
  if (at === undefined) assert.equal(world.disk.revision, revision, "the end is no rest");
  const started: Record<string, number> = {};
  for (const { taskDefinitionArn } of world.picture.allOf("web")) {
    const name = taskDefinitionArn.split("/").at(-1)!;
    started[name] = (started[name] ?? 0) + 1;
  }
  for (const agent of world.agents) {
    assert.deepEqual(agent.running, []);
    for (const [arn, count] of agent.starts) assert.equal(count, 1, arn);
  }
  return { writes: revision - before, started };
}

const shifting: DeploymentConfiguration = {
  strategy: "CANARY",
  bakeTimeInMinutes: 0,
  canaryConfiguration: { canaryPercent: 20, canaryBakeTimeInMinutes: 0 },
  lifecycleHooks: [
    {
      hookTargetArn: "arn:aws:lambda:us-east-1:000000000000:function:hook",
      lifecycleStages: ["PRE_SCALE_UP", "POST_TEST_TRAFFIC_SHIFT", "POST_PRODUCTION_TRAFFIC_SHIFT"],
    },
  ],
};

const alarmed: DeploymentConfiguration = { alarms: { alarmNames: ["errors"], enable: true, rollback: true } };

for (const [name, strategy] of [
  ["rolling", undefined],
  ["canary, behind a load balancer", shifting],
  ["rolling, sent back once by an alarm", alarmed],
] as const) {
  test(`a service's life (${name}) with the server killed before and behind each write, and with changes lost there, comes to the same end`, async (t) => {
    const { writes, started } = await live(undefined, fates[0], strategy);
    if (!strategy?.alarms) assert.deepEqual(started, { "app:1": 2, "app:2": 2 });
    for (let at = 0; at < writes; at++) {
      for (const fate of fates) {
        const end = await live(at, fate, strategy).catch((error: unknown) => {
          throw new Error(`${fate} write ${at}: ${(error as Error).message}`, { cause: error });
        });
        // How many of the second there were when the alarm came depends on when that was.
        if (!strategy?.alarms) assert.deepEqual(end.started, started, `${fate} write ${at}: other tasks were started`);
      }
    }
    t.diagnostic(`${writes} writes`);
  });
}
