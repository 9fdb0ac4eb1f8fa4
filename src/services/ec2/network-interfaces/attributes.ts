import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";
import { takeAddress, takeGivenAddress, takeIpv6, takePublicAddress } from "#reconcilers/vpc/addresses.ts";
import { checkGroups } from "#reconcilers/vpc/interfaces.ts";
import { type Change, need, type Question } from "../context.ts";
import { ec2Errors } from "../errors.ts";
import { checkCount, checkGroupCount, ipv6Count } from "./interfaces.ts";
import { refuseManaged } from "./managed.ts";
import { attachmentView, groupViews, surroundings } from "./view.ts";

/** What changes on an interface after it was made. Source: Amazon EC2 API Reference, "ModifyNetworkInterfaceAttribute" and its kin. */

export async function modifyNetworkInterfaceAttribute(change: Change, input: Sdk.ModifyNetworkInterfaceAttributeRequest): Promise<object> {
  const record = await need(change, "network-interface", input.NetworkInterfaceId ?? "");
  if (input.EnaSrdSpecification ?? input.ConnectionTrackingSpecification ?? input.EnablePrimaryIpv6 ?? input.AssociatedSubnetIds)
    throw ec2Errors.notYet("this attribute of network interfaces");
  let changed: NetworkInterfaceRecord = record;
  if (input.Groups !== undefined) {
    if (input.Groups.length === 0) throw ec2Errors.missing("SecurityGroupId");
    // Endpoints and load balancers have operations of their own for it, NAT gateways have no groups.
    if (!record.task) refuseManaged(record);
    for (const group of input.Groups) await need(change, "security-group", group);
    checkGroupCount(input.Groups);
    await checkGroups(change.unit, change.scope, input.Groups, { id: record.subnetId, vpcId: record.vpcId });
    changed = { ...changed, groups: [...new Set(input.Groups)] };
  }
  if (input.Description !== undefined) {
    refuseManaged(record);
    changed = { ...changed, description: input.Description.Value ?? "" };
  }
  if (input.SourceDestCheck?.Value !== undefined) {
    refuseManaged(record);
    changed = { ...changed, sourceDestCheck: input.SourceDestCheck.Value };
  }
  if (input.Attachment !== undefined) {
    refuseManaged(record);
    if (record.attachment?.id !== input.Attachment.AttachmentId) throw noAttachment(input.Attachment.AttachmentId ?? "");
  }
  if (input.AssociatePublicIpAddress !== undefined) {
    refuseManaged(record);
    changed = await withPublicIp(change, changed, input.AssociatePublicIpAddress);
  }
  change.put("network-interface", record.id, changed);
  return {};
}

async function withPublicIp(change: Change, record: NetworkInterfaceRecord, wanted: boolean): Promise<NetworkInterfaceRecord> {
  const { publicIp, ...rest } = record;
  if (publicIp?.allocationId !== undefined || wanted === (publicIp !== undefined)) return record;
  if (publicIp) {
    change.unit.delete(vpcKeys.publicAddress(publicIp.address));
    return rest;
  }
  return { ...rest, publicIp: { address: await takePublicAddress(change.unit, change.making.publicPool, record.id, change.random) } };
}

const noAttachment = (id: string) => new ApiError("InvalidAttachmentID.NotFound", `The attachment ID '${id}' does not exist`);

export async function resetNetworkInterfaceAttribute(
  change: Change,
  { NetworkInterfaceId: id = "" }: Sdk.ResetNetworkInterfaceAttributeRequest,
): Promise<object> {
  const record = await need(change, "network-interface", id);
  refuseManaged(record);
  change.put("network-interface", id, { ...record, sourceDestCheck: true });
  return {};
}

export async function describeNetworkInterfaceAttribute(
  question: Question,
  { NetworkInterfaceId: id = "", Attribute: attribute }: Sdk.DescribeNetworkInterfaceAttributeRequest,
): Promise<Sdk.DescribeNetworkInterfaceAttributeResult> {
  const record = await need(question, "network-interface", id);
  switch (attribute) {
    case "attachment":
      return { NetworkInterfaceId: id, Attachment: record.attachment && attachmentView(record.attachment) };
    case "description":
      return { NetworkInterfaceId: id, Description: { Value: record.description } };
    case "groupSet":
      return { NetworkInterfaceId: id, Groups: groupViews(record.groups, await surroundings(question)) };
    case "sourceDestCheck":
      return { NetworkInterfaceId: id, SourceDestCheck: { Value: record.sourceDestCheck } };
    case "associatePublicIpAddress":
      return {
        NetworkInterfaceId: id,
        AssociatePublicIpAddress: record.publicIp !== undefined && record.publicIp.allocationId === undefined,
      };
    default:
      throw ec2Errors.invalid(`Value (${String(attribute)}) for parameter attribute is invalid. Unknown attribute.`);
  }
}

/** There are no instances that a user's interface could be attached to: container instances are their machines' own. */
export async function attachNetworkInterface(
  change: Change,
  { NetworkInterfaceId: id = "", InstanceId: instance = "" }: Sdk.AttachNetworkInterfaceRequest,
): Promise<Sdk.AttachNetworkInterfaceResult> {
  refuseManaged(await need(change, "network-interface", id));
  throw ec2Errors.noInstance(instance);
}

export async function detachNetworkInterface(
  change: Change,
  { AttachmentId: id = "" }: Sdk.DetachNetworkInterfaceRequest,
): Promise<object> {
  const record = (await change.all("network-interface")).find(({ attachment }) => attachment?.id === id);
  if (!record) throw noAttachment(id);
  if (id.startsWith("ela-attach-")) throw ec2Errors.notPermitted("You are not allowed to manage 'ela-attach' attachments.");
  refuseManaged(record);
  const { attachment: _, ...detached } = record;
  change.put("network-interface", record.id, detached);
  return {};
}

export async function assignPrivateIpAddresses(
  change: Change,
  input: Sdk.AssignPrivateIpAddressesRequest,
): Promise<Sdk.AssignPrivateIpAddressesResult> {
  if (input.Ipv4Prefixes ?? input.Ipv4PrefixCount) throw ec2Errors.notYet("prefixes of interfaces");
  const record = await need(change, "network-interface", input.NetworkInterfaceId ?? "");
  refuseManaged(record);
  const subnet = await need(change, "subnet", record.subnetId);
  const given = input.PrivateIpAddresses ?? [];
  const count = input.SecondaryPrivateIpAddressCount ?? 0;
  if (given.length === 0 && count === 0) throw ec2Errors.missing("PrivateIpAddresses or SecondaryPrivateIpAddressCount");
  if (given.length > 0 && count > 0)
    throw ec2Errors.combination("You cannot specify both PrivateIpAddresses and SecondaryPrivateIpAddressCount");
  checkCount(record.privateIps.length + given.length + count);
  const added: string[] = [];
  for (const address of given) {
    await takeGivenAddress(change.unit, change.scope, subnet, record.id, address);
    added.push(address);
  }
  for (let at = 0; at < count; at++) added.push(await takeAddress(change.unit, change.scope, subnet, record.id, change.random));
  change.put("network-interface", record.id, { ...record, privateIps: [...record.privateIps, ...added] });
  return { NetworkInterfaceId: record.id, AssignedPrivateIpAddresses: added.map((PrivateIpAddress) => ({ PrivateIpAddress })) };
}

export async function unassignPrivateIpAddresses(change: Change, input: Sdk.UnassignPrivateIpAddressesRequest): Promise<object> {
  const record = await need(change, "network-interface", input.NetworkInterfaceId ?? "");
  refuseManaged(record);
  const gone = input.PrivateIpAddresses ?? [];
  for (const address of gone) {
    if (!record.privateIps.slice(1).includes(address))
      throw ec2Errors.invalid(
        `Some of the specified addresses are not assigned to interface ${record.id} as secondary addresses: ${address}`,
      );
    change.unit.delete(vpcKeys.address(change.scope, record.subnetId, address));
  }
  change.put("network-interface", record.id, { ...record, privateIps: record.privateIps.filter((address) => !gone.includes(address)) });
  return {};
}

export async function assignIpv6Addresses(change: Change, input: Sdk.AssignIpv6AddressesRequest): Promise<Sdk.AssignIpv6AddressesResult> {
  if (input.Ipv6Prefixes ?? input.Ipv6PrefixCount) throw ec2Errors.notYet("prefixes of interfaces");
  const record = await need(change, "network-interface", input.NetworkInterfaceId ?? "");
  refuseManaged(record);
  const subnet = await need(change, "subnet", record.subnetId);
  const given: (string | undefined)[] = [...(input.Ipv6Addresses ?? [])];
  const count = ipv6Count(input.Ipv6AddressCount ?? given.length, subnet) ?? 0;
  if (count === 0) throw ec2Errors.missing("Ipv6Addresses or Ipv6AddressCount");
  while (given.length < count) given.push(undefined);
  checkCount(record.ipv6.length + given.length);
  const added: string[] = [];
  for (const address of given) {
    const taken = await takeIpv6(change.unit, change.scope, subnet, record.id, change.random, address);
    if (taken !== undefined) added.push(taken);
  }
  change.put("network-interface", record.id, { ...record, ipv6: [...record.ipv6, ...added] });
  return { NetworkInterfaceId: record.id, AssignedIpv6Addresses: added };
}

export async function unassignIpv6Addresses(
  change: Change,
  input: Sdk.UnassignIpv6AddressesRequest,
): Promise<Sdk.UnassignIpv6AddressesResult> {
  const record = await need(change, "network-interface", input.NetworkInterfaceId ?? "");
  refuseManaged(record);
  const gone = input.Ipv6Addresses ?? [];
  for (const address of gone) {
    if (!record.ipv6.includes(address))
      throw ec2Errors.invalid(`Some of the specified addresses are not assigned to interface ${record.id}: ${address}`);
    change.unit.delete(vpcKeys.address(change.scope, record.subnetId, address));
  }
  change.put("network-interface", record.id, { ...record, ipv6: record.ipv6.filter((address) => !gone.includes(address)) });
  return { NetworkInterfaceId: record.id, UnassignedIpv6Addresses: [...gone] };
}
