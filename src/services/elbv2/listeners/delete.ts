import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord } from "#model/elb-records.ts";
import type { Change } from "../context.ts";

/** The listener, and its rules with it. */
export async function deleteListenerRecords({ unit, scope, list }: Change, { id, loadBalancerId }: ListenerRecord): Promise<void> {
  for (const rule of await list<RuleRecord>(elbKeys.rulesOfListener(scope, loadBalancerId, id)))
    unit.delete(elbKeys.rule(scope, loadBalancerId, id, rule.id));
  unit.delete(elbKeys.listener(scope, loadBalancerId, id));
}
