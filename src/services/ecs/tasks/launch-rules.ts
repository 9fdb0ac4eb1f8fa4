import type { CapacityProviderStrategyItem, NetworkConfiguration, TaskDefinition, TaskOverride } from "@aws-sdk/client-ecs";
import type { Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import { fargateProviders, type NetworkWish } from "#reconcilers/launch.ts";
import { checkAwsvpc } from "#reconcilers/vpc/awsvpc.ts";
import { ApiError } from "#api/contract.ts";
import type { Store } from "#store/store.ts";
import { ecsErrors } from "../errors.ts";
import { isFargateSize } from "../task-definitions/fargate-rules.ts";
import { platformVersion as newest } from "./plan.ts";
import { taskLimits } from "./resources.ts";

/** What RunTask, CreateService and CreateTaskSet say of where tasks are to run, and in which network. Messages are AWS's where they are known. */
const { invalid, client, notYet } = ecsErrors;

interface LaunchInput {
  readonly launchType?: string;
  readonly capacityProviderStrategy?: readonly CapacityProviderStrategyItem[];
  readonly platformVersion?: string;
  readonly placementConstraints?: readonly unknown[];
  readonly placementStrategy?: readonly unknown[];
}

/** The strategy that is given, or the cluster's where neither that nor a launch type is. */
export function strategyOf(input: LaunchInput, cluster: ClusterRecord): readonly CapacityProviderStrategyItem[] {
  const { capacityProviderStrategy: strategy = [], launchType } = input;
  if (strategy.length > 0 || launchType) return strategy;
  return cluster.defaultCapacityProviderStrategy as readonly CapacityProviderStrategyItem[];
}

/** Throws where the input contradicts itself or the cluster. Returns the launch types that its tasks may have. */
export function checkLaunch(input: LaunchInput, cluster: ClusterRecord): "EC2" | "FARGATE" {
  const { launchType } = input;
  if (input.capacityProviderStrategy?.length && launchType)
    throw invalid("Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.");
  if (launchType === "EXTERNAL" || launchType === "MANAGED_INSTANCES") throw notYet(`launchType ${launchType}`);
  const strategy = strategyOf(input, cluster);
  checkStrategyItems(strategy);
  const names = strategy.map(({ capacityProvider = "" }) => capacityProvider);
  for (const name of names) {
    if (!cluster.capacityProviders.includes(name))
      throw invalid(
        "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.",
      );
  }
  const ofFargate = names.filter((name) => fargateProviders.includes(name)).length;
  if (ofFargate > 0 && ofFargate < names.length)
    throw invalid(
      "The specified capacity provider strategy cannot contain both Auto Scaling group and Fargate capacity providers. Specify one type and try again.",
    );
  const fargate = ofFargate > 0 || launchType === "FARGATE";
  if (!fargate) {
    if (input.platformVersion !== undefined) throw invalid("The platform version must be null when specifying an EC2 launch type.");
    return "EC2";
  }
  if (input.platformVersion !== undefined && !["LATEST", newest].includes(input.platformVersion))
    throw new ApiError("PlatformUnknownException", "The specified platform version does not exist.");
  if (input.placementConstraints?.length) throw invalid("Placement constraints are not supported with FARGATE launch type.");
  if (input.placementStrategy?.length) throw invalid("Placement strategies are not supported with FARGATE launch type.");
  return "FARGATE";
}

export function checkStrategyItems(strategy: readonly { readonly weight?: number; readonly base?: number }[]): void {
  if (strategy.length > 20) throw invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.");
  for (const { weight = 0, base = 0 } of strategy) {
    if (weight < 0 || weight > 1000) throw invalid("The specified capacity provider strategy weight value must be between 0 and 1000.");
    if (base < 0 || base > 100_000) throw invalid("The specified capacity provider strategy base value must be between 0 and 100000.");
  }
  if (strategy.filter(({ base = 0 }) => base > 0).length > 1)
    throw invalid("Only one capacity provider in a capacity provider strategy can have a base value greater than zero.");
  if (strategy.length > 0 && strategy.every(({ weight = 0 }) => weight === 0))
    throw invalid("A capacity provider strategy needs at least one capacity provider with a weight greater than zero.");
}

/** That tasks of the definition can be launched so, in such a network. */
export function checkLaunchable(
  record: TaskDefinitionRecord,
  launchType: "EC2" | "FARGATE",
  network: NetworkConfiguration | undefined,
  overrides?: TaskOverride,
): void {
  const definition = record.definition as TaskDefinition;
  if (record.status !== "ACTIVE") throw client("TaskDefinition is inactive");
  if (!record.compatibilities.includes(launchType)) throw invalid(`Task definition does not support launch_type ${launchType}.`);
  const awsvpc = network?.awsvpcConfiguration;
  if (definition.networkMode !== "awsvpc") {
    if (awsvpc) throw invalid("Network Configuration is not valid for the given networkMode of this task definition.");
    return;
  }
  if (!awsvpc) throw invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.");
  if (launchType === "EC2") {
    if (awsvpc.assignPublicIp === "ENABLED") throw invalid("Assign public IP is not supported for this launch type.");
    return;
  }
  const family = definition.runtimePlatform?.operatingSystemFamily;
  if (family?.startsWith("WINDOWS")) throw notYet(`the operating system family ${family}`);
  const { cpu, memory } = taskLimits(definition, overrides);
  if (!isFargateSize(cpu, memory))
    throw client(
      `No Fargate configuration exists for given values: ${cpu} CPU, ${memory} memory. See the Amazon ECS documentation for the valid values.`,
    );
  const storage = overrides?.ephemeralStorage?.sizeInGiB;
  if (storage !== undefined && (!Number.isInteger(storage) || storage < 20 || storage > 200))
    throw client("Invalid setting for ephemeral storage. Size must be between 20 GiB and 200 GiB.");
}

type Read = <T>(key: string) => Promise<T | undefined>;

export const readerOf =
  (store: Pick<Store, "get">): Read =>
  async <T>(key: string) =>
    (await store.get<T>(key))?.value;

/** The network of an awsvpcConfiguration; undefined for other network modes. */
export async function networkWish(read: Read, scope: Scope, network: NetworkConfiguration | undefined): Promise<NetworkWish | undefined> {
  const given = network?.awsvpcConfiguration;
  if (!given) return undefined;
  const { subnets, groups, assignPublicIp } = await checkAwsvpc(read, scope, given);
  return { subnets: subnets.map(({ id }) => id), groups, assignPublicIp };
}

/** A wish that was checked when its service was made. Subnets and groups that have gone since show when the interface is made. */
export function laterWish(network: NetworkConfiguration | undefined): NetworkWish | undefined {
  const given = network?.awsvpcConfiguration;
  if (!given) return undefined;
  return { subnets: given.subnets ?? [], groups: given.securityGroups ?? [], assignPublicIp: given.assignPublicIp === "ENABLED" };
}
