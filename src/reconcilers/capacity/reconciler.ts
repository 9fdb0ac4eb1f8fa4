import { autoscalingKeys, type GroupRecord, type MemberRecord } from "#model/autoscaling-records.ts";
import { capacityKeys, type CapacityProviderRecord, groupNameOf, isManaged } from "#model/capacity-records.ts";
import { ecsKeys, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ClusterRecord, ContainerInstanceRecord, TaskRecord } from "#model/ecs-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followChanges, valueOf } from "../feed.ts";
import { launchOf, versionOf } from "../instances/template.ts";
import type { LaunchTemplateRecord } from "#model/instance-records.ts";
import { createKeyQueue } from "../queue.ts";
import { clusterQueue } from "../task-writes.ts";
import { changeVpc } from "../vpc/make-vpc.ts";
import { decideScaling, type Need } from "./decide.ts";
import { drainingOf, type HostState } from "./drain.ts";
import { linkInstances } from "./link.ts";
import { createPlacer, type PlacerOptions } from "./place.ts";
import { eachEntry } from "#store/each-entry.ts";

/**
 * ECS's capacity providers on Auto Scaling groups: ties container instances to their provider, places the tasks that wait, sizes the groups, protects instances with tasks, and drains those
 * that are to go. By account and region, everything is looked at from the records; each step writes by itself, and repeating one changes nothing.
 */
export interface CapacityReconciler {
  start(): void;
  stop(): Promise<void>;
  idle(): Promise<void>;
}

/** CloudWatch's CapacityProviderReservation, in the namespace AWS/ECS/ManagedScaling. */
export interface ReservationSample {
  readonly scope: Scope;
  readonly cluster: string;
  readonly capacityProvider: string;
  /** Percent. */
  readonly value: number;
  readonly at: number;
}

export interface CapacityOptions extends PlacerOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  /** Fewer instances must do for so long before any goes. */
  readonly scaleInAfterMs: number;
  readonly publish?: (sample: ReservationSample) => void;
}

const passMs = 10_000;
const coalesceMs = 50;
const sampleMs = 60_000;

export function createCapacityReconciler(options: CapacityOptions): CapacityReconciler {
  const { store, writer, clock, log } = options;
  const abort = new AbortController();
  const placer = createPlacer(options);
  /** Accounts and regions with a provider on a group. */
  const scopes = new Map<string, Scope>();
  const belowSince = new Map<string, number>();
  const sampledIn = new Map<string, number>();
  const timers = new KeyTimers(clock);
  let cancelPass = () => {};
  const queue = createKeyQueue({ clock, log, name: "capacity", concurrency: 1, handle: pass });

  const wake = (root: string, ms = coalesceMs) => {
    if (scopes.has(root)) timers.atLatest(root, ms, () => queue.add(root));
  };

  async function pass(root: string): Promise<void> {
    const scope = scopes.get(root);
    if (!scope || abort.signal.aborted) return;
    const providers = await values<CapacityProviderRecord>(capacityKeys.providers(scope));
    const clusters = (await values<ClusterRecord>(ecsKeys.clusters(scope))).filter(({ status }) => status === "ACTIVE");
    for (const cluster of clusters) {
      const own = providers.filter(({ name }) => cluster.capacityProviders.includes(name));
      if (own.length === 0) continue;
      await linkInstances(store, writer, scope, cluster.name, own);
      await placer.place(scope, cluster.name);
    }
    for (const provider of providers) {
      const users = clusters.filter(({ capacityProviders }) => capacityProviders.includes(provider.name));
      await manage(scope, provider, users);
    }
  }

  async function values<T>(prefix: string): Promise<T[]> {
    return (await store.list<T>(prefix)).entries.map(({ value }) => value);
  }

  async function manage(scope: Scope, provider: CapacityProviderRecord, clusters: readonly ClusterRecord[]): Promise<void> {
    const { autoScalingGroupProvider: given } = provider;
    const name = groupNameOf(given.autoScalingGroupArn);
    const group = (await store.get<GroupRecord>(autoscalingKeys.group(scope, name)))?.value;
    if (!group) return;
    const members = await values<MemberRecord>(autoscalingKeys.membersOf(scope, name));
    const hosts = await hostsOf(scope, clusters);
    if (given.managedDraining === "ENABLED") await drain(scope, members, hosts);
    if (given.managedTerminationProtection === "ENABLED") await protect(scope, name, hosts);
    if (isManaged(provider) && !group.deleting && clusters.length > 0) await scale(scope, provider, group, members, hosts, clusters);
  }

  /** The container instances of these clusters by their EC2 instance. */
  async function hostsOf(scope: Scope, clusters: readonly ClusterRecord[]): Promise<Map<string, HostState>> {
    const hosts = new Map<string, HostState>();
    for (const { name: cluster } of clusters) {
      const daemons = new Set(
        (await values<ServiceRecord>(ecsKeys.services(scope, cluster))).flatMap(({ name, schedulingStrategy }) =>
          schedulingStrategy === "DAEMON" ? [`service:${name}`] : [],
        ),
      );
      for (const record of await values<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster))) {
        if (record.status === "INACTIVE") continue;
        const allocation = (await store.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, record.id)))?.value;
        const tasks = Object.values(allocation?.tasks ?? {}).filter(({ group }) => !daemons.has(group)).length;
        hosts.set(record.ec2InstanceId, { record, tasks });
      }
    }
    return hosts;
  }

  async function drain(scope: Scope, members: readonly MemberRecord[], hosts: ReadonlyMap<string, HostState>): Promise<void> {
    for (const member of members) {
      const host = hosts.get(member.id);
      const step = drainingOf(member, host, clock.now());
      if (step.drain && host) await setDraining(scope, host.record);
      if (!step.waiting) continue;
      await changeVpc(writer, scope, async (unit) => {
        const key = autoscalingKeys.member(scope, member.group, member.id);
        const current = await unit.get<MemberRecord>(key);
        const again = current && drainingOf(current, host, clock.now()).waiting;
        if (current && again) unit.put(key, { ...current, waiting: again } satisfies MemberRecord);
      });
    }
  }

  async function setDraining(scope: Scope, { cluster, id }: ContainerInstanceRecord): Promise<void> {
    await writer.run(clusterQueue(scope, cluster), async (unit) => {
      const key = ecsKeys.containerInstance(scope, cluster, id);
      const current = await unit.get<ContainerInstanceRecord>(key);
      if (current?.status !== "ACTIVE") return;
      unit.put(key, { ...current, status: "DRAINING", version: current.version + 1 } satisfies ContainerInstanceRecord);
    });
  }

  /** An instance with tasks may not be chosen when the group shrinks; one without may. Source: ECS Developer Guide, "Control the instances Amazon ECS terminates". */
  async function protect(scope: Scope, group: string, hosts: ReadonlyMap<string, HostState>): Promise<void> {
    const members = await values<MemberRecord>(autoscalingKeys.membersOf(scope, group));
    const wrong = members.filter(({ id, lifecycle, protected: is }) => {
      const host = hosts.get(id);
      return host && lifecycle === "InService" && is !== host.tasks > 0;
    });
    if (wrong.length === 0) return;
    await changeVpc(writer, scope, async (unit) => {
      for (const { id } of wrong) {
        const key = autoscalingKeys.member(scope, group, id);
        const current = await unit.get<MemberRecord>(key);
        if (current?.lifecycle === "InService") unit.put(key, { ...current, protected: hosts.get(id)!.tasks > 0 } satisfies MemberRecord);
      }
    });
  }

  async function scale(
    scope: Scope,
    provider: CapacityProviderRecord,
    group: GroupRecord,
    members: readonly MemberRecord[],
    hosts: ReadonlyMap<string, HostState>,
    clusters: readonly ClusterRecord[],
  ): Promise<void> {
    const now = clock.now();
    const key = autoscalingKeys.group(scope, group.name);
    const { managedScaling = {} } = provider.autoScalingGroupProvider;
    const active = members.filter(({ lifecycle }) => lifecycle === "Pending" || lifecycle === "InService");
    const waiting: Need[] = [];
    for (const cluster of clusters) waiting.push(...(await needsOf(scope, cluster.name, provider.name)));
    const decided = decideScaling(
      {
        desired: group.desired,
        min: group.min,
        max: group.max,
        instances: active.length,
        busy: active.filter(({ id }) => (hosts.get(id)?.tasks ?? 0) > 0).length,
        waiting,
        size: await sizeOf(scope, group, members, hosts),
        targetCapacity: managedScaling.targetCapacity ?? 100,
        minimumStep: managedScaling.minimumScalingStepSize ?? 1,
        maximumStep: managedScaling.maximumScalingStepSize ?? 10_000,
        belowSince: belowSince.get(key),
        scaleInAfterMs: options.scaleInAfterMs,
      },
      now,
    );
    if (decided.belowSince === undefined) belowSince.delete(key);
    else {
      belowSince.set(key, decided.belowSince);
      wake(ecsKeys.root(scope), Math.max(coalesceMs, Math.min(passMs, decided.belowSince + options.scaleInAfterMs - now)));
    }
    // One for each minute of the clock, or periods of a minute would have holes.
    const minute = Math.floor(now / sampleMs);
    if (sampledIn.get(key) !== minute) {
      sampledIn.set(key, minute);
      for (const { name: cluster } of clusters)
        options.publish?.({ scope, cluster, capacityProvider: provider.name, value: decided.reservation, at: now });
    }
    if (decided.desired === group.desired) return;
    log.info(
      { group: group.name, from: group.desired, to: decided.desired, reservation: Math.round(decided.reservation) },
      "the capacity provider sizes its group",
    );
    await changeVpc(writer, scope, async (unit) => {
      const current = await unit.get<GroupRecord>(key);
      if (!current || current.deleting || current.desired !== group.desired) return;
      unit.put(key, { ...current, desired: Math.min(current.max, Math.max(current.min, decided.desired)) } satisfies GroupRecord);
    });
  }

  async function needsOf(scope: Scope, cluster: string, provider: string): Promise<Need[]> {
    const prefix = capacityKeys.waitingOf(scope, cluster);
    const needs: Need[] = [];
    for (const { key } of (await store.list(prefix)).entries) {
      const task = (await store.get<TaskRecord>(ecsKeys.task(scope, cluster, key.slice(prefix.length))))?.value;
      if (task?.waiting && task.capacityProviderName === provider)
        needs.push({
          cpu: task.resources.cpu,
          memory: task.resources.memory,
          ports: [...task.resources.portsTcp, ...task.resources.portsUdp.map((port) => port + 65_536)],
        });
    }
    return needs;
  }

  /** As an instance of the group has registered, or as its type says. */
  async function sizeOf(
    scope: Scope,
    group: GroupRecord,
    members: readonly MemberRecord[],
    hosts: ReadonlyMap<string, HostState>,
  ): Promise<{ cpu: number; memory: number }> {
    for (const { id } of members) {
      const registered = hosts.get(id)?.record.registeredResources;
      if (registered) return { cpu: registered.cpu, memory: registered.memory };
    }
    const template = (await store.get<LaunchTemplateRecord>(vpcKeys.one(scope, "launch-template", group.template.id)))?.value;
    const data = template && versionOf(template, group.template.version)?.data;
    const name = group.mixed?.types[0] ?? (data ? launchOf(data).instanceType : undefined);
    const type = instanceTypes.get(name ?? "");
    // What is kept back for the instance itself is known once one has registered.
    return type
      ? { cpu: type.vcpus * 1024, memory: Math.floor(Math.min(type.memoryMiB * 0.955, type.memoryMiB - 96)) }
      : { cpu: 0, memory: 0 };
  }

  function take(key: string, value: unknown): void {
    const parsed = parseEcsKey(key);
    if (!parsed) return;
    const root = ecsKeys.root(parsed.scope);
    if (parsed.kind === "capacity-provider" && value !== undefined) scopes.set(root, parsed.scope);
    if (interesting.has(parsed.kind)) wake(root);
  }

  async function lookAtAll(): Promise<number> {
    const revision = await eachEntry(store, "/ecs/", take, abort.signal);
    for (const root of scopes.keys()) wake(root);
    return revision;
  }

  const ofOther = (key: string) => {
    const [, , account, region] = key.split("/");
    if (account && region) wake(ecsKeys.root({ account, region }));
  };
  const everything = async () => {
    for (const root of scopes.keys()) wake(root);
    return (await store.list(capacityKeys.everyWaiting, { limit: 1 })).revision;
  };

  function periodically(): void {
    cancelPass = clock.after(passMs, () => {
      for (const root of scopes.keys()) wake(root);
      periodically();
    });
  }

  let following: Promise<unknown> = Promise.resolve();
  return {
    start() {
      const follow = { store, clock, log, signal: abort.signal };
      following = Promise.all([
        followChanges({
          ...follow,
          prefix: "/ecs/",
          behind: lookAtAll,
          changed: (event) => take(event.key, valueOf(event)),
        }),
        followChanges({ ...follow, prefix: autoscalingKeys.everything, behind: everything, changed: (event) => ofOther(event.key) }),
        followChanges({ ...follow, prefix: capacityKeys.everyWaiting, behind: everything, changed: (event) => ofOther(event.key) }),
      ]);
      periodically();
    },
    async stop() {
      abort.abort();
      cancelPass();
      timers.stop();
      await queue.stop();
      await following;
    },
    idle: () => queue.idle(),
  };
}

const interesting: ReadonlySet<string> = new Set(["capacity-provider", "cluster", "container-instance", "allocation", "connection"]);
