import type {
  ListTaskDefinitionFamiliesRequest,
  ListTaskDefinitionFamiliesResponse,
  ListTaskDefinitionsRequest,
  ListTaskDefinitionsResponse,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { FamilyRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import { checkLimit, type EcsDeps, scopeOf, textPage } from "../context.ts";
import { ecsErrors } from "../errors.ts";

const statuses = ["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"];

/** By family, within it by revision; both the other way round with DESC. Only the families that a page touches are read. */
export async function listTaskDefinitions(
  deps: EcsDeps,
  input: ListTaskDefinitionsRequest,
  context: RequestContext,
): Promise<ListTaskDefinitionsResponse> {
  const scope = scopeOf(context);
  const { familyPrefix: exact, status = "ACTIVE", sort = "ASC", nextToken } = input;
  if (!statuses.includes(status)) throw ecsErrors.invalid(`status should be one of [${statuses.join(",")}]`);
  if (sort !== "ASC" && sort !== "DESC") throw ecsErrors.invalid("sort should be one of [ASC,DESC]");
  const limit = checkLimit(input.maxResults, 100);
  const sign = sort === "ASC" ? 1 : -1;
  const tokenScope = `ListTaskDefinitions/${ecsKeys.root(scope)}/${exact ?? ""}/${status}/${sort}`;
  const behind = nextToken === undefined ? undefined : positionOf(deps.sealer.open(tokenScope, nextToken));
  // The "prefix" of this operation is a whole family's name.
  const families = exact === undefined ? await familyNames(deps, ecsKeys.families(scope)) : [exact];
  const found: TaskDefinitionRecord[] = [];
  for (const family of sign === 1 ? families : families.toReversed()) {
    if (found.length > limit) break;
    if (behind && compareText(family, behind.family) * sign < 0) continue;
    const { entries } = await deps.store.list<TaskDefinitionRecord>(ecsKeys.taskDefinitionsOf(scope, family));
    for (const { value } of sign === 1 ? entries : entries.toReversed()) {
      if (value.status !== status) continue;
      if (behind && family === behind.family && (value.revision - behind.revision) * sign <= 0) continue;
      found.push(value);
    }
  }
  const page = found.slice(0, limit);
  const last = found.length > limit ? page.at(-1) : undefined;
  return {
    taskDefinitionArns: page.map(({ arn }) => arn),
    ...(last ? { nextToken: deps.sealer.seal(tokenScope, [last.family, last.revision]) } : {}),
  };
}

const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function positionOf(opened: unknown): { readonly family: string; readonly revision: number } {
  if (!Array.isArray(opened) || typeof opened[0] !== "string" || typeof opened[1] !== "number") throw ecsErrors.badToken();
  return { family: opened[0], revision: opened[1] };
}

async function familyNames(deps: EcsDeps, prefix: string): Promise<string[]> {
  const { entries } = await deps.store.list<FamilyRecord>(prefix);
  return entries.filter(({ value }) => value.kept > 0).map(({ key }) => nameIn(key));
}

const nameIn = (key: string) => key.slice(key.lastIndexOf("/") + 1);

/** Names that begin with the prefix. Without a status, ACTIVE families (with an ACTIVE revision) and INACTIVE ones (without). */
export async function listTaskDefinitionFamilies(
  deps: EcsDeps,
  input: ListTaskDefinitionFamiliesRequest,
  context: RequestContext,
): Promise<ListTaskDefinitionFamiliesResponse> {
  const scope = scopeOf(context);
  const { familyPrefix = "", status = "ALL" } = input;
  if (!["ACTIVE", "INACTIVE", "ALL"].includes(status)) throw ecsErrors.invalid("status should be one of [ACTIVE,INACTIVE,ALL]");
  const { entries } = await deps.store.list<FamilyRecord>(ecsKeys.families(scope));
  const families = entries
    .filter(({ value }) => value.kept > 0 && (status === "ALL" || (value.active !== undefined) === (status === "ACTIVE")))
    .map(({ key }) => nameIn(key))
    .filter((name) => name.startsWith(familyPrefix));
  const page = textPage(deps, `ListTaskDefinitionFamilies/${ecsKeys.root(scope)}/${familyPrefix}/${status}`, families, input);
  return { families: [...page.items], nextToken: page.nextToken };
}
