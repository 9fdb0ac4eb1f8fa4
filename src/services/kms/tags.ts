import type * as Sdk from "@aws-sdk/client-kms";
import type { Tag } from "#model/ecs-records.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { page } from "./keys.ts";
import { checkPresent, needKeyById, needOwnKey, putKey } from "./lookup.ts";

const most = 50;

export function checkTags(tags: readonly Sdk.Tag[] = [], before: readonly Tag[] = []): readonly Tag[] {
  const all = new Map(before.map(({ key, value }) => [key, value]));
  for (const { TagKey = "", TagValue = "" } of tags) {
    if (TagKey.length < 1 || TagKey.length > 128 || TagValue.length > 256)
      throw errors.constraint("tags", TagKey, "Member must have a key of 1 to 128 and a value of at most 256 characters");
    if (/^aws:/i.test(TagKey)) throw errors.badTag("Tags beginning with aws: are reserved");
    all.set(TagKey, TagValue);
  }
  if (new Set(tags.map(({ TagKey }) => TagKey)).size < tags.length) throw errors.badTag("Duplicate tag keys");
  if (all.size > most) throw errors.limit(`A key can have at most ${most} tags.`);
  return [...all].map(([key, value]) => ({ key, value }));
}

export async function tagResource(change: Change, { KeyId, Tags }: Sdk.TagResourceRequest): Promise<object> {
  const key = checkPresent(await needOwnKey(change, KeyId, "tagged"));
  putKey(change, { ...key, tags: checkTags(Tags, key.tags) });
  return {};
}

export async function untagResource(change: Change, { KeyId, TagKeys = [] }: Sdk.UntagResourceRequest): Promise<object> {
  const key = checkPresent(await needOwnKey(change, KeyId, "tagged"));
  putKey(change, { ...key, tags: key.tags.filter((tag) => !TagKeys.includes(tag.key)) });
  return {};
}

export async function listResourceTags(
  records: Records,
  { KeyId, Limit, Marker }: Sdk.ListResourceTagsRequest,
): Promise<Sdk.ListResourceTagsResponse> {
  const { arn, tags } = await needKeyById(records, KeyId);
  const sorted = tags.toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const { items, ...more } = page(records, `ListResourceTags ${arn}`, sorted, ({ key }) => key, { Limit, Marker, usual: 50, most: 50 });
  return { Tags: items.map(({ key, value }) => ({ TagKey: key, TagValue: value })), ...more };
}
