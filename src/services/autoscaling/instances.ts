import type * as Sdk from "@aws-sdk/client-auto-scaling";
import { autoscalingKeys, type ActivityRecord, type MemberRecord } from "#model/autoscaling-records.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { beginTermination, finishActivity, startActivity } from "#reconcilers/autoscaling/activities.ts";
import { autoscalingErrors, type Change, memberOf, membersOf, needGroup, putGroup, putMember } from "./context.ts";
import { activityView } from "./views.ts";

/** A group's instances, one by one. Source: Amazon EC2 Auto Scaling API Reference. */

const { validation } = autoscalingErrors;

export async function setInstanceProtection(
  change: Change,
  input: Sdk.SetInstanceProtectionQuery,
): Promise<Sdk.SetInstanceProtectionAnswer> {
  const group = await needGroup(change, input.AutoScalingGroupName);
  const members = new Map((await membersOf(change, group.name)).map((each) => [each.id, each]));
  for (const id of input.InstanceIds ?? []) {
    const member = members.get(id);
    if (!member) throw validation(`The instance ${id} is not part of Auto Scaling group ${group.name}.`);
    putMember(change, { ...member, protected: input.ProtectedFromScaleIn ?? false });
  }
  return {};
}

export async function setInstanceHealth(change: Change, input: Sdk.SetInstanceHealthQuery): Promise<object> {
  const member = await memberOf(change, input.InstanceId ?? "");
  const status = input.HealthStatus;
  if (status !== "Healthy" && status !== "Unhealthy") throw validation("HealthStatus must be Healthy or Unhealthy.");
  const group = await needGroup(change, member.group);
  const inGrace =
    input.ShouldRespectGracePeriod !== false && change.now - (member.inServiceAt ?? change.now) < group.healthCheckGraceSeconds * 1000;
  if (status === "Unhealthy" && inGrace) return {};
  const { unhealthy: _, ...well } = member;
  putMember(change, status === "Unhealthy" ? { ...member, unhealthy: true } : well);
  return {};
}

export async function terminateInstanceInGroup(
  change: Change,
  input: Sdk.TerminateInstanceInAutoScalingGroupType,
): Promise<Sdk.ActivityType> {
  const member = await memberOf(change, input.InstanceId ?? "");
  const group = await needGroup(change, member.group);
  const decrement = input.ShouldDecrementDesiredCapacity ?? false;
  if (decrement) {
    if (group.desired - 1 < group.min)
      throw validation(
        `Currently, desiredSize equals minSize (${group.min}). Terminating instance without replacement will violate group's min size constraint.`,
      );
    putGroup(change, { ...group, desired: group.desired - 1 });
  }
  if (!member.lifecycle.startsWith("Terminating"))
    await beginTermination(
      change.unit,
      change.scope,
      group,
      member,
      `instance ${member.id} was taken out of service in response to a user request${decrement ? `, shrinking the capacity from ${group.desired} to ${group.desired - 1}` : ""}.`,
      { random: change.deps.random, now: change.now, hooks: true },
    );
  const current = await memberOf(change, member.id);
  const activity =
    current.activity && (await change.unit.get<ActivityRecord>(autoscalingKeys.activity(change.scope, group.name, current.activity)));
  return { Activity: activity && activityView(group, activity) };
}

export async function attachInstances(change: Change, input: Sdk.AttachInstancesQuery): Promise<object> {
  const { unit, scope, now, deps } = change;
  const group = await needGroup(change, input.AutoScalingGroupName);
  const ids = input.InstanceIds ?? [];
  if (group.desired + ids.length > group.max)
    throw validation(
      `AutoScalingGroup ${group.name} has min-size=${group.min}, max-size=${group.max}, and desired-size=${group.desired}. To attach ${ids.length} more instance, please update the AutoScalingGroup sizes appropriately.`,
    );
  const all = await unit.list<MemberRecord>(autoscalingKeys.members(scope));
  for (const id of ids) {
    const instance = await unit.get<InstanceRecord>(vpcKeys.one(scope, "instance", id));
    if (!instance || instance.desired !== "running") throw validation(`Invalid Instance ID(s): [${id}] specified: it is not running.`);
    if ([...all.values()].some((each) => each.id === id)) throw validation(`Instance ${id} is already part of an AutoScalingGroup.`);
    const activity = startActivity(unit, scope, group, {
      random: deps.random,
      now,
      description: `Attaching an existing EC2 instance: ${id}`,
      cause: `At ${new Date(now).toISOString().replace(/\.\d+Z$/, "Z")} an instance was attached in response to a user request.`,
      zone: instance.availabilityZone,
    });
    putMember(change, {
      id,
      group: group.name,
      zone: instance.availabilityZone,
      instanceType: instance.instanceType,
      lifecycle: "Pending",
      protected: group.newInstancesProtected,
      template: instance.launchTemplate ?? { id: group.template.id, name: group.template.name, version: 0 },
      joinedAt: now,
      activity,
    });
    unit.put(vpcKeys.one(scope, "instance", id), { ...instance, autoScalingGroup: group.name } satisfies InstanceRecord);
  }
  putGroup(change, { ...group, desired: group.desired + ids.length });
  return {};
}

export async function detachInstances(change: Change, input: Sdk.DetachInstancesQuery): Promise<Sdk.DetachInstancesAnswer> {
  const { unit, scope, now, deps } = change;
  const group = await needGroup(change, input.AutoScalingGroupName);
  const members = new Map((await membersOf(change, group.name)).map((each) => [each.id, each]));
  const ids = input.InstanceIds ?? [];
  const decrement = input.ShouldDecrementDesiredCapacity ?? false;
  if (decrement && group.desired - ids.length < group.min)
    throw validation(
      `Currently, desiredSize equals minSize (${group.min}). Detaching instances without replacement will violate group's min size constraint.`,
    );
  const activities: Sdk.Activity[] = [];
  for (const id of ids) {
    const member = members.get(id);
    if (!member) throw validation(`The instance ${id} is not part of Auto Scaling group ${group.name}.`);
    const activity = startActivity(unit, scope, group, {
      random: deps.random,
      now,
      description: `Detaching EC2 instance: ${id}`,
      cause: `At ${new Date(now).toISOString().replace(/\.\d+Z$/, "Z")} instance ${id} was detached in response to a user request.`,
      zone: member.zone,
    });
    await finishActivity(unit, scope, group.name, activity, "Successful", now);
    const record = await unit.get<ActivityRecord>(autoscalingKeys.activity(scope, group.name, activity));
    if (record) activities.push(activityView(group, record));
    unit.delete(autoscalingKeys.member(scope, group.name, id));
    const instance = await unit.get<InstanceRecord>(vpcKeys.one(scope, "instance", id));
    if (instance) {
      const { autoScalingGroup: _, ...free } = instance;
      unit.put(vpcKeys.one(scope, "instance", id), { ...free, tags: free.tags.filter(({ key }) => key !== "aws:autoscaling:groupName") });
    }
  }
  if (decrement) putGroup(change, { ...group, desired: group.desired - ids.length });
  return { Activities: activities };
}
