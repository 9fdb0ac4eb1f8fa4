import { addressAt, type Block, holdsAddress, knownBlock, parseAddress, sizeOf } from "#model/cidr.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { SubnetRecord } from "#model/vpc-records.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { vpcErrors } from "./errors.ts";

/** EC2 keeps the first four addresses of a subnet and the last one: network, router, resolver, a spare, broadcast. */
const reservedFirst = 4n;

/** So many taken addresses are asked for one by one before the whole list is read. */
const probes = 24;

interface Addresses {
  readonly block: Block;
  readonly first: bigint;
  readonly count: number;
  /** Where each lies. */
  readonly prefix: string;
  /** The record of where to look next. */
  readonly use: string;
}

const ofSubnet = (scope: Scope, subnet: SubnetRecord): Addresses => {
  const block = knownBlock(subnet.cidr);
  return {
    block,
    first: reservedFirst,
    count: Number(sizeOf(block) - reservedFirst - 1n),
    prefix: vpcKeys.addresses(scope, subnet.id),
    use: vpcKeys.use(scope, subnet.id),
  };
};

const ofPool = (pool: string): Addresses => {
  const block = knownBlock(pool);
  return {
    block,
    first: 1n,
    count: Number(sizeOf(block) - 2n),
    prefix: vpcKeys.publicAddresses(),
    use: vpcKeys.publicUse(),
  };
};

/** How many addresses EC2 gives out of the subnet in all. */
export const capacityOf = (cidr: string): number => Number(sizeOf(knownBlock(cidr)) - reservedFirst - 1n);

/**
 * A free address, or undefined when all are taken; the caller writes its record, whose absence the unit compares. The search goes on behind the address
 * that was taken last, so an address comes back as late as it can. Where to look is read and written without comparing: two that look at the
 * same place are told apart by the address itself, and the small leap makes that rare.
 */
async function freeAddress(unit: Unit, { block, first, count, prefix, use }: Addresses, random: Random): Promise<string | undefined> {
  const next = ((await unit.list<{ next?: number }>(use)).get(use)?.next ?? 0) % count;
  const start = count >= 256 ? next + Math.floor(random.next() * 8) : next;
  const address = (step: number) => addressAt(block, first + BigInt((start + step) % count));
  const take = async (step: number) => {
    if ((await unit.get(prefix + address(step))) !== undefined) return false;
    unit.put(use, { next: (start + step + 1) % count });
    return true;
  };
  for (let step = 0; step < Math.min(probes, count); step++) if (await take(step)) return address(step);
  const taken = await unit.list(prefix);
  for (let step = probes; step < count; step++) if (!taken.has(prefix + address(step)) && (await take(step))) return address(step);
  return undefined;
}

/** Throws VpcError when the subnet is full. `holder`: the interface's id. */
export async function takeAddress(unit: Unit, scope: Scope, subnet: SubnetRecord, holder: string, random: Random): Promise<string> {
  const address = await freeAddress(unit, ofSubnet(scope, subnet), random);
  if (address === undefined) throw vpcErrors.subnetFull(subnet.id);
  unit.put(vpcKeys.address(scope, subnet.id, address), { networkInterface: holder });
  return address;
}

/** This address and no other. Throws VpcError when it is not of the subnet, reserved, or taken. */
export async function takeGivenAddress(unit: Unit, scope: Scope, subnet: SubnetRecord, holder: string, address: string): Promise<void> {
  const { block, first, count } = ofSubnet(scope, subnet);
  const offset = holdsAddress(block, address) ? parseAddress(address)!.value - block.base : -1n;
  if (offset < first || offset >= first + BigInt(count)) throw vpcErrors.notOfSubnet(address);
  const key = vpcKeys.address(scope, subnet.id, address);
  if ((await unit.get(key)) !== undefined) throw vpcErrors.addressInUse();
  unit.put(key, { networkInterface: holder });
}

/** An address of the subnet's /64; undefined when it has none. */
export async function takeIpv6(
  unit: Unit,
  scope: Scope,
  subnet: SubnetRecord,
  holder: string,
  random: Random,
  wanted?: string,
): Promise<string | undefined> {
  if (!subnet.ipv6) return undefined;
  const block = knownBlock(subnet.ipv6.cidr);
  if (wanted !== undefined && !holdsAddress(block, wanted)) throw vpcErrors.notOfSubnet(wanted);
  for (;;) {
    const address = wanted ?? addressAt(block, BigInt(`0x${random.hex(8)}`) | 0x10n);
    const key = vpcKeys.address(scope, subnet.id, address);
    if ((await unit.get(key)) === undefined) {
      unit.put(key, { networkInterface: holder });
      return address;
    }
    if (wanted !== undefined) throw vpcErrors.addressInUse();
  }
}

/** Out of the installation's pool. `holder`: an interface's or an allocation's id. Throws VpcError when none is left. */
export async function takePublicAddress(unit: Unit, pool: string, holder: string, random: Random): Promise<string> {
  const address = await freeAddress(unit, ofPool(pool), random);
  if (address === undefined) throw vpcErrors.poolEmpty();
  unit.put(vpcKeys.publicAddress(address), { holder });
  return address;
}
