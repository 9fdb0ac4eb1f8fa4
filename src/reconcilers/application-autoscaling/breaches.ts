import type { MetricStore } from "#metrics/metric-store.ts";
import { answer, prepare } from "#metrics/query.ts";
import { alarmKeys } from "#model/alarms/keys.ts";
import type { AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import { evaluationRange } from "#model/alarms/evaluate.ts";
import type { Scope } from "#model/application-autoscaling/keys.ts";
import type { PolicyRecord } from "#model/application-autoscaling/records.ts";
import { slotOf } from "#model/metrics/resolution.ts";
import type { Store } from "#store/store.ts";
import { intervalOf, periodOf, queriesOf } from "../alarms/judge.ts";
import type { Trigger } from "./decide.ts";
import type { Breach } from "./propose.ts";

/** What alarms see. A word of an alarm that stands says what was so when it began: so the metrics are asked anew. */
export async function breachOf(metrics: MetricStore, alarm: AlarmRecord, now: number): Promise<Breach> {
  const rule = alarm.metric!;
  const period = periodOf(rule);
  const end = slotOf(now / 1000, intervalOf(rule));
  const start = end - evaluationRange(rule.evaluationPeriods, period) * period;
  const answers = await answer(metrics, alarm, prepare(queriesOf(rule)), { start, end, now: now / 1000, anchor: "start" });
  const series = [...answers.values()].find(({ query }) => query.returnData !== false)?.series[0];
  const points = (series?.slots ?? [])
    .map((slot, i) => ({ slot, value: series!.values[i]! }))
    .filter(({ value }) => Number.isFinite(value));
  return {
    threshold: rule.threshold,
    above: rule.comparisonOperator.startsWith("Greater"),
    values: points
      .toSorted((a, b) => b.slot - a.slot)
      .slice(0, rule.evaluationPeriods)
      .map(({ value }) => value),
  };
}

/** The alarms that tell a policy something: its own two, or those that people made for a step policy. */
export async function alarmsOf(store: Store, scope: Scope, policy: PolicyRecord): Promise<AlarmRecord[]> {
  if (policy.type === "TargetTrackingScaling") {
    const names = [policy.alarms.high, ...(policy.alarms.low === undefined ? [] : [policy.alarms.low])];
    const found = await Promise.all(names.map((name) => store.get<AlarmRecord>(alarmKeys.alarm(scope, name))));
    return found.flatMap((entry) => entry?.value ?? []);
  }
  const { entries } = await store.list<AlarmRecord>(alarmKeys.alarms(scope));
  return entries
    .map(({ value }) => value)
    .filter((alarm) =>
      [alarm.alarmActions, alarm.okActions, alarm.insufficientDataActions].some((actions) => actions.includes(policy.arn)),
    );
}

/** What the policy's alarms in ALARM see. */
export async function breachesOf(
  store: Store,
  metrics: MetricStore,
  scope: Scope,
  policy: PolicyRecord,
  now: number,
): Promise<Omit<Trigger, "policy">[]> {
  const found: Omit<Trigger, "policy">[] = [];
  for (const alarm of await alarmsOf(store, scope, policy)) {
    const state = (await store.get<AlarmStateRecord>(alarmKeys.state(scope, alarm.name)))?.value;
    if (state?.value !== "ALARM" || !alarm.metric || !alarm.alarmActions.includes(policy.arn)) continue;
    found.push({ which: whichOf(policy, alarm.name), breach: await breachOf(metrics, alarm, now) });
  }
  return found;
}

export const whichOf = (policy: PolicyRecord, alarm: string): "High" | "Low" =>
  policy.type === "TargetTrackingScaling" && policy.alarms.low === alarm ? "Low" : "High";
