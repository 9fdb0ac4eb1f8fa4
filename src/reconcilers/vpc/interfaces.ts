import { addressAt, knownBlock } from "#model/cidr.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { ElasticIpRecord, NetworkInterfaceRecord, SubnetRecord, TaskNetwork, VpcRecord } from "#model/vpc-records.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { takeAddress, takeGivenAddress, takeIpv6, takePublicAddress } from "./addresses.ts";
import { vpcErrors } from "./errors.ts";
import { newId, newMac } from "./ids.ts";

/**
 * Elastic network interfaces as they come and go with what they belong to, always in the transaction of their owner: no interface without an owner,
 * no owner without its interface, no address twice. Whoever takes one reads its subnet, VPC and groups, so none of them vanishes meanwhile.
 */

/** What making an interface needs besides the request. */
export interface InterfaceMaking {
  readonly random: Random;
  readonly now: number;
  /** `Config.publicPool`. */
  readonly publicPool: string;
}

export interface InterfaceRequest {
  readonly subnetId: string;
  /** Empty: the VPC's default group. */
  readonly groups: readonly string[];
  readonly description: string;
  readonly interfaceType: NetworkInterfaceRecord["interfaceType"];
  /** These private addresses, the primary first, and so many more that EC2 chooses. Neither: one. */
  readonly privateIps?: readonly string[];
  readonly morePrivateIps?: number;
  /** These, and so many more. Neither: one, if the subnet assigns them. */
  readonly ipv6?: readonly string[];
  readonly moreIpv6?: number;
  readonly assignPublicIp?: boolean;
  /** Of an AWS service: its account. The interface is then `requesterManaged`. */
  readonly requesterId?: string;
  readonly attachment?: NetworkInterfaceRecord["attachment"];
  readonly task?: NetworkInterfaceRecord["task"];
  readonly sourceDestCheck?: boolean;
  readonly tags?: NetworkInterfaceRecord["tags"];
}

export interface TaskInterfaceRequest {
  readonly subnetId: string;
  /** At most 5; empty: the VPC's default group. */
  readonly groups: readonly string[];
  readonly assignPublicIp: boolean;
  /** `node`: the store's key of the container instance (of a Fargate task: of the hidden machine). */
  readonly task: { readonly arn: string; readonly node: string };
  /** EC2 launch type: the container instance's `ec2InstanceId`, shown as what the interface is attached to. */
  readonly instanceId?: string;
}

/** The accounts of AWS in whose name ECS makes interfaces. */
const ecsRequester = "578734482556";

/**
 * Throws VpcError: no such subnet or group, groups of another VPC, subnet or pool without a free address. Then it has written nothing, so the
 * caller may go on with the unit, in another subnet for instance.
 */
export async function takeTaskInterface(
  unit: Unit,
  scope: Scope,
  request: TaskInterfaceRequest,
  making: InterfaceMaking,
): Promise<TaskNetwork> {
  const attachmentId = making.random.uuid();
  const { record, subnet, vpc } = await takeInterface(
    unit,
    scope,
    {
      subnetId: request.subnetId,
      groups: request.groups,
      description: `arn:aws:ecs:${scope.region}:${scope.account}:attachment/${attachmentId}`,
      interfaceType: "interface",
      assignPublicIp: request.assignPublicIp,
      requesterId: ecsRequester,
      task: request.task,
      attachment: {
        id: newId(making.random, request.instanceId === undefined ? "ela-attach" : "eni-attach"),
        attachedAt: making.now,
        deviceIndex: 1,
        deleteOnTermination: false,
        instanceId: request.instanceId,
        instanceOwnerId: request.instanceId === undefined ? ecsRequester : scope.account,
      },
    },
    making,
  );
  const block = knownBlock(subnet.cidr);
  const privateIp = record.privateIps[0]!;
  return {
    attachmentId,
    networkInterfaceId: record.id,
    vpcId: vpc.id,
    subnetId: subnet.id,
    subnetCidr: subnet.cidr,
    gateway: addressAt(block, 1),
    resolver: addressAt(knownBlock(vpc.cidr), 2),
    mac: record.mac,
    privateIp,
    privateDnsName: privateDnsName(scope, privateIp),
    ...(record.ipv6.length > 0 && subnet.ipv6 ? { ipv6: record.ipv6[0], ipv6Cidr: subnet.ipv6.cidr } : {}),
    ...(record.publicIp ? { publicIp: record.publicIp.address } : {}),
  };
}

/** Gives everything back that `takeTaskInterface` took. Safe to repeat. */
export async function releaseTaskInterface(unit: Unit, scope: Scope, id: string): Promise<void> {
  await releaseInterface(unit, scope, id);
}

/** The interface with its addresses; the subnet and VPC are those that it lies in. Throws VpcError as `takeTaskInterface`. */
export async function takeInterface(
  unit: Unit,
  scope: Scope,
  request: InterfaceRequest,
  making: InterfaceMaking,
): Promise<{ readonly record: NetworkInterfaceRecord; readonly subnet: SubnetRecord; readonly vpc: VpcRecord }> {
  const subnet = await unit.get<SubnetRecord>(vpcKeys.one(scope, "subnet", request.subnetId));
  const vpc = subnet && (await unit.get<VpcRecord>(vpcKeys.one(scope, "vpc", subnet.vpcId)));
  if (!subnet || !vpc) throw vpcErrors.noSubnet(request.subnetId);
  const { unit: noting, takeBack } = noted(unit);
  try {
    return { record: await writeInterface(noting, scope, request, making, subnet, vpc), subnet, vpc };
  } catch (error) {
    takeBack();
    throw error;
  }
}

/** A unit whose puts can be taken back: they are of keys that were absent. */
function noted(unit: Unit): { readonly unit: Unit; takeBack(): void } {
  const keys: string[] = [];
  const put = (key: string, value: unknown) => {
    unit.put(key, value);
    if (!key.startsWith(vpcKeys.uses())) keys.push(key);
  };
  return {
    unit: { ...unit, put },
    takeBack() {
      for (const key of keys) unit.delete(key);
    },
  };
}

async function writeInterface(
  unit: Unit,
  scope: Scope,
  request: InterfaceRequest,
  making: InterfaceMaking,
  subnet: SubnetRecord,
  vpc: VpcRecord,
): Promise<NetworkInterfaceRecord> {
  const { random } = making;
  // NAT gateways have none at all, and network load balancers only those that they were given.
  const none = request.interfaceType === "nat_gateway" || request.interfaceType === "network_load_balancer" ? [] : [vpc.defaultGroupId];
  const groups = request.interfaceType === "nat_gateway" || request.groups.length === 0 ? none : [...new Set(request.groups)];
  await checkGroups(unit, scope, groups, subnet);
  const id = newId(random, "eni");
  const record: NetworkInterfaceRecord = {
    id,
    vpcId: vpc.id,
    subnetId: subnet.id,
    availabilityZone: subnet.availabilityZone,
    description: request.description,
    interfaceType: request.interfaceType,
    mac: newMac(random),
    privateIps: await privateAddresses(unit, scope, subnet, id, request, random),
    ipv6: await ipv6Addresses(unit, scope, subnet, id, request, random),
    groups,
    sourceDestCheck: request.sourceDestCheck ?? true,
    requesterManaged: request.requesterId !== undefined,
    requesterId: request.requesterId,
    createdAt: making.now,
    attachment: request.attachment,
    task: request.task,
    ...(request.assignPublicIp ? { publicIp: { address: await takePublicAddress(unit, making.publicPool, id, random) } } : {}),
    tags: request.tags ?? [],
  };
  unit.put(vpcKeys.one(scope, "network-interface", id), record);
  unit.put(vpcKeys.interfacesTaken(scope), {});
  return record;
}

/** That the groups are there and of the subnet's VPC. */
export async function checkGroups(
  unit: Unit,
  scope: Scope,
  groups: readonly string[],
  subnet: Pick<SubnetRecord, "id" | "vpcId">,
): Promise<void> {
  for (const group of groups) {
    const record = await unit.get<{ vpcId: string }>(vpcKeys.one(scope, "security-group", group));
    if (!record) throw vpcErrors.noGroup(group);
    if (record.vpcId !== subnet.vpcId) throw vpcErrors.otherVpc(subnet.id, group);
  }
}

async function privateAddresses(
  unit: Unit,
  scope: Scope,
  subnet: SubnetRecord,
  id: string,
  { privateIps = [], morePrivateIps }: InterfaceRequest,
  random: Random,
): Promise<string[]> {
  const taken: string[] = [];
  for (const address of privateIps) {
    await takeGivenAddress(unit, scope, subnet, id, address);
    taken.push(address);
  }
  const more = morePrivateIps ?? (privateIps.length === 0 ? 1 : 0);
  for (let count = 0; count < more; count++) taken.push(await takeAddress(unit, scope, subnet, id, random));
  return taken;
}

async function ipv6Addresses(
  unit: Unit,
  scope: Scope,
  subnet: SubnetRecord,
  id: string,
  { ipv6 = [], moreIpv6 }: InterfaceRequest,
  random: Random,
): Promise<string[]> {
  const asked = ipv6.length > 0 || moreIpv6 !== undefined;
  const wanted: (string | undefined)[] = [...ipv6, ...Array.from({ length: moreIpv6 ?? 0 }, () => undefined)];
  if (!asked && subnet.assignIpv6AddressOnCreation) wanted.push(undefined);
  const taken: string[] = [];
  for (const address of wanted) {
    const got = await takeIpv6(unit, scope, subnet, id, random, address);
    if (got !== undefined) taken.push(got);
  }
  return taken;
}

/**
 * Every interface of the account and region. What is decided from them (nothing uses this group) still holds when the unit is applied: the
 * key that says so is read first, and compared.
 */
export async function interfacesOf(unit: Unit, scope: Scope): Promise<NetworkInterfaceRecord[]> {
  await unit.get(vpcKeys.interfacesTaken(scope));
  return [...(await unit.list<NetworkInterfaceRecord>(vpcKeys.of(scope, "network-interface"))).values()];
}

/** Deletes the interface and frees its addresses; an Elastic IP stays its owner's and is associated with nothing. Safe to repeat. */
export async function releaseInterface(unit: Unit, scope: Scope, id: string): Promise<void> {
  const key = vpcKeys.one(scope, "network-interface", id);
  const record = await unit.get<NetworkInterfaceRecord>(key);
  if (!record) return;
  unit.delete(key);
  for (const address of [...record.privateIps, ...record.ipv6]) unit.delete(vpcKeys.address(scope, record.subnetId, address));
  await releasePublicAddress(unit, scope, record.publicIp);
}

async function releasePublicAddress(unit: Unit, scope: Scope, publicIp: NetworkInterfaceRecord["publicIp"]): Promise<void> {
  if (!publicIp) return;
  if (publicIp.allocationId === undefined) {
    unit.delete(vpcKeys.publicAddress(publicIp.address));
    return;
  }
  const key = vpcKeys.one(scope, "elastic-ip", publicIp.allocationId);
  const elastic = await unit.get<ElasticIpRecord>(key);
  if (!elastic) return;
  const { associationId: _, networkInterfaceId: __, privateIp: ___, ...free } = elastic;
  unit.put(key, free);
}

/** `ip-10-0-0-5.ec2.internal`; elsewhere than us-east-1 `ip-10-0-0-5.<region>.compute.internal`. Source: Amazon VPC User Guide, "DNS hostnames". */
export function privateDnsName({ region }: Pick<Scope, "region">, address: string): string {
  return `ip-${address.replaceAll(".", "-")}.${region === "us-east-1" ? "ec2" : `${region}.compute`}.internal`;
}

/** `ec2-198-18-0-5.compute-1.amazonaws.com`, elsewhere `….<region>.compute.amazonaws.com`. */
export function publicDnsName({ region }: Pick<Scope, "region">, address: string): string {
  return `ec2-${address.replaceAll(".", "-")}.${region === "us-east-1" ? "compute-1" : `${region}.compute`}.amazonaws.com`;
}
