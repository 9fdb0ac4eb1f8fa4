import { passRole } from "#api/authorization/pass-role.ts";
import { needsOf } from "#api/authorization/index.ts";
import { type Input, type Need, textAt, type Where } from "#api/authorization/table.ts";
import type { ResourceDescription, ResourceFacts } from "#api/authorize.ts";
import { ApiError } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import type { Tag, TaskRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import { placeOf } from "./tag-operations.ts";
import { findTaskDefinition, parseTaskDefinition } from "./tasks/lookup.ts";
import { tasksService } from "#reconcilers/task-credentials.ts";
import { rolesOf } from "./tasks/roles.ts";

/** What policies may ask about ECS's resources: their tags, a family's latest revision, and the roles that a task definition hands to its tasks. */
export function ecsFacts(store: Store): ResourceFacts {
  return {
    service: "ecs",
    async describe(text): Promise<ResourceDescription | undefined> {
      const arn = parseArn(text);
      if (!arn || arn.account === "" || arn.region === "") return undefined;
      if (arn.resource.startsWith("task-definition/")) {
        const found = await findTaskDefinition(store, arn, text);
        if (found) return { arn: found.arn, tags: recordOf(found.tags) };
        // No revision to be had: a policy for all of the family's is for it.
        return parseTaskDefinition(arn, text)?.revision === undefined && !text.includes("*") ? { arn: `${text}:*` } : undefined;
      }
      const key = keyOf(text, arn);
      const record =
        key === undefined ? undefined : (await store.get<{ readonly arn?: string; readonly tags?: readonly Tag[] }>(key))?.value;
      return record && { ...(record.arn === undefined ? {} : { arn: record.arn }), tags: recordOf(record.tags ?? []) };
    },
    async needsOf(operation, input, where) {
      if (operation === "ExecuteCommand" && input["container"] === undefined) return onlyContainer(store, input, where);
      const named = textAt(input, "taskDefinition");
      // An update that names none changes nobody's roles.
      if (!launching.has(operation) || named === undefined) return [];
      const record = await findTaskDefinition(store, where, named);
      return record ? rolesOf(record, input["overrides"]).map((role) => passRole(role, where, tasksService)) : [];
    },
  };
}

/** A policy that forbids a container by its name forbids it too where a caller leaves the name out because there is but one. */
async function onlyContainer(store: Store, input: Input, where: Where): Promise<readonly Need[]> {
  const [need] = needsOf("ecs", "ExecuteCommand", input, where) ?? [];
  const key = need && keyOf(need.resources[0] ?? "", where);
  const task = key === undefined ? undefined : (await store.get<TaskRecord>(key))?.value;
  const [container, ...others] = task?.containers ?? [];
  return !need || !container || others.length > 0 ? [] : [{ ...need, keys: { ...need.keys, "ecs:container-name": container.name } }];
}

const launching: ReadonlySet<string> = new Set(["RunTask", "StartTask", "CreateService", "UpdateService", "CreateTaskSet"]);

function keyOf(text: string, where: { readonly account: string; readonly region: string }): string | undefined {
  try {
    return placeOf(text, where).key;
  } catch (error) {
    // Nothing that could have tags.
    if (error instanceof ApiError) return undefined;
    throw error;
  }
}

const recordOf = (tags: readonly Tag[]) => Object.fromEntries(tags.map(({ key, value }) => [key, value]));
