import { ecsKeys, type NodePlace, type Scope } from "#model/ecs-keys.ts";
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

/**
 * The operator's mark: `true`: a machine that Fargate's tasks may use as well as those of its cluster; `only`: nobody but Fargate, and no user ever sees it.
 */
export const fargateAttribute = "gantry.fargate";

function fargateMark({ attributes: given }: ContainerInstanceRecord): string | undefined {
  return given.find(({ name }) => name === fargateAttribute)?.value;
}

export function isFargateNode(instance: ContainerInstanceRecord): boolean {
  const mark = fargateMark(instance);
  return instance.status !== "INACTIVE" && (mark === "true" || mark === "only");
}

/** Fargate's alone: not an instance that its cluster shows or uses. */
export function isHidden(instance: ContainerInstanceRecord): boolean {
  return fargateMark(instance) === "only";
}

/** Writes an instance, and whether it is one of Fargate's machines. */
export async function putInstance(unit: Unit, scope: Scope, record: ContainerInstanceRecord): Promise<void> {
  unit.put(ecsKeys.containerInstance(scope, record.cluster, record.id), record);
  const key = ecsKeys.fargateNode(scope, record.cluster, record.id);
  const known = await unit.get<FargateNode>(key);
  if (isFargateNode(record) === (known !== undefined)) return;
  if (known) unit.delete(key);
  else {
    const { put, value } = fargateNodeWrite(scope, record);
    unit.put(put, value);
  }
}

/** The record that makes it one of Fargate's machines. */
export function fargateNodeWrite(
  { account, region }: Scope,
  { cluster, id }: ContainerInstanceRecord,
): { put: string; value: FargateNode } {
  return { put: ecsKeys.fargateNode({ account, region }, cluster, id), value: { account, region, cluster, id } };
}

/** Key `/ecs-fargate/<account>/<region>/<cluster>/<id>`. Writer: `putInstance`. */
export interface FargateNode extends NodePlace {
  readonly id: string;
}

/** The API's `version`: it rises with each change that ECS tells EventBridge of. Source: ECS API Reference, ContainerInstance. */
export function versionOf(
  instance: ContainerInstanceRecord,
  { allocation, connection }: { readonly allocation: AllocationRecord | undefined; readonly connection: ConnectionRecord | undefined },
): number {
  return instance.version + (allocation?.changes ?? 0) + (connection?.changes ?? 0);
}

/** A machine, with where it is registered. */
export interface Machine {
  readonly instance: ContainerInstanceRecord;
  readonly place: NodePlace;
}

/** Fargate's machines, with where they are registered. */
export async function fargateNodesOf(unit: Unit): Promise<{ readonly node: Node; readonly place: NodePlace }[]> {
  const found: { node: Node; place: NodePlace }[] = [];
  for (const { id, ...place } of (await unit.list<FargateNode>(ecsKeys.fargateNodes())).values()) {
    const instance = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(place, place.cluster, id));
    if (!instance || !isFargateNode(instance)) continue;
    const allocation = await unit.get<AllocationRecord>(ecsKeys.allocation(place, place.cluster, id));
    const connection = await unit.get<ConnectionRecord>(ecsKeys.connection(place, place.cluster, id));
    found.push({ node: nodeOf(instance, allocation, connection), place });
  }
  return found;
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
    closedToSpot: allocation?.reclaimedAt !== undefined,
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
    if (instance.status === "INACTIVE" || isHidden(instance)) continue;
    nodes.push(nodeOf(instance, allocations.get(allocationPrefix + instance.id), connections.get(connectionPrefix + instance.id)));
  }
  return nodes;
}
