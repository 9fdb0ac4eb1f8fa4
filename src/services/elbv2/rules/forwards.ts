import { elbKeys } from "#model/elb-keys.ts";
import type {
  ListenerProtocol,
  ListenerRecord,
  LoadBalancerRecord,
  RuleAction,
  RuleRecord,
  TargetGroupRecord,
} from "#model/elb-records.ts";
import { usageOf } from "#reconcilers/load-balancers/usage.ts";
import { needTargetGroup } from "../arns.ts";
import type { Records } from "../context.ts";
import { elbErrors } from "../errors.ts";
import { limits } from "../limits.ts";

/** That what actions forward to is there and goes with the listener. Source: Elastic Load Balancing API Reference, "CreateListener", errors. */

/** By the listener's protocol: what its target groups may speak. */
const goesWith: Readonly<Record<ListenerProtocol, readonly ListenerProtocol[]>> = {
  HTTP: ["HTTP", "HTTPS"],
  HTTPS: ["HTTP", "HTTPS"],
  TCP: ["TCP", "TCP_UDP"],
  TLS: ["TCP", "TLS"],
  UDP: ["UDP", "TCP_UDP"],
  TCP_UDP: ["TCP_UDP"],
};

export async function usageOfAll(records: Records): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const listeners = await records.list<ListenerRecord>(elbKeys.listeners(records.scope));
  return usageOf(listeners, await records.list<RuleRecord>(elbKeys.rules(records.scope)));
}

export async function checkForwards(
  records: Records,
  balancer: LoadBalancerRecord,
  protocol: ListenerProtocol,
  actions: readonly RuleAction[],
): Promise<void> {
  const groups: TargetGroupRecord[] = [];
  for (const action of actions)
    if (action.type === "forward") for (const { arn } of action.groups) groups.push(await needTargetGroup(records, arn));
  if (groups.length === 0) return;
  const usage = await usageOfAll(records);
  for (const group of groups) {
    checkGroup(group, balancer, protocol);
    if ([...(usage.get(group.id) ?? [])].some((user) => user !== balancer.id)) throw elbErrors.associationLimit(group.arn);
  }
  const own = new Set(groups.map(({ id }) => id));
  for (const [group, users] of usage) if (users.has(balancer.id)) own.add(group);
  const most = limits["target-groups-per-application-load-balancer"];
  if (own.size > most)
    throw elbErrors.tooMany("UniqueTargetGroupsPerLoadBalancer", `A load balancer cannot route to more than '${most}' target groups`);
}

function checkGroup(group: TargetGroupRecord, balancer: LoadBalancerRecord, protocol: ListenerProtocol): void {
  if (!goesWith[protocol].includes(group.protocol))
    throw elbErrors.incompatible(
      `Listener protocol '${protocol}' is not supported with a target group with the protocol '${group.protocol}'`,
    );
  if (group.protocolVersion === "GRPC" && protocol !== "HTTPS")
    throw elbErrors.configuration(`Listener protocol '${protocol}' is not supported with a target group with the protocol-version 'GRPC'`);
  if (group.vpcId !== balancer.vpcId)
    throw elbErrors.configuration(
      `The target group '${group.arn}' is in VPC '${group.vpcId}', the load balancer '${balancer.arn}' in VPC '${balancer.vpcId}': they must be in the same`,
    );
}
