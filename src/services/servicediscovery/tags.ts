import type * as Sdk from "@aws-sdk/client-servicediscovery";
import { parseArn } from "#model/arn.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { Tag } from "#model/ecs-records.ts";
import type { Change, Question, Records } from "./context.ts";
import { errors } from "./errors.ts";
import { mergedTags } from "./rules.ts";

/** Tags lie in the records of namespaces and services. Source: AWS Cloud Map API Reference, "TagResource". */

interface Tagged {
  readonly tags: readonly Tag[];
}

async function find(records: Records, arn: string): Promise<{ key: string; record: Tagged }> {
  const parsed = parseArn(arn);
  if (parsed?.service !== "servicediscovery") throw errors.invalid(`Not an ARN of AWS Cloud Map: ${arn}`);
  const { account, region, resource } = parsed;
  const [, kind, id = ""] = /^(namespace|service)\/([^/]+)$/.exec(resource) ?? [];
  const own = account === records.scope.account && region === records.scope.region;
  const key = kind === "namespace" ? cloudMapKeys.namespace(records.scope, id) : cloudMapKeys.service(records.scope, id);
  const record = own && kind !== undefined ? await records.get<Tagged>(key) : undefined;
  if (!record) throw errors.noResource(arn);
  return { key, record };
}

export async function tagResource(change: Change, { ResourceARN = "", Tags }: Sdk.TagResourceRequest): Promise<Sdk.TagResourceResponse> {
  const { key, record } = await find(change, ResourceARN);
  change.unit.put(key, { ...record, tags: mergedTags(ResourceARN, record.tags, Tags) });
  return {};
}

export async function untagResource(
  change: Change,
  { ResourceARN = "", TagKeys = [] }: Sdk.UntagResourceRequest,
): Promise<Sdk.UntagResourceResponse> {
  const { key, record } = await find(change, ResourceARN);
  change.unit.put(key, { ...record, tags: record.tags.filter((tag) => !TagKeys.includes(tag.key)) });
  return {};
}

export async function listTagsForResource(
  question: Question,
  { ResourceARN = "" }: Sdk.ListTagsForResourceRequest,
): Promise<Sdk.ListTagsForResourceResponse> {
  const { record } = await find(question, ResourceARN);
  return { Tags: record.tags.map(({ key, value }) => ({ Key: key, Value: value })) };
}
