import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import { alarmArn } from "#model/alarms/keys.ts";
import { alarmName, parseResourceLabel, trackingAlarm } from "#model/application-autoscaling/alarms.ts";
import { policyArn, type Resource, resourceId, scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { PolicyRecord, StepPolicyRecord, Tracking, TrackingPolicyRecord } from "#model/application-autoscaling/records.ts";
import { alarmKeys } from "#model/alarms/keys.ts";
import type { AlarmRecord } from "#model/alarms/records.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { DeploymentRecord, ServiceRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import { putAlarm, removeAlarm } from "#reconcilers/alarms/put.ts";
import { alarmsOf } from "#reconcilers/application-autoscaling/breaches.ts";
import { removePolicy } from "#reconcilers/application-autoscaling/remove.ts";
import { type Change, constraint, errors, filterOf, needTarget, type Question, resourceOf, where } from "./context.ts";
import { page } from "./page.ts";
import { stepScaling, tracking } from "./policy-rules.ts";
import { policyView } from "./views.ts";

/** Scaling policies. Source: Application Auto Scaling API Reference, "PutScalingPolicy" and its kin. */

const mostPolicies = 50;

export function checkName(member: string, name: string | undefined): string {
  const value = name ?? "";
  if (value.length < 1) throw constraint(member, value, "have length greater than or equal to 1");
  if (value.length > 256) throw constraint(member, value, "have length less than or equal to 256");
  return value;
}

export async function putPolicy(change: Change, input: Sdk.PutScalingPolicyRequest): Promise<Sdk.PutScalingPolicyResponse> {
  const { unit, scope, random, now } = change;
  const name = checkName("policyName", input.PolicyName);
  if (!/^[^\p{Cc}]+$/u.test(name)) throw constraint("policyName", name, "satisfy regular expression pattern: \\p{Print}+");
  const resource = resourceOf(input);
  await needTarget(change, resource);
  const key = scalingKeys.policy(scope, resource, name);
  const known = await unit.get<PolicyRecord>(key);
  if (!known && (await unit.list(scalingKeys.policiesOf(scope, resource))).size >= mostPolicies)
    throw errors.limit(`A scalable target has ${mostPolicies} scaling policies at most.`);
  const common = {
    ...resource,
    name,
    arn: known?.arn ?? policyArn(scope, resource, random.uuid(), name),
    createdAt: known?.createdAt ?? now,
  };
  const type = input.PolicyType ?? known?.type ?? "StepScaling";
  if (type === "PredictiveScaling" || input.PredictiveScalingPolicyConfiguration) throw errors.notYet("predictive scaling");
  if (type === "StepScaling") {
    if (input.TargetTrackingScalingPolicyConfiguration)
      throw errors.validation("TargetTrackingScalingPolicyConfiguration does not match the policy type StepScaling.");
    if (!input.StepScalingPolicyConfiguration)
      throw errors.validation("StepScalingPolicyConfiguration is required for the policy type StepScaling.");
    if (known?.type === "TargetTrackingScaling") await removePolicy(change, known);
    const policy: StepPolicyRecord = { ...common, type, step: stepScaling(input.StepScalingPolicyConfiguration) };
    unit.put(key, policy);
    return { PolicyARN: policy.arn, Alarms: [] };
  }
  if (type !== "TargetTrackingScaling")
    throw constraint("policyType", type, "satisfy enum value set: [PredictiveScaling, StepScaling, TargetTrackingScaling]");
  if (input.StepScalingPolicyConfiguration)
    throw errors.validation("StepScalingPolicyConfiguration does not match the policy type TargetTrackingScaling.");
  if (!input.TargetTrackingScalingPolicyConfiguration)
    throw errors.validation("TargetTrackingScalingPolicyConfiguration is required for the policy type TargetTrackingScaling.");
  const wanted = tracking(input.TargetTrackingScalingPolicyConfiguration);
  await checkMetric(change, resource, wanted, name);
  const before = known?.type === "TargetTrackingScaling" ? known.alarms : undefined;
  const high = before?.high ?? alarmName(resource, "High", random.uuid());
  const low = wanted.disableScaleIn ? undefined : (before?.low ?? alarmName(resource, "Low", random.uuid()));
  const policy: TrackingPolicyRecord = { ...common, type, tracking: wanted, alarms: { high, ...(low === undefined ? {} : { low }) } };
  unit.put(key, policy);
  await putAlarm(change, { name: high, tags: {}, ...trackingAlarm(policy, "High", change.deps.pace) });
  if (low !== undefined) await putAlarm(change, { name: low, tags: {}, ...trackingAlarm(policy, "Low", change.deps.pace) });
  else if (before?.low !== undefined) {
    const gone = await unit.get<AlarmRecord>(alarmKeys.alarm(scope, before.low));
    if (gone) removeAlarm(change, gone);
  }
  return {
    PolicyARN: policy.arn,
    Alarms: [high, ...(low === undefined ? [] : [low])].map((alarm) => ({ AlarmName: alarm, AlarmARN: alarmArn(scope, alarm) })),
  };
}

/** Each policy of a target tracks a metric of its own, and one that the service has. */
async function checkMetric(change: Change, resource: Resource, { metric }: Tracking, name: string): Promise<void> {
  const { unit, scope } = change;
  if (!("predefined" in metric)) return;
  for (const other of (await unit.list<PolicyRecord>(scalingKeys.policiesOf(scope, resource))).values())
    if (
      other.name !== name &&
      other.type === "TargetTrackingScaling" &&
      "predefined" in other.tracking.metric &&
      other.tracking.metric.predefined === metric.predefined &&
      other.tracking.metric.resourceLabel === metric.resourceLabel
    )
      throw errors.validation(
        `Only one TargetTrackingScaling policy for a given metric specification is allowed: ${other.name} tracks ${metric.predefined} already.`,
      );
  const fine = /^ECSServiceAverage(CPU|Memory)UtilizationHighResolution$/.exec(metric.predefined);
  const label = parseResourceLabel(metric.resourceLabel ?? "");
  if (!fine && !label) return;
  const revision = await revisionOf(change, resource);
  if (fine) {
    const name = `${fine[1]}Utilization`;
    const configured = revision?.monitoring?.metricConfigurations.find(({ metricNames }) => metricNames.includes(name));
    if (configured?.resolutionSeconds !== 20)
      throw errors.validation(
        `${metric.predefined} needs high-resolution metrics: give the service a monitoring configuration with ${name} at 20 seconds.`,
      );
  }
  if (!label) return;
  const groups = [
    ...(revision?.targetGroups ?? []),
    ...((revision?.loadBalancers ?? []) as readonly { readonly targetGroupArn?: string }[]).flatMap(
      ({ targetGroupArn }) => targetGroupArn ?? [],
    ),
  ];
  if (!groups.some((arn) => arn.endsWith(`:${label.targetGroup}`)))
    throw errors.validation(`Target group ${label.targetGroup} is not attached to the ECS service ${resourceId(resource)}.`);
}

async function revisionOf({ unit, scope }: Change, { cluster, service: name }: Resource): Promise<ServiceRevisionRecord | undefined> {
  const service = await unit.get<ServiceRecord>(ecsKeys.service(scope, cluster, name));
  if (service?.deployment === undefined) return undefined;
  const deployment = await unit.get<DeploymentRecord>(ecsKeys.deployment(scope, cluster, name, service.deployment));
  return deployment && (await unit.get<ServiceRevisionRecord>(ecsKeys.serviceRevision(scope, cluster, name, deployment.revision)));
}

export async function deletePolicy(change: Change, input: Sdk.DeleteScalingPolicyRequest): Promise<object> {
  const resource = resourceOf(input);
  const name = checkName("policyName", input.PolicyName);
  const policy = await change.unit.get<PolicyRecord>(scalingKeys.policy(change.scope, resource, name));
  if (!policy) throw errors.notFound(`No scaling policy found for ${where(resource)}: ${name}`);
  await removePolicy(change, policy);
  return {};
}

export async function describePolicies(
  question: Question,
  input: Sdk.DescribeScalingPoliciesRequest,
): Promise<Sdk.DescribeScalingPoliciesResponse> {
  const { scope, deps } = question;
  const resource = filterOf(input);
  const names = input.PolicyNames ?? [];
  if (names.length > 50) throw constraint("policyNames", names, "have length less than or equal to 50");
  const prefix = resource ? scalingKeys.policiesOf(scope, resource) : scalingKeys.policies(scope);
  const all = (await deps.store.list<PolicyRecord>(prefix)).entries.map(({ value }) => value);
  const wanted = all.filter(({ name }) => names.length === 0 || names.includes(name));
  const { items, NextToken } = page(
    question,
    "DescribeScalingPolicies",
    wanted,
    ({ name, ...of }) => `${resourceId(of)} ${name}`,
    input,
    10,
  );
  const ScalingPolicies = await Promise.all(
    items.map(async (policy) =>
      policyView(
        policy,
        (await alarmsOf(deps.store, scope, policy)).map(({ name }) => name),
        scope,
      ),
    ),
  );
  return { ScalingPolicies, NextToken };
}
