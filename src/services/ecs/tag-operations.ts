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
import { ecsKeys } from "#model/ecs-keys.ts";
import type { Tag } from "#model/ecs-records.ts";
import { clusterQueue } from "#reconcilers/task-writes.ts";
import { capacityProviderKey } from "./capacity-providers.ts";
import { type EcsDeps, scopeOf } from "./context.ts";
import { ecsErrors } from "./errors.ts";
import { parseRevision } from "./task-definitions/operations.ts";
import { checkTags } from "./tasks/tags.ts";

/** Where the record behind an ARN lies, and the queue of its writers. Throws InvalidParameterException for what cannot be tagged. */
function recordOf(deps: EcsDeps, resourceArn: string, context: RequestContext): { readonly key: string; readonly queue: string } {
  const scope = scopeOf(context);
  const arn = parseArn(resourceArn);
  const [kind, ...names] = arn?.resource.split("/") ?? [];
  if (arn?.service !== "ecs" || names.length === 0) throw ecsErrors.invalid("Invalid ARN.");
  if (arn.account !== scope.account || arn.region !== scope.region)
    throw ecsErrors.invalid("The ARN belongs to another account or region.");
  const id = names.at(-1)!;
  const [cluster] = names.length > 1 ? names : ["default"];
  switch (kind) {
    case "cluster":
      return { key: ecsKeys.cluster(scope, id), queue: "ecs-clusters" };
    case "task":
      return { key: ecsKeys.task(scope, cluster!, id), queue: clusterQueue(scope, cluster!) };
    case "container-instance":
      return { key: ecsKeys.containerInstance(scope, cluster!, id), queue: clusterQueue(scope, cluster!) };
    case "capacity-provider":
      return { key: capacityProviderKey(scope, id), queue: "ecs-clusters" };
    case "task-definition": {
      const name = parseRevision(resourceArn);
      if (name)
        return {
          key: ecsKeys.taskDefinition(scope, name.family, name.revision),
          queue: `ecs-family/${ecsKeys.family(scope, name.family)}`,
        };
    }
  }
  throw ecsErrors.invalid(`Resources of the type ${kind} can't be tagged.`);
}

interface Tagged {
  readonly tags: readonly Tag[];
  readonly status?: string;
}

async function change(
  deps: EcsDeps,
  resourceArn: string,
  context: RequestContext,
  to: (tags: readonly Tag[]) => readonly Tag[],
): Promise<void> {
  const { key, queue } = recordOf(deps, resourceArn, context);
  await deps.writer.run(queue, async (unit) => {
    const known = await unit.get<Tagged>(key);
    if (!known) throw ecsErrors.invalid("The specified resource wasn't found.");
    unit.put(key, { ...known, tags: to(known.tags) });
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

export async function listTagsForResource(
  deps: EcsDeps,
  { resourceArn = "" }: ListTagsForResourceRequest,
  context: RequestContext,
): Promise<ListTagsForResourceResponse> {
  const entry = await deps.store.get<Tagged>(recordOf(deps, resourceArn, context).key);
  if (!entry) throw ecsErrors.invalid("The specified resource wasn't found.");
  return { tags: entry.value.tags.map(({ key, value }) => ({ key, value })) };
}
