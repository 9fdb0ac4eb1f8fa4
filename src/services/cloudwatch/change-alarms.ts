import type {
  DeleteAlarmsCommandInput,
  DisableAlarmActionsCommandInput,
  EnableAlarmActionsCommandInput,
  SetAlarmStateCommandInput,
} from "@aws-sdk/client-cloudwatch";
import { alarmKeys } from "#model/alarms/keys.ts";
import type { AlarmRecord, AlarmStateRecord } from "#model/alarms/records.ts";
import { removeAlarm } from "#reconcilers/alarms/put.ts";
import { putActions, putHistory, putState, typeOf } from "#reconcilers/alarms/transition.ts";
import type { Operation } from "./context.ts";
import { errors } from "./errors.ts";
import { checkEnum, checkLength } from "./rules.ts";

/** Alarms that do not exist are passed over, unless one was named alone. Source: DeleteAlarms. */
export const deleteAlarms: Operation<DeleteAlarmsCommandInput, object> = async (cloudwatch, input, context) => {
  const names = [...new Set(input.AlarmNames!)];
  if (names.length > 100) throw errors.validation("The collection AlarmNames must not have a size greater than 100.");
  await cloudwatch.writer.run("cloudwatch", async (unit) => {
    const found: AlarmRecord[] = [];
    for (const name of names) {
      const alarm = await unit.get<AlarmRecord>(alarmKeys.alarm(context, name));
      if (alarm) found.push(alarm);
      else if (names.length === 1) throw errors.noAlarm(name);
    }
    if (found.filter(({ composite }) => composite).length > 1 || (found.some(({ composite }) => composite) && found.length > 1))
      throw errors.validation("A composite alarm must be deleted alone.");
    const hand = { unit, scope: context, random: cloudwatch.deps.random, now: context.now };
    for (const alarm of found) removeAlarm(hand, alarm);
  });
  cloudwatch.wake();
  return {};
};

/** Holds until the alarm is judged again. Source: SetAlarmState. */
export const setAlarmState: Operation<SetAlarmStateCommandInput, object> = async (cloudwatch, input, context) => {
  checkEnum("stateValue", input.StateValue, ["OK", "ALARM", "INSUFFICIENT_DATA"]);
  checkLength("stateReason", input.StateReason!, 1023, 0);
  if (input.StateReasonData !== undefined) {
    checkLength("stateReasonData", input.StateReasonData, 4000, 0);
    if (!isJson(input.StateReasonData)) throw errors.badFormat("StateReasonData is not valid JSON.");
  }
  await cloudwatch.writer.run("cloudwatch", async (unit) => {
    const alarm = await unit.get<AlarmRecord>(alarmKeys.alarm(context, input.AlarmName!));
    const before = await unit.get<AlarmStateRecord>(alarmKeys.state(context, input.AlarmName!));
    if (!alarm || !before) throw errors.noAlarm(input.AlarmName!);
    const after: AlarmStateRecord = {
      value: input.StateValue!,
      reason: input.StateReason!,
      reasonData: input.StateReasonData,
      updated: context.now,
      transitioned: before.value === input.StateValue ? before.transitioned : context.now,
      forced: true,
    };
    putState(unit, cloudwatch.deps.random, alarm, before, after, context.now);
    if (before.value !== after.value) putActions(unit, cloudwatch.deps.random, alarm, before.value, after, context.now);
  });
  cloudwatch.wake();
  return {};
};

const switched =
  (actionsEnabled: boolean): Operation<EnableAlarmActionsCommandInput & DisableAlarmActionsCommandInput, object> =>
  async (cloudwatch, input, context) => {
    const names = input.AlarmNames!;
    if (names.length > 100) throw errors.validation("The collection AlarmNames must not have a size greater than 100.");
    await cloudwatch.writer.run("cloudwatch", async (unit) => {
      for (const name of names) {
        const key = alarmKeys.alarm(context, name);
        const alarm = await unit.get<AlarmRecord>(key);
        if (!alarm || alarm.actionsEnabled === actionsEnabled) continue;
        const changed = { ...alarm, actionsEnabled, updated: Math.max(context.now, alarm.updated + 1) };
        unit.put(key, changed);
        putHistory(unit, cloudwatch.deps.random, context, {
          name,
          type: typeOf(alarm),
          at: context.now,
          item: "ConfigurationUpdate",
          summary: `Alarm "${name}" updated`,
          data: JSON.stringify({ version: "1.0", type: "Update", updatedAlarm: changed }),
        });
      }
    });
    return {};
  };

export const enableAlarmActions = switched(true);
export const disableAlarmActions = switched(false);

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
