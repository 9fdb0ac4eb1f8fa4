import { alarmKeys } from "#model/alarms/keys.ts";
import type { AlarmRecord } from "#model/alarms/records.ts";
import { type Resource, scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { PolicyRecord, TargetRecord } from "#model/application-autoscaling/records.ts";
import { removeAlarm } from "../alarms/put.ts";
import { forget, type Hand } from "./activities.ts";

/** The policy with the alarms that were made for it. */
export async function removePolicy(hand: Hand, policy: PolicyRecord): Promise<void> {
  hand.unit.delete(scalingKeys.policy(hand.scope, policy, policy.name));
  await forget(hand, policy, { policy: policy.name });
  if (policy.type !== "TargetTrackingScaling") return;
  for (const name of [policy.alarms.high, policy.alarms.low]) {
    const alarm = name === undefined ? undefined : await hand.unit.get<AlarmRecord>(alarmKeys.alarm(hand.scope, name));
    if (alarm) removeAlarm(hand, alarm);
  }
}

/** Its policies and scheduled actions go with it; what it did can still be looked up. Source: DeregisterScalableTarget. */
export async function removeTarget(hand: Hand, target: TargetRecord): Promise<void> {
  const { unit, scope } = hand;
  const resource: Resource = target;
  for (const policy of (await unit.list<PolicyRecord>(scalingKeys.policiesOf(scope, resource))).values()) await removePolicy(hand, policy);
  for (const key of (await unit.list(scalingKeys.actionsOf(scope, resource))).keys()) unit.delete(key);
  unit.delete(scalingKeys.target(scope, resource));
  unit.delete(scalingKeys.tags(scope, target.id));
  unit.delete(scalingKeys.state(scope, resource));
}
