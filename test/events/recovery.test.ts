/** The server dies at each of its writes, before it or just behind it: no event is lost, none is made up, and a task that an event runs is run once. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { type Caller, createCaller } from "#api/caller.ts";
import { ApiError } from "#api/contract.ts";
import { rootPrincipal } from "#api/credentials.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import { eventKeys } from "#model/events/records.ts";
import { systemClock } from "#platform/clock.ts";
import { readConfig } from "#platform/config.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import { createEventsEngine } from "#reconcilers/events/engine.ts";
import { ecsEvents } from "#services/ecs/events/index.ts";
import { createEcs } from "#services/ecs/index.ts";
import { createEvents } from "#services/events/index.ts";
import { createIam } from "#services/iam/index.ts";
import { createScheduler } from "#services/scheduler/index.ts";
import type { Store } from "#store/store.ts";
import { MemoryDisk, openSession } from "../simulation/memory-store.ts";
import { clusterRecord, definitionWrites, hex, instanceRecord, scope } from "../simulation/records.ts";
import { until } from "../support/until.ts";
import { ecsStatements, openHook } from "./support.ts";

const cluster = "sim";
const clusterArn = "arn:aws:ecs:us-east-1:000000000000:cluster/sim";
const hook = await openHook();
after(() => hook.close());

type Ask = (service: string, operation: string, input: object) => Promise<Readonly<Record<string, unknown>>>;

/** A server's parts upon a store. ECS's own reconcilers stay asleep: what they do is proved elsewhere. */
function serve(store: Store) {
  const given = {
    store,
    clock: systemClock,
    random: systemRandom,
    sealer: createSealer(Buffer.alloc(32, 1)),
    vault: createVault([new Uint8Array(32)]),
    config: readConfig({ GANTRY_HOME: "/nonexistent" }),
    log: silentLogger,
  };
  const engine = createEventsEngine(given, ecsEvents);
  const deps = { ...given, store: engine.store };
  const events = createEvents(deps, engine);
  const parts = [createIam(deps), createEcs(deps), createScheduler(deps), events];
  const caller: Caller = createCaller({ ...given, parts });
  engine.connect({ caller });
  const ask: Ask = (service, operation, input) =>
    caller.call({
      principal: rootPrincipal(scope.account, "AKIA"),
      region: scope.region,
      service,
      operation,
      input: input as Record<string, unknown>,
      by: "test",
    });
  return { ask, start: () => engine.start(), stop: () => engine.stop() };
}

/** What a user has set up: a task that runs, a rule that waits for its end, with a task and a webhook as targets, and a schedule that is due. */
async function prepare(disk: MemoryDisk): Promise<{ readonly seed: string }> {
  const id = hex(1);
  const put = (key: string, value: unknown) => disk.apply({ writes: [{ put: key, value }] });
  put(ecsKeys.cluster(scope, cluster), clusterRecord(cluster));
  put(ecsKeys.containerInstance(scope, cluster, id), instanceRecord(cluster, id));
  put(ecsKeys.connection(scope, cluster, id), { connected: true, since: 0 });
  const main = { name: "main", image: "busybox", essential: true, memory: 64 };
  for (const write of definitionWrites("job", { containerDefinitions: [main] })) put(write.put, write.value);
  const { ask, start, stop } = serve(openSession(disk).store);
  await start();
  const trust = {
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: ["events.amazonaws.com", "scheduler.amazonaws.com"] }, Action: "sts:AssumeRole" }],
  };
  const { Role } = await ask("iam", "CreateRole", { RoleName: "r", AssumeRolePolicyDocument: JSON.stringify(trust) });
  const RoleArn = (Role as { Arn: string }).Arn;
  const Statement = [...ecsStatements("*"), { Effect: "Allow", Action: "events:InvokeApiDestination", Resource: "*" }];
  await ask("iam", "PutRolePolicy", {
    RoleName: "r",
    PolicyName: "p",
    PolicyDocument: JSON.stringify({ Version: "2012-10-17", Statement }),
  });
  const ApiKeyAuthParameters = { ApiKeyName: "k", ApiKeyValue: "v" };
  const { ConnectionArn } = await ask("events", "CreateConnection", {
    Name: "c",
    AuthorizationType: "API_KEY",
    AuthParameters: { ApiKeyAuthParameters },
  });
  const { ApiDestinationArn } = await ask("events", "CreateApiDestination", {
    Name: "d",
    ConnectionArn,
    InvocationEndpoint: hook.url,
    HttpMethod: "POST",
  });
  const EventPattern = JSON.stringify({
    source: ["aws.ecs"],
    "detail-type": ["ECS Task State Change"],
    detail: { lastStatus: ["STOPPED"] },
  });
  await ask("events", "PutRule", { Name: "ended", EventPattern });
  const EcsParameters = { TaskDefinitionArn: "arn:aws:ecs:us-east-1:000000000000:task-definition/job:1" };
  const Targets = [
    { Id: "task", Arn: clusterArn, RoleArn, EcsParameters },
    { Id: "hook", Arn: ApiDestinationArn, RoleArn },
  ];
  await ask("events", "PutTargets", { Rule: "ended", Targets });
  const { tasks } = await ask("ecs", "RunTask", { cluster, taskDefinition: "job", startedBy: "seed" });
  await stop();
  const Target = { Arn: clusterArn, RoleArn, EcsParameters };
  await ask("scheduler", "CreateSchedule", {
    Name: "now",
    ScheduleExpression: `at(${new Date(Date.now() - 2000).toISOString().slice(0, 19)})`,
    FlexibleTimeWindow: { Mode: "OFF" },
    ActionAfterCompletion: "DELETE",
    Target,
  });
  return { seed: (tasks as { taskArn: string }[])[0]!.taskArn };
}

const startedBy = (disk: MemoryDisk) =>
  disk
    .list(ecsKeys.tasks(scope, cluster))
    .map(({ value }) => (value as { startedBy?: string }).startedBy)
    .toSorted();

const report = (ask: Ask, task: string) =>
  ask("ecs", "SubmitTaskStateChange", {
    cluster,
    task,
    status: "STOPPED",
    containers: [{ containerName: "main", status: "STOPPED", exitCode: 0 }],
  });

/** The server lives for so many writes, the next one starts with what it left. False: it did not die. */
async function live(writes: number, how: "before" | "after"): Promise<boolean> {
  const disk = new MemoryDisk();
  const { seed } = await prepare(disk);
  hook.calls.length = 0;
  let left = writes;
  let died = () => {};
  const death = new Promise<void>((resolve) => (died = resolve));
  let dead = false;
  const mortal = openSession(disk, () => {
    if (left-- > 0) return "go";
    dead = true;
    died();
    return how;
  });
  const first = serve(mortal.store);
  await Promise.race([first.start(), death]);
  // The agent says it until somebody hears it.
  await Promise.race([report(first.ask, seed), death]);
  const settled = () =>
    disk.list(eventKeys.deliveries).length === 0 && disk.list(eventKeys.timers).length === 0 && startedBy(disk).length > 1;
  await Promise.race([until("it settles or dies", () => dead || settled()), death]);
  mortal.kill();
  const second = serve(openSession(disk).store);
  await second.start();
  await report(second.ask, seed).catch((error: unknown) => {
    if (!(error instanceof ApiError)) throw error;
  });
  await until("everything has its event", () => settled());
  await second.stop();
  assert.deepEqual(startedBy(disk), ["chronos-schedule/now", "events-rule/ended", "seed"]);
  const ids = new Set(hook.calls.map(({ body }) => (JSON.parse(body) as { id: string }).id));
  assert.equal(ids.size, 1, "one event, told once or again");
  assert.equal((JSON.parse(hook.calls[0]!.body) as { detail: { taskArn: string } }).detail.taskArn, seed);
  assert.deepEqual(disk.list("/scheduler/"), []);
  return dead;
}

for (const how of ["before", "after"] as const)
  test(`dying ${how} each write`, { timeout: 600_000 }, async () => {
    let deaths = 0;
    while (deaths < 60 && (await live(deaths, how))) deaths++;
    assert.ok(deaths >= 6 && deaths < 60, `it died ${deaths} times`);
  });
