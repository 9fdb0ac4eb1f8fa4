import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleAction, RuleRecord } from "#model/elb-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { ShiftRecord } from "#model/service-records.ts";
import type { Store } from "#store/store.ts";
import type { Unit } from "#store/unit.ts";

/** What a deployment's shift means for listeners: weights of its target group and of the other one, written as ModifyRule and ModifyListener write them. */
export interface Weights {
  /** ARN of a listener rule or of a listener. */
  readonly rule: string;
  readonly groups: readonly { readonly id: string; readonly arn: string; readonly weight: number }[];
}

const idOf = (arn: string) => arn.slice(arn.lastIndexOf("/") + 1);

/** Tenths of a percent are weights out of 1,000; all of it is 100, since a weight is at most 999. */
const weightsOf = (percent: number): readonly [number, number] =>
  percent === 0 ? [0, 100] : percent === 100 ? [100, 0] : [Math.round(percent * 10), 1000 - Math.round(percent * 10)];

/** Pure. Nothing where a first deployment has no traffic yet: nobody else of the service could have it. Both groups are named from the start, so that both are checked. */
export function trafficOf({ routes, production, test, blue }: ShiftRecord): Weights[] {
  return routes.flatMap((route) => {
    const to = (rule: string | undefined, percent: number): Weights[] => {
      if (rule === undefined || (blue === undefined && percent === 0)) return [];
      const [own, other] = weightsOf(percent);
      const group = (arn: string, weight: number) => ({ id: idOf(arn), arn, weight });
      return [{ rule, groups: [group(route.targetGroup, own), group(route.otherTargetGroup, other)] }];
    };
    return [...to(route.production, production), ...to(route.test, test)];
  });
}

/** What forwards: a rule, or what a listener does by default. */
export interface Forwarding {
  readonly loadBalancerId: string;
  readonly actions: readonly RuleAction[];
  readonly key: string;
  /** The record with other actions. */
  readonly with: (actions: readonly RuleAction[]) => ListenerRecord | RuleRecord;
}

/** By the ARN of a listener rule (also a default one) or of a listener; undefined when there is none. */
export async function findForwarding(read: Pick<Unit, "get">, scope: Scope, arn: string): Promise<Forwarding | undefined> {
  const parts = arn.split(":").at(-1)!.split("/");
  const [kind, , , loadBalancer = "", listenerId = "", ruleId] = parts;
  const key = elbKeys.listener(scope, loadBalancer, listenerId);
  const ofListener = (listener: ListenerRecord): Forwarding => ({
    loadBalancerId: loadBalancer,
    actions: listener.defaultActions,
    key,
    with: (defaultActions) => ({ ...listener, defaultActions }),
  });
  if (kind === "listener" && parts.length === 5) {
    const listener = await read.get<ListenerRecord>(key);
    return listener?.arn === arn ? ofListener(listener) : undefined;
  }
  if (kind !== "listener-rule" || parts.length !== 6) return undefined;
  const ruleKey = elbKeys.rule(scope, loadBalancer, listenerId, ruleId!);
  const rule = await read.get<RuleRecord>(ruleKey);
  if (rule?.arn === arn)
    return { loadBalancerId: loadBalancer, actions: rule.actions, key: ruleKey, with: (actions) => ({ ...rule, actions }) };
  const listener = await read.get<ListenerRecord>(key);
  return listener?.defaultRule.arn === arn ? ofListener(listener) : undefined;
}

export const forwards = ({ actions }: Pick<Forwarding, "actions">): boolean => actions.length === 1 && actions[0]!.type === "forward";

/** Why traffic can't be shifted as the records are now; undefined: it can. */
export async function trafficProblem(store: Pick<Store, "get">, scope: Scope, shift: ShiftRecord): Promise<string | undefined> {
  const read = { get: async <T>(key: string) => (await store.get<T>(key))?.value };
  for (const { production, test } of shift.routes) {
    for (const rule of [production, test]) {
      if (rule === undefined) continue;
      const found = await findForwarding(read, scope, rule);
      if (!found) return `The listener rule ${rule} does not exist.`;
      if (!forwards(found)) return `The listener rule ${rule} has actions other than forward.`;
    }
  }
  return undefined;
}

/** In the transaction of whoever decided it. Safe to repeat; a rule that is gone, or forwards no more, is left alone. */
export async function writeTraffic(unit: Unit, scope: Scope, all: readonly Weights[]): Promise<void> {
  let changed = false;
  for (const { rule, groups } of all) {
    const found = await findForwarding(unit, scope, rule);
    const [action] = found?.actions ?? [];
    if (!found || !forwards(found) || action?.type !== "forward" || sameWeights(action.groups, groups)) continue;
    unit.put(found.key, found.with([{ ...action, groups }]));
    changed = true;
  }
  if (!changed) return;
  // As every operation of Elastic Load Balancing does that decides from lists.
  const key = elbKeys.version(scope);
  const { version } = (await unit.get<{ version: number }>(key)) ?? { version: 0 };
  unit.put(key, { version: version + 1 });
}

/** In whatever order. */
function sameWeights(before: Weights["groups"], after: Weights["groups"]): boolean {
  return (
    before.length === after.length && after.every(({ arn, weight }) => before.some((each) => each.arn === arn && each.weight === weight))
  );
}
