import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbKeys } from "#model/elb-keys.ts";
import type { LoadBalancerRecord } from "#model/elb-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord, SecurityGroupRecord, VpcRecord } from "#model/vpc-records.ts";
import { needLoadBalancer } from "../arns.ts";
import type { Change } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { oneOf } from "../names.ts";

/** The security groups of a load balancer are those of its interfaces: whoever lets one of them in lets the load balancer in. */

const mostGroups = 5;

/** As they are given, checked; an application load balancer without any gets its VPC's default group. */
export async function groupsFor(
  { scope, get }: Change,
  type: LoadBalancerRecord["type"],
  vpcId: string,
  given: readonly string[] | undefined,
): Promise<string[]> {
  const groups = [...new Set(given)];
  if (groups.length > mostGroups) throw elbErrors.configuration(`You cannot specify more than ${mostGroups} security groups`);
  for (const id of groups) {
    const group = await get<SecurityGroupRecord>(vpcKeys.one(scope, "security-group", id));
    if (!group) throw elbErrors.group(`The security group '${id}' does not exist`);
    if (group.vpcId !== vpcId) throw elbErrors.configuration(`The security group '${id}' does not belong to VPC '${vpcId}'`);
  }
  if (groups.length > 0 || type === "network") return groups;
  const vpc = await get<VpcRecord>(vpcKeys.one(scope, "vpc", vpcId));
  return vpc ? [vpc.defaultGroupId] : [];
}

export async function setSecurityGroups(change: Change, input: Sdk.SetSecurityGroupsInput): Promise<Sdk.SetSecurityGroupsOutput> {
  const { unit, scope } = change;
  const record = await needLoadBalancer(change, input.LoadBalancerArn);
  const { type, vpcId, zones } = record;
  const given = input.SecurityGroups ?? [];
  const enforce =
    input.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic === undefined
      ? record.enforceGroupsOnPrivateLink
      : oneOf(
          input.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic,
          ["on", "off"] as const,
          "enforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
        );
  if (type === "application" && input.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic !== undefined)
    throw elbErrors.configuration("Security groups on PrivateLink traffic can only be enforced by Network Load Balancers");
  if (type === "application" && given.length === 0) throw elbErrors.invalid("At least one security group must be specified");
  if (type === "network" && record.groups.length === 0 && given.length > 0)
    throw elbErrors.configuration("You cannot set security groups for a Network Load Balancer that was created without security groups");
  if (type === "network" && record.groups.length > 0 && given.length === 0)
    throw elbErrors.configuration("You cannot remove all security groups from a Network Load Balancer that was created with them");
  const groups = await groupsFor(change, type, vpcId, given);
  for (const { networkInterfaceId } of zones) {
    const key = vpcKeys.one(scope, "network-interface", networkInterfaceId);
    const own = await unit.get<NetworkInterfaceRecord>(key);
    if (own) unit.put(key, { ...own, groups } satisfies NetworkInterfaceRecord);
  }
  // Whoever deletes a group compares this: none goes while it comes into use here.
  unit.put(vpcKeys.interfacesTaken(scope), {});
  unit.put(elbKeys.loadBalancer(scope, record.id), { ...record, groups, enforceGroupsOnPrivateLink: enforce } satisfies LoadBalancerRecord);
  return { SecurityGroupIds: groups, EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: enforce };
}
