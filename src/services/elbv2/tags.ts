import type * as Sdk from "@aws-sdk/client-elastic-load-balancing-v2";
import { elbKeys } from "#model/elb-keys.ts";
import type { Tag } from "#model/ecs-records.ts";
import { needListener, needLoadBalancer, needRule, needTargetGroup } from "./arns.ts";
import type { Change, Question, Records } from "./context.ts";
import { elbErrors } from "./errors.ts";

/** Tags lie in the records of what they tag. Source: Elastic Load Balancing API Reference, "AddTags" and its kin. */

const mostTags = 50;
const mostResources = 20;

export const apiTags = (tags: readonly Tag[]): Sdk.Tag[] => tags.map(({ key, value }) => ({ Key: key, Value: value }));

/** The tags that a request gives what it makes. */
export const tagsFor = (given: readonly Sdk.Tag[] | undefined): Tag[] => merged([], given ?? []);

function merged(tags: readonly Tag[], given: readonly Sdk.Tag[]): Tag[] {
  if (new Set(given.map(({ Key }) => Key)).size < given.length) throw elbErrors.duplicateTags();
  const all = new Map(tags.map(({ key, value }) => [key, value]));
  for (const { Key: key = "", Value: value = "" } of given) {
    if (key.length === 0 || key.length > 128) throw elbErrors.invalid(`Tag key '${key}' must have between 1 and 128 characters`);
    if (value.length > 256) throw elbErrors.invalid(`The value of tag '${key}' must have at most 256 characters`);
    if (/^aws:/i.test(key)) throw elbErrors.invalid(`Tag key '${key}' cannot begin with 'aws:', which is reserved`);
    all.set(key, value);
  }
  if (all.size > mostTags) throw elbErrors.tooMany("Tags", `The maximum number of tags for a resource is '${mostTags}'`);
  return [...all].map(([key, value]) => ({ key, value }));
}

interface Tagged {
  readonly tags: readonly Tag[];
  /** Where the record lies, and what it is with other tags. */
  readonly key: string;
  with(tags: readonly Tag[]): unknown;
}

async function tagged(records: Records, arn: string): Promise<Tagged> {
  const { scope } = records;
  const of = <T extends { readonly tags: readonly Tag[] }>(key: string, record: T): Tagged => ({
    tags: record.tags,
    key,
    with: (tags) => ({ ...record, tags }),
  });
  const kind = /^arn:[a-z-]+:elasticloadbalancing:[a-z0-9-]+:\d{12}:([a-z-]+)\//.exec(arn)?.[1];
  if (kind === "loadbalancer") {
    const record = await needLoadBalancer(records, arn);
    return of(elbKeys.loadBalancer(scope, record.id), record);
  }
  if (kind === "targetgroup") {
    const record = await needTargetGroup(records, arn);
    return of(elbKeys.targetGroup(scope, record.id), record);
  }
  if (kind === "listener") {
    const record = await needListener(records, arn);
    return of(elbKeys.listener(scope, record.loadBalancerId, record.id), record);
  }
  if (kind === "listener-rule") {
    const { listener, rule } = await needRule(records, arn);
    if (rule) return of(elbKeys.rule(scope, rule.loadBalancerId, rule.listenerId, rule.id), rule);
    return {
      tags: listener.defaultRule.tags,
      key: elbKeys.listener(scope, listener.loadBalancerId, listener.id),
      with: (tags) => ({ ...listener, defaultRule: { ...listener.defaultRule, tags } }),
    };
  }
  throw elbErrors.invalid(`'${arn}' is not a valid Elastic Load Balancing resource ARN`);
}

export async function addTags(change: Change, { ResourceArns: arns = [], Tags: given = [] }: Sdk.AddTagsInput): Promise<object> {
  for (const arn of arns) {
    const one = await tagged(change, arn);
    change.unit.put(one.key, one.with(merged(one.tags, given)));
  }
  return {};
}

export async function removeTags(change: Change, { ResourceArns: arns = [], TagKeys: keys = [] }: Sdk.RemoveTagsInput): Promise<object> {
  for (const arn of arns) {
    const one = await tagged(change, arn);
    change.unit.put(one.key, one.with(one.tags.filter(({ key }) => !keys.includes(key))));
  }
  return {};
}

export async function describeTags(
  question: Question,
  { ResourceArns: arns = [] }: Sdk.DescribeTagsInput,
): Promise<Sdk.DescribeTagsOutput> {
  if (arns.length > mostResources)
    throw elbErrors.invalid(`The maximum number of resources for which tags can be described is '${mostResources}'`);
  const TagDescriptions: Sdk.TagDescription[] = [];
  for (const arn of arns) TagDescriptions.push({ ResourceArn: arn, Tags: apiTags((await tagged(question, arn)).tags) });
  return { TagDescriptions };
}
