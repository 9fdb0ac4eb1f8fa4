import { type CapacityProviderRecord, groupNameOf } from "#model/capacity-records.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { clusterQueue } from "../task-writes.ts";

/** A container instance belongs to the provider of its cluster on whose Auto Scaling group its EC2 instance is. */
export async function linkInstances(
  store: Store,
  writer: Writer,
  scope: Scope,
  cluster: string,
  providers: readonly CapacityProviderRecord[],
): Promise<void> {
  const byGroup = new Map(providers.map((each) => [groupNameOf(each.autoScalingGroupProvider.autoScalingGroupArn), each.name]));
  for (const { key, value } of (await store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster))).entries) {
    if (value.status === "INACTIVE" || !value.ec2InstanceId.startsWith("i-")) continue;
    const instance = (await store.get<InstanceRecord>(vpcKeys.one(scope, "instance", value.ec2InstanceId)))?.value;
    const provider = byGroup.get(instance?.autoScalingGroup ?? "");
    if (provider === undefined || value.capacityProviderName === provider) continue;
    await writer.run(clusterQueue(scope, cluster), async (unit) => {
      const current = await unit.get<ContainerInstanceRecord>(key);
      if (!current || current.status === "INACTIVE" || current.capacityProviderName === provider) return;
      unit.put(key, { ...current, capacityProviderName: provider, version: current.version + 1 } satisfies ContainerInstanceRecord);
    });
  }
}
