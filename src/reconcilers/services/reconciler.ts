import { alarmKeys } from "#model/alarms/keys.ts";
import { capacityKeys, type CapacityProviderRecord, isManaged } from "#model/capacity-records.ts";
import { ecsKeys, type NodePlace, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { ConnectionRecord, TaskDefinitionRecord, TaskLoadBalancer, TaskRecord } from "#model/ecs-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { RevisionSpec, ServiceRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import { type Clock, sleep } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { obstacleOn } from "#scheduler/place.ts";
import { isStopped } from "#model/task-state.ts";
import { splitByStrategy, type ProviderShare } from "#scheduler/capacity-providers.ts";
import type { PlacementRequest, Rejection } from "#scheduler/types.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followChanges, followView, valueOf } from "../feed.ts";
import { fullPassMs, serviceRetentionMs } from "../limits.ts";
import { createKeyQueue } from "../queue.ts";
import { clusterQueue, spotProvider } from "../task-writes.ts";
import { fargateProviders, nameless, onEc2, targetOf, type LaunchTarget, type NetworkWish } from "../launch.ts";
import type { Machine } from "../nodes.ts";
import { chosenLoadBalancers, taskLoadBalancers } from "../task-targets.ts";
import { isBarred, reopenForSpot } from "../spot.ts";
import { createHooks, openShift, type CallHook } from "./hooks.ts";
import { applyDecision, forgetService, placingOf, type Placed, type Placing } from "./apply.ts";
import { decideService, type Decision } from "./decide.ts";
import { alarmStateKeys, openAlarms, readAlarms } from "./deployment-alarms.ts";
import { nodeIn, ServiceIndex, type ClusterEntry, type InstanceEntry, type ServiceEntry } from "./index.ts";
import { snapshotOf } from "./snapshot.ts";
import { trafficProblem } from "./traffic.ts";

/** Nobody waits longer than this for what was written to come in. */
const staleMs = 1000;

export interface ServiceReconcilerOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly index: ServiceIndex;
  /** How a task of the service, made from this definition, is to be placed, and how it is made. Throws for what can't be run. */
  readonly taskOf: (options: {
    readonly scope: Scope;
    readonly service: ServiceRecord;
    readonly group: string;
    readonly spec: RevisionSpec;
    readonly definition: TaskDefinitionRecord;
    /** Those of the revision, as far as their target groups are there. */
    readonly loadBalancers: readonly TaskLoadBalancer[];
  }) => {
    /** Where there is no strategy. */
    readonly launchType: string | undefined;
    readonly requestFor: (target: LaunchTarget, count: number) => PlacementRequest;
    /** Of `awsvpc` tasks. */
    readonly network: NetworkWish | undefined;
    readonly make: (machine: Machine, target: LaunchTarget, now: number) => TaskRecord;
    /** One that waits until its capacity provider has room. */
    readonly wait: (target: LaunchTarget, now: number) => TaskRecord;
  };
  /** AWS's sentence about a role that tasks of the definition cannot become; undefined when they can become all of theirs. */
  readonly roleProblem: (scope: Scope, definition: TaskDefinitionRecord, now: number) => Promise<string | undefined>;
  /** `Config.publicPool`. */
  readonly publicPool: string;
  readonly callHook: CallHook;
}

export interface ServiceReconciler {
  start(): void;
  stop(): Promise<void>;
  idle(): Promise<void>;
  startOver(): Promise<void>;
}

const isOnFargate = ({ launchType, strategy }: Launch) =>
  launchType === "FARGATE" || strategy.some(({ capacityProvider }) => fargateProviders.includes(capacityProvider));

const placeIn = (pool: { readonly instances: ReadonlyMap<string, InstanceEntry> }, id: string): NodePlace => pool.instances.get(id)!.place;

type Launch = ReturnType<ServiceReconcilerOptions["taskOf"]> & {
  readonly strategy: readonly ProviderShare[];
  readonly definition: TaskDefinitionRecord;
};

/** One part, or one for each capacity provider that gets tasks: base and weight count over those of the group that live already. */
function partsOf(
  cluster: ClusterEntry,
  { tasks }: ServiceEntry,
  group: string,
  { launchType, strategy }: Launch,
  count: number,
): { readonly target: LaunchTarget; readonly count: number }[] {
  if (strategy.length === 0) return [{ target: targetOf(launchType, undefined), count }];
  const existing = new Map<string, number>();
  for (const { id, startedBy, capacityProviderName: provider } of tasks.values()) {
    if (startedBy === group && provider && !isStopped(cluster.observed.get(id))) existing.set(provider, (existing.get(provider) ?? 0) + 1);
  }
  const counts = new Map<string, number>();
  for (const provider of splitByStrategy(strategy, existing, count)) counts.set(provider, (counts.get(provider) ?? 0) + 1);
  return [...counts].map(([provider, each]) => ({ target: targetOf(undefined, provider), count: each }));
}

/**
 * Keeps services as they are wanted: by the key of a service, joins what is known of it, decides, writes. Level-triggered: events only wake it, everything is looked at
 * again now and then, and whatever is repeated changes nothing. One process decides at a time: where several servers share the work, who holds a cluster's
 * lease is the one whose reconciler runs, and the comparisons of each write keep even two of them from doing harm.
 */
export function createServiceReconciler(options: ServiceReconcilerOptions): ServiceReconciler {
  const { store, writer, clock, random, log, index } = options;
  const abort = new AbortController();
  const alarms = new Map<string, { readonly at: number; readonly cancel: () => void }>();
  const nextPass = new Map<string, number>();
  /** Services whose deployment an alarm may end: the keys of the alarms' states. */
  const watching = new Map<string, readonly string[]>();
  let cancelFull = () => {};

  const queue = createKeyQueue({ clock, log, name: "services", concurrency: 8, handle: pass });
  const hooks = createHooks({ ...options, signal: abort.signal, cameIn, done: (key) => wake(key) });

  /** Large services are looked at less often: a pass costs by their tasks, and what happens to many at once is seen together. */
  function wake(key: string): void {
    const wait = (nextPass.get(key) ?? 0) - clock.now();
    if (wait <= 0) queue.add(key);
    else alarm(key, clock.now() + wait);
  }

  function alarm(key: string, at: number): void {
    const known = alarms.get(key);
    if (known && known.at <= at) return;
    known?.cancel();
    const ring = () => {
      alarms.delete(key);
      queue.add(key);
    };
    alarms.set(key, { at, cancel: clock.after(Math.min(Math.max(1, Math.ceil(at - clock.now())), 2 ** 30), ring) });
  }

  async function pass(key: string): Promise<void> {
    const parsed = parseEcsKey(key);
    const [clusterName, name] = parsed?.names ?? [];
    if (!parsed || !clusterName || !name) return;
    const cluster = index.cluster(parsed.scope, clusterName);
    const entry = cluster?.services.get(name);
    const service = entry?.record;
    if (!cluster || !entry || !service) {
      nextPass.delete(key);
      watching.delete(key);
      return;
    }
    const { turns } = index;
    const now = clock.now();
    if (service.status === "INACTIVE") {
      await forget(entry, service, now);
      return;
    }
    const launches = new Map<string, Launch | undefined>();
    const launch = async (group: string) => {
      if (!launches.has(group)) launches.set(group, await launchOf(entry, service, group));
      return launches.get(group);
    };
    const wanted = service.deployment === undefined ? undefined : await launch(service.deployment);
    const ofFargate = wanted !== undefined && isOnFargate(wanted);
    const request = wanted?.requestFor(ofFargate ? targetOf("FARGATE", undefined) : onEc2, 1);
    const shift = openShift(entry, service);
    const problem = shift && (await trafficProblem(store, entry.scope, shift));
    const names = openAlarms(entry, service);
    // Before they are read: what changes meanwhile wakes it again.
    if (names) watching.set(key, alarmStateKeys(entry.scope, names));
    else watching.delete(key);
    const alarmFacts = names && (await readAlarms(store, entry.scope, names));
    const snapshot = snapshotOf(cluster, index, entry, service, request, now, problem, alarmFacts);
    const decision = decideService(snapshot, now);
    const placing = await placeAll(cluster, entry, decision, launch, now);
    const { value: outcome, revision } = await writer.commit(clusterQueue(entry.scope, entry.cluster), (unit) =>
      applyDecision(unit, entry, service, decision, placing, { random, publicPool: options.publicPool }, now),
    );
    // Who starts or stops goes on at once, a part at a time; who waits for the agents waits for many of them.
    const busy = placing.placed.length > 0 || (placing.waiting?.length ?? 0) > 0 || decision.stops.length > 0;
    const more = outcome !== "done" || busy || decision.events.length > 0;
    if (more || revision > 0) await cameIn(revision, turns);
    if (abort.signal.aborted) return;
    hooks.call(entry, service, now);
    if (entry.tasks.size > 500 && !busy) nextPass.set(key, clock.now() + Math.min(1000, entry.tasks.size / 50));
    else nextPass.delete(key);
    if (more) wake(key);
    if (decision.wakeAt !== undefined) alarm(key, decision.wakeAt);
  }

  /**
   * What was written as this revision is known here. 0: there was nothing to write, so that what is known here is older than what is in the store; at once it would
   * be decided the same way, for ever, and nobody else had a turn.
   */
  async function cameIn(revision: number, turns = index.turns): Promise<void> {
    if (revision > 0) await Promise.race([index.caughtUp(revision), aborted]);
    else await Promise.race([index.newsAfter(turns), sleep(clock, staleMs, abort.signal).catch(() => {})]);
  }
  const aborted = new Promise<void>((resolve) => abort.signal.addEventListener("abort", () => resolve(), { once: true }));

  async function forget(entry: ServiceEntry, service: ServiceRecord, now: number): Promise<void> {
    const at = (service.inactiveAt ?? 0) + serviceRetentionMs;
    if (now < at) alarm(entry.key, at);
    else await writer.run(clusterQueue(entry.scope, entry.cluster), (unit) => forgetService(unit, entry, service.version));
  }

  async function launchOf({ scope, cluster, name, deployments, taskSets }: ServiceEntry, service: ServiceRecord, group: string) {
    const number = group.slice(group.lastIndexOf("/") + 1);
    const revision = deployments.get(number)?.revision;
    const spec: RevisionSpec | ServiceRevisionRecord | undefined =
      revision === undefined
        ? taskSets.get(number)
        : (await store.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, cluster, name, revision)))?.value;
    const match = /task-definition\/(.+):(\d+)$/.exec(spec?.taskDefinition ?? "");
    if (!spec || !match) return undefined;
    const definition = (await store.get<TaskDefinitionRecord>(ecsKeys.taskDefinition(scope, match[1]!, Number(match[2]))))?.value;
    if (!definition) return undefined;
    const loadBalancers = await taskLoadBalancers(store, scope, chosenLoadBalancers(spec));
    const made = options.taskOf({ scope, service, group, spec, definition, loadBalancers });
    return { ...made, strategy: spec.capacityProviderStrategy ?? [], definition };
  }

  async function placeAll(
    cluster: ClusterEntry,
    entry: ServiceEntry,
    { starts }: Decision,
    launch: (group: string) => Promise<Launch | undefined>,
    now: number,
  ): Promise<Placing> {
    const placed: Placed[] = [];
    const rejections: Rejection[] = [];
    const waiting: TaskRecord[] = [];
    const claims: { request: PlacementRequest; count: number }[] = [];
    let missing = 0;
    let nowhere = false;
    let role: string | undefined;
    for (const { group, count, home } of starts) {
      const made = await launch(group);
      if (!made) {
        missing += count;
        continue;
      }
      const problem = await options.roleProblem(entry.scope, made.definition, now);
      if (problem !== undefined) {
        role = problem;
        missing += count;
        continue;
      }
      const { network } = made;
      const add = (instance: string, place: NodePlace, target: LaunchTarget, request: PlacementRequest) =>
        placed.push({ group, instance, place, request, network, make: (machine) => made.make(machine, target, now) });
      if (home !== undefined) {
        const instance = cluster.instances.get(home);
        const node = nodeIn(instance);
        const request = made.requestFor(onEc2, 1);
        const obstacle = node && obstacleOn(node, request);
        if (node && !obstacle) add(home, { ...cluster.scope, cluster: cluster.name }, onEc2, request);
        else missing++;
        if (obstacle) rejections.push(obstacle);
        continue;
      }
      for (const { target, count: part } of partsOf(cluster, entry, group, made, count)) {
        const fargate = target.launchType === "FARGATE";
        const pool = fargate ? index.fargate : cluster;
        if (target.provider === spotProvider) await reopen(now);
        const request = made.requestFor(target, part);
        const placement = index.placement(pool).place(request, () => random.next());
        for (const id of placement.assignments) add(id, placeIn(pool, id), target, request);
        const lacking = part - placement.assignments.length;
        if (!fargate && lacking > 0 && (await isWaitedFor(cluster.scope, target.provider))) {
          for (let each = 0; each < lacking; each++) waiting.push(made.wait(target, now));
          continue;
        }
        missing += lacking;
        if (fargate && lacking > 0) {
          nowhere = true;
          if (target.provider !== spotProvider) claims.push({ request, count: lacking });
        }
        rejections.push(...(fargate ? placement.rejections.map(nameless) : placement.rejections));
      }
    }
    return { ...placingOf(placed, missing, rejections), claims, capacity: nowhere, waiting, ...(role === undefined ? {} : { role }) };
  }

  /** Tasks of a provider with managed scaling wait for its instances. */
  async function isWaitedFor(scope: Scope, provider: string | undefined): Promise<boolean> {
    return provider !== undefined && isManaged((await store.get<CapacityProviderRecord>(capacityKeys.provider(scope, provider)))?.value);
  }

  /** Machines that Spot tasks had to leave a while ago take new ones. */
  async function reopen(now: number): Promise<void> {
    const due = [...index.fargate.instances.values()].filter(
      ({ allocation }) => allocation?.reclaimedAt !== undefined && !isBarred(allocation, now),
    );
    if (due.length === 0) return;
    const places = due.map(({ id, place }) => ({ id, place }));
    const { revision } = await writer.commit("fargate", (unit) => reopenForSpot(unit, places, now));
    await Promise.race([index.caughtUp(revision), aborted]);
  }

  function changed(key: string, value: unknown): void {
    for (const service of index.take(key, value)) wake(service);
    // An agent that is gone now may be gone for good a little later.
    const connection = parseEcsKey(key)?.kind === "connection" ? (value as ConnectionRecord | undefined) : undefined;
    if (connection && !connection.connected && !connection.gone) lostLater(key, connection.since + index.lostAfterMs);
  }

  function lostLater(key: string, at: number): void {
    if (abort.signal.aborted) return;
    const wait = at - clock.now();
    // Timers may come a moment too early, and the next look at everything is a minute away.
    if (wait > 0) clock.after(wait, () => lostLater(key, at));
    else for (const service of index.take(key, index.connection(key))) wake(service);
  }

  function fullPass(): void {
    cancelFull = clock.after(fullPassMs, () => {
      if (abort.signal.aborted) return;
      for (const { key } of index.services()) wake(key);
      fullPass();
    });
  }

  function healthChanged(key: string, value: unknown): void {
    for (const service of index.takeHealth(key, value)) wake(service);
  }

  async function allHealth(): Promise<number> {
    const { entries, revision } = await store.list(elbKeys.everyHealth);
    for (const { key, value } of entries) healthChanged(key, value);
    return revision;
  }

  function alarmChanged(state: string): void {
    for (const [service, keys] of watching) if (keys.includes(state)) wake(service);
  }

  async function allAlarms(): Promise<number> {
    for (const service of watching.keys()) wake(service);
    return (await store.list(alarmKeys.allStates, { limit: 1 })).revision;
  }

  let followingAlarms: Promise<void> = Promise.resolve();
  let followingHealth: Promise<void> = Promise.resolve();
  let following: Promise<void> = Promise.resolve();
  return {
    start() {
      const follow = { store, clock, log, signal: abort.signal };
      following = followView({
        ...follow,
        prefix: "/ecs/",
        empty: () => new ServiceIndex(index.lostAfterMs),
        put: (next, key, value) => void next.take(key, value),
        whole(next) {
          index.replaceBy(next);
          for (const { key } of index.services()) wake(key);
        },
        changed,
        reached: (revision) => index.reached(revision),
      });
      fullPass();
      followingHealth = followChanges({
        ...follow,
        prefix: elbKeys.everyHealth,
        behind: allHealth,
        changed: (event) => healthChanged(event.key, valueOf(event)),
      });
      followingAlarms = followChanges({
        ...follow,
        prefix: alarmKeys.allStates,
        behind: allAlarms,
        changed: (event) => alarmChanged(event.key),
      });
    },
    async stop() {
      abort.abort();
      cancelFull();
      for (const { cancel } of alarms.values()) cancel();
      await queue.stop();
      await hooks.idle();
      await following;
      await followingHealth;
      await followingAlarms;
    },
    idle: () => queue.idle(),
    async startOver() {
      for (const { cancel } of alarms.values()) cancel();
      alarms.clear();
      nextPass.clear();
      watching.clear();
      await queue.idle();
    },
  };
}
