import type { Scope } from "./ecs-keys.ts";

/** Where EC2's networking records lie in the store; `id` with its prefix (`vpc-…`). */
const root = ({ account, region }: Scope) => `/ec2/${account}/${region}`;

export const vpcKeys = {
  /** All of EC2, of every account and region: what a watch looks at. */
  everything: "/ec2/",
  root,
  of: (scope: Scope, kind: VpcKind) => `${root(scope)}/${kind}/`,
  one: (scope: Scope, kind: VpcKind, id: string) => `${root(scope)}/${kind}/${id}`,
  allAddresses: (scope: Scope) => `${root(scope)}/address-in-use/`,
  /** `{ networkInterface: string }`: a private address of a subnet that is given out. Created only where it is absent, in one transaction with its interface. */
  addresses: (scope: Scope, subnet: string) => `${root(scope)}/address-in-use/${subnet}/`,
  address: (scope: Scope, subnet: string, address: string) => `${root(scope)}/address-in-use/${subnet}/${address}`,
  /**
   * `{}`: put, without comparing it, by everyone who makes an interface; compared by everyone who decides from the list of interfaces. So takers do not
   * hinder each other, and no subnet or group goes while an interface comes. Outside `everything`: nobody watches it.
   */
  interfacesTaken: ({ account, region }: Scope) => `/ec2-use/${account}/${region}/interfaces`,
  /** All that says where to look rather than what is. */
  uses: () => "/ec2-use/",
  /** `{ next: number }`: where the next free address of the subnet is looked for. */
  use: ({ account, region }: Scope, subnet: string) => `/ec2-use/${account}/${region}/${subnet}`,
  /** `{ next: number }`, the same of the pool of public addresses. */
  publicUse: () => "/ec2-use/public",
  /** `{ version: number }`, raised by every operation that writes: what one of them decided from a list still holds when it is applied. */
  version: (scope: Scope) => `${root(scope)}/state/version`,
  /** `{}`: the default VPC was made once, so it is not made again when its owner deletes it. */
  defaultVpcMade: (scope: Scope) => `${root(scope)}/state/default-vpc`,
  /** `{ holder: string }`: a public address that is given out; the pool is the installation's, so not part of an account. */
  publicAddresses: () => "/ec2-public-address/",
  publicAddress: (address: string) => `/ec2-public-address/${address}`,
};

export type VpcKind =
  | "vpc"
  | "subnet"
  | "internet-gateway"
  | "nat-gateway"
  | "elastic-ip"
  | "route-table"
  | "security-group"
  | "network-interface"
  | "vpc-endpoint"
  | "network-acl"
  | "dhcp-options"
  | "instance"
  | "instance-observed"
  | "key-pair"
  | "launch-template"
  | "tags"
  | "state";
