/** As the standard agent reads it (amazon-ecs-agent, ecsacs model). */
export interface ElasticNetworkInterface {
  readonly attachmentArn: string;
  /** `eni-…`. */
  readonly ec2Id: string;
  readonly index: number;
  readonly macAddress: string;
  readonly ipv4Addresses: readonly { readonly primary: boolean; readonly privateAddress: string }[];
  readonly ipv6Addresses: readonly { readonly address: string }[];
  /** With the subnet's prefix length: `10.0.1.1/24`. */
  readonly subnetGatewayIpv4Address: string;
  readonly subnetGatewayIpv6Address?: string;
  readonly domainName: readonly string[];
  readonly domainNameServers: readonly string[];
  readonly privateDnsName: string;
  readonly interfaceAssociationProtocol: "default";
}

/**
 * Ours, which standard agents drop: all that this machine's VPC interfaces need, whole each time, at the start of a connection and after each change.
 * An interface that is not named here passes no traffic.
 */
export interface VpcStateMessage {
  readonly messageId: string;
  readonly vpcs: readonly VpcState[];
}

export interface VpcState {
  readonly vpcId: string;
  readonly ipv4Cidrs: readonly string[];
  readonly ipv6Cidrs: readonly string[];
  /** The VPC's base plus two; names are answered there where `dnsSupport` says so. */
  readonly resolver: string;
  readonly dnsSupport: boolean;
  /** Of this machine. */
  readonly interfaces: readonly VpcInterface[];
  /** Those of the interfaces. */
  readonly groups: readonly SecurityGroupState[];
  /** Addresses (of all machines, IPv4 and IPv6) of the groups that rules refer to. */
  readonly members: Readonly<Record<string, readonly string[]>>;
  /** Private zones that are associated with the VPC. Absent: none. */
  readonly zones?: readonly ZoneState[];
}

/** A private zone, whole; the same as the model's Zone. Names in small letters without the last dot. */
export interface ZoneState {
  readonly name: string;
  /** Seconds for which an absence may be remembered. */
  readonly soaTtl: number;
  readonly sets: readonly {
    readonly name: string;
    readonly type: "A" | "AAAA" | "SRV" | "CNAME";
    readonly ttl: number;
    /** An answer has one of the values, by chance. Absent: up to eight. */
    readonly one?: true;
    /** Addresses, names, or `<priority> <weight> <port> <name>`. */
    readonly values: readonly string[];
  }[];
}

export interface VpcInterface {
  readonly networkInterfaceId: string;
  readonly mac: string;
  readonly address: string;
  readonly ipv6?: string;
  /** The subnet's block. */
  readonly subnet: string;
  readonly gateway: string;
  readonly groups: readonly string[];
  readonly publicIp?: string;
  /** What the subnet's routes and the interface's public address let through: everywhere, or only these blocks beyond the VPC. */
  readonly reaches: readonly string[];
  /** A load balancer's own: no task's, but an address of this machine in the VPC. */
  readonly local?: LocalInterface;
}

export interface LocalInterface {
  /** Addresses of this machine at which the load balancer's clients arrive from outside the VPC. */
  readonly publicAddresses: readonly string[];
  /** Without security groups, as network load balancers may be: everything comes in, and goes out as far as its targets' groups allow. */
  readonly open?: true;
}

export interface SecurityGroupState {
  readonly groupId: string;
  readonly ingress: readonly SecurityGroupRuleState[];
  readonly egress: readonly SecurityGroupRuleState[];
}

export interface SecurityGroupRuleState {
  /** `-1`, `tcp`, `udp`, `icmp`, `icmpv6`, or an IANA number as text. */
  readonly protocol: string;
  /** Ports, or the ICMP type and code; -1 or absent is any. */
  readonly fromPort?: number;
  readonly toPort?: number;
  /** One of: a block of IPv4 or IPv6, or a group whose `members` are meant. */
  readonly cidr?: string;
  readonly group?: string;
}
