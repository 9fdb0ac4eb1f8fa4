import type {
  ListTagsForResourceCommandInput,
  ListTagsForResourceCommandOutput,
  TagResourceCommandInput,
  UntagResourceCommandInput,
} from "@aws-sdk/client-cloudwatch";
import { alarmKeys, type Scope } from "#model/alarms/keys.ts";
import type { AlarmRecord, DashboardRecord } from "#model/alarms/records.ts";
import type { Operation } from "./context.ts";
import { errors } from "./errors.ts";
import { tagsOf } from "./rules.ts";

type Tagged = Pick<AlarmRecord | DashboardRecord, "tags">;

function keyOf(scope: Scope, arn: string): string {
  const alarm = /^arn:aws:cloudwatch:([^:]+):(\d+):alarm:(.+)$/.exec(arn);
  if (alarm && alarm[1] === scope.region && alarm[2] === scope.account) return alarmKeys.alarm(scope, alarm[3]!);
  const dashboard = /^arn:aws:cloudwatch::(\d+):dashboard\/(.+)$/.exec(arn);
  if (dashboard && dashboard[1] === scope.account) return alarmKeys.dashboard(scope, dashboard[2]!);
  throw errors.noResource(arn);
}

export const listTagsForResource: Operation<ListTagsForResourceCommandInput, Omit<ListTagsForResourceCommandOutput, "$metadata">> = async (
  { deps },
  input,
  context,
) => {
  const record = (await deps.store.get<Tagged>(keyOf(context, input.ResourceARN!)))?.value;
  if (!record) throw errors.noResource(input.ResourceARN!);
  return { Tags: Object.entries(record.tags).map(([Key, Value]) => ({ Key, Value })) };
};

export const tagResource: Operation<TagResourceCommandInput, object> = async ({ writer }, input, context) => {
  const key = keyOf(context, input.ResourceARN!);
  const given = tagsOf(input.Tags);
  await writer.run("cloudwatch", async (unit) => {
    const record = await unit.get<Tagged>(key);
    if (!record) throw errors.noResource(input.ResourceARN!);
    const tags = { ...record.tags, ...given };
    if (Object.keys(tags).length > 50) throw errors.invalid("A resource can have at most 50 tags.");
    unit.put(key, { ...record, tags });
  });
  return {};
};

export const untagResource: Operation<UntagResourceCommandInput, object> = async ({ writer }, input, context) => {
  const key = keyOf(context, input.ResourceARN!);
  await writer.run("cloudwatch", async (unit) => {
    const record = await unit.get<Tagged>(key);
    if (!record) throw errors.noResource(input.ResourceARN!);
    unit.put(key, { ...record, tags: Object.fromEntries(Object.entries(record.tags).filter(([name]) => !input.TagKeys!.includes(name))) });
  });
  return {};
};
