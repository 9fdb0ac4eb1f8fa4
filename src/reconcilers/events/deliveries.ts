import type { Scope } from "#model/ecs-keys.ts";
import {
  type BusEvent,
  type DeliveryOrigin,
  type DeliveryRecord,
  eventKeys,
  eventTime,
  ruleArn,
  type RuleRecord,
  type RuleTarget,
} from "#model/events/records.ts";
import type { Random } from "#platform/random.ts";
import type { Write } from "#store/store.ts";

/** An event before it has an id. */
export interface DraftEvent extends Scope {
  readonly source: string;
  readonly detailType: string;
  readonly resources: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

export function eventOf({ account, region, source, detailType, resources, detail }: DraftEvent, id: string, time: number): BusEvent {
  // As JSON has it: no undefined members, no Dates.
  const plain = JSON.parse(JSON.stringify(detail)) as Record<string, unknown>;
  return { version: "0", id, "detail-type": detailType, source, account, time: eventTime(time), region, resources, detail: plain };
}

export const ruleOrigin = (scope: Scope, { bus, name }: RuleRecord): DeliveryOrigin => ({
  kind: "rule",
  arn: ruleArn(scope, bus, name),
  name,
  bus,
});

/** What is to be written so that each target of these rules gets the event. `scope`: of the rules. */
export function deliveriesOf(
  scope: Scope,
  rules: readonly RuleRecord[],
  event: BusEvent,
  { now, random, forwarded }: { readonly now: number; readonly random: Random; readonly forwarded?: true },
): readonly Write[] {
  return rules.flatMap((rule) =>
    rule.targets.map((target) => deliveryOf(scope, ruleOrigin(scope, rule), target, event, { now, random, forwarded })),
  );
}

export function deliveryOf(
  { account, region }: Scope,
  origin: DeliveryOrigin,
  target: RuleTarget,
  event: BusEvent,
  { now, random, forwarded }: { readonly now: number; readonly random: Random; readonly forwarded?: true | undefined },
): { readonly put: string; readonly value: DeliveryRecord } {
  const id = random.hex(8);
  const value: DeliveryRecord = {
    account,
    region,
    id,
    origin,
    target,
    event,
    createdAt: now,
    attempts: 0,
    nextAt: now,
    ...(forwarded ? { forwarded } : {}),
  };
  return { put: eventKeys.delivery(now, id), value };
}
