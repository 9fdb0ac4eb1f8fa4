import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { Node } from "#scheduler/types.ts";
import { usageOf } from "#scheduler/usage.ts";
import type { Unit } from "#store/unit.ts";

/** Records are never changed in place: an instance's attributes are indexed once. */
const attributes = new WeakMap<ContainerInstanceRecord, ReadonlyMap<string, string>>();

/** An instance says by this attribute which capacity provider's group it belongs to. */
const groupAttribute = "gantry.capacity-provider";

export function capacityProviderOf({ capacityProviderName, attributes: given }: ContainerInstanceRecord): string | undefined {
  return capacityProviderName ?? given.find(({ name }) => name === groupAttribute)?.value;
}

export function nodeOf(
  instance: ContainerInstanceRecord,
  allocation: AllocationRecord | undefined,
  connection: ConnectionRecord | undefined,
): Node {
  let indexed = attributes.get(instance);
  if (!indexed) attributes.set(instance, (indexed = new Map(instance.attributes.map(({ name, value }) => [name, value ?? ""]))));
  return {
    id: instance.id,
    arn: instance.arn,
    ec2InstanceId: instance.ec2InstanceId,
    agentVersion: instance.versionInfo.agentVersion,
    capacityProvider: capacityProviderOf(instance),
    registeredAt: instance.registeredAt,
    status: instance.status,
    connected: connection?.connected ?? false,
    attributes: indexed,
    capacity: instance.registeredResources,
    usage: usageOf(allocation),
  };
}

/** The machines of a cluster as the unit sees them, without the deregistered ones. */
export async function nodesOf(unit: Unit, scope: Scope, cluster: string): Promise<Node[]> {
  const allocationPrefix = ecsKeys.allocations(scope, cluster);
  const connectionPrefix = ecsKeys.connections(scope, cluster);
  const instances = await unit.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster));
  const allocations = await unit.list<AllocationRecord>(allocationPrefix);
  const connections = await unit.list<ConnectionRecord>(connectionPrefix);
  const nodes: Node[] = [];
  for (const instance of instances.values()) {
    if (instance.status === "INACTIVE") continue;
    nodes.push(nodeOf(instance, allocations.get(allocationPrefix + instance.id), connections.get(connectionPrefix + instance.id)));
  }
  return nodes;
}
