import type { ListenerRecord, RuleAction, RuleRecord } from "#model/elb-records.ts";

/** Which target groups actions forward to, and through which load balancers each is reached: derived, never kept. Pure. */

export const groupsOf = (actions: readonly RuleAction[]): string[] =>
  actions.flatMap((action) => (action.type === "forward" ? action.groups.map(({ id }) => id) : []));

/** By target group: the ids of the load balancers that route to it. Groups that nothing routes to are not in it. */
export function usageOf(
  listeners: Iterable<Pick<ListenerRecord, "loadBalancerId" | "defaultActions">>,
  rules: Iterable<Pick<RuleRecord, "loadBalancerId" | "actions">>,
): ReadonlyMap<string, ReadonlySet<string>> {
  const usage = new Map<string, Set<string>>();
  const add = (loadBalancer: string, actions: readonly RuleAction[]) => {
    for (const group of groupsOf(actions)) {
      const users = usage.get(group);
      if (users) users.add(loadBalancer);
      else usage.set(group, new Set([loadBalancer]));
    }
  };
  for (const { loadBalancerId, defaultActions } of listeners) add(loadBalancerId, defaultActions);
  for (const { loadBalancerId, actions } of rules) add(loadBalancerId, actions);
  return usage;
}
