import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { formatBlock } from "#model/cidr.ts";
import type { VpcRecord } from "#model/vpc-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { writeDefaultVpc, writeVpc } from "#reconcilers/vpc/make-vpc.ts";
import { newVpcIpv6, vpcBlock } from "./blocks.ts";
import { type Change, need, type Question, type Records } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { apiTags, tagsFor } from "./tags.ts";

/** VPCs. Source: Amazon EC2 API Reference, "CreateVpc" and its kin. */

const pool = "Amazon";
const state = { State: "associated" } as const;

export const ipv6BlockView = ({ associationId, cidr }: VpcRecord["ipv6"][number], region: string): Sdk.VpcIpv6CidrBlockAssociation => ({
  AssociationId: associationId,
  Ipv6CidrBlock: cidr,
  Ipv6CidrBlockState: state,
  NetworkBorderGroup: region,
  Ipv6Pool: pool,
  Ipv6AddressAttribute: "public",
  IpSource: "amazon",
});

export function vpcView({ scope }: { scope: Question["scope"] }, vpc: VpcRecord): Sdk.Vpc {
  const blocks = [{ associationId: vpc.cidrAssociationId, cidr: vpc.cidr }, ...vpc.otherCidrs];
  return {
    OwnerId: scope.account,
    InstanceTenancy: vpc.tenancy,
    ...(vpc.ipv6.length > 0 ? { Ipv6CidrBlockAssociationSet: vpc.ipv6.map((block) => ipv6BlockView(block, scope.region)) } : {}),
    CidrBlockAssociationSet: blocks.map(({ associationId, cidr }) => ({
      AssociationId: associationId,
      CidrBlock: cidr,
      CidrBlockState: state,
    })),
    IsDefault: vpc.isDefault,
    Tags: apiTags(vpc.tags),
    BlockPublicAccessStates: { InternetGatewayBlockMode: "off" },
    VpcId: vpc.id,
    State: "available",
    CidrBlock: vpc.cidr,
    DhcpOptionsId: vpc.dhcpOptionsId,
  };
}

export async function createVpc(change: Change, input: Sdk.CreateVpcRequest): Promise<Sdk.CreateVpcResult> {
  if (input.Ipv4IpamPoolId ?? input.Ipv6IpamPoolId ?? input.Ipv6Pool) throw ec2Errors.notYet("address pools (IPAM, BYOIP)");
  if (input.VpcEncryptionControl) throw ec2Errors.notYet("VpcEncryptionControl");
  if (input.CidrBlock === undefined) throw ec2Errors.missing("cidrBlock");
  const tenancy = input.InstanceTenancy ?? "default";
  if (tenancy !== "default" && tenancy !== "dedicated")
    throw ec2Errors.invalid(`Value (${tenancy}) for parameter instanceTenancy is invalid.`);
  const ipv6 = input.AmazonProvidedIpv6CidrBlock
    ? [{ associationId: newId(change.random, "vpc-cidr-assoc"), cidr: newVpcIpv6(change.random) }]
    : [];
  const { vpc } = await writeVpc(change.unit, change.scope, change.random, {
    cidr: formatBlock(vpcBlock(input.CidrBlock)),
    tenancy,
    ipv6,
    tags: tagsFor("vpc", input.TagSpecifications),
  });
  return { Vpc: vpcView(change, vpc) };
}

export async function createDefaultVpc(change: Change): Promise<Sdk.CreateDefaultVpcResult> {
  if ((await change.all("vpc")).some(({ isDefault }) => isDefault))
    throw new ApiError("DefaultVpcAlreadyExists", "A Default VPC already exists for this account in this region.");
  return { Vpc: vpcView(change, await writeDefaultVpc(change.unit, change.scope, change.random)) };
}

/** With what came with it: main route table, default group, network ACL. All else must be gone before. */
export async function deleteVpc(change: Change, { VpcId: id = "" }: Sdk.DeleteVpcRequest): Promise<object> {
  await need(change, "vpc", id);
  const of = <T extends { readonly vpcId?: string }>(records: readonly T[]) => records.filter(({ vpcId }) => vpcId === id);
  const tables = of(await change.all("route-table"));
  const groups = of(await change.all("security-group"));
  const obstacles = [
    ...of(await change.all("subnet")),
    ...of(await change.all("internet-gateway")),
    ...of(await change.all("vpc-endpoint")),
    ...of(await change.all("nat-gateway")).filter((gateway) => gateway.state !== "deleted"),
    ...of(await change.all("network-interface")),
    ...tables.filter(({ associations }) => !associations.some(({ main }) => main)),
    ...groups.filter(({ name }) => name !== "default"),
  ];
  if (obstacles.length > 0) throw ec2Errors.dependency(`The vpc '${id}' has dependencies and cannot be deleted.`);
  for (const table of tables) change.delete("route-table", table.id);
  for (const group of groups) change.delete("security-group", group.id);
  for (const acl of of(await change.all("network-acl"))) change.delete("network-acl", acl.id);
  change.delete("vpc", id);
  return {};
}

export async function describeVpcs(question: Question, input: Sdk.DescribeVpcsRequest): Promise<Sdk.DescribeVpcsResult> {
  const { items, NextToken } = describe(question, {
    operation: "DescribeVpcs",
    kind: "vpc",
    items: (await question.all("vpc")).map((vpc) => vpcView(question, vpc)),
    id: ({ VpcId = "" }) => VpcId,
    ids: input.VpcIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      cidr: ({ CidrBlock }) => CidrBlock,
      "cidr-block": ({ CidrBlock }) => CidrBlock,
      cidrBlock: ({ CidrBlock }) => CidrBlock,
      "cidr-block-association.cidr-block": (vpc) => vpc.CidrBlockAssociationSet?.map(({ CidrBlock }) => CidrBlock),
      "cidr-block-association.association-id": (vpc) => vpc.CidrBlockAssociationSet?.map(({ AssociationId }) => AssociationId),
      "cidr-block-association.state": (vpc) => vpc.CidrBlockAssociationSet?.map(({ CidrBlockState }) => CidrBlockState?.State),
      "dhcp-options-id": ({ DhcpOptionsId }) => DhcpOptionsId,
      dhcpOptionsId: ({ DhcpOptionsId }) => DhcpOptionsId,
      "ipv6-cidr-block-association.ipv6-cidr-block": (vpc) => vpc.Ipv6CidrBlockAssociationSet?.map(({ Ipv6CidrBlock }) => Ipv6CidrBlock),
      "ipv6-cidr-block-association.ipv6-pool": (vpc) => vpc.Ipv6CidrBlockAssociationSet?.map(({ Ipv6Pool }) => Ipv6Pool),
      "ipv6-cidr-block-association.association-id": (vpc) => vpc.Ipv6CidrBlockAssociationSet?.map(({ AssociationId }) => AssociationId),
      "ipv6-cidr-block-association.state": (vpc) => vpc.Ipv6CidrBlockAssociationSet?.map((each) => each.Ipv6CidrBlockState?.State),
      "is-default": ({ IsDefault }) => IsDefault,
      isDefault: ({ IsDefault }) => IsDefault,
      "owner-id": ({ OwnerId }) => OwnerId,
      state: ({ State }) => State,
      "vpc-id": ({ VpcId }) => VpcId,
    },
  });
  return { Vpcs: items, NextToken };
}

const attributes = {
  enableDnsHostnames: "EnableDnsHostnames",
  enableDnsSupport: "EnableDnsSupport",
  enableNetworkAddressUsageMetrics: "EnableNetworkAddressUsageMetrics",
} as const;

export async function describeVpcAttribute(
  records: Records,
  { Attribute, VpcId: id = "" }: Sdk.DescribeVpcAttributeRequest,
): Promise<Sdk.DescribeVpcAttributeResult> {
  const vpc = await need(records, "vpc", id);
  const name: string = Attribute ?? "";
  if (!Object.hasOwn(attributes, name)) throw ec2Errors.invalid(`Value (${name}) for parameter attribute is invalid. Unknown attribute.`);
  const attribute = name as keyof typeof attributes;
  return { VpcId: id, [attributes[attribute]]: { Value: vpc[attribute] } };
}

export async function modifyVpcAttribute(change: Change, input: Sdk.ModifyVpcAttributeRequest): Promise<object> {
  const vpc = await need(change, "vpc", input.VpcId ?? "");
  const named = Object.entries(attributes).filter(([, member]) => input[member]?.Value !== undefined);
  if (named.length !== 1)
    throw ec2Errors.combination("Fields for multiple attribute types specified: exactly one attribute can be changed.");
  const [attribute, member] = named[0]!;
  change.put("vpc", vpc.id, { ...vpc, [attribute]: input[member as (typeof attributes)[keyof typeof attributes]]!.Value });
  return {};
}

export async function modifyVpcTenancy(change: Change, input: Sdk.ModifyVpcTenancyRequest): Promise<Sdk.ModifyVpcTenancyResult> {
  const vpc = await need(change, "vpc", input.VpcId ?? "");
  if (input.InstanceTenancy !== "default") throw ec2Errors.invalid("The tenancy of a VPC can only be changed to default.");
  change.put("vpc", vpc.id, { ...vpc, tenancy: "default" });
  return { ReturnValue: true };
}
