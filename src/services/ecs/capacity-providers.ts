import type {
  AutoScalingGroupProvider,
  CapacityProvider,
  CreateCapacityProviderRequest,
  CreateCapacityProviderResponse,
  DeleteCapacityProviderRequest,
  DeleteCapacityProviderResponse,
  DescribeCapacityProvidersRequest,
  DescribeCapacityProvidersResponse,
  ManagedScaling,
  UpdateCapacityProviderRequest,
  UpdateCapacityProviderResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { formatArn } from "#model/arn.ts";
import { autoscalingKeys, type GroupRecord, type HookRecord } from "#model/autoscaling-records.ts";
import { capacityKeys, drainingHook, groupNameOf, type CapacityProviderRecord } from "#model/capacity-records.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord } from "#model/ecs-records.ts";
import { fargateProviders } from "#reconcilers/launch.ts";
import { changeVpc } from "#reconcilers/vpc/make-vpc.ts";
import { checkLimit, type EcsDeps, scopeOf } from "./context.ts";
import { ecsErrors } from "./errors.ts";
import { clusterOf } from "./tasks/lookup.ts";
import { checkTags } from "./tasks/tags.ts";

export const capacityProviderKey = capacityKeys.provider;
const arnOf = (scope: Scope, name: string) => formatArn({ service: "ecs", ...scope, resource: `capacity-provider/${name}` });

export async function createCapacityProvider(
  deps: EcsDeps,
  input: CreateCapacityProviderRequest,
  context: RequestContext,
): Promise<CreateCapacityProviderResponse> {
  const scope = scopeOf(context);
  const { name = "" } = input;
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(name) || /^(aws|ecs|fargate)/i.test(name))
    throw ecsErrors.client(
      'The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters (upper and lowercase), numbers, underscores (_), and hyphens (-). The name cannot be prefixed with "aws", "ecs", or "fargate". Specify a valid name and try again.',
    );
  if (input.managedInstancesProvider) throw ecsErrors.notYet("managedInstancesProvider");
  const provider = input.autoScalingGroupProvider;
  if (!provider?.autoScalingGroupArn)
    throw ecsErrors.client("A capacity provider needs an autoScalingGroupProvider with an autoScalingGroupArn.");
  checkProvider(provider);
  await checkGroup(deps, scope, provider);
  checkTags(input.tags);
  const record: CapacityProviderRecord = {
    name,
    autoScalingGroupProvider: withProviderDefaults(provider),
    tags: (input.tags ?? []).map(({ key = "", value = "" }) => ({ key, value })),
  };
  await deps.writer.run("ecs-clusters", async (unit) => {
    const key = capacityProviderKey(scope, name);
    if (await unit.get(key))
      throw ecsErrors.client(
        "The specified capacity provider already exists. To change the configuration of an existing capacity provider, update the capacity provider.",
      );
    unit.put(key, record);
  });
  await prepareGroup(deps, scope, record.autoScalingGroupProvider);
  return { capacityProvider: view(scope, record, true) };
}

/** Throws where the group is not there, or does not allow what the provider is to do with it. */
async function checkGroup(deps: EcsDeps, scope: Scope, provider: Partial<AutoScalingGroupProvider>): Promise<void> {
  const name = groupNameOf(provider.autoScalingGroupArn);
  const group = (await deps.store.get<GroupRecord>(autoscalingKeys.group(scope, name)))?.value;
  if (!group || group.deleting)
    throw ecsErrors.client(
      "The specified Auto Scaling group ARN is not valid. Specify the ARN of an Auto Scaling group that exists and try again.",
    );
  if (provider.managedTerminationProtection === "ENABLED" && !group.newInstancesProtected)
    throw ecsErrors.client(
      "The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection for a capacity provider, the Auto Scaling group must have instance protection from scale in enabled.",
    );
}

/** What ECS puts on a group that it manages: its tag, and the hook that holds instances until they are drained. */
async function prepareGroup(deps: EcsDeps, scope: Scope, provider: CapacityProviderRecord["autoScalingGroupProvider"]): Promise<void> {
  const name = groupNameOf(provider.autoScalingGroupArn);
  await changeVpc(deps.writer, scope, async (unit) => {
    const key = autoscalingKeys.group(scope, name);
    const group = await unit.get<GroupRecord>(key);
    if (!group) return;
    const managed = provider.managedScaling?.status === "ENABLED" && !group.tags.some((tag) => tag.key === managedTag);
    if (managed) unit.put(key, { ...group, tags: [...group.tags, { key: managedTag, value: "", propagate: true }] } satisfies GroupRecord);
    const hook = autoscalingKeys.hook(scope, name, drainingHook);
    if (provider.managedDraining !== "ENABLED") unit.delete(hook);
    else
      unit.put(hook, {
        name: drainingHook,
        group: name,
        transition: "autoscaling:EC2_INSTANCE_TERMINATING",
        heartbeatSeconds: 3600,
        defaultResult: "CONTINUE",
      } satisfies HookRecord);
  });
}

const managedTag = "AmazonECSManaged";

/** Source: ECS API Reference, AutoScalingGroupProvider and ManagedScaling. */
function checkProvider({ managedScaling = {}, managedTerminationProtection, managedDraining }: Partial<AutoScalingGroupProvider>): void {
  for (const [name, value] of Object.entries({ status: managedScaling.status, managedTerminationProtection, managedDraining }))
    if (value !== undefined && value !== "ENABLED" && value !== "DISABLED")
      throw ecsErrors.invalid(`${name} should be one of [ENABLED,DISABLED]`);
  const range = (name: keyof ManagedScaling, least: number, most: number) => {
    const value = managedScaling[name];
    if (value !== undefined && (!Number.isInteger(value) || Number(value) < least || Number(value) > most))
      throw ecsErrors.invalid(`${name} must be between ${least} and ${most}.`);
  };
  range("targetCapacity", 1, 100);
  range("minimumScalingStepSize", 1, 10_000);
  range("maximumScalingStepSize", 1, 10_000);
  range("instanceWarmupPeriod", 0, 10_000);
  if (managedTerminationProtection === "ENABLED" && managedScaling.status !== "ENABLED")
    throw ecsErrors.client(
      "The managed termination protection setting for the capacity provider is invalid. To enable managed termination protection for a capacity provider, enable managed scaling.",
    );
}

const withProviderDefaults = (given: AutoScalingGroupProvider): AutoScalingGroupProvider => ({
  ...given,
  managedScaling: {
    status: "DISABLED",
    targetCapacity: 100,
    minimumScalingStepSize: 1,
    maximumScalingStepSize: 10_000,
    instanceWarmupPeriod: 300,
    ...given.managedScaling,
  },
  managedTerminationProtection: given.managedTerminationProtection ?? "DISABLED",
  managedDraining: given.managedDraining ?? "ENABLED",
});

/** Keeps what is not named; the group itself can't be changed. */
export async function updateCapacityProvider(
  deps: EcsDeps,
  input: UpdateCapacityProviderRequest,
  context: RequestContext,
): Promise<UpdateCapacityProviderResponse> {
  const scope = scopeOf(context);
  if (input.managedInstancesProvider) throw ecsErrors.notYet("managedInstancesProvider");
  const { autoScalingGroupProvider: update } = input;
  if (!update) throw ecsErrors.client("An update of a capacity provider needs an autoScalingGroupProvider.");
  const name = nameOf(input.name);
  if (fargateProviders.includes(name)) throw ecsErrors.client("The specified capacity provider is reserved and can't be updated.");
  const answer = await deps.writer.run("ecs-clusters", async (unit) => {
    const key = capacityProviderKey(scope, name);
    const known = await unit.get<CapacityProviderRecord>(key);
    if (!known) throw ecsErrors.client(notFound);
    const before = known.autoScalingGroupProvider;
    const provider = { ...before, ...update, managedScaling: { ...before.managedScaling, ...update.managedScaling } };
    checkProvider(provider);
    const record: CapacityProviderRecord = { ...known, autoScalingGroupProvider: provider, updateStatus: "UPDATE_COMPLETE" };
    unit.put(key, record);
    return { record, capacityProvider: view(scope, record, true) };
  });
  await prepareGroup(deps, scope, answer.record.autoScalingGroupProvider);
  return { capacityProvider: answer.capacityProvider };
}

const notFound = "The specified capacity provider was not found. Specify a valid name or ARN and try again.";
const nameOf = (text = "") => (text.startsWith("arn:") ? (text.split("/").at(-1) ?? "") : text);

export async function describeCapacityProviders(
  deps: EcsDeps,
  input: DescribeCapacityProvidersRequest,
  context: RequestContext,
): Promise<DescribeCapacityProvidersResponse> {
  const scope = scopeOf(context);
  const withTags = input.include?.includes("TAGS") ?? false;
  const { entries } = await deps.store.list<CapacityProviderRecord>(`${ecsKeys.root(scope)}/capacity-provider/`);
  const ofCluster = input.cluster === undefined ? undefined : await clusterOf(deps.store, scope, input.cluster);
  const every = [
    ...fargateProviders.map((name): CapacityProvider => ({
      capacityProviderArn: arnOf(scope, name),
      name,
      status: "ACTIVE",
      type: name as CapacityProvider["type"],
      tags: [],
    })),
    ...entries.map(({ value }) => view(scope, value, withTags)),
  ];
  const all = every.filter(({ name = "" }) => ofCluster?.capacityProviders.includes(name) ?? true);
  all.sort((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
  const asked = input.capacityProviders;
  if (asked?.length) {
    const failures: DescribeCapacityProvidersResponse["failures"] = [];
    const found = asked.flatMap((text) => {
      const known = all.find(({ name, capacityProviderArn }) => text === name || text === capacityProviderArn);
      if (!known) failures.push({ arn: text.startsWith("arn:") ? text : arnOf(scope, text), reason: "MISSING" });
      return known ?? [];
    });
    return { capacityProviders: found, failures };
  }
  const limit = checkLimit(input.maxResults, 10);
  const { items, nextToken } = pageOf(deps.sealer, all, ({ name }) => name ?? "", {
    scope: `DescribeCapacityProviders/${ecsKeys.root(scope)}`,
    limit,
    token: input.nextToken,
    badToken: ecsErrors.badToken,
  });
  return { capacityProviders: [...items], failures: [], nextToken };
}

export async function deleteCapacityProvider(
  deps: EcsDeps,
  input: DeleteCapacityProviderRequest,
  context: RequestContext,
): Promise<DeleteCapacityProviderResponse> {
  const scope = scopeOf(context);
  const name = nameOf(input.capacityProvider);
  if (fargateProviders.includes(name)) throw ecsErrors.client("The specified capacity provider is reserved and can't be deleted.");
  const answer = await deps.writer.run("ecs-clusters", async (unit) => {
    const key = capacityProviderKey(scope, name);
    const record = await unit.get<CapacityProviderRecord>(key);
    if (!record) throw ecsErrors.client(notFound);
    const clusters = await unit.list<ClusterRecord>(ecsKeys.clusters(scope));
    const user = [...clusters.values()].find((cluster) => cluster.status === "ACTIVE" && cluster.capacityProviders.includes(name));
    if (user)
      throw ecsErrors.client(
        `The capacity provider cannot be deleted because it is associated with cluster: ${user.name}. Remove the capacity provider from the cluster and try again.`,
      );
    unit.delete(key);
    return { record, capacityProvider: { ...view(scope, record, true), status: "INACTIVE", updateStatus: "DELETE_COMPLETE" } as const };
  });
  // Its hook would hold the group's instances for an hour.
  const group = groupNameOf(answer.record.autoScalingGroupProvider.autoScalingGroupArn);
  await changeVpc(deps.writer, scope, async (unit) => unit.delete(autoscalingKeys.hook(scope, group, drainingHook)));
  return { capacityProvider: answer.capacityProvider };
}

function view(scope: Scope, record: CapacityProviderRecord, withTags: boolean): CapacityProvider {
  return {
    capacityProviderArn: arnOf(scope, record.name),
    name: record.name,
    status: "ACTIVE",
    type: "EC2_AUTOSCALING",
    autoScalingGroupProvider: record.autoScalingGroupProvider,
    ...(record.updateStatus ? { updateStatus: record.updateStatus } : {}),
    tags: withTags ? record.tags.map(({ key, value }) => ({ key, value })) : [],
  };
}
