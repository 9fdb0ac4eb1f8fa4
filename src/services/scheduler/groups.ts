import type * as Sdk from "@aws-sdk/client-scheduler";
import type { Scope } from "#model/ecs-keys.ts";
import {
  defaultGroup,
  eventKeys,
  scheduleGroupArn,
  type ScheduleGroupRecord,
  type ScheduleRecord,
  schedulerKeys,
} from "#model/events/records.ts";
import { checkName, needGroup, type Operation, page, queue, reader } from "./context.ts";
import { errors } from "./errors.ts";

const mostGroups = 500;
const mostTags = 50;

type Tags = Readonly<Record<string, string>>;

function tagsOf(given: readonly Sdk.Tag[] | undefined, before: Tags = {}): Tags {
  const tags = { ...before, ...Object.fromEntries((given ?? []).map(({ Key = "", Value = "" }) => [Key, Value])) };
  for (const [key, value] of Object.entries(tags)) {
    if (key.length < 1 || key.length > 128) throw errors.constraint("tags.key", key, "have length less than or equal to 128");
    if (value.length < 1 || value.length > 256) throw errors.constraint("tags.value", value, "have length between 1 and 256");
  }
  if (Object.keys(tags).length > mostTags) throw errors.invalid(`A schedule group can have at most ${mostTags} tags.`);
  return tags;
}

export const createScheduleGroup: Operation<Sdk.CreateScheduleGroupInput, Sdk.CreateScheduleGroupOutput> = async (
  { writer },
  input,
  context,
) => {
  const { Name: name = "", ClientToken: clientToken } = input;
  checkName("name", name);
  const tags = tagsOf(input.Tags);
  const key = schedulerKeys.group(context, name);
  await writer.run(queue, async (unit) => {
    const before = await unit.get<ScheduleGroupRecord>(key);
    if (before && clientToken !== undefined && before.clientToken === clientToken) return;
    if (before || name === defaultGroup) throw errors.exists(`Schedule group ${name} already exists.`);
    if ((await unit.list(schedulerKeys.groups(context))).size >= mostGroups) throw errors.limit("The limit of schedule groups is reached.");
    unit.put(key, {
      name,
      state: "ACTIVE",
      createdAt: context.now,
      updatedAt: context.now,
      tags,
      ...(clientToken === undefined ? {} : { clientToken }),
    } satisfies ScheduleGroupRecord);
  });
  return { ScheduleGroupArn: scheduleGroupArn(context, name) };
};

/** With all its schedules, at once; AWS takes a while. */
export const deleteScheduleGroup: Operation<Sdk.DeleteScheduleGroupInput, object> = async ({ writer }, { Name: name = "" }, context) => {
  if (name === defaultGroup) throw errors.invalid("The default schedule group cannot be deleted.");
  await writer.run(queue, async (unit) => {
    await needGroup(unit.get, context, name);
    for (const [key, schedule] of await unit.list<ScheduleRecord>(schedulerKeys.schedules(context, name))) {
      unit.delete(key);
      unit.delete(eventKeys.scheduleTimer(context, name, schedule.name));
    }
    unit.delete(schedulerKeys.group(context, name));
  });
  return {};
};

const view = (scope: Scope, { name, state, createdAt, updatedAt }: ScheduleGroupRecord) => ({
  Arn: scheduleGroupArn(scope, name),
  Name: name,
  State: state,
  CreationDate: new Date(createdAt),
  LastModificationDate: new Date(updatedAt),
});

export const getScheduleGroup: Operation<Sdk.GetScheduleGroupInput, Sdk.GetScheduleGroupOutput> = async (
  scheduler,
  { Name = "" },
  context,
) => view(context, await needGroup(reader(scheduler), context, Name));

export const listScheduleGroups: Operation<Sdk.ListScheduleGroupsInput, Sdk.ListScheduleGroupsOutput> = async (
  scheduler,
  input,
  context,
) => {
  const { NamePrefix: prefix = "" } = input;
  const records = (await scheduler.deps.store.list<ScheduleGroupRecord>(schedulerKeys.groups(context))).entries.map(({ value }) => value);
  const own = records.some(({ name }) => name === defaultGroup) ? [] : [await needGroup(reader(scheduler), context, defaultGroup)];
  const wanted = [...own, ...records].filter(({ name }) => name.startsWith(prefix));
  const question = ["ListScheduleGroups", context.account, context.region, prefix];
  const { items, NextToken } = page(scheduler, question, wanted, ({ name }) => name, input);
  return { ScheduleGroups: items.map((record) => view(context, record)), NextToken };
};

function groupOf({ account, region }: Scope, arn: string): string {
  const prefix = scheduleGroupArn({ account, region }, "");
  if (!arn.startsWith(prefix)) throw errors.missing(`The resource ${arn} does not exist.`);
  return arn.slice(prefix.length);
}

export const listTagsForResource: Operation<Sdk.ListTagsForResourceInput, Sdk.ListTagsForResourceOutput> = async (
  scheduler,
  { ResourceArn = "" },
  context,
) => {
  const { tags } = await needGroup(reader(scheduler), context, groupOf(context, ResourceArn));
  return { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) };
};

export const tagResource: Operation<Sdk.TagResourceInput, object> = async ({ writer }, { ResourceArn = "", Tags }, context) => {
  const name = groupOf(context, ResourceArn);
  await writer.run(queue, async (unit) => {
    const record = await needGroup(unit.get, context, name);
    unit.put(schedulerKeys.group(context, name), { ...record, tags: tagsOf(Tags, record.tags) });
  });
  return {};
};

export const untagResource: Operation<Sdk.UntagResourceInput, object> = async ({ writer }, { ResourceArn = "", TagKeys = [] }, context) => {
  const name = groupOf(context, ResourceArn);
  await writer.run(queue, async (unit) => {
    const record = await needGroup(unit.get, context, name);
    const tags = Object.fromEntries(Object.entries(record.tags).filter(([key]) => !TagKeys.includes(key)));
    unit.put(schedulerKeys.group(context, name), { ...record, tags });
  });
  return {};
};
