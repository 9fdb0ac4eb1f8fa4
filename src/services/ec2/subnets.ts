import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SubnetRecord } from "#model/vpc-records.ts";
import { capacityOf } from "#reconcilers/vpc/addresses.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { writeSubnet } from "#reconcilers/vpc/make-vpc.ts";
import { type Zone, zonesOf } from "#reconcilers/vpc/zones.ts";
import { freeBlock, subnetBlock, subnetIpv6 } from "./blocks.ts";
import { type Change, need, type Question } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** Subnets. Source: Amazon EC2 API Reference, "CreateSubnet" and its kin. */

export const subnetIpv6View = ({ associationId, cidr }: NonNullable<SubnetRecord["ipv6"]>): Sdk.SubnetIpv6CidrBlockAssociation => ({
  AssociationId: associationId,
  Ipv6CidrBlock: cidr,
  Ipv6CidrBlockState: { State: "associated" },
  Ipv6AddressAttribute: "public",
  IpSource: "amazon",
});

export function subnetView({ scope }: Pick<Question, "scope">, subnet: SubnetRecord, taken: number): Sdk.Subnet {
  return {
    AvailabilityZoneId: subnet.availabilityZoneId,
    MapCustomerOwnedIpOnLaunch: false,
    OwnerId: scope.account,
    AssignIpv6AddressOnCreation: subnet.assignIpv6AddressOnCreation,
    Ipv6CidrBlockAssociationSet: subnet.ipv6 ? [subnetIpv6View(subnet.ipv6)] : [],
    Tags: apiTags(subnet.tags),
    SubnetArn: subnet.arn,
    EnableDns64: subnet.enableDns64,
    Ipv6Native: false,
    PrivateDnsNameOptionsOnLaunch: {
      HostnameType: subnet.hostnameType,
      EnableResourceNameDnsARecord: subnet.enableResourceNameDnsARecord,
      EnableResourceNameDnsAAAARecord: subnet.enableResourceNameDnsAaaaRecord,
    },
    BlockPublicAccessStates: { InternetGatewayBlockMode: "off" },
    SubnetId: subnet.id,
    State: "available",
    VpcId: subnet.vpcId,
    CidrBlock: subnet.cidr,
    AvailableIpAddressCount: capacityOf(subnet.cidr) - taken,
    AvailabilityZone: subnet.availabilityZone,
    DefaultForAz: subnet.defaultForAz,
    MapPublicIpOnLaunch: subnet.mapPublicIpOnLaunch,
  };
}

/** The zone that the request names; undefined when it names none. */
function zoneOf(
  region: string,
  { AvailabilityZone: name, AvailabilityZoneId: id }: Sdk.CreateSubnetRequest | Sdk.CreateDefaultSubnetRequest,
) {
  if (name === undefined && id === undefined) return undefined;
  const zones = zonesOf(region);
  const zone = zones.find((each) => (name === undefined || each.name === name) && (id === undefined || each.id === id));
  if (zone) return zone;
  const [given, parameter, all] =
    name === undefined
      ? [id, "availabilityZoneId", zones.map((each) => each.id)]
      : [name, "availabilityZone", zones.map((each) => each.name)];
  throw ec2Errors.invalid(
    `Value (${given}) for parameter ${parameter} is invalid. Subnets can currently only be created in the following availability zones: ${all.join(", ")}.`,
  );
}

/** Where nothing is named: the zone in which the VPC has the fewest subnets. */
function leastUsed(region: string, vpcId: string, subnets: readonly SubnetRecord[]): Zone {
  const used = ({ name }: Zone) => subnets.filter((each) => each.vpcId === vpcId && each.availabilityZone === name).length;
  return zonesOf(region).toSorted((a, b) => used(a) - used(b))[0]!;
}

export async function createSubnet(change: Change, input: Sdk.CreateSubnetRequest): Promise<Sdk.CreateSubnetResult> {
  const { scope, random } = change;
  if (input.OutpostArn ?? input.Ipv4IpamPoolId ?? input.Ipv6IpamPoolId) throw ec2Errors.notYet("outposts and address pools");
  if (input.Ipv6Native) throw ec2Errors.notYet("subnets without IPv4");
  const vpc = await need(change, "vpc", input.VpcId ?? "");
  if (input.CidrBlock === undefined) throw ec2Errors.missing("cidrBlock");
  const subnets = await change.all("subnet");
  const cidr = subnetBlock(input.CidrBlock, vpc, subnets);
  const zone = zoneOf(scope.region, input) ?? leastUsed(scope.region, vpc.id, subnets);
  const ipv6 =
    input.Ipv6CidrBlock === undefined
      ? undefined
      : { associationId: newId(random, "subnet-cidr-assoc"), cidr: subnetIpv6(input.Ipv6CidrBlock, vpc, subnets) };
  const tags = tagsFor("subnet", input.TagSpecifications);
  return { Subnet: subnetView(change, await writeSubnet(change.unit, scope, random, { vpcId: vpc.id, cidr, zone, ipv6, tags }), 0) };
}

export async function createDefaultSubnet(change: Change, input: Sdk.CreateDefaultSubnetRequest): Promise<Sdk.CreateDefaultSubnetResult> {
  const { scope, random } = change;
  if (input.Ipv6Native) throw ec2Errors.notYet("subnets without IPv4");
  const vpc = (await change.all("vpc")).find(({ isDefault }) => isDefault);
  if (!vpc)
    throw new ApiError(
      "DefaultVpcDoesNotExist",
      "There is no default VPC for this account in this region. Create it with CreateDefaultVpc.",
    );
  const zone = zoneOf(scope.region, input);
  if (!zone) throw ec2Errors.missing("availabilityZone");
  const subnets = await change.all("subnet");
  const there = subnets.find((subnet) => subnet.vpcId === vpc.id && subnet.defaultForAz && subnet.availabilityZone === zone.name);
  if (there)
    throw new ApiError("DefaultSubnetAlreadyExistsInAvailabilityZone", `'${there.id}' is already the default subnet in ${zone.name}.`);
  const cidr = freeBlock(vpc, subnets, 20);
  if (cidr === undefined) throw new ApiError("InsufficientCidrBlocks", `The VPC '${vpc.id}' has no free /20 block for a default subnet.`);
  const made = { vpcId: vpc.id, cidr, zone, defaultForAz: true, mapPublicIpOnLaunch: true };
  return { Subnet: subnetView(change, await writeSubnet(change.unit, scope, random, made), 0) };
}

/** Its associations with route table and network ACL go with it. */
export async function deleteSubnet(change: Change, { SubnetId: id = "" }: Sdk.DeleteSubnetRequest): Promise<object> {
  await need(change, "subnet", id);
  if ((await change.all("network-interface")).some(({ subnetId }) => subnetId === id))
    throw ec2Errors.dependency(`The subnet '${id}' has dependencies and cannot be deleted.`);
  for (const table of await change.all("route-table"))
    if (table.associations.some(({ subnetId }) => subnetId === id))
      change.put("route-table", table.id, { ...table, associations: table.associations.filter(({ subnetId }) => subnetId !== id) });
  for (const acl of await change.all("network-acl"))
    if (acl.associations.some(({ subnetId }) => subnetId === id))
      change.put("network-acl", acl.id, { ...acl, associations: acl.associations.filter(({ subnetId }) => subnetId !== id) });
  change.delete("subnet", id);
  change.unit.delete(vpcKeys.use(change.scope, id));
  return {};
}

export async function describeSubnets(question: Question, input: Sdk.DescribeSubnetsRequest): Promise<Sdk.DescribeSubnetsResult> {
  const taken = await question.addressCounts();
  const { items, NextToken } = describe(question, {
    operation: "DescribeSubnets",
    kind: "subnet",
    items: (await question.all("subnet")).map((subnet) => subnetView(question, subnet, taken.get(subnet.id) ?? 0)),
    id: ({ SubnetId = "" }) => SubnetId,
    ids: input.SubnetIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "availability-zone": ({ AvailabilityZone }) => AvailabilityZone,
      availabilityZone: ({ AvailabilityZone }) => AvailabilityZone,
      "availability-zone-id": ({ AvailabilityZoneId }) => AvailabilityZoneId,
      availabilityZoneId: ({ AvailabilityZoneId }) => AvailabilityZoneId,
      "available-ip-address-count": ({ AvailableIpAddressCount }) => AvailableIpAddressCount,
      cidr: ({ CidrBlock }) => CidrBlock,
      "cidr-block": ({ CidrBlock }) => CidrBlock,
      cidrBlock: ({ CidrBlock }) => CidrBlock,
      "customer-owned-ipv4-pool": () => undefined,
      "default-for-az": ({ DefaultForAz }) => DefaultForAz,
      defaultForAz: ({ DefaultForAz }) => DefaultForAz,
      "enable-dns64": ({ EnableDns64 }) => EnableDns64,
      "enable-lni-at-device-index": () => undefined,
      "ipv6-cidr-block-association.ipv6-cidr-block": (subnet) =>
        subnet.Ipv6CidrBlockAssociationSet?.map(({ Ipv6CidrBlock }) => Ipv6CidrBlock),
      "ipv6-cidr-block-association.association-id": (subnet) =>
        subnet.Ipv6CidrBlockAssociationSet?.map(({ AssociationId }) => AssociationId),
      "ipv6-cidr-block-association.state": (subnet) => subnet.Ipv6CidrBlockAssociationSet?.map((each) => each.Ipv6CidrBlockState?.State),
      "ipv6-native": ({ Ipv6Native }) => Ipv6Native,
      "map-customer-owned-ip-on-launch": ({ MapCustomerOwnedIpOnLaunch }) => MapCustomerOwnedIpOnLaunch,
      "map-public-ip-on-launch": ({ MapPublicIpOnLaunch }) => MapPublicIpOnLaunch,
      "outpost-arn": () => undefined,
      "owner-id": ({ OwnerId }) => OwnerId,
      "private-dns-name-options-on-launch.hostname-type": (subnet) => subnet.PrivateDnsNameOptionsOnLaunch?.HostnameType,
      "private-dns-name-options-on-launch.enable-resource-name-dns-a-record": (subnet) =>
        subnet.PrivateDnsNameOptionsOnLaunch?.EnableResourceNameDnsARecord,
      "private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record": (subnet) =>
        subnet.PrivateDnsNameOptionsOnLaunch?.EnableResourceNameDnsAAAARecord,
      state: ({ State }) => State,
      "subnet-arn": ({ SubnetArn }) => SubnetArn,
      "subnet-id": ({ SubnetId }) => SubnetId,
      "vpc-id": ({ VpcId }) => VpcId,
    },
  });
  return { Subnets: items, NextToken };
}

export async function modifySubnetAttribute(change: Change, input: Sdk.ModifySubnetAttributeRequest): Promise<object> {
  const subnet = await need(change, "subnet", input.SubnetId ?? "");
  if (input.CustomerOwnedIpv4Pool ?? input.MapCustomerOwnedIpOnLaunch ?? input.EnableLniAtDeviceIndex ?? input.DisableLniAtDeviceIndex)
    throw ec2Errors.notYet("attributes of outposts' subnets");
  const hostnameType = input.PrivateDnsHostnameTypeOnLaunch;
  if (hostnameType !== undefined && hostnameType !== "ip-name" && hostnameType !== "resource-name")
    throw ec2Errors.invalid(`Value (${String(hostnameType)}) for parameter privateDnsHostnameTypeOnLaunch is invalid.`);
  const changed = {
    assignIpv6AddressOnCreation: input.AssignIpv6AddressOnCreation?.Value,
    mapPublicIpOnLaunch: input.MapPublicIpOnLaunch?.Value,
    enableDns64: input.EnableDns64?.Value,
    hostnameType,
    enableResourceNameDnsARecord: input.EnableResourceNameDnsARecordOnLaunch?.Value,
    enableResourceNameDnsAaaaRecord: input.EnableResourceNameDnsAAAARecordOnLaunch?.Value,
  };
  const given = Object.entries(changed).filter(([, value]) => value !== undefined);
  if (given.length === 0) throw ec2Errors.missing("the attribute to change");
  if (given.length > 1) throw ec2Errors.combination("Fields for multiple attribute types specified");
  if ((changed.assignIpv6AddressOnCreation || changed.enableDns64) && !subnet.ipv6)
    throw ec2Errors.invalid(`Invalid value 'true' for ${given[0]![0]}: the subnet '${subnet.id}' has no IPv6 CIDR block.`);
  change.put("subnet", subnet.id, { ...subnet, ...Object.fromEntries(given) });
  return {};
}
