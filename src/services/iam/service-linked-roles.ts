import type * as Sdk from "@aws-sdk/client-iam";
import { ecsKeys } from "#model/ecs-keys.ts";
import { iamArn, iamKeys } from "#model/iam-keys.ts";
import type { RoleRecord } from "#model/iam-records.ts";
import { type Change, need, type Question } from "./context.ts";
import { errors } from "./errors.ts";
import { countUse } from "./managed.ts";
import { addRole, serviceRolePath } from "./roles.ts";
import { checkDescription, checkText } from "./rules.ts";
import { roleView } from "./views.ts";

/** Service-linked roles. Source: IAM User Guide, "Create a service-linked role"; each service's "Using service-linked roles". */

interface LinkedService {
  readonly role: string;
  /** Name of AWS's policy. */
  readonly policy: string;
  readonly description?: string;
  /** The service takes a CustomSuffix. */
  readonly suffix?: true;
}

const services: Readonly<Record<string, LinkedService>> = {
  "ecs.amazonaws.com": {
    role: "AWSServiceRoleForECS",
    policy: "AmazonECSServiceRolePolicy",
    description: "Role to enable Amazon ECS to manage your cluster.",
  },
  "ecs-compute.amazonaws.com": { role: "AWSServiceRoleForECSCompute", policy: "AmazonECSComputeServiceRolePolicy" },
  "ecs.application-autoscaling.amazonaws.com": {
    role: "AWSServiceRoleForApplicationAutoScaling_ECSService",
    policy: "AWSApplicationAutoscalingECSServicePolicy",
  },
  "elasticloadbalancing.amazonaws.com": {
    role: "AWSServiceRoleForElasticLoadBalancing",
    policy: "AWSElasticLoadBalancingServiceRolePolicy",
    description: "Allows ELB to call AWS services on your behalf.",
  },
  "autoscaling.amazonaws.com": {
    role: "AWSServiceRoleForAutoScaling",
    policy: "AutoScalingServiceRolePolicy",
    description: "Default Service-Linked Role enables access to AWS Services and Resources used or managed by Auto Scaling",
    suffix: true,
  },
  "replication.ecr.amazonaws.com": { role: "AWSServiceRoleForECRReplication", policy: "ECRReplicationServiceRolePolicy" },
  "pullthroughcache.ecr.amazonaws.com": {
    role: "AWSServiceRoleForECRPullThroughCache",
    policy: "AWSECRPullThroughCache_ServiceRolePolicy",
  },
  "ecr-template.amazonaws.com": { role: "AWSServiceRoleForECRTemplate", policy: "ECRTemplateServiceRolePolicy" },
  "spot.amazonaws.com": { role: "AWSServiceRoleForEC2Spot", policy: "AWSEC2SpotServiceRolePolicy" },
  "ssm.amazonaws.com": { role: "AWSServiceRoleForAmazonSSM", policy: "AmazonSSMServiceRolePolicy" },
};

const trustOf = (service: string) =>
  JSON.stringify({
    Version: "2012-10-17",
    Statement: [{ Effect: "Allow", Principal: { Service: service }, Action: "sts:AssumeRole" }],
  });

export async function createServiceLinkedRole(
  change: Change,
  input: Sdk.CreateServiceLinkedRoleRequest,
): Promise<Sdk.CreateServiceLinkedRoleResponse> {
  const { account } = change;
  const service = input.AWSServiceName!;
  checkText("awsServiceName", service, { max: 128, pattern: /^[\w+=,.@-]+$/ });
  checkDescription(input.Description);
  const linked = Object.hasOwn(services, service) ? services[service] : undefined;
  if (!linked)
    throw errors.invalidInput(`${service} is not a service whose service-linked role Gantry knows: ${Object.keys(services).join(", ")}`);
  if (input.CustomSuffix !== undefined) {
    checkText("customSuffix", input.CustomSuffix, { max: 64, pattern: /^[\w+=,.@-]+$/ });
    if (!linked.suffix) throw errors.invalidInput(`Custom suffix is not allowed for ${service}`);
  }
  const name = input.CustomSuffix === undefined ? linked.role : `${linked.role}_${input.CustomSuffix}`;
  if (await change.get(iamKeys.entity(account, "role", name)))
    throw errors.invalidInput(`Service role name ${name} has been taken in this account, please try a different suffix.`);
  const description = input.Description ?? linked.description;
  const policy = iamArn("aws", `policy${serviceRolePath}${linked.policy}`);
  const role = await addRole(change, {
    name,
    path: `${serviceRolePath}${service}/`,
    trust: trustOf(service),
    ...(description === undefined ? {} : { description }),
    maxSessionDuration: 3600,
    tags: [],
    attached: [policy],
    service,
  });
  await countUse(change, policy, "attachments", 1);
  return { Role: roleView(account, role) };
}

interface Deletion {
  readonly at: number;
  readonly regions?: readonly string[];
}

/** What sealed task ids are for: they say all that GetServiceLinkedRoleDeletionStatus answers, so that nothing is kept. */
const deletionScope = (account: string, role: string) => `iam-deletion ${account} ${role.toLowerCase()}`;

/** ECS needs its role as long as there is a cluster; the others are not asked. */
async function usedIn(change: Change, role: RoleRecord): Promise<readonly string[]> {
  if (role.service !== "ecs.amazonaws.com") return [];
  const { account } = change;
  const { region } = change.context;
  // IAM is asked in its own region; clusters are where the account works.
  const regions = [...new Set([region, change.homeRegion])];
  const used: string[] = [];
  for (const each of regions)
    for (const cluster of await change.list<{ readonly name: string; readonly status?: string }>(
      ecsKeys.clusters({ account, region: each }),
    ))
      if (cluster.status !== "INACTIVE") used.push(`arn:aws:ecs:${each}:${account}:cluster/${cluster.name}`);
  return used;
}

export async function deleteServiceLinkedRole(
  change: Change,
  { RoleName }: Sdk.DeleteServiceLinkedRoleRequest,
): Promise<Sdk.DeleteServiceLinkedRoleResponse> {
  const role = await need(change, "role", RoleName);
  if (role.service === undefined) throw errors.invalidInput(`The role ${role.name} is not a service-linked role: DeleteRole deletes it.`);
  const used = await usedIn(change, role);
  if (used.length === 0) {
    for (const arn of role.attached) await countUse(change, arn, "attachments", -1);
    change.unit.delete(iamKeys.entity(change.account, "role", role.name));
    change.unit.delete(iamKeys.lastUsed(role.id));
  }
  const outcome: Deletion = { at: change.now, ...(used.length > 0 ? { regions: used.slice(0, 5) } : {}) };
  const sealed = change.sealer.seal(deletionScope(change.account, role.name), outcome);
  return { DeletionTaskId: `task${role.path}${role.name}/${sealed}` };
}

export async function getServiceLinkedRoleDeletionStatus(
  question: Question,
  { DeletionTaskId = "" }: Sdk.GetServiceLinkedRoleDeletionStatusRequest,
): Promise<Sdk.GetServiceLinkedRoleDeletionStatusResponse> {
  checkText("deletionTaskId", DeletionTaskId, { max: 1000 });
  const [, service, role, sealed] = /^task\/aws-service-role\/([^/]+)\/([^/]+)\/([\w-]+)$/.exec(DeletionTaskId) ?? [];
  const outcome =
    sealed === undefined ? undefined : (question.deps.sealer.open(deletionScope(question.account, role!), sealed) as Deletion | undefined);
  if (!outcome) throw errors.noSuchEntity(`Deletion task ${DeletionTaskId} cannot be found.`);
  if (!outcome.regions) return { Status: "SUCCEEDED" };
  return {
    Status: "FAILED",
    Reason: {
      Reason: `The role ${role} is in use by ${service}: delete what uses it first.`,
      RoleUsageList: [{ Region: outcome.regions[0]!.split(":")[3], Resources: [...outcome.regions] }],
    },
  };
}
