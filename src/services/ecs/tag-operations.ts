import type {
  ListTagsForResourceRequest,
  ListTagsForResourceResponse,
  TagResourceRequest,
  TagResourceResponse,
  UntagResourceRequest,
  UntagResourceResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, instanceKeyOf } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord, Tag, TaskRecord } from "#model/ecs-records.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import { fargateProviders } from "#reconcilers/launch.ts";
import { capacityProviderKey } from "./capacity-providers.ts";
import { notYours, speaksFor } from "./container-instances/owner.ts";
import { type EcsDeps, scopeOf } from "./context.ts";
import { ecsErrors } from "./errors.ts";
import { serviceErrors } from "./services/names.ts";
import { familyQueue } from "./task-definitions/families.ts";
import { parseTaskDefinition } from "./tasks/lookup.ts";
import { checkTags } from "./tasks/tags.ts";

/** Where the record behind an ARN lies, the queue of its writers, and the error when it is not there. */
interface Place {
  readonly key: string;
  readonly queue: string;
  readonly missing: () => Error;
}

/** Throws InvalidParameterException for what is no ARN of this account and region, and for what cannot be tagged. */
export function placeOf(resourceArn: string, context: Pick<RequestContext, "account" | "region">): Place {
  const scope = scopeOf(context);
  const arn = parseArn(resourceArn);
  const [kind, ...names] = arn?.resource.split("/") ?? [];
  const id = names.at(-1);
  if (arn?.service !== "ecs" || !id) throw ecsErrors.invalid("Invalid ARN.");
  if (arn.account !== scope.account || arn.region !== scope.region)
    throw ecsErrors.invalid("The ARN belongs to another account or region.");
  const [cluster = ""] = names.length > 1 ? names : ["default"];
  const missing = ecsErrors.resourceNotFound;
  switch (kind) {
    case "cluster":
      return { key: ecsKeys.cluster(scope, id), queue: "ecs-clusters", missing: ecsErrors.clusterNotFound };
    case "task":
      return { key: ecsKeys.task(scope, cluster, id), queue: clusterQueue(scope, cluster), missing };
    case "container-instance":
      return { key: ecsKeys.containerInstance(scope, cluster, id), queue: clusterQueue(scope, cluster), missing };
    case "service":
      return { key: ecsKeys.service(scope, cluster, id), queue: clusterQueue(scope, cluster), missing: serviceErrors.notFound };
    case "task-set":
      return {
        key: ecsKeys.taskSet(scope, cluster, names[1] ?? "", id),
        queue: clusterQueue(scope, cluster),
        missing: serviceErrors.taskSetNotFound,
      };
    case "capacity-provider":
      if (fargateProviders.includes(id)) throw ecsErrors.invalid(`The capacity provider ${id} can't be tagged.`);
      return { key: capacityProviderKey(scope, id), queue: "ecs-clusters", missing };
    case "task-definition": {
      const { family, revision } = parseTaskDefinition(scope, resourceArn) ?? {};
      if (family === undefined || revision === undefined) throw ecsErrors.invalid("The ARN of a task definition must have its revision.");
      return { key: ecsKeys.taskDefinition(scope, family, revision), queue: familyQueue(scope, family), missing };
    }
    default:
      throw ecsErrors.invalid(`Resources of the type ${kind} can't be tagged.`);
  }
}

interface Tagged {
  readonly tags: readonly Tag[];
  readonly status?: string;
  readonly version?: number;
}

/** A cluster or an instance that is gone is shown for a while, but takes no tags any more. An INACTIVE definition is still there. */
const isGone = (record: Tagged) => record.status === "INACTIVE" && !("definition" in record);

async function change(
  deps: EcsDeps,
  resourceArn: string,
  context: RequestContext,
  to: (tags: readonly Tag[]) => readonly Tag[],
): Promise<void> {
  const { key, queue, missing } = placeOf(resourceArn, context);
  await deps.writer.run(queue, async (unit) => {
    const known = await unit.get<Tagged>(key);
    if (!known || isGone(known)) throw missing();
    // Of what others decide upon, each write has a version of its own.
    const version = typeof known.version === "number" ? { version: known.version + 1 } : {};
    unit.put(key, { ...known, ...version, tags: to(known.tags) });
  });
}

export async function tagResource(
  deps: EcsDeps,
  { resourceArn = "", tags = [] }: TagResourceRequest,
  context: RequestContext,
): Promise<TagResourceResponse> {
  checkTags(tags);
  await change(deps, resourceArn, context, (known) => {
    const merged = new Map(known.map(({ key, value }) => [key, value]));
    for (const { key = "", value = "" } of tags) merged.set(key, value);
    if (merged.size > 50) throw ecsErrors.invalid("Tags can have at most 50 items.");
    return [...merged].map(([key, value]) => ({ key, value }));
  });
  return {};
}

export async function untagResource(
  deps: EcsDeps,
  { resourceArn = "", tagKeys = [] }: UntagResourceRequest,
  context: RequestContext,
): Promise<UntagResourceResponse> {
  if (tagKeys.some((key) => /^aws:/i.test(key))) throw ecsErrors.invalid("Tag keys must not start with aws:.");
  await change(deps, resourceArn, context, (known) => known.filter(({ key }) => !tagKeys.includes(key)));
  return {};
}

/** An agent sees the tags of its own instance and of the tasks on it. */
async function checkAgent({ store }: EcsDeps, context: RequestContext, arn: string, found: object): Promise<void> {
  if (context.principal.identity?.kind !== "Agent") return;
  const instance =
    "containerInstanceId" in found
      ? (await store.get<ContainerInstanceRecord>(instanceKeyOf(scopeOf(context), found as TaskRecord)))?.value
      : (found as ContainerInstanceRecord);
  if (!speaksFor(context.principal, instance)) throw notYours(context.principal, "ecs:ListTagsForResource", arn);
}

export async function listTagsForResource(
  deps: EcsDeps,
  { resourceArn = "" }: ListTagsForResourceRequest,
  context: RequestContext,
): Promise<ListTagsForResourceResponse> {
  const place = placeOf(resourceArn, context);
  const entry = await deps.store.get<Tagged>(place.key);
  if (!entry) throw place.missing();
  await checkAgent(deps, context, resourceArn, entry.value);
  return { tags: entry.value.tags.map(({ key, value }) => ({ key, value })) };
}
