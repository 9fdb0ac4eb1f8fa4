import type { CapacityProviderStrategyItem, ClusterConfiguration, ClusterSetting } from "@aws-sdk/client-ecs";
import type { Scope } from "#model/ecs-keys.ts";
import type { Store } from "#store/store.ts";
import { fargateProviders } from "#reconcilers/launch.ts";
import { capacityProviderKey } from "../capacity-providers.ts";
import { ecsErrors } from "../errors.ts";

/** Source: ECS API Reference, CreateCluster. */
export function checkClusterName(name: string): void {
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(name))
    throw ecsErrors.invalid("Cluster names can have up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens.");
}

export function checkSettings(settings: readonly ClusterSetting[] | undefined): void {
  for (const { name, value } of settings ?? []) {
    if (name !== "containerInsights") throw ecsErrors.invalid(`Invalid cluster setting name: ${String(name)}`);
    if (!["enabled", "disabled", "enhanced"].includes(value ?? ""))
      throw ecsErrors.invalid(`Invalid value for cluster setting containerInsights: ${value}. Valid values: enabled, disabled, enhanced`);
  }
}

export async function checkProviders(store: Store, scope: Scope, names: readonly string[] | undefined): Promise<void> {
  if ((names?.length ?? 0) > 20) throw ecsErrors.invalid("A cluster can have a maximum of 20 capacity providers.");
  for (const name of names ?? []) {
    if (fargateProviders.includes(name) || (await store.get(capacityProviderKey(scope, name)))) continue;
    throw ecsErrors.invalid(`The specified capacity provider was not found: ${name}. Specify a valid name and try again.`);
  }
}

/** Source: ECS API Reference, ExecuteCommandConfiguration. */
export function checkConfiguration(configuration: ClusterConfiguration | undefined): void {
  const command = configuration?.executeCommandConfiguration;
  if (!command) return;
  const { logging = "DEFAULT", logConfiguration } = command;
  if (!["NONE", "DEFAULT", "OVERRIDE"].includes(logging)) throw ecsErrors.invalid("logging should be one of [NONE,DEFAULT,OVERRIDE]");
  if (logging === "OVERRIDE" && !logConfiguration) throw ecsErrors.invalid("A logConfiguration must be provided when logging is OVERRIDE.");
  if (logging !== "OVERRIDE" && logConfiguration)
    throw ecsErrors.invalid("A logConfiguration can be provided when logging is OVERRIDE only.");
}

/** A default strategy names providers of the cluster only, with AWS's limits of weight and base. */
export function checkStrategy(strategy: readonly CapacityProviderStrategyItem[] | undefined, providers: readonly string[]): void {
  const items = strategy ?? [];
  for (const { capacityProvider = "", weight = 0, base = 0 } of items) {
    if (!providers.includes(capacityProvider))
      throw ecsErrors.invalid(
        "The specified capacity provider strategy cannot contain a capacity provider that is not associated with the cluster. Associate the capacity provider with the cluster and try again.",
      );
    if (weight < 0 || weight > 1000)
      throw ecsErrors.invalid("The specified capacity provider strategy weight value must be between 0 and 1000.");
    if (base < 0 || base > 100_000)
      throw ecsErrors.invalid("The specified capacity provider strategy base value must be between 0 and 100000.");
  }
  if (items.length > 20) throw ecsErrors.invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.");
  if (new Set(items.map(({ capacityProvider }) => capacityProvider)).size < items.length)
    throw ecsErrors.invalid("A capacity provider strategy can name a capacity provider only once.");
  const builtIn = items.filter(({ capacityProvider = "" }) => fargateProviders.includes(capacityProvider)).length;
  if (builtIn > 0 && builtIn < items.length)
    throw ecsErrors.invalid(
      "A capacity provider strategy cannot contain a mix of capacity providers using Auto Scaling groups and Fargate providers.",
    );
  if (items.length > 0 && items.every(({ weight = 0 }) => weight === 0))
    throw ecsErrors.invalid("A capacity provider strategy needs at least one capacity provider with a weight greater than zero.");
  if (items.filter(({ base = 0 }) => base > 0).length > 1)
    throw ecsErrors.invalid("Only one capacity provider in a capacity provider strategy can have a base value greater than zero.");
}
