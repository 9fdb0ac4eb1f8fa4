import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Service } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { shiftsTraffic } from "#model/lifecycle-stages.ts";
import type { ScriptedAgent } from "./agent.ts";
import { checkServiceEnds, checkServiceRest } from "./services-ends.ts";
import { isBroken, serviceDefinitions } from "./services-definitions.ts";
import { capacityFor, explain, isSettled, triesInVain } from "./services-settled.ts";
import { World } from "./world.ts";

const cluster = "sim";
const names = ["api", "front", "worker"] as const;
const good = ["app:1", "app:2", "app:3", "checked:1", "checked:2"];
/** One service alone uses the fixed port, so that what it can have is known. */
const goodOf = (service: string) => (service === "api" ? [...good, "ported:1", "ported:2"] : good);
const bad = ["app-crash", "app-nostart", "app-ill", "app-sick"];
const percents = [
  [100, 200],
  [0, 100],
  [50, 100],
  [100, 150],
  [50, 200],
  [34, 134],
] as const;

/** Errors that a caller may rightly get, whatever it asks for here. */
const expectedErrors = new Set([
  "ServiceNotActiveException",
  "ServiceNotFoundException",
  "InvalidParameterException",
  "ClientException",
  "ResourceNotFoundException",
  // StopServiceDeployment of one that has just ended.
  "ConflictException",
]);

/** Steps of five seconds without a write: longer than the latest of late reports. */
const quietSteps = 5;

/** What the caller was last told that it has. */
export interface Wish {
  readonly desiredCount: number;
  readonly daemon: boolean;
  /** False once a call was not answered: it may have been taken, or not. */
  readonly certain: boolean;
}

export interface ServiceScenario {
  readonly starts: number;
  readonly stops: number;
  readonly healthyStops: number;
  readonly deaths: number;
  readonly rollbacks: number;
  readonly digest: string;
}

/** A random life of a small cluster with up to three services, drawn whole from its seed. */
export async function playServiceScenario(seed: number): Promise<ServiceScenario> {
  const life = new Life(seed);
  await life.begin();
  await life.live();
  await life.heal();
  return life.end();
}

class Life {
  readonly #seed: number;
  readonly #chaos: number;
  readonly #world: World;
  readonly #wishes = new Map<string, Wish>();
  #deaths = 0;
  #healing = false;

  constructor(seed: number) {
    this.#seed = seed;
    this.#chaos = seed % 4 === 0 ? 0 : 0.2 + 0.6 * ((seed * 0.618) % 1);
    this.#world = new World(seed, {
      ...{ instances: 1 + (seed % 4), chaos: this.#chaos, definitions: serviceDefinitions },
      balanced: ["front"],
      callHook: (_target, _payload, signal) => this.#hook(signal),
    });
  }

  #chance(probability: number): boolean {
    return this.#world.random.next() < probability;
  }

  #below(count: number): number {
    return Math.floor(this.#world.random.next() * count);
  }

  #pick<T>(all: readonly T[]): T {
    return all[this.#below(all.length)]!;
  }

  async #wait(ms: number): Promise<void> {
    await this.#world.clock.advance(ms);
    if (this.#world.violations.length > 0) throw this.#world.violations[0]!;
  }

  async #call<T>(operation: string, input: object): Promise<T | ApiError | undefined> {
    const answer = await this.#world.call<T>(operation, { cluster, ...input });
    if (answer instanceof ApiError) assert.ok(expectedErrors.has(answer.code), `${operation} answered ${answer.code}: ${answer.message}`);
    return answer;
  }

  async begin(): Promise<void> {
    await this.#world.startServer();
    for (const agent of this.#world.agents) agent.start();
    await this.#wait(1000);
    const count = 1 + this.#below(3);
    for (let i = 0; i < count; i++) await this.#create(names[i]!);
    await this.#wait(8000 * this.#world.random.next());
  }

  async live(): Promise<void> {
    const steps = 8 + this.#below(12);
    for (let step = 0; step < steps; step++) {
      if (!this.#world.serverAlive && this.#chance(0.7)) await this.#world.startServer();
      await this.#act(this.#below(20));
      const kind = this.#below(10);
      await this.#wait(
        kind < 3 ? 1500 * this.#world.random.next() : kind < 8 ? 9000 * this.#world.random.next() : 45_000 * this.#world.random.next(),
      );
    }
  }

  async #act(act: number): Promise<void> {
    if (this.#chaos > 0 && this.#chance(0.15)) this.#world.loseChangesAtWrite(this.#below(12));
    if (act <= 5) return this.#update();
    if (this.#chance(0.1)) this.#world.setAlarm("errors", this.#chance(0.5) ? "ALARM" : "OK");
    if (act === 6) return this.#chance(0.6) ? this.#update() : this.#stopDeployment();
    if (act === 7) return this.#chance(0.5) ? this.#delete() : this.#continue(this.#chance(0.7) ? "CONTINUE" : "ROLLBACK");
    if (act === 8) return this.#create(this.#pick(names));
    if (act <= 10) return this.#stopTask();
    if (act === 11) return this.#protect();
    if (act === 12) return this.#runTask();
    if (act <= 14) return this.#instanceState();
    if (act === 15) {
      for (const agent of this.#world.agents) if (!agent.responsive || !agent.connected) agent.start();
      return;
    }
    if (this.#chaos === 0) return this.#update();
    if (act <= 17) return this.#trouble(this.#pick(this.#world.agents));
    if (act === 18 && this.#chance(0.3)) return this.#instances();
    await this.#strike();
  }

  #settings(): object {
    const [minimumHealthyPercent, maximumPercent] = this.#pick(percents);
    const deploymentCircuitBreaker = { enable: this.#chance(0.5), rollback: this.#chance(0.7) };
    const strategy = this.#chance(0.6) ? this.#strategy() : {};
    const alarms = { alarmNames: ["errors"], enable: this.#chance(0.4), rollback: this.#chance(0.7) };
    return { deploymentConfiguration: { minimumHealthyPercent, maximumPercent, deploymentCircuitBreaker, alarms, ...strategy } };
  }

  /** Mostly content, but some say no, take their time, answer nonsense or never. */
  async #hook(signal: AbortSignal): Promise<unknown> {
    const way = this.#healing ? 0 : this.#below(14);
    if (way <= 7) return { hookStatus: "SUCCEEDED" };
    if (way <= 10) return { hookStatus: "IN_PROGRESS", callBackDelay: this.#below(20), hookDetails: { seen: way } };
    if (way === 11) return { hookStatus: "FAILED" };
    if (way === 12) throw new Error("connection refused");
    return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("aborted")), { once: true }));
  }

  /** Rolling, or one of those that shift traffic. */
  #strategy(): object {
    const strategy = this.#pick(["ROLLING", "BLUE_GREEN", "BLUE_GREEN", "LINEAR", "CANARY"]);
    if (strategy === "ROLLING") return { strategy };
    const stages = [
      "RECONCILE_SERVICE",
      "PRE_SCALE_UP",
      "POST_SCALE_UP",
      "POST_TEST_TRAFFIC_SHIFT",
      "PRE_PRODUCTION_TRAFFIC_SHIFT",
      "POST_PRODUCTION_TRAFFIC_SHIFT",
    ];
    const more = ["TEST_TRAFFIC_SHIFT", "PRODUCTION_TRAFFIC_SHIFT"];
    const timeoutConfiguration = { timeoutInMinutes: 1, action: this.#pick(["CONTINUE", "ROLLBACK"]) };
    const lambda = {
      hookTargetArn: "arn:aws:lambda:us-east-1:000000000000:function:hook",
      lifecycleStages: [this.#pick([...stages, ...more]), this.#pick(stages)],
      timeoutConfiguration,
    };
    const pause = { targetType: "PAUSE", lifecycleStages: [this.#pick(stages)], timeoutConfiguration };
    const minutes = () => this.#below(2);
    return {
      strategy,
      bakeTimeInMinutes: minutes(),
      lifecycleHooks: [...(this.#chance(0.5) ? [lambda] : []), ...(this.#chance(0.2) ? [pause] : [])],
      ...(strategy === "LINEAR" ? { linearConfiguration: { stepPercent: this.#pick([33.3, 50]), stepBakeTimeInMinutes: minutes() } } : {}),
      ...(strategy === "CANARY" ? { canaryConfiguration: { canaryPercent: 12.5, canaryBakeTimeInMinutes: minutes() } } : {}),
    };
  }

  async #create(serviceName: string): Promise<void> {
    const daemon = this.#chance(0.2);
    const desiredCount = this.#below(6);
    const taskDefinition = this.#chance(0.85) ? this.#pick(goodOf(serviceName)) : this.#pick(bad);
    const input = daemon
      ? { schedulingStrategy: "DAEMON", deploymentConfiguration: { minimumHealthyPercent: this.#pick([0, 50]), maximumPercent: 100 } }
      : {
          schedulingStrategy: "REPLICA",
          desiredCount,
          availabilityZoneRebalancing: this.#pick(["ENABLED", "DISABLED"]),
          ...this.#settings(),
          ...(this.#chance(0.7) ? { loadBalancers: this.#world.balanced.get(serviceName)?.loadBalancers } : {}),
        };
    const answer = await this.#call<{ service: Service }>("CreateService", { serviceName, taskDefinition, launchType: "EC2", ...input });
    if (answer === undefined) this.#doubt(serviceName);
    else if (!(answer instanceof ApiError)) this.#wishes.set(serviceName, { desiredCount, daemon, certain: true });
  }

  async #update(): Promise<void> {
    const service = this.#pick(names);
    const wish = this.#wishes.get(service);
    const desiredCount = this.#chance(0.4) && !wish?.daemon ? this.#below(7) : undefined;
    const input = {
      desiredCount,
      taskDefinition: this.#chance(0.5) ? (this.#chance(0.7) ? this.#pick(goodOf(service)) : this.#pick(bad)) : undefined,
      forceNewDeployment: this.#chance(0.2) || undefined,
      ...(this.#chance(0.2) && !wish?.daemon ? this.#settings() : {}),
    };
    const answer = await this.#call("UpdateService", { service, ...input });
    if (answer === undefined) this.#doubt(service);
    else if (!(answer instanceof ApiError) && wish && desiredCount !== undefined) this.#wishes.set(service, { ...wish, desiredCount });
  }

  async #stopDeployment(): Promise<void> {
    const open = [...this.#world.picture.deployments.values()].filter(
      ({ rolloutState, status }) => rolloutState === "IN_PROGRESS" && status === "PRIMARY",
    );
    if (open.length === 0) return;
    const { serviceDeploymentArn } = this.#pick(open);
    await this.#call("StopServiceDeployment", { serviceDeploymentArn, stopType: this.#pick(["ROLLBACK", "ABORT"]) });
  }

  /** Somebody looks after those that are paused. */
  async #continue(action: "CONTINUE" | "ROLLBACK"): Promise<void> {
    for (const { serviceDeploymentArn, shift, rolloutState, status } of this.#world.picture.deployments.values()) {
      const hook = shift?.hooks.find((each) => each.status === "AWAITING_ACTION");
      if (hook && rolloutState === "IN_PROGRESS" && status === "PRIMARY")
        await this.#call("ContinueServiceDeployment", { serviceDeploymentArn, hookId: hook.id, action });
    }
  }

  async #delete(): Promise<void> {
    const service = this.#pick(names);
    const answer = await this.#call("DeleteService", { service, force: true });
    if (answer === undefined) this.#doubt(service);
    else if (!(answer instanceof ApiError)) this.#wishes.delete(service);
  }

  #doubt(service: string): void {
    this.#wishes.set(service, { desiredCount: 0, daemon: false, ...this.#wishes.get(service), certain: false });
  }

  async #stopTask(): Promise<void> {
    const task = this.#someTask();
    if (task !== undefined) await this.#call("StopTask", { task, reason: "the scenario wants it" });
  }

  #someTask(): string | undefined {
    const live = names.flatMap((name) => this.#world.picture.liveOf(name));
    return live.length > 0 ? this.#pick(live).arn : undefined;
  }

  async #protect(): Promise<void> {
    const tasks = [this.#someTask(), this.#someTask()].filter((task) => task !== undefined);
    if (tasks.length === 0) return;
    const protectionEnabled = this.#chance(0.8);
    const expiresInMinutes = protectionEnabled ? 1 + this.#below(3) : undefined;
    await this.#call("UpdateTaskProtection", { tasks: [...new Set(tasks)], protectionEnabled, expiresInMinutes });
  }

  async #runTask(): Promise<void> {
    await this.#call("RunTask", { taskDefinition: this.#pick(["big", "batch-job"]), count: 1 + this.#below(3) });
  }

  async #instanceState(): Promise<void> {
    const containerInstances = [this.#pick(this.#world.agents).instance];
    await this.#call("UpdateContainerInstancesState", { containerInstances, status: this.#pick(["DRAINING", "ACTIVE"]) });
  }

  #trouble(agent: ScriptedAgent): void {
    const way = this.#below(5);
    if (way === 0) agent.drop();
    else if (way === 1) agent.fallSilent();
    else if (way === 2) agent.hang();
    else if (way === 3) agent.crash();
    else agent.start();
  }

  /** Machines come and go. */
  async #instances(): Promise<void> {
    const { agents } = this.#world;
    if (agents.length < 5 && this.#chance(0.5)) this.#world.addInstance(this.#seed * 1000 + agents.length, this.#chaos).start();
    else if (agents.filter(({ dismissed }) => !dismissed).length > 1)
      await this.#call("DeregisterContainerInstance", { containerInstance: this.#pick(agents).instance, force: true });
  }

  /** The server dies, now or at one of its next writes, or its disk is full for a while. */
  async #strike(): Promise<void> {
    this.#deaths++;
    const way = this.#below(6);
    if (way === 0) this.#world.killServer();
    else if (way === 1) await this.#world.stopServer();
    else if (way === 2) this.#world.diskFull = !this.#world.diskFull;
    else this.#world.killAtWrite(this.#below(10), way % 2 === 0);
  }

  /** From here on nothing goes wrong; what needs a hand gets one. */
  async heal(): Promise<void> {
    const world = this.#world;
    this.#healing = true;
    world.disarm();
    world.diskFull = false;
    for (const agent of world.agents) agent.chaos = 0;
    world.setAlarm("errors", "OK");
    await world.startServer();
    for (const agent of world.agents) agent.start();
    await this.#wait(1000);
    const containerInstances = world.agents
      .map(({ instance }) => instance)
      .filter((id) => world.picture.instances.get(id)?.status === "DRAINING");
    if (containerInstances.length > 0) await this.#call("UpdateContainerInstancesState", { containerInstances, status: "ACTIVE" });
    for (const task of world.picture.tasks.values())
      if (!task.group.startsWith("service:") && world.picture.live(task.id)) await this.#call("StopTask", { task: task.arn });
    for (const service of await this.#describe()) if (service.status === "ACTIVE") await this.#loosen(service);
    const mended = new Set<string>();
    const deadline = world.clock.now() + 20 * 60_000;
    // Zones are looked at once a minute.
    const rebalances = [...world.picture.services.values()].some(
      ({ availabilityZoneRebalancing }) => availabilityZoneRebalancing === "ENABLED",
    );
    const enough = rebalances ? 13 : quietSteps;
    for (let quiet = 0; quiet < enough;) {
      const { revision } = world.disk;
      await this.#continue("CONTINUE");
      await this.#wait(5000);
      const services = await this.#describe();
      const unsettled = services.filter((service) => !isSettled(world, service));
      const others = [...world.picture.tasks.values()].filter(({ id, group }) => !group.startsWith("service:") && world.picture.live(id));
      const busy = others.length > 0 || world.agents.some((agent) => agent.busy);
      quiet = unsettled.length === 0 && !busy && world.disk.revision === revision ? quiet + 1 : 0;
      for (const service of unsettled) {
        const name = service.serviceName!;
        const primary = service.deployments?.find(({ status }) => status === "PRIMARY");
        const breaker = service.deploymentConfiguration?.deploymentCircuitBreaker;
        // The breaker has its turn first.
        // Two revisions with the same fixed port have no room side by side.
        const cramped =
          shiftsTraffic(service.deploymentConfiguration?.strategy) &&
          service.deployments!.some(({ taskDefinition }) => /ported:\d+$/.test(taskDefinition!));
        const outOfRoom = capacityFor(world, service) < service.desiredCount! && triesInVain(service);
        const hopeless =
          cramped || outOfRoom || (isBroken(service.taskDefinition!) && (primary?.rolloutState !== "IN_PROGRESS" || !breaker?.enable));
        const stuck = primary?.rolloutState === "FAILED";
        if (service.status !== "ACTIVE" || mended.has(name) || !(hopeless || stuck)) continue;
        const answer = await this.#call("UpdateService", { service: name, taskDefinition: "app:1", forceNewDeployment: true });
        assert.ok(answer && !(answer instanceof ApiError), `${name} could not be mended`);
        mended.add(name);
      }
      if (world.clock.now() >= deadline) assert.fail(`never settled, ${others.length} other tasks: ${unsettled.map(explain).join("; ")}`);
    }
  }

  /** Percents that leave no room to move, as AWS's own event asks for. */
  async #loosen({ serviceName, desiredCount, schedulingStrategy, deployments, deploymentConfiguration }: Service): Promise<void> {
    const { minimumHealthyPercent, maximumPercent, deploymentCircuitBreaker } = deploymentConfiguration!;
    const daemon = schedulingStrategy === "DAEMON";
    const upper = Math.floor((desiredCount! * maximumPercent!) / 100);
    const lower = Math.ceil((desiredCount! * minimumHealthyPercent!) / 100);
    const scarce = deployments!.some(({ taskDefinition }) => /ported:\d+$/.test(taskDefinition!));
    if (lower < upper && !daemon && !scarce) return;
    const loose = { minimumHealthyPercent: 0, maximumPercent: daemon ? 100 : 200, ...(daemon ? {} : { deploymentCircuitBreaker }) };
    const answer = await this.#call("UpdateService", { service: serviceName, deploymentConfiguration: loose });
    assert.ok(answer && !(answer instanceof ApiError), `${serviceName}: its percents could not be changed`);
  }

  async #describe(): Promise<Service[]> {
    const answer = await this.#call<{ services: Service[] }>("DescribeServices", { services: [...names] });
    assert.ok(answer && !(answer instanceof ApiError));
    return answer.services;
  }

  async end(): Promise<ServiceScenario> {
    const world = this.#world;
    // What runs is ready a second later, or ten where others have failed.
    await world.clock.advance(12_000);
    const services = await this.#describe();
    for (const [name, wish] of this.#wishes) {
      const service = services.find(({ serviceName }) => serviceName === name);
      if (!wish.certain) continue;
      assert.equal(service?.status, "ACTIVE", `${name} was made and is gone`);
      if (!wish.daemon) assert.equal(service.desiredCount, wish.desiredCount, `${name}: an acknowledged change was lost`);
    }
    for (const name of names) {
      const status = services.find(({ serviceName }) => serviceName === name)?.status;
      if (!this.#wishes.has(name)) assert.notEqual(status, "ACTIVE", `${name} was deleted and is there`);
    }
    checkServiceEnds(world, services);
    for (const name of names) world.balancers.checkEnd(name);
    await checkServiceRest(world);
    if (this.#seed % 2 === 0) await this.#deleteAll();
    if (world.violations.length > 0) throw world.violations[0]!;
    const { starts, stops, healthyStops, rollbacks } = world.counts;
    const digest = createHash("sha256")
      .update(JSON.stringify(world.disk.list("")))
      .digest("hex");
    return { starts, stops, healthyStops, rollbacks, deaths: this.#deaths, digest };
  }

  async #deleteAll(): Promise<void> {
    for (const { serviceName, status } of await this.#describe())
      if (status === "ACTIVE") await this.#call("DeleteService", { service: serviceName, force: true });
    for (let i = 0; i < 40; i++) {
      await this.#wait(5000);
      const left = names.flatMap((name) => this.#world.picture.liveOf(name));
      const services = await this.#describe();
      if (left.length === 0 && services.every(({ status }) => status === "INACTIVE")) return;
    }
    assert.fail("DeleteService does not come to its end");
  }
}
