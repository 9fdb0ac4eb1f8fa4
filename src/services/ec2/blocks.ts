import { ApiError } from "#api/contract.ts";
import { type Block, contains, formatAddress, formatBlock, knownBlock, overlap, parseBlock, sizeOf } from "#model/cidr.ts";
import type { SubnetRecord, VpcRecord } from "#model/vpc-records.ts";
import type { Random } from "#platform/random.ts";
import { ec2Errors } from "./errors.ts";

/** The rules for blocks of VPCs and subnets. Source: Amazon VPC User Guide, "VPC CIDR blocks" and "Subnet CIDR blocks". */

/** The block in its canonical form. Throws InvalidParameterValue. */
export function readBlock(text: string, family: 4 | 6, parameter: string): Block {
  const block = parseBlock(text);
  if (block?.family !== family)
    throw ec2Errors.invalid(`Value (${text}) for parameter ${parameter} is invalid. This is not a valid CIDR block.`);
  return block;
}

export function vpcBlock(text: string): Block {
  const block = readBlock(text, 4, "cidrBlock");
  if (block.bits < 16 || block.bits > 28) throw new ApiError("InvalidVpc.Range", `The CIDR '${text}' is invalid.`);
  return block;
}

export const blocksOf = (vpc: VpcRecord): Block[] => [vpc.cidr, ...vpc.otherCidrs.map(({ cidr }) => cidr)].map(knownBlock);

/** A subnet's block: inside the VPC, /16 to /28, apart from all other subnets. */
export function subnetBlock(text: string, vpc: VpcRecord, subnets: readonly SubnetRecord[]): string {
  const block = readBlock(text, 4, "cidrBlock");
  if (block.bits < 16 || block.bits > 28 || !blocksOf(vpc).some((outer) => contains(outer, block)))
    throw new ApiError("InvalidSubnet.Range", `The CIDR '${text}' is invalid.`);
  if (subnets.some((subnet) => subnet.vpcId === vpc.id && overlap(knownBlock(subnet.cidr), block)))
    throw new ApiError("InvalidSubnet.Conflict", `The CIDR '${text}' conflicts with another subnet`);
  return formatBlock(block);
}

/** A subnet's /64 of one of its VPC's /56. */
export function subnetIpv6(text: string, vpc: VpcRecord, subnets: readonly SubnetRecord[]): string {
  const block = readBlock(text, 6, "ipv6CidrBlock");
  if (block.bits !== 64 || !vpc.ipv6.some(({ cidr }) => contains(knownBlock(cidr), block)))
    throw new ApiError("InvalidSubnet.Range", `The CIDR '${text}' is invalid.`);
  if (subnets.some(({ ipv6 }) => ipv6 && overlap(knownBlock(ipv6.cidr), block)))
    throw new ApiError("InvalidSubnet.Conflict", `The CIDR '${text}' conflicts with another subnet`);
  return formatBlock(block);
}

/** A /56 of fd00::/8, RFC 4193's unique local addresses: 48 random bits make it nobody else's. */
export const newVpcIpv6 = (random: Random): string => `${formatAddress(6, BigInt(`0xfd${random.hex(6)}`) << 72n)}/56`;

/** The first block of `bits` inside the VPC's own that no subnet has; undefined when all is given away. */
export function freeBlock(vpc: VpcRecord, subnets: readonly SubnetRecord[], bits: number): string | undefined {
  const taken = subnets.filter(({ vpcId }) => vpcId === vpc.id).map(({ cidr }) => knownBlock(cidr));
  const outer = knownBlock(vpc.cidr);
  const step = sizeOf({ family: 4, base: 0n, bits });
  for (let base = outer.base; base < outer.base + sizeOf(outer); base += step) {
    const block: Block = { family: 4, base, bits };
    if (!taken.some((other) => overlap(other, block))) return formatBlock(block);
  }
  return undefined;
}
