import { autoscalingKeys, groupOfKey, type GroupRecord, type HookRecord, type MemberRecord } from "#model/autoscaling-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { type InstanceObservation, type InstanceRecord, stateOf } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SubnetRecord } from "#model/vpc-records.ts";
import type { Clock } from "#platform/clock.ts";
import { KeyTimers } from "#platform/key-timers.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { followChanges, valueOf } from "../feed.ts";
import { finishTermination, groupsByName, launchInstance, LaunchError, terminate } from "../instances/launch.ts";
import { launchOf, over, templateVersion } from "../instances/template.ts";
import { createKeyQueue } from "../queue.ts";
import { VpcError } from "../vpc/errors.ts";
import { newId } from "../vpc/ids.ts";
import { changeVpc } from "../vpc/make-vpc.ts";
import { beginTermination, finishActivity, startActivity } from "./activities.ts";
import { decideGroup, type Cause, type GroupDecision } from "./decide.ts";

/** Keeps Auto Scaling groups as they are wanted: by a group's key, reads what is known of it, decides, and writes all of it in one transaction of EC2's queue. */
export interface GroupReconciler {
  start(): void;
  stop(): Promise<void>;
  idle(): Promise<void>;
}

const passMs = 30_000;
const firstPauseMs = 5_000;
const longestPauseMs = 300_000;

export function createGroupReconciler(options: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly publicPool: string;
}): GroupReconciler {
  const { store, writer, clock, random, log } = options;
  const abort = new AbortController();
  const timers = new KeyTimers(clock);
  /** Which group an EC2 instance is of. */
  const groupOf = new Map<string, string>();
  let cancelPass = () => {};
  const queue = createKeyQueue({ clock, log, name: "auto scaling groups", concurrency: 4, handle: pass });

  async function pass(key: string): Promise<void> {
    const parsed = groupOfKey(key);
    if (!parsed) return;
    const { scope } = parsed;
    if (!(await store.get(key))) return;
    const decision = await changeVpc(writer, scope, async (unit) => {
      const group = await unit.get<GroupRecord>(key);
      if (!group) return undefined;
      const decided = decideGroup(await factsOf(unit, scope, group), clock.now());
      await apply(unit, scope, group, decided);
      return decided;
    });
    timers.clear(key);
    if (!decision) return;
    if (decision.wakeAt !== undefined) timers.set(key, decision.wakeAt - clock.now(), () => queue.add(key));
    if (decision.leaving.length > 0) queue.add(key);
  }

  async function factsOf(unit: Unit, scope: Scope, group: GroupRecord) {
    const members = [...(await unit.list<MemberRecord>(autoscalingKeys.membersOf(scope, group.name))).values()];
    const hooks = new Set([...(await unit.list<HookRecord>(autoscalingKeys.hooksOf(scope, group.name))).values()].map(({ name }) => name));
    const states = new Map<string, ReturnType<typeof stateOf>>();
    for (const { id } of members) {
      const instance = await unit.get<InstanceRecord>(vpcKeys.one(scope, "instance", id));
      const seen = await unit.get<InstanceObservation>(vpcKeys.one(scope, "instance-observed", id));
      if (instance) states.set(id, stateOf(instance, seen));
    }
    const subnets: { id: string; zone: string }[] = [];
    for (const id of group.subnets) {
      const subnet = await unit.get<SubnetRecord>(vpcKeys.one(scope, "subnet", id));
      if (subnet) subnets.push({ id, zone: subnet.availabilityZone });
    }
    return { group, members, hooks, subnets, stateOf: (id: string) => states.get(id) };
  }

  async function apply(unit: Unit, scope: Scope, group: GroupRecord, decision: GroupDecision): Promise<void> {
    const now = clock.now();
    for (const member of decision.arrived) {
      const { activity, ...rest } = member;
      if (activity) await finishActivity(unit, scope, group.name, activity, "Successful", now);
      unit.put(autoscalingKeys.member(scope, group.name, member.id), {
        ...rest,
        lifecycle: "InService",
        inServiceAt: now,
      } satisfies MemberRecord);
    }
    for (const { member, cause } of decision.leaving)
      await beginTermination(unit, scope, group, member, causes[cause](group), { random, now, hooks: cause !== "deleted" });
    for (const member of decision.terminate) {
      const record = await unit.get<InstanceRecord>(vpcKeys.one(scope, "instance", member.id));
      if (record) {
        const next = terminate(unit, scope, record, now);
        if (next.node === undefined) await finishTermination(unit, scope, next, now);
      }
      const { waiting: _, ...rest } = member;
      unit.put(autoscalingKeys.member(scope, group.name, member.id), { ...rest, lifecycle: "Terminating" } satisfies MemberRecord);
    }
    for (const member of decision.gone) {
      if (member.activity)
        await finishActivity(unit, scope, group.name, member.activity, member.lifecycle === "Pending" ? "Failed" : "Successful", now);
      unit.delete(autoscalingKeys.member(scope, group.name, member.id));
    }
    if (decision.launches.length > 0) await launch(unit, scope, group, decision.launches);
    if (decision.over) {
      for (const prefix of [autoscalingKeys.hooksOf, autoscalingKeys.activitiesOf])
        for (const key of (await unit.list(prefix(scope, group.name))).keys()) unit.delete(key);
      unit.delete(autoscalingKeys.group(scope, group.name));
    }
  }

  async function launch(unit: Unit, scope: Scope, group: GroupRecord, subnets: readonly string[]): Promise<void> {
    const now = clock.now();
    const making = { random, now, publicPool: options.publicPool };
    const cause = `At ${iso(now)} an instance was started in response to a difference between desired and actual capacity, increasing the capacity from ${group.desired - subnets.length} to ${group.desired}.`;
    let failure: string | undefined;
    for (const subnetId of subnets) {
      try {
        const { template, version } = await templateVersion(unit, scope, { id: group.template.id, version: group.template.version });
        const base = launchOf(version.data as object);
        const spec = over(base, { subnetId, ...(group.mixed?.types[0] ? { instanceType: group.mixed.types[0] } : {}) });
        const subnet = await unit.get<SubnetRecord>(vpcKeys.one(scope, "subnet", subnetId));
        const named = spec.groupNames ? await groupsByName(unit, scope, spec.groupNames, subnet?.vpcId) : [];
        const instance = await launchInstance(
          unit,
          scope,
          {
            spec: named.length > 0 ? { ...spec, securityGroupIds: [...(spec.securityGroupIds ?? []), ...named] } : spec,
            reservationId: newId(random, "r"),
            launchIndex: 0,
            launchTemplate: { id: template.id, name: template.name, version: version.number },
            autoScalingGroup: group.name,
            tags: [
              ...(spec.instanceTags ?? []),
              ...group.tags.flatMap(({ key, value, propagate }) => (propagate ? [{ key, value }] : [])),
              { key: "aws:autoscaling:groupName", value: group.name },
              { key: "aws:ec2launchtemplate:id", value: template.id },
              { key: "aws:ec2launchtemplate:version", value: String(version.number) },
            ],
          },
          making,
        );
        const activity = startActivity(unit, scope, group, {
          random,
          now,
          description: `Launching a new EC2 instance: ${instance.id}`,
          cause,
          zone: instance.availabilityZone,
          subnet: subnetId,
        });
        unit.put(autoscalingKeys.member(scope, group.name, instance.id), {
          id: instance.id,
          group: group.name,
          zone: instance.availabilityZone,
          instanceType: instance.instanceType,
          lifecycle: "Pending",
          protected: group.newInstancesProtected,
          template: { id: template.id, name: template.name, version: version.number },
          joinedAt: now,
          activity,
        } satisfies MemberRecord);
      } catch (error) {
        if (!(error instanceof LaunchError) && !(error instanceof VpcError)) throw error;
        failure = `${error.message} Launching EC2 instance failed.`;
        const activity = startActivity(unit, scope, group, {
          random,
          now,
          description: "Launching a new EC2 instance",
          cause,
          zone: "",
          subnet: subnetId,
        });
        await finishActivity(unit, scope, group.name, activity, "Failed", now, failure);
        break;
      }
    }
    if (failure !== undefined) {
      const failures = (group.failures ?? 0) + 1;
      const pausedUntil = now + Math.min(longestPauseMs, firstPauseMs * 2 ** (failures - 1));
      unit.put(autoscalingKeys.group(scope, group.name), { ...group, failures, pausedUntil } satisfies GroupRecord);
    } else if (group.failures !== undefined) {
      const { failures: _, pausedUntil: __, ...well } = group;
      unit.put(autoscalingKeys.group(scope, group.name), well);
    }
  }

  async function lookAtAll(): Promise<number> {
    const { entries, revision } = await store.list(autoscalingKeys.everything);
    for (const { key, value } of entries) take(key, value);
    return revision;
  }

  function take(key: string, value: unknown): void {
    const parsed = groupOfKey(key);
    if (!parsed || parsed.kind === "activity") return;
    const groupKey = autoscalingKeys.group(parsed.scope, parsed.group);
    if (parsed.kind === "member") {
      const id = key.slice(key.lastIndexOf("/") + 1);
      if (value === undefined) groupOf.delete(id);
      else groupOf.set(id, groupKey);
    }
    queue.add(groupKey);
  }

  function periodically(): void {
    cancelPass = clock.after(passMs, () => {
      for (const key of new Set(groupOf.values())) queue.add(key);
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
          prefix: autoscalingKeys.everything,
          behind: lookAtAll,
          changed: (event) => take(event.key, valueOf(event)),
        }),
        followChanges({
          ...follow,
          prefix: vpcKeys.everything,
          behind: lookAtAll,
          changed(event) {
            const [, , , , kind, id = ""] = event.key.split("/");
            const group = kind === "instance" || kind === "instance-observed" ? groupOf.get(id) : undefined;
            if (group) queue.add(group);
          },
        }),
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

const iso = (at: number) => new Date(at).toISOString().replace(/\.\d+Z$/, "Z");

const causes: Readonly<Record<Cause, (group: GroupRecord) => string>> = {
  "scale-in": ({ desired }) =>
    `an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity to ${desired}.`,
  unhealthy: () => "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.",
  deleted: () => "an instance was taken out of service in response to a user request to delete the Auto Scaling group.",
};
