import { alarmKeys } from "#model/alarms/keys.ts";
import { javaTime } from "#model/alarms/reason.ts";
import type { AlarmActionRecord, AlarmHistoryRecord, AlarmRecord, AlarmStateRecord, AlarmStateValue } from "#model/alarms/records.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";

export const typeOf = (alarm: AlarmRecord): AlarmHistoryRecord["type"] => (alarm.composite ? "CompositeAlarm" : "MetricAlarm");

/** The alarm's new state with its history, in one transaction. */
export function putState(
  unit: Unit,
  random: Random,
  alarm: AlarmRecord,
  before: AlarmStateRecord,
  after: AlarmStateRecord,
  now: number,
): void {
  unit.put(alarmKeys.state(alarm, alarm.name), after);
  if (before.value === after.value) return;
  const view = (state: AlarmStateRecord) => ({
    stateValue: state.value,
    stateReason: state.reason,
    ...(state.reasonData === undefined ? {} : { stateReasonData: JSON.parse(state.reasonData) as unknown }),
  });
  putHistory(unit, random, alarm, {
    name: alarm.name,
    type: typeOf(alarm),
    at: now,
    item: "StateUpdate",
    summary: `Alarm updated from ${before.value} to ${after.value}`,
    data: JSON.stringify({ version: "1.0", oldState: view(before), newState: view(after), publishedTime: javaTime(now) }),
  });
}

export function putHistory(
  unit: Unit,
  random: Random,
  scope: { readonly account: string; readonly region: string },
  record: AlarmHistoryRecord,
): void {
  unit.put(alarmKeys.history(scope, record.at, random.hex(6)), record);
}

export function actionsOf(alarm: AlarmRecord, state: AlarmStateValue): readonly string[] {
  if (!alarm.actionsEnabled) return [];
  return { OK: alarm.okActions, ALARM: alarm.alarmActions, INSUFFICIENT_DATA: alarm.insufficientDataActions }[state];
}

/** What is due, kept in the same transaction as the state that makes it so: a crash between the two cannot lose it. */
export function putActions(
  unit: Unit,
  random: Random,
  alarm: AlarmRecord,
  from: AlarmStateValue,
  state: AlarmStateRecord,
  now: number,
): void {
  for (const action of actionsOf(alarm, state.value)) {
    const { account, region, name } = alarm;
    const record: AlarmActionRecord = { alarm: name, account, region, action, from, state, due: now, repeated: false };
    unit.put(alarmKeys.action(alarm, name, action, now, random.hex(6)), record);
  }
}
