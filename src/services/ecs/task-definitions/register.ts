import type { RegisterTaskDefinitionRequest, RegisterTaskDefinitionResponse } from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { formatArn } from "#model/arn.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { TaskDefinitionRecord } from "#model/ecs-records.ts";
import { parseQuery, QueryError } from "#model/query-language.ts";
import { type EcsDeps, scopeOf } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { checkTags } from "../tasks/tags.ts";
import { withDefaults } from "./defaults.ts";
import { addRevision, familyQueue, readFamily } from "./families.ts";
import { compatibilities, requiredAttributes } from "./requirements.ts";
import { checkTaskDefinition } from "./rules.ts";
import { tagsView, taskDefinitionView } from "./view.ts";

export const taskDefinitionArn = (scope: Scope, family: string, revision: number) =>
  formatArn({ service: "ecs", ...scope, resource: `task-definition/${family}:${revision}` });

/** The next revision of its family; revisions are never given twice, even when all earlier ones were deleted. */
export async function registerTaskDefinition(
  deps: EcsDeps,
  input: RegisterTaskDefinitionRequest,
  context: RequestContext,
): Promise<RegisterTaskDefinitionResponse> {
  const scope = scopeOf(context);
  checkTaskDefinition(input);
  checkTags(input.tags);
  for (const { expression = "" } of input.placementConstraints ?? []) checkExpression(expression);
  const family = input.family!;
  const tags = (input.tags ?? []).map(({ key = "", value = "" }) => ({ key, value }));
  const draft = { definition: withDefaults(input), compatibilities: compatibilities(input), requiresAttributes: requiredAttributes(input) };
  const record = await deps.writer.run(familyQueue(scope, family), async (unit) => {
    const known = await readFamily(unit, scope, family);
    const revision = known.revision + 1;
    const made: TaskDefinitionRecord = {
      arn: taskDefinitionArn(scope, family, revision),
      family,
      revision,
      status: "ACTIVE",
      registeredAt: context.now,
      registeredBy: context.principal.arn,
      ...draft,
      tags,
    };
    addRevision(unit, scope, known, made);
    return made;
  });
  return { taskDefinition: taskDefinitionView(record), ...(tags.length > 0 ? { tags: tagsView(tags) } : {}) };
}

function checkExpression(expression: string): void {
  try {
    parseQuery(expression);
  } catch (error) {
    if (error instanceof QueryError) throw ecsErrors.client(`Invalid expression in a placement constraint: ${error.message}`);
    throw error;
  }
}
