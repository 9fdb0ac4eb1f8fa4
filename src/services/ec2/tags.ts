import type * as Sdk from "@aws-sdk/client-ec2";
import { ApiError } from "#api/contract.ts";
import type { Tag } from "#model/ecs-records.ts";
import type { Change, Question } from "./context.ts";
import { need } from "./context.ts";
import { describe } from "./describe.ts";
import { ec2Errors } from "./errors.ts";
import { type Kind, kindNames, kindOf, type Kinds, typeOf } from "./kinds.ts";

/** Tags lie in the records of what they tag. Source: Amazon EC2 User Guide, "Tag your resources". */

const mostTags = 50;

export const apiTags = (tags: readonly Tag[]): Sdk.Tag[] => tags.map(({ key, value }) => ({ Key: key, Value: value }));

/** The tags that a request gives what it makes. */
export function tagsFor(type: string, specifications: readonly Sdk.TagSpecification[] | undefined): Tag[] {
  const given: Sdk.Tag[] = [];
  for (const { ResourceType: named, Tags = [] } of specifications ?? []) {
    if (named === undefined) throw ec2Errors.invalid("Tag specification resource type must have a value");
    if (named !== type) throw ec2Errors.invalid(`'${named}' is not a valid taggable resource type for this operation.`);
    given.push(...Tags);
  }
  return merged([], given);
}

function merged(tags: readonly Tag[], given: readonly Sdk.Tag[]): Tag[] {
  const all = new Map(tags.map(({ key, value }) => [key, value]));
  for (const { Key: key = "", Value: value = "" } of given) {
    if (key.length === 0 || key.length > 128) throw ec2Errors.invalid(`Tag key must have between 1 and 128 characters: ${key}`);
    if (value.length > 256) throw ec2Errors.invalid("Tag value exceeds the maximum length of 256 characters");
    if (/^aws:/i.test(key)) throw ec2Errors.invalid(`Tag keys starting with 'aws:' are reserved for internal use: ${key}`);
    all.set(key, value);
  }
  if (all.size > mostTags) throw new ApiError("TagLimitExceeded", "You have reached the maximum number of tags allowed on a resource.");
  return [...all].map(([key, value]) => ({ key, value }));
}

/** With Value: only where the value is the same. Nothing named: all tags. */
function without(tags: readonly Tag[], given: readonly Sdk.Tag[] | undefined): Tag[] {
  if (given === undefined || given.length === 0) return tags.filter(({ key }) => key.startsWith("aws:"));
  return tags.filter(({ key, value }) => !given.some((each) => each.Key === key && (each.Value === undefined || each.Value === value)));
}

export async function createTags(change: Change, { Resources: ids = [], Tags: tags = [] }: Sdk.CreateTagsRequest): Promise<object> {
  if (tags.length === 0) throw ec2Errors.missing("Tag");
  for (const id of ids) await retag(change, id, (own) => merged(own, tags));
  return {};
}

export async function deleteTags(change: Change, { Resources: ids = [], Tags: tags }: Sdk.DeleteTagsRequest): Promise<object> {
  for (const id of ids) await retag(change, id, (own) => without(own, tags));
  return {};
}

async function retag(change: Change, id: string, changed: (tags: readonly Tag[]) => Tag[]): Promise<void> {
  if (id.startsWith("sgr-")) {
    const group = (await change.all("security-group")).find(({ rules }) => rules.some((rule) => rule.id === id));
    if (!group) throw noRule(id);
    const rules = group.rules.map((rule) => (rule.id === id ? { ...rule, tags: changed(rule.tags) } : rule));
    change.put("security-group", group.id, { ...group, rules });
    return;
  }
  const kind = kindOf(id);
  if (!kind) throw new ApiError("InvalidID", `The ID '${id}' is not valid`);
  const record = await need(change, kind, id);
  change.put(kind, id, { ...record, tags: changed(record.tags) } as Kinds[Kind]);
}

export const noRule = (...ids: readonly string[]) =>
  new ApiError("InvalidSecurityGroupRuleId.NotFound", `The security group rule ID '${ids.join(", ")}' does not exist`);

export function checkRuleId(id: string): void {
  if (!/^sgr-([0-9a-f]{8}|[0-9a-f]{17})$/.test(id))
    throw new ApiError("InvalidSecurityGroupRuleId.Malformed", `Invalid id: "${id}" (expecting "sgr-...")`);
}

export async function describeTags(question: Question, input: Sdk.DescribeTagsRequest): Promise<Sdk.DescribeTagsResult> {
  const all: Required<Sdk.TagDescription>[] = [];
  const add = (ResourceId: string, ResourceType: string, tags: readonly Tag[]) => {
    for (const { key, value } of tags) all.push({ Key: key, Value: value, ResourceId, ResourceType: ResourceType as Sdk.ResourceType });
  };
  for (const kind of kindNames)
    for (const record of await question.all(kind)) {
      add("allocationId" in record && !("id" in record) ? record.allocationId : (record as { id: string }).id, typeOf(kind), record.tags);
      if (kind === "security-group")
        for (const rule of (record as Kinds["security-group"]).rules) add(rule.id, "security-group-rule", rule.tags);
    }
  const position = ({ ResourceId, Key }: Sdk.TagDescription) => `${ResourceId} ${Key}`;
  const { items, NextToken } = describe(question, {
    operation: "DescribeTags",
    items: all.toSorted((a, b) => (position(a) < position(b) ? -1 : 1)),
    id: position,
    tags: ({ Key, Value }) => [{ Key, Value }],
    table: {
      key: ({ Key }) => Key,
      value: ({ Value }) => Value,
      "resource-id": ({ ResourceId }) => ResourceId,
      "resource-type": ({ ResourceType }) => ((ResourceType as string) === "natgateway" ? ["natgateway", "nat-gateway"] : ResourceType),
    },
    input,
    filters: input.Filters,
  });
  return { Tags: items, NextToken };
}
