import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import { formatBlock } from "#model/cidr.ts";
import type { SecurityGroupRule } from "#model/vpc-records.ts";
import { readBlock } from "../blocks.ts";
import { ec2Errors } from "../errors.ts";

/**
 * Permissions as requests and DescribeSecurityGroups have them (protocol and ports, with many peers), and the rules that lie in the store (one peer each).
 * Pure. Source: Amazon EC2 API Reference, "IpPermission".
 */

export type Direction = SecurityGroupRule["direction"];
/** A rule that has no id yet. */
export type Wanted = Omit<SecurityGroupRule, "id" | "tags">;

const protocols: Readonly<Record<string, string>> = { all: "-1", "-1": "-1", "1": "icmp", "6": "tcp", "17": "udp", "58": "icmpv6" };
const withPorts = new Set(["tcp", "udp", "icmp", "icmpv6"]);

export interface Service {
  readonly protocol: string;
  readonly fromPort?: number;
  readonly toPort?: number;
}

/** The protocol by the name that EC2 shows, with its ports. Throws InvalidParameterValue. */
export function serviceOf(given: string | undefined, from: number | undefined, to: number | undefined): Service {
  if (given === undefined) throw ec2Errors.missing("ipProtocol");
  const lower = given.toLowerCase();
  const protocol = protocols[lower] ?? lower;
  const known = withPorts.has(protocol) || protocol === "-1";
  if (!known && !(/^\d{1,3}$/.test(protocol) && Number(protocol) <= 255))
    throw new ApiError("InvalidPermission.Malformed", `Unsupported IP protocol "${given}"  - supported: [tcp, udp, icmp, icmpv6]`);
  if (!withPorts.has(protocol)) return { protocol };
  if (protocol.startsWith("icmp")) {
    const [type, code] = [from ?? -1, to ?? -1];
    for (const value of [type, code]) if (value < -1 || value > 255) throw ec2Errors.invalid(`ICMP code (${value}) out of range`);
    if (type === -1 && code !== -1) throw ec2Errors.invalid(`ICMP code (${code}) not allowed with ICMP type (-1)`);
    return { protocol, fromPort: type, toPort: code };
  }
  if (from === undefined || to === undefined)
    throw ec2Errors.invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.");
  for (const port of [from, to])
    if (port < 0 || port > 65_535) throw ec2Errors.invalid(`Invalid value '${port}' for portRange. Must be between 0 and 65535`);
  if (from > to) throw ec2Errors.invalid(`Invalid TCP/UDP port range (${from}:${to})`);
  return { protocol, fromPort: from, toPort: to };
}

/** `groupOf` finds the group that a pair names; it throws when there is none. */
export function rulesOf(
  direction: Direction,
  permissions: readonly Sdk.IpPermission[],
  groupOf: (pair: Sdk.UserIdGroupPair) => string,
): Wanted[] {
  const rules: Wanted[] = [];
  for (const permission of permissions) {
    const base = { direction, ...serviceOf(permission.IpProtocol, permission.FromPort, permission.ToPort) };
    const add = (peer: Partial<Wanted>, description: string | undefined) => rules.push({ ...base, ...peer, ...described(description) });
    const before = rules.length;
    for (const { CidrIp = "", Description } of permission.IpRanges ?? []) add({ cidrIpv4: ipv4(CidrIp) }, Description);
    for (const { CidrIpv6 = "", Description } of permission.Ipv6Ranges ?? []) add({ cidrIpv6: ipv6(CidrIpv6) }, Description);
    for (const { PrefixListId = "", Description } of permission.PrefixListIds ?? []) add({ prefixListId: PrefixListId }, Description);
    for (const pair of permission.UserIdGroupPairs ?? []) add({ referencedGroupId: groupOf(pair) }, pair.Description);
    if (rules.length === before) throw ec2Errors.missing("ipRanges, ipv6Ranges, prefixListIds or groups");
  }
  return rules;
}

export const ipv4 = (text: string): string => cidr(text, 4);
export const ipv6 = (text: string): string => cidr(text, 6);

function cidr(text: string, family: 4 | 6): string {
  if (!text.includes("/")) throw ec2Errors.invalid(`CIDR block ${text} is malformed`);
  try {
    return formatBlock(readBlock(text, family, "cidr"));
  } catch {
    throw ec2Errors.invalid(`CIDR block ${text} is malformed`);
  }
}

export function described(text: string | undefined): { readonly description?: string } {
  if (text === undefined || text === "") return {};
  if (text.length > 255 || !/^[a-zA-Z0-9. _\-:/()#,@[\]+=&;{}!$*]*$/.test(text))
    throw ec2Errors.invalid(
      "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
    );
  return { description: text };
}

/** Two rules that let through the same, whatever their descriptions. */
export const sameRule = (one: Wanted, other: Wanted): boolean => identity(one) === identity(other);

const identity = (rule: Wanted) =>
  [rule.direction, rule.protocol, rule.fromPort, rule.toPort, rule.cidrIpv4, rule.cidrIpv6, rule.prefixListId, rule.referencedGroupId].join(
    " ",
  );

/** Rules of the same protocol and ports together, in the order in which they came. */
export function permissionsOf(rules: readonly SecurityGroupRule[], direction: Direction, account: string): Sdk.IpPermission[] {
  const permissions = new Map<string, Required<Omit<Sdk.IpPermission, "FromPort" | "ToPort">> & Sdk.IpPermission>();
  for (const rule of rules) {
    if (rule.direction !== direction) continue;
    const key = `${rule.protocol} ${rule.fromPort} ${rule.toPort}`;
    let permission = permissions.get(key);
    if (!permission) {
      permission = {
        IpProtocol: rule.protocol,
        FromPort: rule.fromPort,
        ToPort: rule.toPort,
        UserIdGroupPairs: [],
        IpRanges: [],
        Ipv6Ranges: [],
        PrefixListIds: [],
      };
      permissions.set(key, permission);
    }
    const Description = rule.description;
    if (rule.cidrIpv4 !== undefined) permission.IpRanges.push({ CidrIp: rule.cidrIpv4, Description });
    if (rule.cidrIpv6 !== undefined) permission.Ipv6Ranges.push({ CidrIpv6: rule.cidrIpv6, Description });
    if (rule.prefixListId !== undefined) permission.PrefixListIds.push({ PrefixListId: rule.prefixListId, Description });
    if (rule.referencedGroupId !== undefined)
      permission.UserIdGroupPairs.push({ GroupId: rule.referencedGroupId, UserId: account, Description });
  }
  return [...permissions.values()];
}

/** As EC2 names a rule in an error: `peer: 0.0.0.0/0, TCP, from port: 80, to port: 80, ALLOW`. */
export function spoken({ cidrIpv4, cidrIpv6, prefixListId, referencedGroupId, protocol, fromPort, toPort }: Wanted): string {
  const peer = `peer: ${cidrIpv4 ?? cidrIpv6 ?? prefixListId ?? referencedGroupId}`;
  if (protocol === "-1") return `${peer}, ALL, ALLOW`;
  if (protocol.startsWith("icmp")) return `${peer}, ${protocol.toUpperCase()}, type: ${fromPort}, code: ${toPort}, ALLOW`;
  const ports = fromPort === undefined ? "" : `, from port: ${fromPort}, to port: ${toPort}`;
  return `${peer}, ${protocol.toUpperCase()}${ports}, ALLOW`;
}
