import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { holdsAddress, knownBlock } from "#model/cidr.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { ElasticIpRecord, NetworkInterfaceRecord } from "#model/vpc-records.ts";
import { takePublicAddress } from "#reconcilers/vpc/addresses.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { refuseManaged } from "./network-interfaces/managed.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** Elastic IP addresses, out of the installation's pool. Source: Amazon EC2 API Reference, "AllocateAddress" and its kin. */

const pool = "amazon";

export async function allocateAddress(change: Change, input: Sdk.AllocateAddressRequest): Promise<Sdk.AllocateAddressResult> {
  const { scope, random, unit, making } = change;
  if (input.Domain !== undefined && input.Domain !== "vpc")
    throw ec2Errors.invalid(`Value (${input.Domain}) for parameter domain is invalid.`);
  if (input.CustomerOwnedIpv4Pool ?? input.IpamPoolId) throw ec2Errors.notYet("pools of addresses other than Amazon's");
  if (input.PublicIpv4Pool !== undefined && input.PublicIpv4Pool !== pool)
    throw new ApiError("InvalidPublicIpv4PoolID.NotFound", `The public IPv4 pool ID '${input.PublicIpv4Pool}' does not exist`);
  if (input.NetworkBorderGroup !== undefined && input.NetworkBorderGroup !== scope.region)
    throw ec2Errors.invalid(`Value (${input.NetworkBorderGroup}) for parameter networkBorderGroup is invalid.`);
  const allocationId = newId(random, "eipalloc");
  const publicIp =
    input.Address === undefined
      ? await takePublicAddress(unit, making.publicPool, allocationId, random)
      : await recovered(change, input.Address, allocationId);
  change.put("elastic-ip", allocationId, { allocationId, publicIp, tags: tagsFor("elastic-ip", input.TagSpecifications) });
  return { AllocationId: allocationId, PublicIpv4Pool: pool, NetworkBorderGroup: scope.region, Domain: "vpc", PublicIp: publicIp };
}

/** An address that was released may be asked for again while nobody else has it. */
async function recovered({ unit, making }: Change, address: string, holder: string): Promise<string> {
  const key = vpcKeys.publicAddress(address);
  if (!holdsAddress(knownBlock(making.publicPool), address) || (await unit.get(key)) !== undefined)
    throw new ApiError("InvalidAddress.NotFound", `Address '${address}' not found.`);
  unit.put(key, { holder });
  return address;
}

/** By AllocationId, or by the address itself. */
async function chosen(change: Change, { AllocationId: id, PublicIp: address }: { AllocationId?: string; PublicIp?: string }) {
  if (id !== undefined) return need(change, "elastic-ip", id);
  if (address === undefined) throw ec2Errors.missing("AllocationId");
  const found = (await change.all("elastic-ip")).find(({ publicIp }) => publicIp === address);
  if (!found) throw noAddress(address);
  return found;
}

const noAddress = (address: string) => new ApiError("InvalidAddress.NotFound", `Address '${address}' not found.`);

export async function freeElasticIp(change: Change, id: string): Promise<ElasticIpRecord> {
  const elastic = await need(change, "elastic-ip", id);
  if (elastic.associationId !== undefined)
    throw ec2Errors.alreadyAssociated(`resource ${id} is already associated with associate-id ${elastic.associationId}`);
  return elastic;
}

/** Writes both ends. A public address that came with the interface is given back; the interface may be one that this change has just made. */
export function associate(change: Change, elastic: ElasticIpRecord, record: NetworkInterfaceRecord): ElasticIpRecord {
  const { allocationId, publicIp: address } = elastic;
  const associationId = newId(change.random, "eipassoc");
  if (record.publicIp && record.publicIp.allocationId === undefined) change.unit.delete(vpcKeys.publicAddress(record.publicIp.address));
  const associated: ElasticIpRecord = { ...elastic, associationId, networkInterfaceId: record.id, privateIp: record.privateIps[0] };
  change.put("elastic-ip", allocationId, associated);
  change.put("network-interface", record.id, { ...record, publicIp: { address, allocationId, associationId } });
  return associated;
}

async function separate(change: Change, elastic: ElasticIpRecord): Promise<ElasticIpRecord> {
  const { associationId: _, networkInterfaceId, privateIp: __, ...free } = elastic;
  change.put("elastic-ip", free.allocationId, free);
  const record = networkInterfaceId === undefined ? undefined : await change.get("network-interface", networkInterfaceId);
  if (record?.publicIp?.allocationId === free.allocationId) {
    const { publicIp: ___, ...rest } = record;
    change.put("network-interface", record.id, rest);
  }
  return free;
}

export async function associateAddress(change: Change, input: Sdk.AssociateAddressRequest): Promise<Sdk.AssociateAddressResult> {
  const elastic = await chosen(change, input);
  if (input.InstanceId !== undefined) throw ec2Errors.noInstance(input.InstanceId);
  if (input.NetworkInterfaceId === undefined) throw ec2Errors.missing("InstanceId or NetworkInterfaceId");
  const record = await need(change, "network-interface", input.NetworkInterfaceId);
  const privateIp = input.PrivateIpAddress ?? record.privateIps[0]!;
  if (!record.privateIps.includes(privateIp))
    throw ec2Errors.invalid(`Network interface ${record.id} does not have the private IP address ${privateIp}`);
  if (privateIp !== record.privateIps[0]) throw ec2Errors.notYet("Elastic IPs of secondary private addresses");
  refuseManaged(record);
  if (!(await change.all("internet-gateway")).some(({ vpcId }) => vpcId === record.vpcId))
    throw ec2Errors.notAttached(`Network ${record.vpcId} is not attached to any internet gateway`);
  // The same again is no change, as with EC2.
  if (elastic.associationId !== undefined && elastic.networkInterfaceId === record.id) return { AssociationId: elastic.associationId };
  const before = record.publicIp?.allocationId;
  if (input.AllowReassociation === false || (elastic.associationId !== undefined && !input.AllowReassociation)) {
    await freeElasticIp(change, elastic.allocationId);
    if (before !== undefined)
      throw ec2Errors.alreadyAssociated(`resource ${record.id} is already associated with associate-id ${record.publicIp?.associationId}`);
  }
  if (before !== undefined) await separate(change, await need(change, "elastic-ip", before));
  const free = elastic.associationId === undefined ? elastic : await separate(change, elastic);
  const { associationId } = associate(change, free, (await change.get("network-interface", record.id)) ?? record);
  return { AssociationId: associationId };
}

export async function disassociateAddress(change: Change, input: Sdk.DisassociateAddressRequest): Promise<object> {
  const { AssociationId: id, PublicIp: address } = input;
  if (id === undefined && address === undefined) throw ec2Errors.missing("AssociationId");
  const elastic = (await change.all("elastic-ip")).find((each) =>
    id === undefined ? each.publicIp === address : each.associationId === id,
  );
  if (!elastic) throw id === undefined ? noAddress(address ?? "") : ec2Errors.noAssociation(id);
  const record = elastic.networkInterfaceId === undefined ? undefined : await change.get("network-interface", elastic.networkInterfaceId);
  if (record) refuseManaged(record);
  if (elastic.associationId !== undefined) await separate(change, elastic);
  return {};
}

export async function releaseAddress(change: Change, input: Sdk.ReleaseAddressRequest): Promise<object> {
  const elastic = await chosen(change, input);
  if (elastic.associationId !== undefined) throw new ApiError("InvalidIPAddress.InUse", `Address ${elastic.publicIp} is in use.`);
  change.delete("elastic-ip", elastic.allocationId);
  change.unit.delete(vpcKeys.publicAddress(elastic.publicIp));
  return {};
}

export async function describeAddresses(question: Question, input: Sdk.DescribeAddressesRequest): Promise<Sdk.DescribeAddressesResult> {
  const { scope } = question;
  const wanted = input.PublicIps ?? [];
  const all = await question.all("elastic-ip");
  for (const address of wanted) if (!all.some(({ publicIp }) => publicIp === address)) throw noAddress(address);
  const interfaces = new Map((await question.all("network-interface")).map((each) => [each.id, each]));
  const view = (elastic: ElasticIpRecord): Sdk.Address => ({
    AllocationId: elastic.allocationId,
    AssociationId: elastic.associationId,
    Domain: "vpc",
    NetworkInterfaceId: elastic.networkInterfaceId,
    NetworkInterfaceOwnerId: elastic.networkInterfaceId === undefined ? undefined : scope.account,
    InstanceId: interfaces.get(elastic.networkInterfaceId ?? "")?.attachment?.instanceId,
    PrivateIpAddress: elastic.privateIp,
    Tags: apiTags(elastic.tags),
    PublicIpv4Pool: pool,
    NetworkBorderGroup: scope.region,
    PublicIp: elastic.publicIp,
  });
  const { items } = describe(question, {
    operation: "DescribeAddresses",
    kind: "elastic-ip",
    items: all.filter(({ publicIp }) => wanted.length === 0 || wanted.includes(publicIp)).map(view),
    id: ({ AllocationId = "" }) => AllocationId,
    ids: input.AllocationIds,
    input: {},
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "allocation-id": ({ AllocationId }) => AllocationId,
      "association-id": ({ AssociationId }) => AssociationId,
      domain: ({ Domain }) => Domain,
      "instance-id": ({ InstanceId }) => InstanceId,
      "network-border-group": ({ NetworkBorderGroup }) => NetworkBorderGroup,
      "network-interface-id": ({ NetworkInterfaceId }) => NetworkInterfaceId,
      "network-interface-owner-id": ({ NetworkInterfaceOwnerId }) => NetworkInterfaceOwnerId,
      "private-ip-address": ({ PrivateIpAddress }) => PrivateIpAddress,
      "public-ip": ({ PublicIp }) => PublicIp,
    },
  });
  return { Addresses: items };
}

/** Only names that somebody gave with ModifyAddressAttribute, which is not there yet: none has one. */
export async function describeAddressesAttribute(
  question: Question,
  { AllocationIds: ids = [] }: Sdk.DescribeAddressesAttributeRequest,
): Promise<Sdk.DescribeAddressesAttributeResult> {
  for (const id of ids) await need(question, "elastic-ip", id);
  return { Addresses: [] };
}
