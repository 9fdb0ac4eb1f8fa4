import type { LocalInterface, SecurityGroupRuleState, SecurityGroupState, VpcInterface, VpcState, ZoneState } from "#agent-protocol/vpc.ts";
import type {
  InternetGatewayRecord,
  NatGatewayRecord,
  NetworkInterfaceRecord,
  RouteTableRecord,
  SecurityGroupRecord,
  SecurityGroupRule,
  SubnetRecord,
  VpcRecord,
} from "#model/vpc-records.ts";

/** EC2's records that decide what passes, by id. Ids are unique over accounts and regions. */
export interface VpcRecords {
  readonly vpc: ReadonlyMap<string, VpcRecord>;
  readonly subnet: ReadonlyMap<string, SubnetRecord>;
  readonly "internet-gateway": ReadonlyMap<string, InternetGatewayRecord>;
  readonly "nat-gateway": ReadonlyMap<string, NatGatewayRecord>;
  readonly "route-table": ReadonlyMap<string, RouteTableRecord>;
  readonly "security-group": ReadonlyMap<string, SecurityGroupRecord>;
  readonly "network-interface": ReadonlyMap<string, NetworkInterfaceRecord>;
}

/** Load balancers' interfaces by id, which are addresses of the machine `node` itself. */
export type Locals = ReadonlyMap<string, LocalInterface & { readonly node: string }>;

/** The interfaces of each machine (its container instance's key), and where the addresses of a group are looked up; made once for a round of machines. Pure. */
export interface VpcIndex {
  readonly byNode: ReadonlyMap<string, readonly NetworkInterfaceRecord[]>;
  /** IPv4 and IPv6 addresses of all interfaces of a group, sorted. */
  members(group: string): readonly string[];
  tableOf(subnet: SubnetRecord): RouteTableRecord | undefined;
  readonly locals: Locals;
}

export function indexOf(records: VpcRecords, locals: Locals = new Map()): VpcIndex {
  const byNode = new Map<string, NetworkInterfaceRecord[]>();
  const byGroup = new Map<string, string[]>();
  for (const each of records["network-interface"].values()) {
    const local = locals.get(each.id);
    const node = each.task?.node ?? each.instance?.node ?? local?.node;
    if (node !== undefined) push(byNode, node, each);
    if (local?.open) continue;
    for (const group of each.groups) for (const address of [...each.privateIps, ...each.ipv6]) push(byGroup, group, address);
  }
  const main = new Map<string, RouteTableRecord>();
  const explicit = new Map<string, RouteTableRecord>();
  for (const table of records["route-table"].values()) {
    for (const association of table.associations) {
      if (association.main) main.set(table.vpcId, table);
      if (association.subnetId) explicit.set(association.subnetId, table);
    }
  }
  const sorted = new Map<string, readonly string[]>();
  return {
    byNode,
    locals,
    members(group) {
      let list = sorted.get(group);
      if (!list) sorted.set(group, (list = [...new Set(byGroup.get(group))].toSorted()));
      return list;
    },
    tableOf: (subnet) => explicit.get(subnet.id) ?? main.get(subnet.vpcId),
  };
}

/** The private zones of a VPC, in a stable order. */
export type ZonesOf = (vpcId: string) => readonly ZoneState[];

/** What the agent of `node` has to know: the VPCs of its tasks' interfaces, in a stable order. Pure. */
export function vpcStatesOf(records: VpcRecords, index: VpcIndex, node: string, zones: ZonesOf = () => []): VpcState[] {
  const byVpc = new Map<string, NetworkInterfaceRecord[]>();
  for (const each of index.byNode.get(node) ?? []) push(byVpc, each.vpcId, each);
  return [...byVpc]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([vpcId, interfaces]) => {
      const vpc = records.vpc.get(vpcId);
      return vpc ? [vpcStateOf(records, index, vpc, interfaces, zones(vpcId))] : [];
    });
}

function vpcStateOf(
  records: VpcRecords,
  index: VpcIndex,
  vpc: VpcRecord,
  list: readonly NetworkInterfaceRecord[],
  zones: readonly ZoneState[],
): VpcState {
  const interfaces = list
    .flatMap((each) => interfaceOf(records, index, each))
    .toSorted((a, b) => (a.networkInterfaceId < b.networkInterfaceId ? -1 : 1));
  const groups = [...new Set(interfaces.flatMap((each) => each.groups))].toSorted().flatMap((id) => {
    const group = records["security-group"].get(id);
    return group ? [groupOf(group)] : [];
  });
  const referred = new Set(groups.flatMap(({ ingress, egress }) => [...ingress, ...egress].flatMap(({ group }) => group ?? [])));
  return {
    vpcId: vpc.id,
    ipv4Cidrs: [vpc.cidr, ...vpc.otherCidrs.map(({ cidr }) => cidr)],
    ipv6Cidrs: vpc.ipv6.map(({ cidr }) => cidr),
    resolver: nth(vpc.cidr, 2),
    dnsSupport: vpc.enableDnsSupport,
    interfaces,
    groups,
    members: Object.fromEntries([...referred].toSorted().map((group) => [group, index.members(group)])),
    // Without DNS support nobody asks.
    ...(zones.length > 0 && vpc.enableDnsSupport ? { zones } : {}),
  };
}

function interfaceOf(records: VpcRecords, index: VpcIndex, each: NetworkInterfaceRecord): VpcInterface[] {
  const subnet = records.subnet.get(each.subnetId);
  const [address] = each.privateIps;
  if (!subnet || address === undefined) return [];
  const table = index.tableOf(subnet);
  const own = index.locals.get(each.id);
  const local = own && { publicAddresses: own.publicAddresses, ...(own.open ? { open: own.open } : {}) };
  const open = internetRoutes(records, table);
  // Without a route to the internet a public address answers nobody, as in AWS.
  const publicIp = open.length > 0 && !local ? each.publicIp?.address : undefined;
  const reaches = [...new Set([...(publicIp ? open : []), ...natRoutes(records, index, table)])].toSorted();
  return [
    {
      networkInterfaceId: each.id,
      mac: each.mac,
      address,
      ...(each.ipv6[0] ? { ipv6: each.ipv6[0] } : {}),
      subnet: subnet.cidr,
      gateway: nth(subnet.cidr, 1),
      groups: local?.open ? [] : each.groups,
      ...(local ? { local } : {}),
      ...(publicIp ? { publicIp } : {}),
      reaches,
    },
  ];
}

/** IPv4 blocks that the table leads to an internet gateway of its VPC. A gateway that was detached leaves its routes behind as blackholes. */
function internetRoutes(records: VpcRecords, table: RouteTableRecord | undefined): string[] {
  return blocksTo(table, (target) => target.startsWith("igw-") && records["internet-gateway"].get(target)?.vpcId === table?.vpcId);
}

/**
 * IPv4 blocks that the table leads to a NAT gateway that works: available, public, and itself in a subnet that leads to the internet. A private
 * one leads to networks beyond the VPC, of which there are none here.
 */
function natRoutes(records: VpcRecords, index: VpcIndex, table: RouteTableRecord | undefined): string[] {
  return blocksTo(table, (target) => {
    const gateway = target.startsWith("nat-") ? records["nat-gateway"].get(target) : undefined;
    if (gateway?.state !== "available" || gateway.connectivityType !== "public" || gateway.vpcId !== table?.vpcId) return false;
    const subnet = records.subnet.get(gateway.subnetId);
    return subnet !== undefined && internetRoutes(records, index.tableOf(subnet)).length > 0;
  });
}

function blocksTo(table: RouteTableRecord | undefined, leads: (target: string) => boolean): string[] {
  return (table?.routes ?? []).flatMap(({ destination, target }) =>
    /^\d+\.\d+\.\d+\.\d+\/\d+$/.test(destination) && leads(target) ? [destination] : [],
  );
}

function groupOf({ id, rules }: SecurityGroupRecord): SecurityGroupState {
  const of = (direction: SecurityGroupRule["direction"]) => rules.flatMap((rule) => (rule.direction === direction ? ruleOf(rule) : []));
  return { groupId: id, ingress: of("ingress"), egress: of("egress") };
}

/** Prefix lists are of AWS's own services, which have no addresses here. */
function ruleOf({ protocol, fromPort, toPort, cidrIpv4, cidrIpv6, referencedGroupId }: SecurityGroupRule): SecurityGroupRuleState[] {
  const cidr = cidrIpv4 ?? cidrIpv6;
  if (cidr === undefined && referencedGroupId === undefined) return [];
  const peer = cidr === undefined ? { group: referencedGroupId } : { cidr };
  return [{ protocol, ...(fromPort === undefined ? {} : { fromPort }), ...(toPort === undefined ? {} : { toPort }), ...peer }];
}

/** The address number `offset` of an IPv4 block. */
function nth(cidr: string, offset: number): string {
  const [address = "", bits = "32"] = cidr.split("/");
  const size = 2 ** (32 - Number(bits));
  const value = address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
  const wanted = Math.floor(value / size) * size + offset;
  return [24, 16, 8, 0].map((shift) => Math.floor(wanted / 2 ** shift) % 256).join(".");
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
