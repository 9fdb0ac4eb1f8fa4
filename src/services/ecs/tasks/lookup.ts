import { ApiError } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";

/** The ACTIVE cluster of this name or ARN; `default` when none is given. Throws ClusterNotFoundException. */
export async function clusterOf(store: Store, scope: Scope, text: string | undefined): Promise<ClusterRecord> {
  const name = clusterName(text);
  const record = name === undefined ? undefined : (await store.get<ClusterRecord>(ecsKeys.cluster(scope, name)))?.value;
  if (record?.status !== "ACTIVE") throw new ApiError("ClusterNotFoundException", "Cluster not found.");
  return record;
}

function clusterName(text: string | undefined): string | undefined {
  if (!text) return "default";
  if (!text.startsWith("arn:")) return text;
  const arn = parseArn(text);
  return arn?.service === "ecs" && arn.resource.startsWith("cluster/") ? arn.resource.slice("cluster/".length) : undefined;
}

/** `family`, `family:revision` or an ARN; without a revision the newest ACTIVE one. Throws ClientException as RunTask does. */
export async function taskDefinitionOf(store: Store, scope: Scope, text: string): Promise<TaskDefinitionRecord> {
  const name = text.startsWith("arn:") ? parseArn(text)?.resource.replace(/^task-definition\//, "") : text;
  const match = /^([A-Za-z0-9_-]+)(?::(\d+))?$/.exec(name ?? "");
  if (!match) throw new ApiError("ClientException", "TaskDefinition not found.");
  const [, family, revision] = match;
  if (revision !== undefined) {
    const entry = await store.get<TaskDefinitionRecord>(ecsKeys.taskDefinition(scope, family!, Number(revision)));
    if (entry) return entry.value;
  } else {
    const { entries } = await store.list<TaskDefinitionRecord>(ecsKeys.family(scope, family!));
    const newest = entries.findLast(({ value }) => value.status === "ACTIVE");
    if (newest) return newest.value;
  }
  throw new ApiError("ClientException", "TaskDefinition not found.");
}
