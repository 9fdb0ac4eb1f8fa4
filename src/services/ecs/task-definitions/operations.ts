import type {
  DeleteTaskDefinitionsRequest,
  DeleteTaskDefinitionsResponse,
  DeregisterTaskDefinitionRequest,
  DeregisterTaskDefinitionResponse,
  DescribeTaskDefinitionRequest,
  DescribeTaskDefinitionResponse,
  ListTaskDefinitionFamiliesRequest,
  ListTaskDefinitionFamiliesResponse,
  ListTaskDefinitionsRequest,
  ListTaskDefinitionsResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskDefinitionRecord } from "#model/ecs-records.ts";
import { type EcsDeps, scopeOf, textPage } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { taskDefinitionOf } from "../tasks/lookup.ts";
import { tagsView, taskDefinitionView } from "./view.ts";

export async function describeTaskDefinition(
  deps: EcsDeps,
  input: DescribeTaskDefinitionRequest,
  context: RequestContext,
): Promise<DescribeTaskDefinitionResponse> {
  let record: TaskDefinitionRecord;
  try {
    record = await taskDefinitionOf(deps.store, scopeOf(context), input.taskDefinition ?? "");
  } catch {
    throw ecsErrors.client("Unable to describe task definition.");
  }
  return {
    taskDefinition: taskDefinitionView(record),
    ...(input.include?.includes("TAGS") ? { tags: tagsView(record.tags) } : { tags: [] }),
  };
}

/** `family:revision` or an ARN; undefined for anything else. */
export function parseRevision(text: string): { readonly family: string; readonly revision: number } | undefined {
  const name = text.startsWith("arn:") ? parseArn(text)?.resource.replace(/^task-definition\//, "") : text;
  const match = /^([A-Za-z0-9_-]+):(\d{1,10})$/.exec(name ?? "");
  return match ? { family: match[1]!, revision: Number(match[2]) } : undefined;
}

function change(
  deps: EcsDeps,
  scope: Scope,
  { family, revision }: { family: string; revision: number },
  to: (record: TaskDefinitionRecord) => TaskDefinitionRecord | undefined,
): Promise<TaskDefinitionRecord | undefined> {
  return deps.writer.run(`ecs-family/${ecsKeys.family(scope, family)}`, async (unit) => {
    const key = ecsKeys.taskDefinition(scope, family, revision);
    const known = await unit.get<TaskDefinitionRecord>(key);
    const next = known && to(known);
    if (next && next !== known) unit.put(key, next);
    return next;
  });
}

/** INACTIVE: running tasks go on, new ones are refused. Safe to repeat. */
export async function deregisterTaskDefinition(
  deps: EcsDeps,
  input: DeregisterTaskDefinitionRequest,
  context: RequestContext,
): Promise<DeregisterTaskDefinitionResponse> {
  const name = parseRevision(input.taskDefinition ?? "");
  if (!name) throw ecsErrors.client("The task definition must be specified with its revision, as in family:revision.");
  const record = await change(deps, scopeOf(context), name, (known) =>
    known.status === "ACTIVE" ? { ...known, status: "INACTIVE", deregisteredAt: context.now } : known,
  );
  if (!record) throw ecsErrors.client("The specified task definition does not exist.");
  return { taskDefinition: taskDefinitionView(record) };
}

/** INACTIVE revisions only. DELETE_IN_PROGRESS until no task uses the revision; then it is gone. */
export async function deleteTaskDefinitions(
  deps: EcsDeps,
  input: DeleteTaskDefinitionsRequest,
  context: RequestContext,
): Promise<DeleteTaskDefinitionsResponse> {
  const scope = scopeOf(context);
  const asked = input.taskDefinitions ?? [];
  if (asked.length < 1 || asked.length > 10) throw ecsErrors.invalid("Between 1 and 10 task definitions can be deleted at once.");
  const taskDefinitions: DeleteTaskDefinitionsResponse["taskDefinitions"] = [];
  const failures: DeleteTaskDefinitionsResponse["failures"] = [];
  for (const text of asked) {
    const name = parseRevision(text);
    if (!name) {
      failures.push({
        arn: text,
        reason: "The specified task definition identifier is invalid. Specify a valid name or ARN and try again.",
      });
      continue;
    }
    let active = false;
    const record = await change(deps, scope, name, (known) => {
      active = known.status === "ACTIVE";
      return known.status === "INACTIVE" ? { ...known, status: "DELETE_IN_PROGRESS", deleteRequestedAt: context.now } : known;
    });
    if (!record) failures.push({ arn: text, reason: "The specified task definition does not exist." });
    else if (active)
      failures.push({
        arn: record.arn,
        reason: "The specified task definition is still in ACTIVE status. Please deregister the target and try again.",
      });
    else taskDefinitions.push(taskDefinitionView(record));
  }
  return { taskDefinitions, failures };
}

async function all(deps: EcsDeps, prefix: string): Promise<readonly TaskDefinitionRecord[]> {
  return (await deps.store.list<TaskDefinitionRecord>(prefix)).entries.map(({ value }) => value);
}

export async function listTaskDefinitions(
  deps: EcsDeps,
  input: ListTaskDefinitionsRequest,
  context: RequestContext,
): Promise<ListTaskDefinitionsResponse> {
  const scope = scopeOf(context);
  const status = input.status ?? "ACTIVE";
  if (!["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"].includes(status)) throw ecsErrors.invalid(`Invalid status: ${String(status)}`);
  if (input.sort !== undefined && input.sort !== "ASC" && input.sort !== "DESC")
    throw ecsErrors.invalid(`Invalid sort: ${String(input.sort)}`);
  const limit = input.maxResults ?? 100;
  if (limit < 1 || limit > 100) throw ecsErrors.invalid("maxResults must be between 1 and 100.");
  // The "prefix" of this operation is a whole family's name.
  const records = await all(deps, input.familyPrefix ? ecsKeys.family(scope, input.familyPrefix) : ecsKeys.taskDefinitions(scope));
  const descending = input.sort === "DESC";
  const found = records.filter((record) => record.status === status);
  if (descending) found.reverse();
  // Positions must rise with the list, so a descending one counts down.
  const rank = new Map(found.map((record, index) => [record, index]));
  const position = (record: TaskDefinitionRecord) =>
    descending ? String(rank.get(record)).padStart(10, "0") : ecsKeys.taskDefinition(scope, record.family, record.revision);
  const token = `ListTaskDefinitions/${ecsKeys.root(scope)}/${input.familyPrefix ?? ""}/${status}/${input.sort ?? "ASC"}`;
  const { items, nextToken } = pageOf(deps.sealer, found, position, {
    scope: token,
    limit,
    token: input.nextToken,
    badToken: ecsErrors.badToken,
  });
  return { taskDefinitionArns: items.map(({ arn }) => arn), nextToken };
}

export async function listTaskDefinitionFamilies(
  deps: EcsDeps,
  input: ListTaskDefinitionFamiliesRequest,
  context: RequestContext,
): Promise<ListTaskDefinitionFamiliesResponse> {
  const scope = scopeOf(context);
  const status = input.status ?? "ACTIVE";
  if (!["ACTIVE", "INACTIVE", "ALL"].includes(status)) throw ecsErrors.invalid(`Invalid status: ${String(status)}`);
  const active = new Map<string, boolean>();
  for (const record of await all(deps, ecsKeys.taskDefinitions(scope) + (input.familyPrefix ?? "")))
    active.set(record.family, (active.get(record.family) ?? false) || record.status === "ACTIVE");
  const families = [...active]
    .filter(([, isActive]) => status === "ALL" || isActive === (status === "ACTIVE"))
    .map(([family]) => family)
    .toSorted();
  const page = textPage(deps, `ListTaskDefinitionFamilies/${ecsKeys.root(scope)}/${input.familyPrefix ?? ""}/${status}`, families, input);
  return { families: [...page.items], nextToken: page.nextToken };
}
