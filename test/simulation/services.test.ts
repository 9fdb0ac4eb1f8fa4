import assert from "node:assert/strict";
import { test } from "node:test";
import type { Service, Task } from "@aws-sdk/client-ecs";
import type { ApiError } from "#api/contract.ts";
import { messages, percents, ServiceWorld } from "./services-support.ts";

const created = async (count: number, instances: number, more = {}) => {
  const w = await ServiceWorld.with(instances);
  await w.create("web", "app:1", count, more);
  await w.stable("web");
  return w;
};

test("a service is made, reaches its steady state, says so once, and rests", async () => {
  const w = await created(5, 2);
  await w.pass(2000);
  const service = await w.describe("web");
  assert.equal(service.deployments![0]!.rolloutState, "COMPLETED");
  assert.equal(messages(service).filter((message) => message === "(service web) has reached a steady state.").length, 1);
  for (const task of w.live("web")) {
    assert.equal(task.group, "service:web");
    assert.equal(task.startedBy, service.deployments![0]!.id);
  }
  // Spread over the zones and instances by default.
  assert.deepEqual(w.world.agents.map(({ instance }) => w.on(instance, "web").length).toSorted(), [2, 3]);
  await w.rests();
});

for (const [minimum, maximum, fewest, most] of [
  [100, 200, 4, 8],
  [0, 100, 0, 4],
  [50, 100, 2, 4],
  [100, 150, 4, 6],
  [50, 200, 2, 8],
] as const) {
  test(`a rolling update of four tasks at ${minimum}/${maximum} percent keeps ${fewest} healthy and never has more than ${most}`, async () => {
    const w = await created(4, 3, percents(minimum, maximum));
    await w.update("web", { taskDefinition: "app:2" });
    const seen = await w.watchRollout("web");
    assert.ok(seen.fewest >= fewest && seen.most <= most, JSON.stringify(seen));
    // It moves as fast as it may.
    assert.equal(seen.most, most);
    if (maximum === 100) assert.equal(seen.fewest, fewest);
    assert.equal(w.of("web", "app:2").length, 4);
    await w.rests();
  });
}

test("old tasks wait for health, not only for RUNNING: an update that never becomes healthy takes nothing down", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("web", "checked:1", 3, percents(100, 200));
  await w.stable("web");
  await w.until(() => w.healthy("web").length === 3);
  await w.update("web", { taskDefinition: "app-ill" });
  for (let i = 0; i < 600; i++) {
    await w.pass(500);
    assert.equal(w.of("web", "checked:1").length, 3);
  }
  const ends = w.all("web").filter(({ taskDefinitionArn, stop }) => /app-ill/.test(taskDefinitionArn) && stop);
  assert.ok(ends.length >= 3);
  for (const { stop } of ends) {
    assert.equal(stop!.code, "ServiceSchedulerInitiated");
    assert.match(stop!.reason, /health checks/);
  }
});

test("percents that leave no room to move: nothing moves, an event says so, and looser ones set it going", async () => {
  // Half of one more is none.
  const w = await created(1, 2, percents(100, 150));
  await w.update("web", { taskDefinition: "app:2" });
  await w.pass(60_000);
  assert.equal(w.of("web", "app:1").length, 1);
  assert.equal(w.live("web").length, 1);
  const stuck = messages(await w.describe("web")).filter((message) =>
    /was unable to stop or start tasks during a deployment/.test(message),
  );
  assert.equal(stuck.length, 1);
  await w.rests();
  await w.update("web", percents(100, 200));
  await w.stable("web");
  assert.equal(w.of("web", "app:2").length, 1);
});

for (const [desired, threshold] of [
  [1, 3],
  [4, 3],
  [8, 4],
  [11, 6],
  [20, 10],
] as const) {
  test(`the circuit breaker trips after ${threshold} failed tasks of ${desired}`, async () => {
    // One at a time, so that exactly so many are tried.
    const one = 100 + 100 / desired;
    const w = await created(desired, 3, percents(100, Math.ceil(one), { enable: true, rollback: false }));
    await w.update("web", { taskDefinition: "app-nostart" });
    const primary = ({ deployments }: Service) => deployments!.find(({ status }) => status === "PRIMARY")!;
    await w.until(async () => primary(await w.describe("web")).rolloutState === "FAILED", 900_000);
    const { failedTasks } = primary(await w.describe("web"));
    assert.equal(failedTasks, threshold);
    assert.equal(w.all("web").filter(({ taskDefinitionArn }) => /nostart/.test(taskDefinitionArn)).length, threshold);
    assert.equal(w.of("web", "app:1").length, desired, "what ran before runs on");
    await w.rests();
  });
}

test("a failed deployment is rolled back to the last that completed; the service never has fewer than its minimum", async () => {
  for (const broken of ["app-nostart", "app-crash", "app-ill"]) {
    const w = await created(4, 3, percents(100, 200, { enable: true, rollback: true }));
    await w.update("web", { taskDefinition: "app:2" });
    const before = await w.stable("web");
    await w.update("web", { taskDefinition: broken });
    await w.until(
      async () => {
        assert.ok(w.of("web", "app:2").length >= 4, `${broken} took a good one down`);
        const { deployments } = await w.describe("web");
        return deployments!.some(({ rolloutState }) => rolloutState === "FAILED");
      },
      900_000,
      `${broken} never failed`,
    );
    const after = await w.stable("web");
    assert.match(after.taskDefinition!, /app:2$/);
    assert.equal(after.deployments![0]!.id, before.deployments![0]!.id);
    assert.equal(after.deployments![0]!.rolloutState, "COMPLETED");
    assert.equal(w.of("web", "app:2").length, 4);
    const said = messages(after).join("\n");
    assert.match(said, /deployment failed: tasks failed to start/);
    assert.match(said, /rolling back to deployment ecs-svc\/\d+/);
    await w.rests();
  }
});

test("a first deployment that fails has nothing to go back to: it fails and starts no more", async () => {
  const w = await ServiceWorld.with(1);
  await w.create("web", "app-nostart", 2, percents(100, 200, { enable: true, rollback: true }));
  await w.until(async () => (await w.describe("web")).deployments![0]!.rolloutState === "FAILED", 600_000);
  await w.pass(20_000);
  const tried = w.all("web").length;
  await w.rests();
  assert.equal(w.all("web").length, tried);
  await w.update("web", { taskDefinition: "app:1" });
  await w.stable("web");
});

test("tasks that keep failing to start are tried less and less often; a new deployment begins at once", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("web", "app-nostart", 1);
  await w.pass(45 * 60_000);
  const times = w
    .all("web")
    .map(({ createdAt }) => createdAt)
    .toSorted((a, b) => a - b);
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  assert.ok(gaps.length >= 8 && gaps.length <= 30, `${gaps.length} tries in 45 minutes`);
  assert.ok(gaps[0]! < 5000, `the first is tried again after ${gaps[0]} ms`);
  assert.ok(gaps.at(-1)! >= 5 * 60_000, `${gaps.at(-1)} ms between the last two`);
  for (let i = 1; i < gaps.length; i++) assert.ok(gaps[i]! >= gaps[i - 1]! * 0.9, `the pauses grow: ${gaps.join(", ")}`);
  const said = messages(await w.describe("web"));
  assert.equal(said.filter((message) => /is unable to consistently start tasks successfully/.test(message)).length, 1);
  assert.ok(said.length < 100);
  await w.update("web", { taskDefinition: "app:1" });
  assert.ok((await w.until(() => w.healthy("web").length === 1, 30_000)) < 3000);
});

test("a task that is stopped is replaced at once, as often as it happens", async () => {
  const w = await created(3, 2);
  for (let i = 0; i < 12; i++) {
    const [victim] = w.live("web");
    await w.stopTask(victim!.arn);
    const took = await w.until(() => w.healthy("web").length === 3 && !w.live("web").some(({ id }) => id === victim!.id), 30_000);
    assert.ok(took <= 5000, `${took} ms for the ${i + 1}th`);
    const { tasks } = await w.call<{ tasks: Task[] }>("DescribeTasks", { tasks: [victim!.arn] });
    assert.equal(tasks[0]!.stopCode, "UserInitiated");
  }
  assert.equal((await w.describe("web")).deployments![0]!.rolloutState, "COMPLETED");
  await w.rests();
});

test("a task that ends soon is replaced at once; its successor is trusted after ten seconds, also in a deployment long completed", async () => {
  const w = await created(2, 2);
  await w.pass(2000);
  const [victim] = w.live("web");
  w.world.agents.find(({ instance }) => instance === victim!.containerInstanceId)!.exit(victim!.arn, 1);
  await w.until(() => w.healthy("web").length === 2 && !w.live("web").some(({ id }) => id === victim!.id), 3000);
  const steady = async () => messages(await w.describe("web")).filter((message) => /has reached a steady state/.test(message)).length === 2;
  const took = await w.until(steady, 30_000, "no steady state");
  assert.ok(took <= 11_000, `${took} ms`);
  await w.rests();
});

for (const [minimum, maximum, fewest, most] of [
  [100, 200, 4, 8],
  [50, 100, 2, 4],
  [0, 100, 0, 4],
  [100, 150, 4, 6],
] as const) {
  test(`draining an instance at ${minimum}/${maximum} percent`, async () => {
    const w = await created(4, 2, percents(minimum, maximum));
    const [leaving, staying] = w.world.agents.map(({ instance }) => instance);
    await w.setStatus(leaving!, "DRAINING");
    let [low, high] = [Infinity, 0];
    await w.until(
      () => {
        low = Math.min(low, w.healthy("web").length);
        high = Math.max(high, w.live("web").length);
        return w.on(leaving!, "web").length === 0 && w.on(staying!, "web").length === 4 && w.healthy("web").length === 4;
      },
      120_000,
      "never drained",
    );
    assert.ok(low >= fewest && high <= most, `${low} to ${high}`);
    await w.rests();
    // Nothing comes back by itself, and nothing is placed there.
    await w.setStatus(leaving!, "ACTIVE");
    await w.rests(60_000);
    assert.equal(w.on(leaving!, "web").length, 0);
  });
}

test("draining where the percents leave no room: the task stays", async () => {
  const w = await created(1, 2, percents(100, 150));
  const leaving = w.live("web")[0]!.containerInstanceId;
  await w.setStatus(leaving, "DRAINING");
  await w.pass(120_000);
  assert.equal(w.on(leaving, "web").length, 1);
  await w.rests();
});

test("a daemon runs once on each instance: on a new one too, on a draining one until all else has gone", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("agent", "app:1", 0, { schedulingStrategy: "DAEMON" });
  await w.create("web", "app:1", 4, percents(100, 200));
  await w.stable("web");
  await w.until(() => w.healthy("agent").length === 2);
  assert.equal((await w.describe("agent")).desiredCount, 2);
  const third = w.world.addInstance(77);
  third.start();
  await w.until(() => w.on(third.instance, "agent").length === 1 && w.healthy("agent").length === 3, 10_000);
  assert.equal((await w.describe("agent")).desiredCount, 3);
  const [first] = w.world.agents.map(({ instance }) => instance);
  await w.setStatus(first!, "DRAINING");
  await w.until(
    () => {
      if (w.on(first!, "web").length > 0) assert.equal(w.on(first!, "agent").length, 1, "the daemon is the last to go");
      return w.on(first!, "web").length === 0 && w.on(first!, "agent").length === 0;
    },
    120_000,
    "never drained",
  );
  await w.setStatus(first!, "ACTIVE");
  await w.until(() => w.on(first!, "agent").length === 1, 10_000);
  await w.update("agent", { taskDefinition: "app:2" });
  await w.until(() => {
    for (const { instance } of w.world.agents) assert.ok(w.on(instance, "agent").length <= 1, "two daemons on one instance");
    return w.of("agent", "app:2").length === 3 && w.healthy("agent").length === 3;
  }, 120_000);
  await w.stable("agent");
  await w.rests();
});

test("a protected task outlives scale-in and deployments until its protection ends", async () => {
  const w = await created(4, 2);
  const kept = w
    .live("web")
    .slice(0, 2)
    .map(({ arn }) => arn);
  const answer = await w.call<{ protectedTasks: { taskArn: string; protectionEnabled: boolean; expirationDate: Date }[] }>(
    "UpdateTaskProtection",
    {
      tasks: kept,
      protectionEnabled: true,
      expiresInMinutes: 5,
    },
  );
  assert.deepEqual(answer.protectedTasks.map(({ taskArn }) => taskArn).toSorted(), kept.toSorted());
  assert.equal(answer.protectedTasks[0]!.expirationDate.getTime(), w.world.clock.now() + 5 * 60_000);
  await w.update("web", { desiredCount: 1 });
  await w.until(() => w.live("web").length === 2, 10_000);
  assert.deepEqual(
    w
      .live("web")
      .map(({ arn }) => arn)
      .toSorted(),
    kept.toSorted(),
  );
  await w.update("web", { taskDefinition: "app:2" });
  await w.pass(4 * 60_000);
  assert.equal(w.of("web", "app:1").length, 2, "both are protected still");
  await w.until(() => w.live("web").length === 1 && w.of("web", "app:2").length === 1, 90_000);
  await w.stable("web");
  await w.rests();
});

test("scaling in leaves the healthy ones when a task that does not run yet is protected", async () => {
  const w = await created(3, 2);
  const agent = w.world.agents.find(({ instance }) => w.on(instance, "web").length === 1)!;
  agent.pullMs = 60_000;
  await w.update("web", { desiredCount: 4 });
  await w.pass(100);
  const pending = w.live("web").at(-1)!;
  assert.equal(pending.containerInstanceId, agent.instance);
  await w.call("UpdateTaskProtection", { tasks: [pending.arn], protectionEnabled: true, expiresInMinutes: 10 });
  await w.update("web", { desiredCount: 3 });
  await w.pass(10_000);
  assert.equal(w.healthy("web").length, 3, "the one that waits for its image stands in for nobody");
  await w.until(() => w.live("web").length === 3, 90_000);
  assert.ok(w.healthy("web").some(({ id }) => id === pending.id));
  await w.rests();
});

test("a daemon's protected task stays through a deployment", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("agent", "app:1", 0, { schedulingStrategy: "DAEMON" });
  await w.until(() => w.healthy("agent").length === 2);
  const [kept] = w.live("agent");
  await w.call("UpdateTaskProtection", { tasks: [kept!.arn], protectionEnabled: true, expiresInMinutes: 2 });
  await w.update("agent", { taskDefinition: "app:2" });
  await w.pass(100_000);
  assert.deepEqual(
    w.of("agent", "app:1").map(({ id }) => id),
    [kept!.id],
  );
  await w.until(() => w.of("agent", "app:2").length === 2 && w.healthy("agent").length === 2, 60_000);
});

test("an instance falls silent: its tasks are replaced; it comes back with them: what is too many ends", async () => {
  for (const way of ["fallSilent", "hang"] as const) {
    const w = await created(4, 3);
    const lost = w.world.agents.find(({ instance }) => w.on(instance, "web").length > 0)!;
    const there = w.on(lost.instance, "web").length;
    lost[way]();
    await w.until(
      () => w.healthy("web").filter(({ containerInstanceId }) => containerInstanceId !== lost.instance).length === 4,
      // GANTRY_LOST_SECONDS, 8 by default, and what a start takes.
      12_000,
      "not replaced",
    );
    await w.pass(60_000);
    assert.equal(lost.running.length, there, "they run on, out of reach");
    lost.start();
    await w.until(
      () => w.live("web").length === 4 && lost.running.length === w.on(lost.instance, "web").length,
      60_000,
      "the surplus stays",
    );
    await w.stable("web");
    for (const agent of w.world.agents) for (const [arn, count] of agent.starts) assert.equal(count, 1, arn);
    await w.rests();
  }
});

test("a short break of a connection replaces nothing", async () => {
  const w = await created(4, 2);
  await w.create("agent", "app:1", 0, { schedulingStrategy: "DAEMON" });
  await w.until(() => w.healthy("agent").length === 2);
  const tasks = () => [...w.live("web"), ...w.live("agent")].map(({ id }) => id);
  const before = tasks();
  for (const agent of w.world.agents) agent.drop();
  await w.pass(1000);
  await w.world.stopServer();
  await w.world.startServer();
  await w.pass(120_000);
  assert.deepEqual(tasks(), before);
  for (const agent of w.world.agents) agent.fallSilent();
  await w.pass(6000);
  for (const agent of w.world.agents) agent.start();
  await w.pass(120_000);
  assert.deepEqual(tasks(), before);
  const placements = messages(await w.describe("agent")).filter((message) => /unable to place/.test(message));
  assert.deepEqual(placements, []);
});

test("an unhealthy task is replaced, but not within the grace period", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("web", "app-sick", 2, { healthCheckGracePeriodSeconds: 90 });
  await w.until(() => w.healthy("web").length === 2);
  await w.pass(60_000);
  assert.equal(w.all("web").length, 2, "the grace period is not over");
  await w.until(() => w.all("web").some(({ stop }) => stop), 120_000, "never replaced");
  const said = messages(await w.describe("web"));
  assert.ok(
    said.some((message) => /\(service web\) \(task [0-9a-f]{32}\) failed container health checks\./.test(message)),
    said.join("\n"),
  );
});

test("without room a service says why, once, and takes the room that comes", async () => {
  const w = await ServiceWorld.with(1);
  await w.create("web", "ported:1", 2);
  await w.until(() => w.healthy("web").length === 1);
  await w.pass(10 * 60_000);
  const unplaced = messages(await w.describe("web")).filter((message) =>
    /was unable to place a task because no container instance met all/.test(message),
  );
  assert.equal(unplaced.length, 1, unplaced.join("\n"));
  assert.match(unplaced[0]!, /is already using a port required by your task/);
  await w.rests();
  w.world.addInstance(5).start();
  await w.until(() => w.healthy("web").length === 2, 10_000, "the new room was not taken");
  await w.stable("web");
});

test("a fixed port: at 0/100 an update makes its own room", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("web", "ported:1", 2, percents(50, 100));
  await w.stable("web");
  await w.update("web", { taskDefinition: "ported:2" });
  const seen = await w.watchRollout("web");
  assert.ok(seen.fewest >= 1);
  assert.equal(w.of("web", "ported:2").length, 2);
});

test("a fixed port at 50/200: what cannot be placed beside the old makes room down to the minimum", async () => {
  const w = await ServiceWorld.with(2);
  await w.create("web", "ported:1", 2, percents(50, 200));
  await w.stable("web");
  await w.update("web", { taskDefinition: "ported:2" });
  const seen = await w.watchRollout("web", 600_000);
  assert.ok(seen.fewest >= 1);
});

test("scaling in takes from the fullest zone and instance first", async () => {
  const w = await created(6, 3);
  await w.update("web", { desiredCount: 3 });
  await w.until(() => w.live("web").length === 3);
  const zones = w.live("web").map(({ availabilityZone }) => availabilityZone);
  assert.ok(new Set(zones).size === 2, zones.join());
  await w.update("web", { desiredCount: 0 });
  await w.until(() => w.live("web").length === 0);
  await w.rests();
});

test("forcing a new deployment replaces every task with the same revision", async () => {
  const w = await created(3, 2);
  const before = w.live("web").map(({ id }) => id);
  const { deployments } = await w.update("web", { forceNewDeployment: true });
  assert.equal(deployments!.length, 2);
  await w.stable("web");
  assert.ok(w.live("web").every(({ id }) => !before.includes(id)));
  const again = await w.update("web", { taskDefinition: "app:1" });
  assert.equal(again.deployments!.length, 1, "the same definition is no new deployment");
});

test("updates in quick succession end on the last; at most the maximum percent ever runs", async () => {
  const w = await created(4, 3, percents(50, 150));
  for (const taskDefinition of ["app:2", "app:3", "app:1", "app:2", "app:3"]) {
    await w.update("web", { taskDefinition });
    await w.pass(700);
  }
  const seen = await w.watchRollout("web");
  assert.ok(seen.most <= 6 && seen.fewest >= 2, JSON.stringify(seen));
  assert.equal(w.of("web", "app:3").length, 4);
});

test("deleting: refused above zero without force, DRAINING then INACTIVE with it; the name is free again", async () => {
  const w = await created(2, 1);
  await assert.rejects(w.call("DeleteService", { service: "web" }), (error: ApiError) => {
    assert.equal(error.code, "InvalidParameterException");
    assert.match(error.message, /scaled above 0/);
    return true;
  });
  const { service } = await w.call<{ service: Service }>("DeleteService", { service: "web", force: true });
  assert.equal(service.status, "DRAINING");
  await assert.rejects(w.update("web", { desiredCount: 1 }), { code: "ServiceNotActiveException" });
  await w.until(async () => (await w.describe("web")).status === "INACTIVE", 30_000);
  assert.equal(w.live("web").length, 0);
  await w.create("web", "app:2", 1);
  await w.stable("web");
  assert.equal(w.of("web", "app:2").length, 1);
  await w.rests();
});

test("a deregistered instance's tasks are replaced", async () => {
  const w = await created(4, 2);
  const [gone] = w.world.agents;
  await w.call("DeregisterContainerInstance", { containerInstance: gone!.instance, force: true });
  await w.until(() => w.healthy("web").length === 4 && w.on(gone!.instance, "web").length === 0, 30_000);
  await w.rests();
});

test("a machine that loses its power and comes back: its tasks ended, others took their place", async () => {
  const w = await created(4, 2);
  const [agent] = w.world.agents;
  agent!.crash();
  await w.pass(3000);
  agent!.start();
  await w.pass(5000);
  await w.until(() => w.healthy("web").length === 4 && w.live("web").length === 4, 60_000);
  await w.stable("web");
  await w.rests();
});

// "Now, Amazon ECS will first start a healthy replacement for each unhealthy task": AWS, What's New, Oct 23, 2023; API Reference, DeploymentConfiguration.
test("an unhealthy task goes once its replacement is healthy; where the maximum percent leaves no room, it goes first", async () => {
  for (const maximum of [200, 100]) {
    const w = await ServiceWorld.with(2);
    await w.create("web", "checked:1", 2, percents(50, maximum));
    await w.until(() => w.healthy("web").length === 2);
    await w.stable("web");
    const [victim] = w.live("web");
    const agent = w.world.agents.find(({ instance }) => instance === victim!.containerInstanceId)!;
    agent.sicken(victim!.arn);
    let first: string | undefined;
    await w.until(() => {
      const goes = w.live("web").find(({ id }) => id === victim!.id)?.desiredStatus !== "RUNNING";
      const healthy = w.healthy("web").filter(({ id }) => id !== victim!.id).length;
      if (goes) first ??= healthy === 2 ? "replacement" : "victim";
      return w.healthy("web").length === 2 && w.live("web").length === 2 && !w.live("web").some(({ id }) => id === victim!.id);
    });
    assert.equal(first, maximum === 200 ? "replacement" : "victim");
    await w.rests();
  }
});

// "ECS now replaces unhealthy or terminated tasks using the same service revision they belong to": AWS, What's New, November 2025.
test("during a deployment whose tasks fail, a task of the old revision that ends is replaced by one of the old revision", async () => {
  const w = await created(4, 2, percents(100, 150));
  await w.update("web", { taskDefinition: "app-nostart" });
  await w.pass(3000);
  for (let i = 0; i < 3; i++) {
    await w.stopTask(w.of("web", "app:1")[0]!.arn);
    await w.until(
      () => w.of("web", "app:1").filter(({ desiredStatus }) => desiredStatus === "RUNNING").length === 4,
      10_000,
      `the ${i + 1}th is not replaced`,
    );
  }
  await w.update("web", { taskDefinition: "app:2" });
  await w.stable("web");
  assert.equal(w.of("web", "app:2").length, 4);
  await w.rests();
});

test("zones are balanced again once the machine of the other zone is back: one at a time, never with fewer than wanted", async () => {
  const w = await ServiceWorld.with(2);
  const [, second] = w.world.agents;
  second!.drop();
  await w.setStatus(second!.instance, "DRAINING");
  await w.create("web", "app:1", 4, { availabilityZoneRebalancing: "ENABLED" });
  await w.stable("web");
  assert.equal(w.on(second!.instance, "web").length, 0);
  await w.setStatus(second!.instance, "ACTIVE");
  await w.until(
    () => {
      assert.ok(w.healthy("web").length >= 4 && w.live("web").length <= 8);
      return w.on(second!.instance, "web").length === 2 && w.live("web").length === 4;
    },
    15 * 60_000,
    "never balanced",
  );
  await w.rests();
});

test("a deployment that is stopped rolls back, or stays where it is", async () => {
  for (const stopType of ["ROLLBACK", "ABORT"]) {
    const w = await created(4, 2, percents(100, 150));
    await w.update("web", { taskDefinition: "app:2" });
    await w.pass(300);
    const { serviceDeployments } = await w.call<{ serviceDeployments: { serviceDeploymentArn: string; status: string }[] }>(
      "ListServiceDeployments",
      {
        service: "web",
        status: ["IN_PROGRESS"],
      },
    );
    assert.equal(serviceDeployments.length, 1);
    const { serviceDeploymentArn } = serviceDeployments[0]!;
    await w.call("StopServiceDeployment", { serviceDeploymentArn, stopType });
    const status = async () =>
      (
        await w.call<{ serviceDeployments: { status: string }[] }>("DescribeServiceDeployments", {
          serviceDeploymentArns: [serviceDeploymentArn],
        })
      ).serviceDeployments[0]!.status;
    await w.until(async () => (await status()) === (stopType === "ROLLBACK" ? "ROLLBACK_SUCCESSFUL" : "STOPPED"), 120_000, stopType);
    if (stopType === "ROLLBACK") {
      await w.stable("web");
      assert.equal(w.of("web", "app:1").length, 4);
    }
    assert.ok(w.healthy("web").length >= 4);
    await w.pass(5000);
    await w.rests();
  }
});

test("task sets of an EXTERNAL service: each has its share of the desired count; one that is deleted drains", async () => {
  const w = await ServiceWorld.with(2);
  await w.call("CreateService", { serviceName: "web", desiredCount: 4, deploymentController: { type: "EXTERNAL" } });
  const make = async (taskDefinition: string, value: number) =>
    (
      await w.call<{ taskSet: { id: string } }>("CreateTaskSet", {
        service: "web",
        taskDefinition,
        launchType: "EC2",
        scale: { value, unit: "PERCENT" },
      })
    ).taskSet.id;
  const blue = await make("app:1", 100);
  await w.until(() => w.of("web", "app:1").length === 4 && w.healthy("web").length === 4);
  await w.call("UpdateServicePrimaryTaskSet", { service: "web", primaryTaskSet: blue });
  const green = await make("app:2", 50);
  await w.until(() => w.of("web", "app:2").length === 2 && w.healthy("web").length === 6);
  await w.call("UpdateTaskSet", { service: "web", taskSet: green, scale: { value: 100, unit: "PERCENT" } });
  await w.until(() => w.of("web", "app:2").length === 4 && w.healthy("web").length === 8);
  await w.call("UpdateServicePrimaryTaskSet", { service: "web", primaryTaskSet: green });
  await w.call("DeleteTaskSet", { service: "web", taskSet: blue, force: true });
  await w.until(() => w.live("web").length === 4 && w.of("web", "app:2").length === 4);
  const [victim] = w.live("web");
  await w.stopTask(victim!.arn);
  await w.until(() => w.healthy("web").length === 4 && !w.live("web").some(({ id }) => id === victim!.id));
  await w.pass(2000);
  const { taskSets } = await w.call<{ taskSets: { id: string; status: string; stabilityStatus: string; runningCount: number }[] }>(
    "DescribeTaskSets",
    { service: "web" },
  );
  assert.deepEqual(
    taskSets.map(({ id, status, stabilityStatus, runningCount }) => [id, status, stabilityStatus, runningCount]),
    [[green, "PRIMARY", "STEADY_STATE", 4]],
  );
  await w.rests();
  await w.call("DeleteService", { service: "web", force: true });
  await w.until(async () => (await w.describe("web")).status === "INACTIVE", 30_000);
});
