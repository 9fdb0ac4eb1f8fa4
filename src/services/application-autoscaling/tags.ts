import type * as Sdk from "@aws-sdk/client-application-auto-scaling";
import { scalingKeys } from "#model/application-autoscaling/keys.ts";
import type { TargetTagsRecord } from "#model/application-autoscaling/records.ts";
import { type Change, errors, type Question } from "./context.ts";

type Tags = Readonly<Record<string, string>>;

export function checkTags(tags: Tags, arn: string): void {
  if (Object.keys(tags).length > 50) throw errors.tooManyTags(arn);
  for (const [key, value] of Object.entries(tags)) {
    if (key.length < 1 || key.length > 128) throw errors.validation("A tag's key has 1 to 128 characters.");
    if (/^aws:/i.test(key)) throw errors.validation("Tag keys that begin with aws: are reserved.");
    if (value.length > 256) throw errors.validation("A tag's value has 256 characters at most.");
  }
}

function keyOf({ scope }: Pick<Question, "scope">, arn: string): string {
  const [, region, account, id] = /^arn:aws:application-autoscaling:([^:]+):(\d{12}):scalable-target\/([\w-]+)$/.exec(arn) ?? [];
  if (region !== scope.region || account !== scope.account || !id) throw errors.noResource(arn);
  return scalingKeys.tags(scope, id);
}

export async function listTags(question: Question, { ResourceARN: arn = "" }: Sdk.ListTagsForResourceRequest) {
  const record = (await question.deps.store.get<TargetTagsRecord>(keyOf(question, arn)))?.value;
  if (!record) throw errors.noResource(arn);
  return { Tags: { ...record.tags } };
}

export async function tagResource(change: Change, { ResourceARN: arn = "", Tags: given = {} }: Sdk.TagResourceRequest): Promise<object> {
  return changeTags(change, arn, (tags) => ({ ...tags, ...given }));
}

export async function untagResource(
  change: Change,
  { ResourceARN: arn = "", TagKeys: keys = [] }: Sdk.UntagResourceRequest,
): Promise<object> {
  return changeTags(change, arn, (tags) => Object.fromEntries(Object.entries(tags).filter(([key]) => !keys.includes(key))));
}

async function changeTags(change: Change, arn: string, next: (tags: Tags) => Tags): Promise<object> {
  const key = keyOf(change, arn);
  const record = await change.unit.get<TargetTagsRecord>(key);
  if (!record) throw errors.noResource(arn);
  const tags = next(record.tags);
  checkTags(tags, arn);
  change.unit.put(key, { ...record, tags } satisfies TargetTagsRecord);
  return {};
}
