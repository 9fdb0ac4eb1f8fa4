import type * as Sdk from "@aws-sdk/client-auto-scaling";
import { autoscalingKeys, type GroupRecord, type TemplateReference } from "#model/autoscaling-records.ts";
import { instanceTypes } from "#model/instance-types.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import { templateVersion } from "#reconcilers/instances/template.ts";
import { zonesOf } from "#reconcilers/vpc/zones.ts";
import { autoscalingErrors, type Change, membersOf, needGroup, putGroup } from "./context.ts";
import { putHooks } from "./hooks.ts";

/** Auto Scaling groups. Source: Amazon EC2 Auto Scaling API Reference, "CreateAutoScalingGroup" and its kin. */

const { validation, notYet } = autoscalingErrors;

type Given = Sdk.CreateAutoScalingGroupType & Sdk.UpdateAutoScalingGroupType;

function refuseUnsupported(input: Given): void {
  const listed = (value: readonly unknown[] | undefined) => (value?.length ?? 0) > 0;
  if (input.LaunchConfigurationName) throw notYet("launch configurations: use a launch template");
  if (input.InstanceId) throw notYet("groups made from an instance: use a launch template");
  if (listed(input.LoadBalancerNames) || listed(input.TargetGroupARNs) || listed(input.TrafficSources))
    throw notYet("load balancers of Auto Scaling groups: an ECS service registers its tasks by itself");
  if (input.PlacementGroup) throw notYet("placement groups");
  if (input.HealthCheckType !== undefined && input.HealthCheckType !== "EC2")
    throw notYet(`the health check type ${input.HealthCheckType}`);
}

const wholeNumber = (name: string, value: number | undefined): void => {
  if (value !== undefined && (!Number.isInteger(value) || value < 0))
    throw validation(`${name} must be a whole number that is not negative.`);
};

function checkSizes({ min, max, desired }: Pick<GroupRecord, "min" | "max" | "desired">): void {
  if (min > max) throw validation(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
  if (desired < min) throw validation(`New SetDesiredCapacity value ${desired} is below min value ${min} for the AutoScalingGroup.`);
  if (desired > max) throw validation(`New SetDesiredCapacity value ${desired} is above max value ${max} for the AutoScalingGroup.`);
}

async function launchFrom(
  change: Change,
  { LaunchTemplate: template, MixedInstancesPolicy: mixed }: Pick<Given, "LaunchTemplate" | "MixedInstancesPolicy">,
): Promise<Pick<GroupRecord, "template" | "mixed"> | undefined> {
  const named = template ?? mixed?.LaunchTemplate?.LaunchTemplateSpecification;
  if (template && mixed) throw validation("Valid requests must contain either LaunchTemplate or MixedInstancesPolicy parameter.");
  if (!named) return undefined;
  const found = await templateVersion(change.unit, change.scope, {
    ...(named.LaunchTemplateId ? { id: named.LaunchTemplateId } : {}),
    ...(named.LaunchTemplateName && !named.LaunchTemplateId ? { name: named.LaunchTemplateName } : {}),
    ...(named.Version ? { version: named.Version } : {}),
  });
  const reference: TemplateReference = { id: found.template.id, name: found.template.name, version: named.Version ?? "$Default" };
  if (!mixed) return { template: reference };
  const overrides = mixed.LaunchTemplate?.Overrides ?? [];
  if (overrides.some(({ InstanceRequirements, LaunchTemplateSpecification }) => InstanceRequirements ?? LaunchTemplateSpecification))
    throw notYet("overrides of a mixed instances policy other than instance types");
  const types = overrides.flatMap(({ InstanceType }) => InstanceType ?? []);
  for (const type of types)
    if (!instanceTypes.has(type)) throw validation(`You have specified an instance type that is not valid: ${type}`);
  return { template: reference, mixed: { given: mixed, types } };
}

async function placesOf(change: Change, input: Given): Promise<Pick<GroupRecord, "subnets" | "zones"> | undefined> {
  const { unit, scope } = change;
  const ids = (input.VPCZoneIdentifier ?? "")
    .split(",")
    .map((id) => id.trim())
    .filter(Boolean);
  const zones = input.AvailabilityZones ?? [];
  if (ids.length > 0) {
    const subnets: SubnetRecord[] = [];
    for (const id of ids) {
      const subnet = await unit.get<SubnetRecord>(vpcKeys.one(scope, "subnet", id));
      if (!subnet) throw validation(`The subnet ID '${id}' does not exist`);
      subnets.push(subnet);
    }
    if (new Set(subnets.map(({ vpcId }) => vpcId)).size > 1) throw validation("The subnets of a group must all be of one VPC.");
    return { subnets: ids, zones: [...new Set(subnets.map(({ availabilityZone }) => availabilityZone))].toSorted() };
  }
  if (zones.length === 0) return undefined;
  for (const zone of zones)
    if (!zonesOf(scope.region).some(({ name }) => name === zone)) throw validation(`Invalid availability zone: ${zone}`);
  const vpc = [...(await unit.list<VpcRecord>(vpcKeys.of(scope, "vpc"))).values()].find(({ isDefault }) => isDefault);
  const subnets = [...(await unit.list<SubnetRecord>(vpcKeys.of(scope, "subnet"))).values()].filter(
    (each) => each.vpcId === vpc?.id && each.defaultForAz && zones.includes(each.availabilityZone),
  );
  if (subnets.length === 0)
    throw validation("No default subnet exists in the given Availability Zones: give subnets by VPCZoneIdentifier.");
  return { subnets: subnets.map(({ id }) => id), zones: [...zones].toSorted() };
}

export async function createGroup(change: Change, input: Sdk.CreateAutoScalingGroupType): Promise<object> {
  const { unit, scope, deps, now } = change;
  const name = input.AutoScalingGroupName ?? "";
  if (!/^[\x20-\x39\x3b-\x7e]{1,255}$/.test(name))
    throw validation("The name of a group has 1 to 255 printable characters, without a colon.");
  const known = await unit.get<GroupRecord>(autoscalingKeys.group(scope, name));
  if (known) throw autoscalingErrors.exists(`AutoScalingGroup by this name already exists - A group with the name ${name} already exists`);
  refuseUnsupported(input as Given);
  const launch = await launchFrom(change, input);
  if (!launch)
    throw validation(
      "Valid requests must contain either LaunchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
    );
  const places = await placesOf(change, input as Given);
  if (!places) throw validation("At least one Availability Zone or VPC Subnet is required.");
  for (const each of ["MinSize", "MaxSize", "DesiredCapacity"] as const) wholeNumber(each, input[each]);
  const [min, max] = [input.MinSize ?? 0, input.MaxSize ?? 0];
  const group: GroupRecord = {
    name,
    arn: `arn:aws:autoscaling:${scope.region}:${scope.account}:autoScalingGroup:${deps.random.uuid()}:autoScalingGroupName/${name}`,
    createdAt: now,
    min,
    max,
    desired: input.DesiredCapacity ?? min,
    ...launch,
    ...places,
    cooldown: input.DefaultCooldown ?? 300,
    healthCheckType: input.HealthCheckType ?? "EC2",
    healthCheckGraceSeconds: input.HealthCheckGracePeriod ?? 0,
    newInstancesProtected: input.NewInstancesProtectedFromScaleIn ?? false,
    terminationPolicies: input.TerminationPolicies?.length ? input.TerminationPolicies : ["Default"],
    suspended: [],
    tags: tagsOf(input.Tags),
    capacityRebalance: input.CapacityRebalance ?? false,
    ...(input.DefaultInstanceWarmup === undefined || input.DefaultInstanceWarmup < 0
      ? {}
      : { defaultInstanceWarmup: input.DefaultInstanceWarmup }),
    ...(input.MaxInstanceLifetime === undefined ? {} : { maxInstanceLifetime: input.MaxInstanceLifetime }),
    serviceLinkedRole:
      input.ServiceLinkedRoleARN ??
      `arn:aws:iam::${scope.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling`,
    metrics: [],
  };
  checkSizes(group);
  putGroup(change, group);
  putHooks(change, group, input.LifecycleHookSpecificationList ?? []);
  return {};
}

export function tagsOf(tags: readonly Sdk.Tag[] | undefined): GroupRecord["tags"] {
  const all = new Map<string, GroupRecord["tags"][number]>();
  for (const { Key = "", Value = "", PropagateAtLaunch = false } of tags ?? []) {
    if (Key.length < 1 || Key.length > 128) throw validation("A tag's key has 1 to 128 characters.");
    if (/^aws:/i.test(Key)) throw validation("Tag keys that begin with aws: are reserved.");
    all.set(Key, { key: Key, value: Value, propagate: PropagateAtLaunch });
  }
  if (all.size > 50) throw validation("A group has 50 tags at most.");
  return [...all.values()];
}

export async function updateGroup(change: Change, input: Sdk.UpdateAutoScalingGroupType): Promise<object> {
  const group = await needGroup(change, input.AutoScalingGroupName);
  refuseUnsupported(input as Given);
  for (const each of ["MinSize", "MaxSize", "DesiredCapacity"] as const) wholeNumber(each, input[each]);
  const launch = await launchFrom(change, input);
  const places = await placesOf(change, input as Given);
  const { mixed: _, ...single } = group;
  const min = input.MinSize ?? group.min;
  const max = input.MaxSize ?? group.max;
  if (min > max) throw validation(`Max bound, ${max}, must be greater than or equal to min bound, ${min}`);
  const next: GroupRecord = {
    ...(launch && !launch.mixed ? single : group),
    ...launch,
    ...places,
    min,
    max,
    // New bounds move what is wanted; what is named must lie within them.
    desired: input.DesiredCapacity ?? Math.min(max, Math.max(min, group.desired)),
    cooldown: input.DefaultCooldown ?? group.cooldown,
    healthCheckGraceSeconds: input.HealthCheckGracePeriod ?? group.healthCheckGraceSeconds,
    newInstancesProtected: input.NewInstancesProtectedFromScaleIn ?? group.newInstancesProtected,
    terminationPolicies: input.TerminationPolicies?.length ? input.TerminationPolicies : group.terminationPolicies,
    capacityRebalance: input.CapacityRebalance ?? group.capacityRebalance,
    ...(input.DefaultInstanceWarmup === undefined || input.DefaultInstanceWarmup < 0
      ? {}
      : { defaultInstanceWarmup: input.DefaultInstanceWarmup }),
    ...(input.MaxInstanceLifetime === undefined ? {} : { maxInstanceLifetime: input.MaxInstanceLifetime }),
  };
  checkSizes(next);
  const { pausedUntil: __, failures: ___, ...tried } = next;
  putGroup(change, tried);
  return {};
}

export async function deleteGroup(change: Change, input: Sdk.DeleteAutoScalingGroupType): Promise<object> {
  const group = await needGroup(change, input.AutoScalingGroupName);
  const members = await membersOf(change, group.name);
  if (!input.ForceDelete) {
    if (members.some(({ lifecycle }) => lifecycle.startsWith("Terminating"))) throw autoscalingErrors.inProgress();
    if (members.length > 0)
      throw autoscalingErrors.inUse(
        "You cannot delete an AutoScalingGroup while there are instances or pending Spot instance request(s) still in the group.",
      );
  }
  putGroup(change, { ...group, deleting: true, min: 0, desired: 0 });
  return {};
}

export async function setDesiredCapacity(change: Change, input: Sdk.SetDesiredCapacityType): Promise<object> {
  const group = await needGroup(change, input.AutoScalingGroupName);
  wholeNumber("DesiredCapacity", input.DesiredCapacity);
  const next = { ...group, desired: input.DesiredCapacity ?? 0 };
  checkSizes(next);
  putGroup(change, next);
  return {};
}

const processes = [
  "Launch",
  "Terminate",
  "AddToLoadBalancer",
  "AlarmNotification",
  "AZRebalance",
  "HealthCheck",
  "InstanceRefresh",
  "ReplaceUnhealthy",
  "ScheduledActions",
];

export const suspendResume =
  (suspend: boolean) =>
  async (change: Change, input: Sdk.ScalingProcessQuery): Promise<object> => {
    const group = await needGroup(change, input.AutoScalingGroupName);
    const named = input.ScalingProcesses?.length ? input.ScalingProcesses : processes;
    for (const each of named) if (!processes.includes(each)) throw validation(`Invalid scaling process: ${each}`);
    const others = group.suspended.filter(({ name }) => !named.includes(name));
    const at = new Date(change.now).toISOString().replace(/\.\d+Z$/, "Z");
    const suspended = suspend ? [...others, ...named.map((name) => ({ name, reason: `User suspended at ${at}` }))] : others;
    putGroup(change, { ...group, suspended });
    return {};
  };
