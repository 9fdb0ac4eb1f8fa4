import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import type { LoadBalancerRecord, LoadBalancerZone } from "#model/elb-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { ElasticIpRecord, InternetGatewayRecord, NetworkInterfaceRecord, SubnetRecord } from "#model/vpc-records.ts";
import { capacityOf } from "#reconcilers/vpc/addresses.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { releaseInterface, takeInterface } from "#reconcilers/vpc/interfaces.ts";
import { pathOf } from "../arns.ts";
import type { Change } from "../context.ts";
import { elbErrors } from "../errors.ts";

/** The subnets that a load balancer lies in: one a zone, with an interface of its own in each, as EC2's users see them. */

/** What a request says of one subnet, with the subnet's record. */
export interface Place {
  readonly subnet: SubnetRecord;
  readonly allocationId?: string;
  readonly privateIp?: string;
  readonly ipv6?: string;
}

/** ELB asks for so many free addresses in each subnet of an application load balancer. */
const leastFree = 8;

type Shape = Pick<LoadBalancerRecord, "type" | "scheme" | "ipAddressType">;

/** The request's `Subnets` or `SubnetMappings`, checked against what EC2 has. */
export async function placesOf(
  change: Change,
  { type, scheme, ipAddressType }: Shape,
  input: { readonly Subnets?: readonly string[]; readonly SubnetMappings?: readonly Sdk.SubnetMapping[] },
): Promise<Place[]> {
  const { Subnets: subnets = [], SubnetMappings: mappings = [] } = input;
  if (subnets.length > 0 && mappings.length > 0)
    throw elbErrors.invalid("You must specify either subnets or subnet mappings, but not both");
  const wanted: readonly Sdk.SubnetMapping[] = mappings.length > 0 ? mappings : subnets.map((SubnetId) => ({ SubnetId }));
  if (wanted.length === 0) throw elbErrors.invalid("At least one subnet must be specified");
  const places: Place[] = [];
  for (const mapping of wanted) places.push(await placeOf(change, type, scheme, mapping));
  const [first] = places;
  if (places.some(({ subnet }) => subnet.vpcId !== first!.subnet.vpcId)) throw elbErrors.subnet("All subnets must belong to the same VPC");
  const zones = new Set(places.map(({ subnet }) => subnet.availabilityZone));
  if (zones.size < places.length)
    throw elbErrors.configuration("A load balancer cannot be attached to multiple subnets in the same Availability Zone");
  if (type === "application" && zones.size < 2)
    throw elbErrors.invalid("At least two subnets in two different Availability Zones must be specified");
  const without = places.find(({ subnet }) => ipAddressType === "dualstack" && !subnet.ipv6);
  if (without) throw elbErrors.configuration(`You must specify subnets with an associated IPv6 CIDR block: ${without.subnet.id}`);
  if (scheme === "internet-facing") await checkGateway(change, first!.subnet.vpcId);
  return places.toSorted((a, b) => (a.subnet.availabilityZone < b.subnet.availabilityZone ? -1 : 1));
}

async function placeOf(change: Change, type: Shape["type"], scheme: Shape["scheme"], mapping: Sdk.SubnetMapping): Promise<Place> {
  const { SubnetId: id = "", AllocationId: allocationId, PrivateIPv4Address: privateIp, IPv6Address: ipv6 } = mapping;
  const subnet = await change.get<SubnetRecord>(vpcKeys.one(change.scope, "subnet", id));
  if (!subnet) throw elbErrors.noSubnet(id);
  if (mapping.SourceNatIpv6Prefix !== undefined) throw elbErrors.notYet("IPv6 prefixes for source NAT");
  if (type === "application" && (allocationId ?? privateIp ?? ipv6) !== undefined)
    throw elbErrors.configuration("Addresses of subnet mappings are only supported with Network Load Balancers");
  if (allocationId !== undefined && scheme === "internal")
    throw elbErrors.configuration("Elastic IP addresses cannot be specified for internal load balancers");
  if (privateIp !== undefined && scheme !== "internal")
    throw elbErrors.configuration("Private IPv4 addresses can only be specified for internal load balancers");
  return { subnet, allocationId, privateIp, ipv6 };
}

async function checkGateway({ scope, list, get }: Change, vpcId: string): Promise<void> {
  const all = await list<InternetGatewayRecord>(vpcKeys.of(scope, "internet-gateway"));
  const gateway = all.find((each) => each.vpcId === vpcId);
  if (!gateway) throw elbErrors.subnet(`VPC ${vpcId} has no internet gateway`);
  // Compared: it is still attached when this is applied.
  await get(vpcKeys.one(scope, "internet-gateway", gateway.id));
}

/** Takes the interface and its addresses, in this very transaction. */
export async function takeZone(
  change: Change,
  balancer: Pick<LoadBalancerRecord, "id" | "name" | "type" | "ipAddressType">,
  groups: readonly string[],
  { subnet, allocationId, privateIp, ipv6 }: Place,
): Promise<LoadBalancerZone> {
  const { unit, scope, making } = change;
  const network = balancer.type === "network";
  if (!network) await checkRoom(change, subnet);
  const owner = network ? "amazon-aws" : "amazon-elb";
  const { record } = await takeInterface(
    unit,
    scope,
    {
      subnetId: subnet.id,
      groups,
      description: `ELB ${pathOf(balancer)}`,
      interfaceType: network ? "network_load_balancer" : "interface",
      privateIps: privateIp === undefined ? undefined : [privateIp],
      ipv6: ipv6 === undefined ? undefined : [ipv6],
      moreIpv6: ipv6 === undefined ? Number(balancer.ipAddressType === "dualstack") : 0,
      requesterId: "amazon-elb",
      sourceDestCheck: !network,
      attachment: {
        id: newId(making.random, "ela-attach"),
        attachedAt: making.now,
        deviceIndex: 1,
        deleteOnTermination: false,
        instanceOwnerId: owner,
      },
    },
    making,
  );
  return {
    zoneName: subnet.availabilityZone,
    subnetId: subnet.id,
    networkInterfaceId: record.id,
    privateIp: record.privateIps[0]!,
    ...(record.ipv6[0] === undefined ? {} : { ipv6: record.ipv6[0] }),
    ...(privateIp === undefined ? {} : { fixedPrivateIp: true }),
    ...(allocationId === undefined ? {} : { elasticIp: await associate(change, allocationId, record) }),
  };
}

/** Gives back what `takeZone` took; an Elastic IP stays its owner's. */
export const giveZone = ({ unit, scope }: Change, { networkInterfaceId }: LoadBalancerZone): Promise<void> =>
  releaseInterface(unit, scope, networkInterfaceId);

async function checkRoom({ unit, scope }: Change, subnet: SubnetRecord): Promise<void> {
  const taken = [...(await unit.list(vpcKeys.addresses(scope, subnet.id))).keys()].filter((key) => !key.includes(":")).length;
  if (capacityOf(subnet.cidr) - taken < leastFree)
    throw elbErrors.subnet(
      `Not enough IP space available in ${subnet.id}. ELB requires at least ${leastFree} free IP addresses in each subnet.`,
    );
}

async function associate(
  { unit, scope, making }: Change,
  allocationId: string,
  record: NetworkInterfaceRecord,
): Promise<NonNullable<LoadBalancerZone["elasticIp"]>> {
  const key = vpcKeys.one(scope, "elastic-ip", allocationId);
  const elastic = await unit.get<ElasticIpRecord>(key);
  if (!elastic) throw elbErrors.noAllocation(allocationId);
  if (elastic.associationId !== undefined)
    throw elbErrors.inUse(`The allocation ID '${allocationId}' is already in use: it is associated as '${elastic.associationId}'`);
  const associationId = newId(making.random, "eipassoc");
  const { publicIp: address } = elastic;
  unit.put(key, { ...elastic, associationId, networkInterfaceId: record.id, privateIp: record.privateIps[0] } satisfies ElasticIpRecord);
  unit.put(vpcKeys.one(scope, "network-interface", record.id), {
    ...record,
    publicIp: { address, allocationId, associationId },
  } satisfies NetworkInterfaceRecord);
  return { allocationId, address };
}
