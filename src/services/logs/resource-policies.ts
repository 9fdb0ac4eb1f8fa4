import type * as Sdk from "@aws-sdk/client-cloudwatch-logs";
import type { ResourcePolicySource } from "#api/authorize.ts";
import type { RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { parseArn } from "#model/arn.ts";
import { parsePolicy } from "#model/policy/index.ts";
import { policyReader } from "#reconcilers/secrets/access.ts";
import type { Store } from "#store/store.ts";
import { errors } from "./errors.ts";
import { keys, type ResourcePolicyRecord } from "./records.ts";
import { checkNumber } from "./rules.ts";
import type { LogsState } from "./state.ts";

/** Source: CloudWatch Logs quotas: 10 policies a region, 5120 letters each. */
const mostPolicies = 10;
const longest = 5120;

type Output<T> = Omit<T, "$metadata">;

function checkMissing({ resourceArn, policyScope }: Pick<Sdk.DescribeResourcePoliciesCommandInput, "resourceArn" | "policyScope">): void {
  if (resourceArn !== undefined || policyScope === "RESOURCE")
    throw errors.notYet("Resource policies of a single log group, beside those of all the account's,");
}

const view = ({ name, document, updated }: ResourcePolicyRecord) => ({
  policyName: name,
  policyDocument: document,
  lastUpdatedTime: updated,
});

export async function putResourcePolicy(
  { deps }: LogsState,
  input: Sdk.PutResourcePolicyCommandInput,
  context: RequestContext,
): Promise<Output<Sdk.PutResourcePolicyCommandOutput>> {
  checkMissing(input);
  const { policyName: name = "", policyDocument: document = "" } = input;
  if (name === "") throw errors.invalid("PolicyName must not be empty.");
  if (document.length < 1 || document.length > longest)
    throw errors.invalid(`PolicyDocument must have between 1 and ${longest} characters.`);
  const problem = problemOf(document);
  if (problem !== undefined) throw errors.invalid(`Resource policy is not valid: ${problem}`);
  const { entries } = await deps.store.list<ResourcePolicyRecord>(keys.resourcePolicies(context));
  if (entries.length >= mostPolicies && !entries.some(({ value }) => value.name === name)) throw errors.limit();
  const record: ResourcePolicyRecord = { name, document, updated: context.now };
  await deps.store.transaction({ writes: [{ put: keys.resourcePolicy(context, name), value: record }] });
  return { resourcePolicy: view(record) };
}

function problemOf(document: string): string | undefined {
  try {
    JSON.parse(document);
  } catch (error) {
    return (error as Error).message;
  }
  return parsePolicy(document, "resource").problem;
}

export async function describeResourcePolicies(
  { deps }: LogsState,
  input: Sdk.DescribeResourcePoliciesCommandInput,
  context: RequestContext,
): Promise<Output<Sdk.DescribeResourcePoliciesCommandOutput>> {
  checkMissing(input);
  const limit = input.limit ?? 50;
  checkNumber("limit", limit, 1, 50);
  const { entries } = await deps.store.list<ResourcePolicyRecord>(keys.resourcePolicies(context));
  const { items, nextToken } = pageOf(
    deps.sealer,
    entries.map(({ value }) => value),
    ({ name }) => encodeURIComponent(name),
    {
      scope: JSON.stringify(["DescribeResourcePolicies", context.account, context.region]),
      limit,
      token: input.nextToken,
      badToken: errors.badToken,
    },
  );
  return { resourcePolicies: items.map(view), nextToken };
}

export async function deleteResourcePolicy(
  { deps }: LogsState,
  input: Sdk.DeleteResourcePolicyCommandInput,
  context: RequestContext,
): Promise<object> {
  checkMissing(input);
  const key = keys.resourcePolicy(context, input.policyName ?? "");
  if (!(await deps.store.get(key))) throw errors.policyMissing(input.policyName ?? "");
  await deps.store.transaction({ writes: [{ delete: key }] });
  return {};
}

/** The account's policies are those of each of its log groups. */
export function resourcePolicySource(store: Store): ResourcePolicySource {
  const read = policyReader();
  return {
    service: "logs",
    async resourcePolicies(resource) {
      const arn = parseArn(resource);
      if (!arn) return [];
      const { entries } = await store.list<ResourcePolicyRecord>(keys.resourcePolicies(arn));
      return entries.map(({ value }) => read(value.name, value.document));
    },
  };
}
