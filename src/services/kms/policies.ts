import type * as Sdk from "@aws-sdk/client-kms";
import type { RequestContext } from "#api/contract.ts";
import { parsePolicy } from "#model/policy/index.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { checkPresent, needKeyById, needOwnKey, putKey } from "./lookup.ts";

const most = 32 * 1024;

/**
 * Throws MalformedPolicyDocumentException. Unless `bypass`, the caller must be able to change the policy again: KMS's lockout check, here by the
 * principals that the policy names.
 */
export function checkPolicy({ account }: RequestContext, policy: string, bypass = false): void {
  if (policy.length > most) throw errors.constraint("policy", policy.slice(0, 40), `Member must have length less than or equal to ${most}`);
  let document: { Statement?: unknown };
  try {
    document = JSON.parse(policy) as { Statement?: unknown };
  } catch {
    throw errors.badPolicy("The policy is not valid JSON.");
  }
  const { problem } = parsePolicy(policy, "resource");
  if (problem !== undefined) throw errors.badPolicy(problem);
  const statements = (Array.isArray(document.Statement) ? document.Statement : [document.Statement]) as readonly Statement[];
  if (bypass || statements.some((statement) => letsChange(statement, account))) return;
  throw errors.badPolicy("The new key policy will not allow you to update the key policy in the future.");
}

interface Statement {
  readonly Effect?: string;
  readonly Principal?: unknown;
  readonly Action?: unknown;
}

function letsChange({ Effect, Principal, Action }: Statement, account: string): boolean {
  if (Effect !== "Allow") return false;
  const named = Principal === "*" ? ["*"] : texts((Principal as { AWS?: unknown })?.AWS);
  const covers = texts(Action).some((action) => new RegExp(`^${action.replaceAll("*", ".*")}$`, "i").test("kms:PutKeyPolicy"));
  return covers && named.some((each) => each === "*" || each === account || each.split(":")[4] === account);
}

const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value : [value]).filter((each) => typeof each === "string");

function checkName(name = "default"): void {
  if (name !== "default") throw errors.invalid(`No such policy exists: ${name}`);
}

export async function getKeyPolicy(records: Records, { KeyId, PolicyName }: Sdk.GetKeyPolicyRequest): Promise<Sdk.GetKeyPolicyResponse> {
  checkName(PolicyName);
  const { policy } = checkPresent(await needKeyById(records, KeyId));
  return { Policy: policy, PolicyName: "default" };
}

export async function putKeyPolicy(change: Change, input: Sdk.PutKeyPolicyRequest): Promise<object> {
  checkName(input.PolicyName);
  const key = checkPresent(await needOwnKey(change, input.KeyId, "changed"));
  checkPolicy(change.context, input.Policy ?? "", input.BypassPolicyLockoutSafetyCheck);
  putKey(change, { ...key, policy: input.Policy! });
  return {};
}

export async function listKeyPolicies(records: Records, { KeyId }: Sdk.ListKeyPoliciesRequest): Promise<Sdk.ListKeyPoliciesResponse> {
  checkPresent(await needKeyById(records, KeyId));
  return { PolicyNames: ["default"], Truncated: false };
}
