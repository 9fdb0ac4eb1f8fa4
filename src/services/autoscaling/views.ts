import type * as Sdk from "@aws-sdk/client-auto-scaling";
import { pageOf } from "#api/pagination.ts";
import { autoscalingKeys, type ActivityRecord, type GroupRecord, type MemberRecord } from "#model/autoscaling-records.ts";
import { autoscalingErrors, type Change, needGroup, putGroup, type Question } from "./context.ts";
import { tagsOf } from "./groups.ts";

/** What is shown. Source: Amazon EC2 Auto Scaling API Reference, the Describe operations. */

const memberView = (member: MemberRecord) => ({
  InstanceId: member.id,
  InstanceType: member.instanceType,
  AvailabilityZone: member.zone,
  LifecycleState: member.lifecycle as Sdk.LifecycleState,
  HealthStatus: member.unhealthy ? "Unhealthy" : "Healthy",
  ProtectedFromScaleIn: member.protected,
  LaunchTemplate: {
    LaunchTemplateId: member.template.id,
    LaunchTemplateName: member.template.name,
    Version: String(member.template.version),
  },
});

export const tagView = (group: string, { key, value, propagate }: GroupRecord["tags"][number]): Sdk.TagDescription => ({
  ResourceId: group,
  ResourceType: "auto-scaling-group",
  Key: key,
  Value: value,
  PropagateAtLaunch: propagate,
});

function groupView(group: GroupRecord, members: readonly MemberRecord[]): Sdk.AutoScalingGroup {
  const template = { LaunchTemplateId: group.template.id, LaunchTemplateName: group.template.name, Version: group.template.version };
  return {
    AutoScalingGroupName: group.name,
    AutoScalingGroupARN: group.arn,
    ...(group.mixed
      ? { MixedInstancesPolicy: mixedView(group.mixed.given as Sdk.MixedInstancesPolicy, template) }
      : { LaunchTemplate: template }),
    MinSize: group.min,
    MaxSize: group.max,
    DesiredCapacity: group.desired,
    DefaultCooldown: group.cooldown,
    AvailabilityZones: [...group.zones],
    LoadBalancerNames: [],
    TargetGroupARNs: [],
    HealthCheckType: group.healthCheckType,
    HealthCheckGracePeriod: group.healthCheckGraceSeconds,
    Instances: members.map(memberView),
    CreatedTime: new Date(group.createdAt),
    SuspendedProcesses: group.suspended.map(({ name, reason }) => ({ ProcessName: name, SuspensionReason: reason })),
    VPCZoneIdentifier: group.subnets.join(","),
    EnabledMetrics: group.metrics.map((Metric) => ({ Metric, Granularity: "1Minute" })),
    ...(group.deleting ? { Status: "Delete in progress" } : {}),
    Tags: group.tags.map((tag) => tagView(group.name, tag)),
    TerminationPolicies: [...group.terminationPolicies],
    NewInstancesProtectedFromScaleIn: group.newInstancesProtected,
    ServiceLinkedRoleARN: group.serviceLinkedRole,
    MaxInstanceLifetime: group.maxInstanceLifetime,
    CapacityRebalance: group.capacityRebalance,
    DefaultInstanceWarmup: group.defaultInstanceWarmup,
    TrafficSources: [],
  };
}

/** With the defaults that AWS fills in. */
function mixedView(given: Sdk.MixedInstancesPolicy, template: Sdk.LaunchTemplateSpecification): Sdk.MixedInstancesPolicy {
  return {
    LaunchTemplate: { ...given.LaunchTemplate, LaunchTemplateSpecification: template },
    InstancesDistribution: {
      OnDemandAllocationStrategy: "prioritized",
      OnDemandBaseCapacity: 0,
      OnDemandPercentageAboveBaseCapacity: 100,
      SpotAllocationStrategy: "lowest-price",
      SpotInstancePools: 2,
      ...given.InstancesDistribution,
    },
  };
}

async function groupsOf({ scope, deps }: Question): Promise<GroupRecord[]> {
  return (await deps.store.list<GroupRecord>(autoscalingKeys.groups(scope))).entries.map(({ value }) => value);
}

async function membersByGroup({ scope, deps }: Question): Promise<ReadonlyMap<string, MemberRecord[]>> {
  const all = new Map<string, MemberRecord[]>();
  for (const { value } of (await deps.store.list<MemberRecord>(autoscalingKeys.members(scope))).entries)
    all.set(value.group, [...(all.get(value.group) ?? []), value]);
  return all;
}

function page<T>(
  { scope, deps }: Question,
  operation: string,
  items: readonly T[],
  id: (item: T) => string,
  input: { MaxRecords?: number; NextToken?: string },
  most: number,
) {
  const limit = input.MaxRecords ?? 50;
  if (limit < 1 || limit > most) throw autoscalingErrors.validation(`MaxRecords must be between 1 and ${most}.`);
  const { items: found, nextToken } = pageOf(deps.sealer, items, id, {
    scope: JSON.stringify([operation, scope.account, scope.region]),
    limit,
    token: input.NextToken,
    badToken: autoscalingErrors.badToken,
  });
  return { items: [...found], NextToken: nextToken };
}

export async function describeGroups(question: Question, input: Sdk.AutoScalingGroupNamesType): Promise<Sdk.AutoScalingGroupsType> {
  const names = input.AutoScalingGroupNames ?? [];
  const filters = input.Filters ?? [];
  const holds = (group: GroupRecord) =>
    filters.every(({ Name: name = "", Values: values = [] }) => {
      if (name === "tag-key") return group.tags.some(({ key }) => values.includes(key));
      if (name === "tag-value") return group.tags.some(({ value }) => values.includes(value));
      if (name.startsWith("tag:")) return group.tags.some(({ key, value }) => key === name.slice(4) && values.includes(value));
      throw autoscalingErrors.validation(`Filter ${name} is not supported.`);
    });
  const members = await membersByGroup(question);
  const found = (await groupsOf(question)).filter((group) => (names.length === 0 || names.includes(group.name)) && holds(group));
  const { items, NextToken } = page(question, "DescribeAutoScalingGroups", found, ({ name }) => name, input, 100);
  return { AutoScalingGroups: items.map((group) => groupView(group, members.get(group.name) ?? [])), NextToken };
}

export async function describeInstances(
  question: Question,
  input: Sdk.DescribeAutoScalingInstancesType,
): Promise<Sdk.AutoScalingInstancesType> {
  const ids = input.InstanceIds ?? [];
  const all = [...(await membersByGroup(question)).values()].flat().filter(({ id }) => ids.length === 0 || ids.includes(id));
  const { items, NextToken } = page(
    question,
    "DescribeAutoScalingInstances",
    all.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
    ({ id }) => id,
    input,
    50,
  );
  return {
    AutoScalingInstances: items.map((member) => ({
      ...memberView(member),
      HealthStatus: member.unhealthy ? "UNHEALTHY" : "HEALTHY",
      AutoScalingGroupName: member.group,
    })),
    NextToken,
  };
}

export const activityView = (group: Pick<GroupRecord, "name" | "arn">, activity: ActivityRecord): Sdk.Activity => ({
  ActivityId: activity.id,
  AutoScalingGroupName: group.name,
  AutoScalingGroupARN: group.arn,
  Description: activity.description,
  Cause: activity.cause,
  StartTime: new Date(activity.startedAt),
  EndTime: activity.endedAt === undefined ? undefined : new Date(activity.endedAt),
  StatusCode: activity.status,
  StatusMessage: activity.statusMessage,
  Progress: activity.progress,
  Details: activity.details,
});

export async function describeActivities(question: Question, input: Sdk.DescribeScalingActivitiesType): Promise<Sdk.ActivitiesType> {
  const { scope, deps } = question;
  const groups = new Map((await groupsOf(question)).map((group) => [group.name, group]));
  const name = input.AutoScalingGroupName;
  if (name !== undefined && !groups.has(name)) throw autoscalingErrors.noGroup();
  const prefix = name === undefined ? autoscalingKeys.activities(scope) : autoscalingKeys.activitiesOf(scope, name);
  const all = (await deps.store.list<ActivityRecord>(prefix)).entries.map(({ value }) => value);
  const wanted = all
    .filter(({ id, group }) => groups.has(group) && (!input.ActivityIds?.length || input.ActivityIds.includes(id)))
    .toSorted((a, b) => b.startedAt - a.startedAt || (a.id < b.id ? 1 : -1));
  const order = ({ startedAt, id }: ActivityRecord) => `${String(1e15 - startedAt).padStart(16, "0")}-${id}`;
  const { items, NextToken } = page(
    question,
    `DescribeScalingActivities/${name ?? ""}`,
    wanted,
    order,
    { ...input, MaxRecords: input.MaxRecords ?? 100 },
    100,
  );
  return { Activities: items.map((each) => activityView(groups.get(each.group)!, each)), NextToken };
}

export async function describeTags(question: Question, input: Sdk.DescribeTagsType): Promise<Sdk.TagsType> {
  const all = (await groupsOf(question)).flatMap((group) => group.tags.map((tag) => tagView(group.name, tag)));
  const holds = (tag: Sdk.TagDescription) =>
    (input.Filters ?? []).every(({ Name: name, Values: values = [] }) => {
      const own = {
        "auto-scaling-group": tag.ResourceId,
        key: tag.Key,
        value: tag.Value,
        "propagate-at-launch": String(tag.PropagateAtLaunch),
      }[name ?? ""];
      if (own === undefined) throw autoscalingErrors.validation(`Filter ${name} is not supported.`);
      return values.includes(own);
    });
  const { items, NextToken } = page(
    question,
    "DescribeTags",
    all.filter(holds),
    ({ ResourceId, Key }) => `${ResourceId} ${Key}`,
    input,
    100,
  );
  return { Tags: items, NextToken };
}

export async function createOrUpdateTags(change: Change, input: Sdk.CreateOrUpdateTagsType): Promise<object> {
  for (const tag of input.Tags ?? []) {
    const group = await needGroup(change, tag.ResourceId);
    const [given] = tagsOf([tag]);
    putGroup(change, { ...group, tags: [...group.tags.filter(({ key }) => key !== tag.Key), given!] });
  }
  return {};
}

export async function deleteTags(change: Change, input: Sdk.DeleteTagsType): Promise<object> {
  for (const tag of input.Tags ?? []) {
    const group = await needGroup(change, tag.ResourceId);
    putGroup(change, { ...group, tags: group.tags.filter(({ key }) => key !== tag.Key) });
  }
  return {};
}
