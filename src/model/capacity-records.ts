import { ecsKeys, type Scope } from "./ecs-keys.ts";
import type { Tag } from "./ecs-records.ts";

/** A capacity provider on an Auto Scaling group. Writer: its operations. AWS's defaults are filled in. */
export interface CapacityProviderRecord {
  readonly name: string;
  readonly autoScalingGroupProvider: {
    /** Or its name. */
    readonly autoScalingGroupArn: string | undefined;
    readonly managedScaling?: {
      readonly status?: "ENABLED" | "DISABLED";
      readonly targetCapacity?: number;
      readonly minimumScalingStepSize?: number;
      readonly maximumScalingStepSize?: number;
      readonly instanceWarmupPeriod?: number;
    };
    readonly managedTerminationProtection?: "ENABLED" | "DISABLED";
    readonly managedDraining?: "ENABLED" | "DISABLED";
  };
  /** How far the last update has come; absent before the first. */
  readonly updateStatus?: "UPDATE_COMPLETE";
  readonly tags: readonly Tag[];
}

export const capacityKeys = {
  providers: (scope: Scope) => `${ecsKeys.root(scope)}/capacity-provider/`,
  provider: (scope: Scope, name: string) => `${ecsKeys.root(scope)}/capacity-provider/${name}`,
  everyWaiting: "/ecs-waiting/",
  waitingOf: ({ account, region }: Scope, cluster: string) => `/ecs-waiting/${account}/${region}/${cluster}/`,
  /** `{}`: the task is PROVISIONING: its capacity provider has no room yet. Comes and goes in the transactions that make, place and stop it. */
  waiting: ({ account, region }: Scope, cluster: string, task: string) => `/ecs-waiting/${account}/${region}/${cluster}/${task}`,
};

/** The group of a provider: `arn:…:autoScalingGroupName/<name>`, or a name. */
export const groupNameOf = (arn = ""): string => (arn.startsWith("arn:") ? (/autoScalingGroupName\/(.+)$/.exec(arn)?.[1] ?? "") : arn);

export const isManaged = (record: CapacityProviderRecord | undefined): boolean =>
  record?.autoScalingGroupProvider.managedScaling?.status === "ENABLED";

/** Tasks that wait in a cluster. Source: ECS Developer Guide, "Service quotas": "Tasks in the PROVISIONING state per cluster". */
export const mostWaiting = 500;
/** The hook by which ECS holds an instance that is to go until it is drained. Source: ECS Developer Guide, "Managed instance draining". */
export const drainingHook = "ecs-managed-draining-termination-hook";
