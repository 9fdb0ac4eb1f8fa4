/**
 * EC2's networking records as they lie in the store. Writer of each: the operations of `src/services/ec2`, unless it says otherwise. Ids carry
 * their prefix (`vpc-0123…`, 17 hexadecimal digits). Times are milliseconds since the epoch. Source: Amazon EC2 API Reference.
 */
import type { Tag } from "./ecs-records.ts";

/** The client token of the request that made a record, and a digest of the rest of it: a repetition makes nothing more. */
export interface ClientRequest {
  readonly token: string;
  readonly request: string;
}

export interface VpcRecord {
  readonly id: string;
  readonly cidr: string;
  /** Further IPv4 blocks, by association. */
  readonly otherCidrs: readonly { readonly associationId: string; readonly cidr: string }[];
  readonly cidrAssociationId: string;
  /** /56 blocks from Amazon's pool: ours are of fd00::/8. */
  readonly ipv6: readonly { readonly associationId: string; readonly cidr: string }[];
  readonly isDefault: boolean;
  readonly tenancy: "default" | "dedicated";
  readonly dhcpOptionsId: string;
  readonly enableDnsSupport: boolean;
  readonly enableDnsHostnames: boolean;
  readonly enableNetworkAddressUsageMetrics: boolean;
  /** The group that interfaces get which name none: it lives as long as the VPC. */
  readonly defaultGroupId: string;
  readonly tags: readonly Tag[];
}

export interface SubnetRecord {
  readonly id: string;
  readonly arn: string;
  readonly vpcId: string;
  readonly cidr: string;
  /** /64. */
  readonly ipv6?: { readonly associationId: string; readonly cidr: string };
  readonly availabilityZone: string;
  readonly availabilityZoneId: string;
  readonly defaultForAz: boolean;
  readonly mapPublicIpOnLaunch: boolean;
  readonly assignIpv6AddressOnCreation: boolean;
  readonly hostnameType: "ip-name" | "resource-name";
  readonly enableDns64: boolean;
  readonly enableResourceNameDnsARecord: boolean;
  readonly enableResourceNameDnsAaaaRecord: boolean;
  readonly tags: readonly Tag[];
}

export interface InternetGatewayRecord {
  readonly id: string;
  readonly vpcId?: string;
  readonly tags: readonly Tag[];
}

export interface NatGatewayRecord {
  readonly id: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly connectivityType: "public" | "private";
  readonly state: "pending" | "available" | "deleting" | "deleted" | "failed";
  readonly createdAt: number;
  readonly deletedAt?: number;
  readonly networkInterfaceId: string;
  readonly privateIp: string;
  readonly allocationId?: string;
  readonly associationId?: string;
  readonly publicIp?: string;
  readonly client?: ClientRequest;
  readonly tags: readonly Tag[];
}

export interface ElasticIpRecord {
  readonly allocationId: string;
  readonly publicIp: string;
  readonly associationId?: string;
  readonly networkInterfaceId?: string;
  readonly privateIp?: string;
  readonly tags: readonly Tag[];
}

export interface RouteTableRecord {
  readonly id: string;
  readonly vpcId: string;
  readonly associations: readonly {
    readonly id: string;
    readonly main: boolean;
    readonly subnetId?: string;
    readonly gatewayId?: string;
  }[];
  /** Without the local routes, which the VPC's blocks imply. */
  readonly routes: readonly {
    /** An IPv4 or IPv6 block, or a prefix list's id. */
    readonly destination: string;
    /** An id: `igw-…`, `nat-…`, `eni-…`, `vpce-…`. */
    readonly target: string;
    readonly origin: "CreateRoute" | "EnableVgwRoutePropagation";
  }[];
  readonly client?: ClientRequest;
  readonly tags: readonly Tag[];
}

export interface SecurityGroupRecord {
  readonly id: string;
  readonly arn: string;
  readonly vpcId: string;
  readonly name: string;
  readonly description: string;
  /** Each rule has one source or destination, as DescribeSecurityGroupRules shows them. */
  readonly rules: readonly SecurityGroupRule[];
  readonly tags: readonly Tag[];
}

export interface SecurityGroupRule {
  readonly id: string;
  readonly direction: "ingress" | "egress";
  /** `-1`, `tcp`, `udp`, `icmp`, `icmpv6`, or an IANA number as text. */
  readonly protocol: string;
  /** Ports, or the ICMP type and code; -1 is any. Absent with protocol -1 and those that have no ports. */
  readonly fromPort?: number;
  readonly toPort?: number;
  readonly cidrIpv4?: string;
  readonly cidrIpv6?: string;
  readonly prefixListId?: string;
  readonly referencedGroupId?: string;
  readonly description?: string;
  readonly tags: readonly Tag[];
}

/** Writers: EC2's operations, and whoever starts and ends tasks (src/reconcilers/vpc/interfaces.ts), together with the address records. */
export interface NetworkInterfaceRecord {
  readonly id: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly availabilityZone: string;
  readonly description: string;
  readonly interfaceType: "interface" | "nat_gateway" | "vpc_endpoint" | "network_load_balancer";
  readonly mac: string;
  /** The first is the primary. */
  readonly privateIps: readonly string[];
  readonly ipv6: readonly string[];
  readonly groups: readonly string[];
  readonly sourceDestCheck: boolean;
  readonly requesterManaged: boolean;
  readonly requesterId?: string;
  readonly createdAt: number;
  readonly attachment?: {
    readonly id: string;
    readonly attachedAt: number;
    readonly deviceIndex: number;
    readonly deleteOnTermination: boolean;
    readonly instanceId?: string;
    readonly instanceOwnerId?: string;
  };
  /** Of a task: the task, and the store's key of the container instance (of a Fargate task: the hidden machine) that it runs on. */
  readonly task?: { readonly arn: string; readonly node: string };
  /** Of a local instance: the store's key of the container instance whose machine it is on. */
  readonly instance?: { readonly node: string };
  /** A public address of the primary private one: assigned with the interface, or an Elastic IP's. */
  readonly publicIp?: { readonly address: string; readonly allocationId?: string; readonly associationId?: string };
  readonly client?: ClientRequest;
  readonly tags: readonly Tag[];
}

/** One for each VPC, made with it: there are no others yet. */
export interface NetworkAclRecord {
  readonly id: string;
  readonly vpcId: string;
  /** By subnet, so that it stays with the subnet. */
  readonly associations: readonly { readonly id: string; readonly subnetId: string }[];
  /** Without the last ones, which deny. Entries that let through less than everything are refused until somebody enforces them. */
  readonly entries: readonly NetworkAclEntry[];
  readonly tags: readonly Tag[];
}

export interface NetworkAclEntry {
  /** 1 to 32766: the lowest that fits decides. */
  readonly number: number;
  readonly egress: boolean;
  /** All of the family: `0.0.0.0/0` or `::/0`. */
  readonly cidr: string;
}

export interface DhcpOptionsRecord {
  readonly id: string;
  readonly configurations: readonly { readonly key: string; readonly values: readonly string[] }[];
  readonly tags: readonly Tag[];
}

export interface VpcEndpointRecord {
  readonly id: string;
  readonly vpcId: string;
  readonly serviceName: string;
  readonly type: "Gateway" | "Interface" | "GatewayLoadBalancer";
  readonly policyDocument?: string;
  readonly routeTableIds: readonly string[];
  readonly subnetIds: readonly string[];
  readonly groups: readonly string[];
  readonly networkInterfaceIds: readonly string[];
  readonly privateDnsEnabled: boolean;
  readonly ipAddressType: string;
  readonly createdAt: number;
  readonly client?: ClientRequest;
  readonly tags: readonly Tag[];
}

/** A task's network interface as its record keeps it: what DescribeTasks shows in `attachments` and the agent is given. Never changes. */
export interface TaskNetwork {
  readonly attachmentId: string;
  readonly networkInterfaceId: string;
  readonly vpcId: string;
  readonly subnetId: string;
  readonly subnetCidr: string;
  /** The subnet's first address, which routes. */
  readonly gateway: string;
  /** The VPC's resolver: its base plus two. */
  readonly resolver: string;
  readonly mac: string;
  readonly privateIp: string;
  readonly privateDnsName: string;
  readonly ipv6?: string;
  readonly ipv6Cidr?: string;
  readonly publicIp?: string;
}
