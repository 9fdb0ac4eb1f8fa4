import type * as Sdk from "@aws-sdk/client-eventbridge";
import type { Scope } from "#model/ecs-keys.ts";
import { type Arn, parseArn } from "#model/arn.ts";
import { defaultBus, eventKeys } from "#model/events/records.ts";
import { change, needBus, type Operation, reader, tagsOf } from "./context.ts";
import { errors } from "./errors.ts";

type Tags = Readonly<Record<string, string>>;

/** Where the rule or bus of an ARN lies; undefined for anything else. */
export function keyOfArn({ resource, account, region }: Pick<Arn, "resource"> & Scope): string | undefined {
  const scope = { account, region };
  const [kind, ...names] = resource.split("/");
  if (kind === "event-bus" && names[0] !== undefined) return eventKeys.bus(scope, names.join("/"));
  if (kind !== "rule" || names.length === 0) return undefined;
  return names.length === 1
    ? eventKeys.rule(scope, defaultBus, names[0]!)
    : eventKeys.rule(scope, names.slice(0, -1).join("/"), names.at(-1)!);
}

function placeOf(scope: Scope, text: string): { readonly key: string; readonly bus?: string } {
  const arn = parseArn(text);
  const key = arn?.service === "events" && arn.account === scope.account && arn.region === scope.region ? keyOfArn(arn) : undefined;
  if (key === undefined) throw errors.missing(`The resource ${text} does not exist.`);
  return arn!.resource.startsWith("event-bus/") ? { key, bus: arn!.resource.slice("event-bus/".length) } : { key };
}

async function needTagged(read: <T>(key: string) => Promise<T | undefined>, scope: Scope, arn: string): Promise<{ readonly tags: Tags }> {
  const { key, bus } = placeOf(scope, arn);
  if (bus !== undefined) return needBus(read, scope, bus);
  const record = await read<{ readonly tags: Tags }>(key);
  if (!record) throw errors.missing(`The resource ${arn} does not exist.`);
  return record;
}

export const listTagsForResource: Operation<Sdk.ListTagsForResourceRequest, Sdk.ListTagsForResourceResponse> = async (
  events,
  { ResourceARN = "" },
  context,
) => {
  const { tags } = await needTagged(reader(events), context, ResourceARN);
  return { Tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) };
};

export const tagResource: Operation<Sdk.TagResourceRequest, object> = async (events, { ResourceARN = "", Tags }, context) => {
  await change(events, async (unit) => {
    const record = await needTagged(unit.get, context, ResourceARN);
    unit.put(placeOf(context, ResourceARN).key, { ...record, tags: tagsOf(Tags, record.tags) });
  });
  return {};
};

export const untagResource: Operation<Sdk.UntagResourceRequest, object> = async (events, { ResourceARN = "", TagKeys = [] }, context) => {
  await change(events, async (unit) => {
    const record = await needTagged(unit.get, context, ResourceARN);
    const tags = Object.fromEntries(Object.entries(record.tags).filter(([key]) => !TagKeys.includes(key)));
    unit.put(placeOf(context, ResourceARN).key, { ...record, tags });
  });
  return {};
};
