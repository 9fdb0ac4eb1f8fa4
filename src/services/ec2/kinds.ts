import { ApiError } from "#api/contract.ts";
import type { InstanceRecord, KeyPairRecord, LaunchTemplateRecord } from "#model/instance-records.ts";
import type {
  DhcpOptionsRecord,
  ElasticIpRecord,
  InternetGatewayRecord,
  NatGatewayRecord,
  NetworkAclRecord,
  NetworkInterfaceRecord,
  RouteTableRecord,
  SecurityGroupRecord,
  SubnetRecord,
  VpcEndpointRecord,
  VpcRecord,
} from "#model/vpc-records.ts";

/** What lies under each kind of key. */
export interface Kinds {
  readonly vpc: VpcRecord;
  readonly subnet: SubnetRecord;
  readonly "internet-gateway": InternetGatewayRecord;
  readonly "nat-gateway": NatGatewayRecord;
  readonly "elastic-ip": ElasticIpRecord;
  readonly "route-table": RouteTableRecord;
  readonly "security-group": SecurityGroupRecord;
  readonly "network-interface": NetworkInterfaceRecord;
  readonly "vpc-endpoint": VpcEndpointRecord;
  readonly "network-acl": NetworkAclRecord;
  readonly "dhcp-options": DhcpOptionsRecord;
  readonly instance: InstanceRecord;
  readonly "key-pair": KeyPairRecord;
  readonly "launch-template": LaunchTemplateRecord;
}
export type Kind = keyof Kinds;

interface Naming {
  readonly prefix: string;
  /** Its type in tags. */
  readonly type: string;
  readonly notFound: string;
  readonly malformed: string;
  readonly sentence: (ids: readonly string[]) => string;
}

const those = (noun: string) => (ids: readonly string[]) =>
  ids.length === 1 ? `The ${noun} ID '${ids[0]}' does not exist` : `The ${noun} IDs '${ids.join(", ")}' do not exist`;

const namings: Readonly<Record<Kind, Naming>> = {
  vpc: naming("vpc", "vpc", "InvalidVpcID", those("vpc")),
  subnet: naming("subnet", "subnet", "InvalidSubnetID", those("subnet")),
  "internet-gateway": naming("igw", "internet-gateway", "InvalidInternetGatewayID", those("internetGateway"), "InvalidInternetGatewayId"),
  "nat-gateway": {
    prefix: "nat",
    type: "natgateway",
    notFound: "NatGatewayNotFound",
    malformed: "NatGatewayMalformed",
    sentence: (ids) => `The Nat Gateway ${ids.join(", ")} was not found`,
  },
  "elastic-ip": naming("eipalloc", "elastic-ip", "InvalidAllocationID", those("allocation")),
  "route-table": naming("rtb", "route-table", "InvalidRouteTableID", those("routeTable"), "InvalidRouteTableId"),
  "security-group": naming(
    "sg",
    "security-group",
    "InvalidGroup",
    (ids) => (ids.length === 1 ? `The security group '${ids[0]}' does not exist` : `The security groups '${ids.join(", ")}' do not exist`),
    "InvalidGroupId",
  ),
  "network-interface": naming(
    "eni",
    "network-interface",
    "InvalidNetworkInterfaceID",
    those("networkInterface"),
    "InvalidNetworkInterfaceId",
  ),
  "vpc-endpoint": naming("vpce", "vpc-endpoint", "InvalidVpcEndpointId", (ids) => `The Vpc Endpoint Id '${ids.join(", ")}' does not exist`),
  "network-acl": naming("acl", "network-acl", "InvalidNetworkAclID", those("networkAcl")),
  "dhcp-options": naming("dopt", "dhcp-options", "InvalidDhcpOptionID", those("dhcpOption")),
  instance: naming("i", "instance", "InvalidInstanceID", those("instance")),
  "key-pair": naming("key", "key-pair", "InvalidKeyPair", (ids) => `The key pair '${ids.join(", ")}' does not exist`),
  "launch-template": {
    prefix: "lt",
    type: "launch-template",
    notFound: "InvalidLaunchTemplateId.NotFoundException",
    malformed: "InvalidLaunchTemplateId.Malformed",
    sentence: (ids) => `The specified launch template, with template ID ${ids.join(", ")}, does not exist.`,
  },
};

function naming(prefix: string, type: string, code: string, sentence: Naming["sentence"], malformedCode = code): Naming {
  return { prefix, type, notFound: `${code}.NotFound`, malformed: `${malformedCode}.Malformed`, sentence };
}

export const kindNames = Object.keys(namings) as readonly Kind[];

/** The tags' `resource-type` of a kind. NAT gateways are `natgateway`. */
export const typeOf = (kind: Kind): string => namings[kind].type;

export const notFound = (kind: Kind, ...ids: readonly string[]): ApiError =>
  new ApiError(namings[kind].notFound, namings[kind].sentence(ids));

/** Throws `….Malformed` for an id that could not be one of this kind. */
export function checkId(kind: Kind, id: string): void {
  const { prefix, malformed } = namings[kind];
  if (!new RegExp(`^${prefix}-([0-9a-f]{8}|[0-9a-f]{17})$`).test(id))
    throw new ApiError(malformed, `Invalid id: "${id}" (expecting "${prefix}-...")`);
}

/** The kind of an id by its prefix. */
export function kindOf(id: string): Kind | undefined {
  const prefix = id.slice(0, id.indexOf("-"));
  return kindNames.find((kind) => namings[kind].prefix === prefix);
}
