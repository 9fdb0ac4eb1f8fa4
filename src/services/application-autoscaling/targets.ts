import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import { type Resource, resourceId, scalingKeys, targetArn } from "#model/application-autoscaling/keys.ts";
import type { TargetRecord, TargetTagsRecord } from "#model/application-autoscaling/records.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import { enforceLimits } from "#reconcilers/application-autoscaling/activities.ts";
import { removeTarget } from "#reconcilers/application-autoscaling/remove.ts";
import { type Change, checkNamespace, constraint, dimension, errors, needTarget, type Question, resourceOf } from "./context.ts";
import { page } from "./page.ts";
import { checkTags } from "./tags.ts";

/** Scalable targets. Source: Application Auto Scaling API Reference, "RegisterScalableTarget" and its kin. */

const mostTargets = 3000;

export const checkCapacity = (member: string, value: number | undefined): void => {
  if (value !== undefined && (!Number.isInteger(value) || value < 0))
    throw constraint(member, value, "have value greater than or equal to 0");
};

export async function registerTarget(
  change: Change,
  input: Sdk.RegisterScalableTargetRequest,
): Promise<Sdk.RegisterScalableTargetResponse> {
  const { unit, scope, random, now } = change;
  const resource = resourceOf(input);
  checkCapacity("minCapacity", input.MinCapacity);
  checkCapacity("maxCapacity", input.MaxCapacity);
  const key = scalingKeys.target(scope, resource);
  const known = await unit.get<TargetRecord>(key);
  const min = input.MinCapacity ?? known?.min;
  const max = input.MaxCapacity ?? known?.max;
  if (min === undefined || max === undefined)
    throw errors.validation("Both MinCapacity and MaxCapacity must be specified when registering a new scalable target");
  if (min > max) throw errors.validation("Minimum capacity cannot be greater than maximum capacity");
  await needService(change, resource);
  if (!known) {
    const { size } = await unit.list(scalingKeys.targets(scope));
    if (size >= mostTargets) throw errors.limit(`There are ${mostTargets} scalable targets of ecs at most.`);
  }
  const given = input.SuspendedState;
  const target: TargetRecord = {
    ...resource,
    // AWS's ids of ECS's targets begin so.
    id: known?.id ?? `0ec5${random.hex(16)}`,
    min,
    max,
    createdAt: known?.createdAt ?? now,
    suspended: {
      in: given?.DynamicScalingInSuspended ?? known?.suspended.in ?? false,
      out: given?.DynamicScalingOutSuspended ?? known?.suspended.out ?? false,
      scheduled: given?.ScheduledScalingSuspended ?? known?.suspended.scheduled ?? false,
    },
  };
  const arn = targetArn(scope, target.id);
  if (known && Object.keys(input.Tags ?? {}).length > 0)
    throw errors.validation("Tags cannot be given to a scalable target that is registered already: use TagResource.");
  if (!known) {
    checkTags(input.Tags ?? {}, arn);
    unit.put(scalingKeys.tags(scope, target.id), { ...resource, tags: input.Tags ?? {} } satisfies TargetTagsRecord);
  }
  unit.put(key, target);
  await enforceLimits(change, target, { min: input.MinCapacity !== undefined, max: input.MaxCapacity !== undefined });
  return { ScalableTargetARN: arn };
}

async function needService({ unit, scope }: Change, { cluster, service }: Resource): Promise<ServiceRecord> {
  const found = await unit.get<ServiceRecord>(ecsKeys.service(scope, cluster, service));
  if (found?.status !== "ACTIVE") throw errors.validation(`ECS service doesn't exist: ${resourceId({ cluster, service })}`);
  if (found.schedulingStrategy === "DAEMON")
    throw errors.validation(
      `ECS service ${resourceId({ cluster, service })} has the scheduling strategy DAEMON, which has no desired count.`,
    );
  return found;
}

export async function deregisterTarget(change: Change, input: Sdk.DeregisterScalableTargetRequest): Promise<object> {
  await removeTarget(change, await needTarget(change, resourceOf(input)));
  return {};
}

export async function describeTargets(
  question: Question,
  input: Sdk.DescribeScalableTargetsRequest,
): Promise<Sdk.DescribeScalableTargetsResponse> {
  const { scope, deps } = question;
  checkNamespace(input.ServiceNamespace);
  if (input.ScalableDimension !== undefined && input.ScalableDimension !== dimension)
    throw errors.validation("Unsupported service namespace, resource type or scalable dimension");
  const ids = input.ResourceIds ?? [];
  const all = (await deps.store.list<TargetRecord>(scalingKeys.targets(scope))).entries.map(({ value }) => value);
  const wanted = all.filter((target) => ids.length === 0 || ids.includes(resourceId(target)));
  const { items, NextToken } = page(question, "DescribeScalableTargets", wanted, resourceId, input, 50);
  return { ScalableTargets: items.map((target) => targetView(question, target)), NextToken };
}

function targetView({ scope }: Question, target: TargetRecord): Sdk.ScalableTarget {
  return {
    ServiceNamespace: "ecs",
    ResourceId: resourceId(target),
    ScalableDimension: dimension,
    MinCapacity: target.min,
    MaxCapacity: target.max,
    // Whatever role was named: ECS's targets have this one. Source: RegisterScalableTarget, RoleARN.
    RoleARN: `arn:aws:iam::${scope.account}:role/aws-service-role/ecs.application-autoscaling.amazonaws.com/AWSServiceRoleForApplicationAutoScaling_ECSService`,
    CreationTime: new Date(target.createdAt),
    SuspendedState: {
      DynamicScalingInSuspended: target.suspended.in,
      DynamicScalingOutSuspended: target.suspended.out,
      ScheduledScalingSuspended: target.suspended.scheduled,
    },
    ScalableTargetARN: targetArn(scope, target.id),
  };
}
