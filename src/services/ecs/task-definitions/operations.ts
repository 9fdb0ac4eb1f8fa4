import type {
  DeleteTaskDefinitionsRequest,
  DeleteTaskDefinitionsResponse,
  DeregisterTaskDefinitionRequest,
  DeregisterTaskDefinitionResponse,
  DescribeTaskDefinitionRequest,
  DescribeTaskDefinitionResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskDefinitionRecord } from "#model/ecs-records.ts";
import { type EcsDeps, scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { findTaskDefinition, parseTaskDefinition } from "../tasks/lookup.ts";
import { changeRevision, familyQueue } from "./families.ts";
import { taskDefinitionArn } from "./register.ts";
import { tagsView, taskDefinitionView } from "./view.ts";

export async function describeTaskDefinition(
  deps: EcsDeps,
  input: DescribeTaskDefinitionRequest,
  context: RequestContext,
): Promise<DescribeTaskDefinitionResponse> {
  const record = await findTaskDefinition(deps.store, scopeOf(context), input.taskDefinition ?? "");
  if (!record) throw ecsErrors.client("Unable to describe task definition.");
  return { taskDefinition: taskDefinitionView(record), tags: input.include?.includes("TAGS") ? tagsView(record.tags) : [] };
}

interface Revision {
  readonly family: string;
  readonly revision: number;
}

function change(
  deps: EcsDeps,
  scope: Scope,
  { family, revision }: Revision,
  to: (record: TaskDefinitionRecord) => TaskDefinitionRecord,
): Promise<TaskDefinitionRecord | undefined> {
  return deps.writer.run(familyQueue(scope, family), async (unit) => {
    const known = await unit.get<TaskDefinitionRecord>(ecsKeys.taskDefinition(scope, family, revision));
    const next = known && to(known);
    if (next && next !== known) await changeRevision(unit, scope, next);
    return next;
  });
}

const notThere = "The specified task definition does not exist. Specify a valid account, family, revision and try again.";

/** INACTIVE: running tasks go on, new ones are refused. Safe to repeat. */
export async function deregisterTaskDefinition(
  deps: EcsDeps,
  input: DeregisterTaskDefinitionRequest,
  context: RequestContext,
): Promise<DeregisterTaskDefinitionResponse> {
  const scope = scopeOf(context);
  const record = await change(deps, scope, revisionOf(scope, input.taskDefinition ?? ""), (known) => {
    if (known.status === "DELETE_IN_PROGRESS") throw ecsErrors.client("The specified task definition is in the process of being deleted.");
    return known.status === "ACTIVE" ? { ...known, status: "INACTIVE", deregisteredAt: context.now } : known;
  });
  if (!record) throw ecsErrors.client(notThere);
  return { taskDefinition: taskDefinitionView(record) };
}

function revisionOf(scope: Scope, text: string): Revision {
  const name = parseTaskDefinition(scope, text);
  if (name?.revision !== undefined) return { family: name.family, revision: name.revision };
  if (name) throw ecsErrors.client("Revision is missing.");
  const given = text.slice(text.lastIndexOf("/") + 1).split(":")[1];
  if (given !== undefined && !/^\d+$/.test(given)) throw ecsErrors.invalid(`Invalid revision number. Number: ${given}`);
  throw ecsErrors.client(notThere);
}

/** INACTIVE revisions only. DELETE_IN_PROGRESS until no task uses the revision; then it is gone (sweep.ts). */
export async function deleteTaskDefinitions(
  deps: EcsDeps,
  input: DeleteTaskDefinitionsRequest,
  context: RequestContext,
): Promise<DeleteTaskDefinitionsResponse> {
  const scope = scopeOf(context);
  const asked = input.taskDefinitions ?? [];
  if (asked.length < 1) throw ecsErrors.invalid("size of TaskDefinition references list must be greater than 0");
  if (asked.length > 10) throw ecsErrors.invalid("Size of TaskDefinition references list cannot exceed 10");
  const taskDefinitions: DeleteTaskDefinitionsResponse["taskDefinitions"] = [];
  const failures: DeleteTaskDefinitionsResponse["failures"] = [];
  for (const text of asked) {
    const { family, revision } = parseTaskDefinition(scope, text) ?? {};
    if (family === undefined || revision === undefined) {
      const reason = "The specified task definition identifier is invalid. Specify a valid name or ARN and try again.";
      failures.push({ arn: text, reason });
      continue;
    }
    const record = await change(deps, scope, { family, revision }, (known) =>
      known.status === "INACTIVE" ? { ...known, status: "DELETE_IN_PROGRESS", deleteRequestedAt: context.now } : known,
    );
    if (!record) failures.push({ arn: taskDefinitionArn(scope, family, revision), reason: notThere });
    else if (record.status === "ACTIVE")
      failures.push({
        arn: record.arn,
        reason: "The specified task definition is still in ACTIVE status. Please deregister the target and try again.",
      });
    else taskDefinitions.push(taskDefinitionView(record));
  }
  return { taskDefinitions, failures };
}
