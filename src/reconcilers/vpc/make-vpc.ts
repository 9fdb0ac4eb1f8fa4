import type { Scope } from "#model/ecs-keys.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type {
  DhcpOptionsRecord,
  InternetGatewayRecord,
  NetworkAclRecord,
  RouteTableRecord,
  SecurityGroupRecord,
  SubnetRecord,
  VpcRecord,
} from "#model/vpc-records.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { newId } from "./ids.ts";
import { type Zone, zonesOf } from "./zones.ts";

/** A VPC with all that comes with it, and the default VPC of an account and region. Source: Amazon VPC User Guide, "Default VPCs". */

/** The writer's queue of all that EC2's operations change in an account and region. */
export const vpcQueue = ({ account, region }: Scope): string => `ec2/${account}/${region}`;

/** A change of EC2's records. What it decides from lists still holds when it is applied: every other change raises the same version. */
export function changeVpc<T>(writer: Writer, scope: Scope, work: (unit: Unit) => Promise<T>): Promise<T> {
  return writer.run(vpcQueue(scope), async (unit) => {
    const key = vpcKeys.version(scope);
    const { version } = (await unit.get<{ version: number }>(key)) ?? { version: 0 };
    const value = await work(unit);
    unit.put(key, { version: version + 1 });
    return value;
  });
}

/**
 * The default VPC is there from the start: made in one transaction when somebody first asks, and once only, so it stays away when its owner deletes it.
 * Cheap to call: one look into memory.
 */
export async function ensureDefaultVpc(
  from: { readonly store: Store; readonly writer: Writer },
  scope: Scope,
  random: Random,
): Promise<void> {
  if (await from.store.get(vpcKeys.defaultVpcMade(scope))) return;
  await changeVpc(from.writer, scope, async (unit) => {
    if (await unit.get(vpcKeys.defaultVpcMade(scope))) return;
    unit.put(vpcKeys.defaultVpcMade(scope), {});
    await writeDefaultVpc(unit, scope, random);
  });
}

export const defaultVpcCidr = "172.31.0.0/16";

/** 172.31.0.0/16 with a /20 in each zone, and a way to the internet. The caller has found that there is none. */
export async function writeDefaultVpc(unit: Unit, scope: Scope, random: Random): Promise<VpcRecord> {
  const { vpc, routeTable } = await writeVpc(unit, scope, random, { cidr: defaultVpcCidr, isDefault: true });
  const gateway: InternetGatewayRecord = { id: newId(random, "igw"), vpcId: vpc.id, tags: [] };
  unit.put(vpcKeys.one(scope, "internet-gateway", gateway.id), gateway);
  unit.put(vpcKeys.one(scope, "route-table", routeTable.id), {
    ...routeTable,
    routes: [{ destination: "0.0.0.0/0", target: gateway.id, origin: "CreateRoute" }],
  } satisfies RouteTableRecord);
  for (const [at, zone] of zonesOf(scope.region).entries())
    await writeSubnet(unit, scope, random, {
      vpcId: vpc.id,
      cidr: `172.31.${at * 16}.0/20`,
      zone,
      defaultForAz: true,
      mapPublicIpOnLaunch: true,
    });
  return vpc;
}

export interface NewVpc {
  readonly cidr: string;
  readonly isDefault?: boolean;
  readonly tenancy?: VpcRecord["tenancy"];
  readonly ipv6?: VpcRecord["ipv6"];
  readonly tags?: VpcRecord["tags"];
}

/** With its main route table, default security group and default network ACL. */
export async function writeVpc(
  unit: Unit,
  scope: Scope,
  random: Random,
  { cidr, isDefault = false, tenancy = "default", ipv6 = [], tags = [] }: NewVpc,
): Promise<{ readonly vpc: VpcRecord; readonly routeTable: RouteTableRecord }> {
  const group = newGroup(scope, random, { vpcId: "", name: "default", description: "default VPC security group" });
  const vpc: VpcRecord = {
    id: newId(random, "vpc"),
    cidr,
    cidrAssociationId: newId(random, "vpc-cidr-assoc"),
    otherCidrs: [],
    ipv6,
    isDefault,
    tenancy,
    dhcpOptionsId: (await defaultDhcpOptions(unit, scope, random)).id,
    enableDnsSupport: true,
    enableDnsHostnames: isDefault,
    enableNetworkAddressUsageMetrics: false,
    defaultGroupId: group.id,
    tags,
  };
  const routeTable: RouteTableRecord = {
    id: newId(random, "rtb"),
    vpcId: vpc.id,
    associations: [{ id: newId(random, "rtbassoc"), main: true }],
    routes: [],
    tags: [],
  };
  const entries = [true, false].flatMap((egress) => [
    { number: 100, egress, cidr: "0.0.0.0/0" },
    ...(ipv6.length > 0 ? [{ number: 101, egress, cidr: "::/0" }] : []),
  ]);
  const acl: NetworkAclRecord = { id: newId(random, "acl"), vpcId: vpc.id, associations: [], entries, tags: [] };
  const fromItself = { id: newId(random, "sgr"), direction: "ingress", protocol: "-1", referencedGroupId: group.id, tags: [] } as const;
  unit.put(vpcKeys.one(scope, "vpc", vpc.id), vpc);
  unit.put(vpcKeys.one(scope, "route-table", routeTable.id), routeTable);
  unit.put(vpcKeys.one(scope, "network-acl", acl.id), acl);
  unit.put(vpcKeys.one(scope, "security-group", group.id), {
    ...group,
    vpcId: vpc.id,
    rules: [fromItself, ...group.rules],
  } satisfies SecurityGroupRecord);
  return { vpc, routeTable };
}

/** As CreateSecurityGroup makes one: everything may go out. */
export function newGroup(
  scope: Scope,
  random: Random,
  { vpcId, name, description, tags = [] }: Pick<SecurityGroupRecord, "vpcId" | "name" | "description"> & Partial<SecurityGroupRecord>,
): SecurityGroupRecord {
  const id = newId(random, "sg");
  const rules = [{ id: newId(random, "sgr"), direction: "egress", protocol: "-1", cidrIpv4: "0.0.0.0/0", tags: [] }] as const;
  return { id, arn: `arn:aws:ec2:${scope.region}:${scope.account}:security-group/${id}`, vpcId, name, description, rules, tags };
}

export interface NewSubnet {
  readonly vpcId: string;
  readonly cidr: string;
  readonly zone: Zone;
  readonly defaultForAz?: boolean;
  readonly mapPublicIpOnLaunch?: boolean;
  readonly ipv6?: SubnetRecord["ipv6"];
  readonly tags?: SubnetRecord["tags"];
}

/** With its association with the VPC's network ACL. */
export async function writeSubnet(
  unit: Unit,
  scope: Scope,
  random: Random,
  { vpcId, cidr, zone, defaultForAz = false, mapPublicIpOnLaunch = false, ipv6, tags = [] }: NewSubnet,
): Promise<SubnetRecord> {
  const id = newId(random, "subnet");
  const subnet: SubnetRecord = {
    id,
    arn: `arn:aws:ec2:${scope.region}:${scope.account}:subnet/${id}`,
    vpcId,
    cidr,
    ipv6,
    availabilityZone: zone.name,
    availabilityZoneId: zone.id,
    defaultForAz,
    mapPublicIpOnLaunch,
    assignIpv6AddressOnCreation: false,
    hostnameType: "ip-name",
    enableDns64: false,
    enableResourceNameDnsARecord: false,
    enableResourceNameDnsAaaaRecord: false,
    tags,
  };
  unit.put(vpcKeys.one(scope, "subnet", id), subnet);
  for (const [key, acl] of await unit.list<NetworkAclRecord>(vpcKeys.of(scope, "network-acl")))
    if (acl.vpcId === vpcId)
      unit.put(key, {
        ...acl,
        associations: [...acl.associations, { id: newId(random, "aclassoc"), subnetId: id }],
      } satisfies NetworkAclRecord);
  return subnet;
}

/** The set of options that names Amazon's own resolver: one for the account and region, which VPCs share. Made anew where it was deleted. */
export async function defaultDhcpOptions(unit: Unit, scope: Scope, random: Random): Promise<DhcpOptionsRecord> {
  const configurations = [
    { key: "domain-name", values: [scope.region === "us-east-1" ? "ec2.internal" : `${scope.region}.compute.internal`] },
    { key: "domain-name-servers", values: ["AmazonProvidedDNS"] },
  ];
  const same = JSON.stringify(configurations);
  for (const options of (await unit.list<DhcpOptionsRecord>(vpcKeys.of(scope, "dhcp-options"))).values())
    if (JSON.stringify(options.configurations) === same) return options;
  const made: DhcpOptionsRecord = { id: newId(random, "dopt"), configurations, tags: [] };
  unit.put(vpcKeys.one(scope, "dhcp-options", made.id), made);
  return made;
}
