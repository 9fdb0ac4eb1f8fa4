import type * as Sdk from "@aws-sdk/client-scheduler";
import type { RequestContext } from "#api/contract.ts";
import { defaultGroup, eventKeys, scheduleArn, type ScheduleRecord, schedulerKeys } from "#model/events/records.ts";
import { firstTimer } from "#reconcilers/events/timers.ts";
import type { Unit } from "#store/unit.ts";
import { checkName, needGroup, type Operation, page, queue, type Read, reader, type Scheduler } from "./context.ts";
import { errors } from "./errors.ts";
import { settingsOf } from "./rules.ts";

const mostSchedules = 100_000;

/** The schedule's timer is what its record says: written with it. */
function putTimer({ deps }: Scheduler, unit: Unit, { account, region, now }: RequestContext, record: ScheduleRecord): void {
  const key = eventKeys.scheduleTimer({ account, region }, record.group, record.name);
  const timer =
    record.state === "DISABLED"
      ? undefined
      : firstTimer(
          { account, region, kind: "schedule", place: record.group, name: record.name },
          {
            expression: record.expression,
            timeZone: record.timeZone,
            now,
            startDate: record.startDate,
            endDate: record.endDate,
            windowMs: record.windowMinutes * 60_000,
            atOnce: true,
            random: deps.random.next(),
          },
        );
  if (timer) unit.put(key, timer);
  else unit.delete(key);
}

export const createSchedule: Operation<Sdk.CreateScheduleInput, Sdk.CreateScheduleOutput> = async (scheduler, input, context) => {
  const { Name: name = "", GroupName: group = defaultGroup, ClientToken: token } = input;
  checkName("name", name);
  checkName("groupName", group);
  const settings = settingsOf(input);
  const key = schedulerKeys.schedule(context, group, name);
  await scheduler.writer.run(queue, async (unit) => {
    const before = await unit.get<ScheduleRecord>(key);
    // The same request again.
    if (before && token !== undefined && before.clientToken === token && before.createdAt === before.updatedAt) return;
    if (before) throw errors.exists(`Schedule ${name} already exists.`);
    if ((await needGroup(unit.get, context, group)).state !== "ACTIVE") throw errors.exists(`Schedule group ${group} is being deleted.`);
    if ((await unit.list(schedulerKeys.schedules(context, group))).size >= mostSchedules)
      throw errors.limit("The limit of schedules is reached.");
    const record: ScheduleRecord = { name, group, createdAt: context.now, updatedAt: context.now, ...settings };
    unit.put(key, record);
    putTimer(scheduler, unit, context, record);
  });
  return { ScheduleArn: scheduleArn(context, group, name) };
};

async function needSchedule(read: Read, context: RequestContext, group: string, name: string): Promise<ScheduleRecord> {
  await needGroup(read, context, group);
  const record = await read<ScheduleRecord>(schedulerKeys.schedule(context, group, name));
  if (!record) throw errors.noSchedule(name);
  return record;
}

/** All is replaced: what is not given has its default again. */
export const updateSchedule: Operation<Sdk.UpdateScheduleInput, Sdk.UpdateScheduleOutput> = async (scheduler, input, context) => {
  const { Name: name = "", GroupName: group = defaultGroup } = input;
  const settings = settingsOf(input);
  await scheduler.writer.run(queue, async (unit) => {
    const { createdAt } = await needSchedule(unit.get, context, group, name);
    const record: ScheduleRecord = { name, group, createdAt, updatedAt: context.now, ...settings };
    unit.put(schedulerKeys.schedule(context, group, name), record);
    putTimer(scheduler, unit, context, record);
  });
  return { ScheduleArn: scheduleArn(context, group, name) };
};

export const deleteSchedule: Operation<Sdk.DeleteScheduleInput, object> = async (
  scheduler,
  { Name: name = "", GroupName: group = defaultGroup },
  context,
) => {
  await scheduler.writer.run(queue, async (unit) => {
    await needSchedule(unit.get, context, group, name);
    unit.delete(schedulerKeys.schedule(context, group, name));
    unit.delete(eventKeys.scheduleTimer(context, group, name));
  });
  return {};
};

export const getSchedule: Operation<Sdk.GetScheduleInput, Sdk.GetScheduleOutput> = async (
  scheduler,
  { Name = "", GroupName = defaultGroup },
  context,
) => {
  const record = await needSchedule(reader(scheduler), context, GroupName, Name);
  const { name, group, startDate, endDate, windowMinutes } = record;
  return {
    Arn: scheduleArn(context, group, name),
    GroupName: group,
    Name: name,
    ScheduleExpression: record.expression,
    ScheduleExpressionTimezone: record.timeZone,
    ...(startDate === undefined ? {} : { StartDate: new Date(startDate) }),
    ...(endDate === undefined ? {} : { EndDate: new Date(endDate) }),
    Description: record.description,
    State: record.state,
    CreationDate: new Date(record.createdAt),
    LastModificationDate: new Date(record.updatedAt),
    Target: shown(record.target),
    FlexibleTimeWindow: windowMinutes === 0 ? { Mode: "OFF" } : { Mode: "FLEXIBLE", MaximumWindowInMinutes: windowMinutes },
    ActionAfterCompletion: record.afterCompletion,
  };
};

/** With the retry policy that is AWS's when none was given. */
function shown(target: ScheduleRecord["target"]): Sdk.Target {
  const policy = { MaximumEventAgeInSeconds: 86_400, MaximumRetryAttempts: 185, ...(target["RetryPolicy"] as object | undefined) };
  return { ...(target as unknown as Sdk.Target), RetryPolicy: policy };
}

export const listSchedules: Operation<Sdk.ListSchedulesInput, Sdk.ListSchedulesOutput> = async (scheduler, input, context) => {
  const { GroupName: group, NamePrefix: prefix = "", State: state } = input;
  if (group !== undefined) await needGroup(reader(scheduler), context, group);
  const under = group === undefined ? schedulerKeys.allSchedules(context) : schedulerKeys.schedules(context, group);
  const all = (await scheduler.deps.store.list<ScheduleRecord>(under)).entries.map(({ value }) => value);
  const wanted = all.filter((record) => record.name.startsWith(prefix) && (state === undefined || record.state === state));
  const question = ["ListSchedules", context.account, context.region, group, prefix, state];
  const { items, NextToken } = page(scheduler, question, wanted, (record) => `${record.group}/${record.name}`, input);
  const Schedules = items.map((record) => ({
    Arn: scheduleArn(context, record.group, record.name),
    GroupName: record.group,
    Name: record.name,
    State: record.state,
    CreationDate: new Date(record.createdAt),
    LastModificationDate: new Date(record.updatedAt),
    Target: { Arn: record.target.Arn },
  }));
  return { Schedules, NextToken };
};
