import type { Snapshot } from "./config.ts";
import { groupsOf, problems } from "./problems.ts";

/** What of a snapshot can be served, listener by listener, and why the rest cannot. Pure. One bad listener is no reason to serve nobody. */
export function servable(snapshot: Snapshot): { readonly snapshot: Snapshot; readonly dropped: readonly string[] } {
  const dropped: string[] = [];
  const groups = new Map(snapshot.targetGroups.map((group) => [group.id, group]));
  const good: Snapshot["loadBalancers"][number][] = [];
  for (const balancer of snapshot.loadBalancers) {
    let kept = { ...balancer, listeners: [] as (typeof balancer.listeners)[number][] };
    for (const listener of balancer.listeners) {
      const next = { ...kept, listeners: [...kept.listeners, listener] };
      const loadBalancers = [...good, next];
      const wrong = problems({ loadBalancers, targetGroups: usedBy(loadBalancers, groups) });
      if (wrong.length > 0) dropped.push(...wrong);
      else kept = next;
    }
    const wrong = kept.listeners.length > 0 ? [] : problems({ loadBalancers: [...good, kept], targetGroups: usedBy(good, groups) });
    if (wrong.length > 0) dropped.push(...wrong);
    else good.push(kept);
  }
  // Groups that nothing uses are still told of, if they can be.
  const used = new Set(usedBy(good, groups));
  const targetGroups = snapshot.targetGroups.filter(
    (group) => used.has(group) || problems({ loadBalancers: [], targetGroups: [group] }).length === 0,
  );
  return { snapshot: { loadBalancers: good, targetGroups }, dropped };
}

function usedBy(loadBalancers: Snapshot["loadBalancers"], groups: ReadonlyMap<string, Snapshot["targetGroups"][number]>) {
  const ids = new Set(loadBalancers.flatMap(({ listeners }) => listeners.flatMap(groupsOf)));
  return [...ids].flatMap((id) => groups.get(id) ?? []);
}
