import { alarmArn, alarmKeys, type Scope } from "#model/alarms/keys.ts";
import type { AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { putHistory, typeOf } from "./transition.ts";

/** An alarm put or taken away with its history, within its caller's transaction: CloudWatch's operations, and whoever keeps alarms for itself. */

interface Hand {
  readonly unit: Unit;
  readonly scope: Scope;
  readonly random: Random;
  readonly now: number;
}

/** What of an alarm somebody asks for. Tags are taken at creation only. Source: PutMetricAlarm, Tags. */
export type WantedAlarm = Omit<AlarmRecord, "account" | "region" | "created" | "updated">;

export async function putAlarm({ unit, scope, random, now }: Hand, wanted: WantedAlarm): Promise<void> {
  const { account, region } = scope;
  const { name } = wanted;
  const key = alarmKeys.alarm(scope, name);
  const before = await unit.get<AlarmRecord>(key);
  const alarm: AlarmRecord = {
    ...wanted,
    account,
    region,
    created: before?.created ?? now,
    updated: Math.max(now, (before?.updated ?? 0) + 1),
    tags: before?.tags ?? wanted.tags,
  };
  unit.put(key, alarm);
  if (!before)
    unit.put(alarmKeys.state(scope, name), {
      value: "INSUFFICIENT_DATA",
      reason: "Unchecked: Initial alarm creation",
      updated: now,
      transitioned: now,
    } satisfies AlarmStateRecord);
  putHistory(unit, random, scope, {
    name,
    type: typeOf(alarm),
    at: now,
    item: "ConfigurationUpdate",
    summary: `Alarm "${name}" ${before ? "updated" : "created"}`,
    data: JSON.stringify({
      version: "1.0",
      type: before ? "Update" : "Create",
      [before ? "updatedAlarm" : "createdAlarm"]: { ...alarm, arn: alarmArn(scope, name) },
    }),
  });
}

export function removeAlarm({ unit, scope, random, now }: Hand, alarm: AlarmRecord): void {
  unit.delete(alarmKeys.alarm(scope, alarm.name));
  unit.delete(alarmKeys.state(scope, alarm.name));
  putHistory(unit, random, scope, {
    name: alarm.name,
    type: typeOf(alarm),
    at: now,
    item: "ConfigurationUpdate",
    summary: `Alarm "${alarm.name}" deleted`,
    data: JSON.stringify({ version: "1.0", type: "Delete", deletedAlarm: alarm }),
  });
}
