import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { releaseInterface, takeInterface } from "#reconcilers/vpc/interfaces.ts";
import { type Change, need, type Question, repeated } from "../context.ts";
import { describe } from "../describe.ts";
import { ec2Errors } from "../errors.ts";
import { tagsFor } from "../tags.ts";
import { interfaceView, surroundings } from "./view.ts";

/** Elastic network interfaces. Source: Amazon EC2 API Reference, "CreateNetworkInterface" and its kin. */

/** The largest instance types take this many addresses an interface. */
const mostAddresses = 50;
/** Security groups of one interface. */
const mostGroups = 16;

export async function createNetworkInterface(
  change: Change,
  input: Sdk.CreateNetworkInterfaceRequest,
): Promise<Sdk.CreateNetworkInterfaceResult> {
  const { earlier, client } = repeated(await change.all("network-interface"), input);
  if (earlier)
    return { NetworkInterface: interfaceView(change.scope, earlier, await surroundings(change)), ClientToken: input.ClientToken };
  if (input.InterfaceType !== undefined && (input.InterfaceType as string) !== "interface")
    throw ec2Errors.notYet(`network interfaces of type ${input.InterfaceType}`);
  if (input.Ipv4Prefixes ?? input.Ipv4PrefixCount ?? input.Ipv6Prefixes ?? input.Ipv6PrefixCount)
    throw ec2Errors.notYet("prefixes of interfaces");
  const subnet = await need(change, "subnet", input.SubnetId ?? "");
  const groups = input.Groups ?? [];
  for (const group of groups) await need(change, "security-group", group);
  checkGroupCount(groups);
  const { record } = await takeInterface(
    change.unit,
    change.scope,
    {
      subnetId: subnet.id,
      groups,
      description: input.Description ?? "",
      interfaceType: "interface",
      ...privateAddresses(input),
      ipv6: input.Ipv6Addresses?.map(({ Ipv6Address = "" }) => Ipv6Address),
      moreIpv6: ipv6Count(input.Ipv6AddressCount, subnet),
      tags: tagsFor("network-interface", input.TagSpecifications),
    },
    change.making,
  );
  if (client) change.put("network-interface", record.id, { ...record, client });
  const view = interfaceView(change.scope, record, await surroundings(change));
  return { NetworkInterface: { ...view, Status: "pending" as Sdk.NetworkInterfaceStatus }, ClientToken: input.ClientToken };
}

export function checkGroupCount(groups: readonly string[]): void {
  if (new Set(groups).size > mostGroups)
    throw new ApiError("SecurityGroupsPerInterfaceLimitExceeded", "The maximum number of security groups per interface has been reached.");
}

export function ipv6Count(count: number | undefined, { id, ipv6 }: { readonly id: string; readonly ipv6?: object }): number | undefined {
  if (count !== undefined && count > 0 && !ipv6)
    throw ec2Errors.invalid(`The subnet '${id}' has no IPv6 CIDR block: it has no IPv6 address to give.`);
  return count;
}

/** The primary address first. */
function privateAddresses(input: Sdk.CreateNetworkInterfaceRequest) {
  const list = input.PrivateIpAddresses ?? [];
  const primaries = list.filter(({ Primary }) => Primary);
  if (primaries.length > 1 || (primaries.length === 1 && input.PrivateIpAddress !== undefined))
    throw ec2Errors.combination("Only one primary private IP address can be specified.");
  if (list.length > 0 && input.SecondaryPrivateIpAddressCount !== undefined)
    throw ec2Errors.combination("You cannot specify both PrivateIpAddresses and SecondaryPrivateIpAddressCount");
  const primary = input.PrivateIpAddress ?? primaries[0]?.PrivateIpAddress;
  const secondary = list.filter(({ Primary, PrivateIpAddress }) => !Primary && PrivateIpAddress !== primary);
  const more = input.SecondaryPrivateIpAddressCount ?? 0;
  checkCount(1 + secondary.length + more);
  const others = secondary.map(({ PrivateIpAddress = "" }) => PrivateIpAddress);
  if (primary !== undefined) return { privateIps: [primary, ...others], morePrivateIps: more };
  // Without a primary one EC2 chooses it, and those that are named come behind it: here the first of those is the primary.
  return { privateIps: others, morePrivateIps: others.length > 0 ? more : more + 1 };
}

export function checkCount(count: number): void {
  if (count > mostAddresses)
    throw new ApiError("PrivateIpAddressLimitExceeded", `Number of private addresses will exceed limit of ${mostAddresses}.`);
}

export async function deleteNetworkInterface(
  change: Change,
  { NetworkInterfaceId: id = "" }: Sdk.DeleteNetworkInterfaceRequest,
): Promise<object> {
  const record = await need(change, "network-interface", id);
  if (record.attachment || record.requesterManaged) throw ec2Errors.invalid(`Network interface '${id}' is currently in use.`);
  await releaseInterface(change.unit, change.scope, id);
  return {};
}

export async function describeNetworkInterfaces(
  question: Question,
  input: Sdk.DescribeNetworkInterfacesRequest,
): Promise<Sdk.DescribeNetworkInterfacesResult> {
  const around = await surroundings(question);
  const wanted = new Set(input.NetworkInterfaceIds);
  const records = (await question.all("network-interface")).filter(({ id }) => wanted.size === 0 || wanted.has(id));
  const { items, NextToken } = describe(question, {
    operation: "DescribeNetworkInterfaces",
    kind: "network-interface",
    items: records.map((record) => interfaceView(question.scope, record, around)),
    id: ({ NetworkInterfaceId = "" }) => NetworkInterfaceId,
    ids: input.NetworkInterfaceIds,
    input,
    filters: input.Filters,
    tags: ({ TagSet }) => TagSet,
    table: {
      "association.allocation-id": ({ Association }) => Association?.AllocationId,
      "association.association-id": ({ Association }) => Association?.AssociationId,
      "association.ip-owner-id": ({ Association }) => Association?.IpOwnerId,
      "association.public-dns-name": ({ Association }) => Association?.PublicDnsName,
      "association.public-ip": ({ Association }) => Association?.PublicIp,
      "addresses.association.ip-owner-id": ({ Association }) => Association?.IpOwnerId,
      "addresses.association.public-ip": ({ Association }) => Association?.PublicIp,
      "addresses.association.owner-id": ({ Association }) => Association?.IpOwnerId,
      "addresses.primary": ({ PrivateIpAddresses = [] }) => PrivateIpAddresses.map(({ Primary }) => Primary),
      "addresses.private-ip-address": ({ PrivateIpAddresses = [] }) => PrivateIpAddresses.map(({ PrivateIpAddress }) => PrivateIpAddress),
      "attachment.attach-time": ({ Attachment }) => Attachment?.AttachTime?.toISOString(),
      "attachment.attachment-id": ({ Attachment }) => Attachment?.AttachmentId,
      "attachment.delete-on-termination": ({ Attachment }) => Attachment?.DeleteOnTermination,
      "attachment.device-index": ({ Attachment }) => Attachment?.DeviceIndex,
      "attachment.instance-id": ({ Attachment }) => Attachment?.InstanceId,
      "attachment.instance-owner-id": ({ Attachment }) => Attachment?.InstanceOwnerId,
      "attachment.status": ({ Attachment }) => Attachment?.Status,
      "availability-zone": ({ AvailabilityZone }) => AvailabilityZone,
      "availability-zone-id": ({ AvailabilityZoneId }) => AvailabilityZoneId,
      description: ({ Description }) => Description,
      "group-id": ({ Groups = [] }) => Groups.map(({ GroupId }) => GroupId),
      "group-name": ({ Groups = [] }) => Groups.map(({ GroupName }) => GroupName),
      "interface-type": ({ InterfaceType }) => InterfaceType,
      "ipv6-addresses.ipv6-address": ({ Ipv6Addresses = [] }) => Ipv6Addresses.map(({ Ipv6Address }) => Ipv6Address),
      "mac-address": ({ MacAddress }) => MacAddress,
      "network-interface-id": ({ NetworkInterfaceId }) => NetworkInterfaceId,
      "operator.managed": ({ Operator }) => Operator?.Managed,
      "operator.principal": () => undefined,
      "owner-id": ({ OwnerId }) => OwnerId,
      "private-dns-name": ({ PrivateDnsName }) => PrivateDnsName,
      "private-ip-address": ({ PrivateIpAddress }) => PrivateIpAddress,
      "requester-id": ({ RequesterId }) => RequesterId,
      "requester-managed": ({ RequesterManaged }) => RequesterManaged,
      "source-dest-check": ({ SourceDestCheck }) => SourceDestCheck,
      status: ({ Status }) => Status,
      "subnet-id": ({ SubnetId }) => SubnetId,
      "vpc-id": ({ VpcId }) => VpcId,
    },
  });
  return { NetworkInterfaces: items, NextToken };
}
