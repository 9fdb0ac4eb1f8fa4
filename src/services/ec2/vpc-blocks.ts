import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { contains, formatBlock, knownBlock, overlap } from "#model/cidr.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { blocksOf, newVpcIpv6, subnetIpv6, vpcBlock } from "./blocks.ts";
import { type Change, need } from "./context.ts";
import { ec2Errors } from "./errors.ts";
import { subnetIpv6View } from "./subnets.ts";
import { ipv6BlockView } from "./vpcs.ts";

/** Further blocks of VPCs and subnets. Source: Amazon EC2 API Reference, "AssociateVpcCidrBlock" and its kin. */

const most = 5;

export async function associateVpcCidrBlock(
  change: Change,
  input: Sdk.AssociateVpcCidrBlockRequest,
): Promise<Sdk.AssociateVpcCidrBlockResult> {
  if (input.Ipv4IpamPoolId ?? input.Ipv6IpamPoolId ?? input.Ipv6Pool) throw ec2Errors.notYet("address pools (IPAM, BYOIP)");
  const vpc = await need(change, "vpc", input.VpcId ?? "");
  const associationId = newId(change.random, "vpc-cidr-assoc");
  if (input.AmazonProvidedIpv6CidrBlock) {
    if (vpc.ipv6.length >= most) throw tooMany();
    const block = { associationId, cidr: newVpcIpv6(change.random) };
    change.put("vpc", vpc.id, { ...vpc, ipv6: [...vpc.ipv6, block] });
    const view = { ...ipv6BlockView(block, change.scope.region), Ipv6CidrBlockState: { State: "associating" as const } };
    return { VpcId: vpc.id, Ipv6CidrBlockAssociation: view };
  }
  if (input.CidrBlock === undefined) throw ec2Errors.missing("cidrBlock");
  const block = vpcBlock(input.CidrBlock);
  if (blocksOf(vpc).some((other) => overlap(other, block)))
    throw new ApiError("InvalidVpc.Range", `The CIDR '${input.CidrBlock}' overlaps with a CIDR block of the VPC.`);
  if (vpc.otherCidrs.length + 1 >= most) throw tooMany();
  const cidr = formatBlock(block);
  change.put("vpc", vpc.id, { ...vpc, otherCidrs: [...vpc.otherCidrs, { associationId, cidr }] });
  return {
    VpcId: vpc.id,
    CidrBlockAssociation: { AssociationId: associationId, CidrBlock: cidr, CidrBlockState: { State: "associating" } },
  };
}

const tooMany = () => new ApiError("CidrLimitExceeded", `This network has reached its maximum of ${most} CIDR blocks.`);
const inUse = (cidr: string) => ec2Errors.dependency(`The vpc CIDR block ${cidr} has dependencies and cannot be disassociated.`);

export async function disassociateVpcCidrBlock(
  change: Change,
  { AssociationId: id = "" }: Sdk.DisassociateVpcCidrBlockRequest,
): Promise<Sdk.DisassociateVpcCidrBlockResult> {
  const subnets = await change.all("subnet");
  for (const vpc of await change.all("vpc")) {
    if (vpc.cidrAssociationId === id)
      throw ec2Errors.notPermitted(
        `The vpc CIDR block with association ID ${id} may not be disassociated. It is the primary IPv4 CIDR block of the VPC`,
      );
    const other = vpc.otherCidrs.find(({ associationId }) => associationId === id);
    if (other) {
      const block = knownBlock(other.cidr);
      if (subnets.some(({ vpcId, cidr }) => vpcId === vpc.id && contains(block, knownBlock(cidr)))) throw inUse(other.cidr);
      change.put("vpc", vpc.id, { ...vpc, otherCidrs: vpc.otherCidrs.filter((each) => each !== other) });
      const view = { AssociationId: id, CidrBlock: other.cidr, CidrBlockState: { State: "disassociating" as const } };
      return { VpcId: vpc.id, CidrBlockAssociation: view };
    }
    const ipv6 = vpc.ipv6.find(({ associationId }) => associationId === id);
    if (ipv6) {
      const block = knownBlock(ipv6.cidr);
      if (subnets.some((subnet) => subnet.ipv6 && contains(block, knownBlock(subnet.ipv6.cidr)))) throw inUse(ipv6.cidr);
      change.put("vpc", vpc.id, { ...vpc, ipv6: vpc.ipv6.filter((each) => each !== ipv6) });
      const view = { ...ipv6BlockView(ipv6, change.scope.region), Ipv6CidrBlockState: { State: "disassociating" as const } };
      return { VpcId: vpc.id, Ipv6CidrBlockAssociation: view };
    }
  }
  throw noBlock(id);
}

const noBlock = (id: string) =>
  new ApiError("InvalidVpcCidrBlockAssociationID.NotFound", `The vpc CIDR block association ID '${id}' does not exist`);

export async function associateSubnetCidrBlock(
  change: Change,
  input: Sdk.AssociateSubnetCidrBlockRequest,
): Promise<Sdk.AssociateSubnetCidrBlockResult> {
  if (input.Ipv6IpamPoolId) throw ec2Errors.notYet("address pools (IPAM)");
  const subnet = await need(change, "subnet", input.SubnetId ?? "");
  if (input.Ipv6CidrBlock === undefined) throw ec2Errors.missing("ipv6CidrBlock");
  if (subnet.ipv6)
    throw new ApiError("InvalidSubnet.Conflict", `The subnet '${subnet.id}' already has an IPv6 CIDR block: ${subnet.ipv6.cidr}`);
  const vpc = await need(change, "vpc", subnet.vpcId);
  const cidr = subnetIpv6(input.Ipv6CidrBlock, vpc, await change.all("subnet"));
  const ipv6 = { associationId: newId(change.random, "subnet-cidr-assoc"), cidr };
  change.put("subnet", subnet.id, { ...subnet, ipv6 });
  return { SubnetId: subnet.id, Ipv6CidrBlockAssociation: { ...subnetIpv6View(ipv6), Ipv6CidrBlockState: { State: "associating" } } };
}

export async function disassociateSubnetCidrBlock(
  change: Change,
  { AssociationId: id = "" }: Sdk.DisassociateSubnetCidrBlockRequest,
): Promise<Sdk.DisassociateSubnetCidrBlockResult> {
  const subnet = (await change.all("subnet")).find(({ ipv6 }) => ipv6?.associationId === id);
  if (!subnet?.ipv6)
    throw new ApiError("InvalidSubnetCidrBlockAssociationID.NotFound", `The subnet CIDR block association ID '${id}' does not exist`);
  const { ipv6, ...rest } = subnet;
  if ((await change.all("network-interface")).some((each) => each.subnetId === subnet.id && each.ipv6.length > 0))
    throw ec2Errors.dependency(`The subnet CIDR block ${ipv6.cidr} has dependencies and cannot be disassociated.`);
  change.put("subnet", subnet.id, { ...rest, assignIpv6AddressOnCreation: false });
  return { SubnetId: subnet.id, Ipv6CidrBlockAssociation: { ...subnetIpv6View(ipv6), Ipv6CidrBlockState: { State: "disassociating" } } };
}
