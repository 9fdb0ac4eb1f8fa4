import type {
  CapacityProvider,
  CreateCapacityProviderRequest,
  CreateCapacityProviderResponse,
  DeleteCapacityProviderRequest,
  DeleteCapacityProviderResponse,
  DescribeCapacityProvidersRequest,
  DescribeCapacityProvidersResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { formatArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, Tag } from "#model/ecs-records.ts";
import { type EcsDeps, scopeOf } from "./context.ts";
import { ecsErrors } from "./errors.ts";
import { checkTags } from "./tasks/tags.ts";

/** There in every account from the start. */
export const builtInProviders: readonly string[] = ["FARGATE", "FARGATE_SPOT"];

/** A capacity provider on an Auto Scaling group. Key: capacityProviderKey. Writer: the operations here. */
export interface CapacityProviderRecord {
  readonly name: string;
  readonly autoScalingGroupProvider: unknown;
  readonly tags: readonly Tag[];
}

export const capacityProviderKey = (scope: Scope, name: string) => `${ecsKeys.root(scope)}/capacity-provider/${name}`;
const arnOf = (scope: Scope, name: string) => formatArn({ service: "ecs", ...scope, resource: `capacity-provider/${name}` });

export async function createCapacityProvider(
  deps: EcsDeps,
  input: CreateCapacityProviderRequest,
  context: RequestContext,
): Promise<CreateCapacityProviderResponse> {
  const scope = scopeOf(context);
  const { name = "" } = input;
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(name) || /^(aws|ecs|fargate)/i.test(name))
    throw ecsErrors.invalid(
      "The capacity provider name is invalid: up to 255 letters, numbers, underscores and hyphens, and not beginning with aws, ecs or fargate.",
    );
  if (!input.autoScalingGroupProvider) throw ecsErrors.client("A capacity provider needs an autoScalingGroupProvider.");
  checkTags(input.tags);
  const record: CapacityProviderRecord = {
    name,
    autoScalingGroupProvider: input.autoScalingGroupProvider,
    tags: (input.tags ?? []).map(({ key = "", value = "" }) => ({ key, value })),
  };
  await deps.writer.run("ecs-clusters", async (unit) => {
    const key = capacityProviderKey(scope, name);
    if (await unit.get(key)) throw ecsErrors.client("A capacity provider with the name " + name + " already exists.");
    unit.put(key, record);
  });
  return { capacityProvider: view(scope, record, true) };
}

export async function describeCapacityProviders(
  deps: EcsDeps,
  input: DescribeCapacityProvidersRequest,
  context: RequestContext,
): Promise<DescribeCapacityProvidersResponse> {
  const scope = scopeOf(context);
  const withTags = input.include?.includes("TAGS") ?? false;
  const { entries } = await deps.store.list<CapacityProviderRecord>(`${ecsKeys.root(scope)}/capacity-provider/`);
  const all = [
    ...builtInProviders.map((name): CapacityProvider => ({ capacityProviderArn: arnOf(scope, name), name, status: "ACTIVE", tags: [] })),
    ...entries.map(({ value }) => view(scope, value, withTags)),
  ];
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
  const limit = input.maxResults ?? 10;
  if (limit < 1 || limit > 10) throw ecsErrors.invalid("maxResults must be between 1 and 10.");
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
  const text = input.capacityProvider ?? "";
  const name = text.startsWith("arn:") ? (text.split("/").at(-1) ?? "") : text;
  if (builtInProviders.includes(name)) throw ecsErrors.client("The specified capacity provider is reserved and can't be deleted.");
  return deps.writer.run("ecs-clusters", async (unit) => {
    const key = capacityProviderKey(scope, name);
    const record = await unit.get<CapacityProviderRecord>(key);
    if (!record) throw ecsErrors.client("The specified capacity provider was not found. Specify a valid name or ARN and try again.");
    const clusters = await unit.list<ClusterRecord>(ecsKeys.clusters(scope));
    const user = [...clusters.values()].find((cluster) => cluster.status === "ACTIVE" && cluster.capacityProviders.includes(name));
    if (user)
      throw ecsErrors.client(
        `The capacity provider cannot be deleted because it is associated with cluster: ${user.name}. Remove the capacity provider from the cluster and try again.`,
      );
    unit.delete(key);
    return { capacityProvider: { ...view(scope, record, true), status: "INACTIVE", updateStatus: "DELETE_COMPLETE" } };
  });
}

function view(scope: Scope, record: CapacityProviderRecord, withTags: boolean): CapacityProvider {
  return {
    capacityProviderArn: arnOf(scope, record.name),
    name: record.name,
    status: "ACTIVE",
    autoScalingGroupProvider: record.autoScalingGroupProvider as CapacityProvider["autoScalingGroupProvider"],
    tags: withTags ? record.tags.map(({ key, value }) => ({ key, value })) : [],
  };
}
