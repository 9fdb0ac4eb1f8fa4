import { parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, FamilyRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import { ecsErrors } from "../errors.ts";

/** The ACTIVE cluster of this name or ARN; `default` when none is given. Throws ClusterNotFoundException, also for a cluster that is INACTIVE. */
export async function clusterOf(store: Pick<Store, "get">, scope: Scope, text: string | undefined): Promise<ClusterRecord> {
  const name = clusterName(scope, text);
  const record = name === undefined ? undefined : (await store.get<ClusterRecord>(ecsKeys.cluster(scope, name)))?.value;
  if (!record) throw ecsErrors.clusterNotFound();
  if (record.status !== "ACTIVE") throw ecsErrors.clusterInactive();
  return record;
}

/** The name in a name or ARN; undefined for what can name no cluster of this account and region. */
export function clusterName(scope: Scope, text: string | undefined): string | undefined {
  if (!text) return "default";
  const name = text.startsWith("arn:") ? resourceOf(scope, text, "cluster/") : text;
  // A name is one part of a key: whatever else it were, it would lead elsewhere.
  return name !== undefined && /^[A-Za-z0-9_-]{1,255}$/.test(name) ? name : undefined;
}

function resourceOf(scope: Scope, text: string, kind: string): string | undefined {
  const arn = parseArn(text);
  if (arn?.service !== "ecs" || arn.account !== scope.account || arn.region !== scope.region) return undefined;
  return arn.resource.startsWith(kind) ? arn.resource.slice(kind.length) : undefined;
}

/** `family`, `family:revision` or an ARN of this account and region; undefined for anything else. */
export function parseTaskDefinition(scope: Scope, text: string): { readonly family: string; readonly revision?: number } | undefined {
  const name = text.startsWith("arn:") ? resourceOf(scope, text, "task-definition/") : text;
  const match = /^([A-Za-z0-9_-]{1,255})(?::(\d{1,10}))?$/.exec(name ?? "");
  return match ? { family: match[1]!, ...(match[2] === undefined ? {} : { revision: Number(match[2]) }) } : undefined;
}

/** By `family` (the newest ACTIVE revision), `family:revision` or ARN. */
export async function findTaskDefinition(store: Pick<Store, "get">, scope: Scope, text: string): Promise<TaskDefinitionRecord | undefined> {
  const name = parseTaskDefinition(scope, text);
  if (!name) return undefined;
  const revision = name.revision ?? (await store.get<FamilyRecord>(ecsKeys.family(scope, name.family)))?.value.active;
  if (revision === undefined) return undefined;
  return (await store.get<TaskDefinitionRecord>(ecsKeys.taskDefinition(scope, name.family, revision)))?.value;
}

/** The same, for those who need one. Throws ClientException as RunTask does. */
export async function taskDefinitionOf(store: Pick<Store, "get">, scope: Scope, text: string): Promise<TaskDefinitionRecord> {
  const record = await findTaskDefinition(store, scope, text);
  if (!record) throw ecsErrors.client("TaskDefinition not found.");
  return record;
}
