import type { TaskDefinitionRecord } from "#model/ecs-records.ts";
import { findRole, serviceMayAssume } from "#identity/roles.ts";
import { formatArn } from "#model/arn.ts";
import { iamArn } from "#model/iam-keys.ts";
import { cannotAssume, tasksService } from "#reconcilers/task-credentials.ts";
import type { Store } from "#store/store.ts";
import type { RequestContext } from "#api/contract.ts";
import { ecsErrors } from "../errors.ts";
import type { TaskDeps } from "./context.ts";

/** The roles that tasks of the definition get: those of the request where it puts others for the definition's. Names or ARNs. */
export function rolesOf({ definition }: TaskDefinitionRecord, overrides: unknown): readonly string[] {
  const given = (typeof overrides === "object" && overrides !== null ? overrides : {}) as Readonly<Record<string, unknown>>;
  return ["taskRoleArn", "executionRoleArn"].flatMap((name) => {
    const role = given[name] ?? definition[name];
    return typeof role === "string" && role !== "" ? [role] : [];
  });
}

/** Throws ClientException for a role that is not there or does not let ECS's tasks become it. In open mode nobody has to be let. */
export async function checkRoles(
  { store, config }: Pick<TaskDeps, "store" | "config">,
  definition: TaskDefinitionRecord,
  overrides: unknown,
  { account, region, now }: RequestContext,
): Promise<void> {
  const problem = config.open ? undefined : await roleProblem(store, definition, overrides, { account, region }, now);
  if (problem !== undefined) throw ecsErrors.client(problem);
}

/** AWS's sentence about the first role that tasks of the definition could not have; undefined when they can have all. */
export async function roleProblem(
  store: Store,
  definition: TaskDefinitionRecord,
  overrides: unknown,
  { account, region }: { readonly account: string; readonly region: string },
  now: number,
): Promise<string | undefined> {
  const source = { arn: formatArn({ service: "ecs", region, account, resource: "*" }), account };
  for (const role of rolesOf(definition, overrides)) {
    const roleArn = role.startsWith("arn:") ? role : iamArn(account, `role/${role}`);
    const found = await findRole(store, roleArn);
    if (!found || !serviceMayAssume(found, { service: tasksService, sessionName: "ecs", now, region, source }))
      return cannotAssume(roleArn);
  }
  return undefined;
}
