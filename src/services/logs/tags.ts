import type {
  ListTagsForResourceCommandInput,
  ListTagsLogGroupCommandInput,
  TagLogGroupCommandInput,
  TagResourceCommandInput,
  UntagLogGroupCommandInput,
  UntagResourceCommandInput,
} from "@aws-sdk/client-cloudwatch-logs";
import type { ApiError, RequestContext } from "#api/contract.ts";
import { errors } from "./errors.ts";
import { findGroup, updateGroup } from "./groups.ts";
import type { GroupRecord } from "./records.ts";
import { checkGroupName, checkTags, groupNameOfArn } from "./rules.ts";
import type { LogsState } from "./state.ts";

type Tags = Readonly<Record<string, string>>;

export async function tagResource(state: LogsState, input: TagResourceCommandInput, context: RequestContext): Promise<object> {
  const name = groupNameOfArn(context, input.resourceArn!);
  return add(state, context, name, input.tags!, () => errors.tooManyTags(input.resourceArn!));
}

export async function untagResource(state: LogsState, input: UntagResourceCommandInput, context: RequestContext): Promise<object> {
  return remove(state, context, groupNameOfArn(context, input.resourceArn!), input.tagKeys!);
}

export async function listTagsForResource(
  state: LogsState,
  input: ListTagsForResourceCommandInput,
  context: RequestContext,
): Promise<{ tags: Tags }> {
  const { value } = await findGroup(state, context, groupNameOfArn(context, input.resourceArn!));
  return { tags: value.tags };
}

/** The three older operations name the group instead of its ARN. */
export async function tagLogGroup(state: LogsState, input: TagLogGroupCommandInput, context: RequestContext): Promise<object> {
  checkGroupName(input.logGroupName!);
  return add(state, context, input.logGroupName!, input.tags!, () => errors.invalid("A log group can have no more than 50 tags."));
}

export async function untagLogGroup(state: LogsState, input: UntagLogGroupCommandInput, context: RequestContext): Promise<object> {
  checkGroupName(input.logGroupName!);
  return remove(state, context, input.logGroupName!, input.tags!);
}

export async function listTagsLogGroup(
  state: LogsState,
  input: ListTagsLogGroupCommandInput,
  context: RequestContext,
): Promise<{ tags: Tags }> {
  checkGroupName(input.logGroupName!);
  return { tags: (await findGroup(state, context, input.logGroupName!)).value.tags };
}

async function add(state: LogsState, context: RequestContext, name: string, tags: Tags, tooMany: () => ApiError): Promise<object> {
  checkTags(tags);
  await updateGroup(state, context, name, (group): GroupRecord => {
    const all = { ...group.tags, ...tags };
    if (Object.keys(all).length > 50) throw tooMany();
    return { ...group, tags: all };
  });
  return {};
}

async function remove(state: LogsState, context: RequestContext, name: string, tagKeys: readonly string[]): Promise<object> {
  await updateGroup(state, context, name, (group) => ({
    ...group,
    tags: Object.fromEntries(Object.entries(group.tags).filter(([key]) => !tagKeys.includes(key))),
  }));
  return {};
}
