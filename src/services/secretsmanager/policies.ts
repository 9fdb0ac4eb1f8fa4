import type * as Sdk from "@aws-sdk/client-secrets-manager";
import { parsePolicy } from "#model/policy/index.ts";
import type { Change, Records } from "#reconcilers/secrets/records.ts";
import { errors } from "./errors.ts";
import { needLiveSecret, needSecret, putSecret } from "./lookup.ts";

const most = 20_480;

interface Statement {
  readonly Effect?: string;
  readonly Principal?: unknown;
  readonly Condition?: unknown;
}

/** What is wrong with a resource policy; undefined when nothing is. */
function problemOf(policy: string): string | undefined {
  if (policy.length < 1 || policy.length > most) return `The policy must have between 1 and ${most} characters.`;
  try {
    JSON.parse(policy);
  } catch {
    return "This resource policy contains invalid JSON.";
  }
  return parsePolicy(policy, "resource").problem;
}

const statementsOf = ({ Statement }: { Statement?: Statement | readonly Statement[] }): readonly Statement[] =>
  Array.isArray(Statement) ? (Statement as readonly Statement[]) : [Statement as Statement];

/** Lets anybody in, on no condition. */
function isPublic(policy: string): boolean {
  return statementsOf(JSON.parse(policy) as { Statement: Statement }).some(({ Effect, Principal, Condition }) => {
    const aws = (Principal as { AWS?: unknown } | undefined)?.AWS;
    const everybody = Principal === "*" || aws === "*" || (Array.isArray(aws) && aws.includes("*"));
    return Effect === "Allow" && everybody && Condition === undefined;
  });
}

export async function putResourcePolicy(change: Change, input: Sdk.PutResourcePolicyRequest): Promise<Sdk.PutResourcePolicyResponse> {
  const secret = await needLiveSecret(change, input.SecretId);
  const policy = input.ResourcePolicy ?? "";
  const problem = problemOf(policy);
  if (problem) throw errors.policy(problem);
  if (input.BlockPublicPolicy && isPublic(policy)) throw errors.publicPolicy();
  putSecret(change, { ...secret, policy });
  return { ARN: secret.arn, Name: secret.name };
}

export async function getResourcePolicy(
  records: Records,
  { SecretId }: Sdk.GetResourcePolicyRequest,
): Promise<Sdk.GetResourcePolicyResponse> {
  const { arn, name, policy } = await needSecret(records, SecretId);
  return { ARN: arn, Name: name, ...(policy === undefined ? {} : { ResourcePolicy: policy }) };
}

export async function deleteResourcePolicy(
  change: Change,
  { SecretId }: Sdk.DeleteResourcePolicyRequest,
): Promise<Sdk.DeleteResourcePolicyResponse> {
  const secret = await needLiveSecret(change, SecretId);
  putSecret(change, { ...secret, policy: undefined });
  return { ARN: secret.arn, Name: secret.name };
}

export async function validateResourcePolicy(
  records: Records,
  { SecretId, ResourcePolicy = "" }: Sdk.ValidateResourcePolicyRequest,
): Promise<Sdk.ValidateResourcePolicyResponse> {
  if (SecretId !== undefined) await needSecret(records, SecretId);
  const problem = problemOf(ResourcePolicy);
  if (problem)
    return { PolicyValidationPassed: false, ValidationErrors: [{ CheckName: "POLICY_SYNTAX_VALIDATION", ErrorMessage: problem }] };
  if (!isPublic(ResourcePolicy)) return { PolicyValidationPassed: true, ValidationErrors: [] };
  const ErrorMessage = "This resource policy allows broad access to the secret.";
  return { PolicyValidationPassed: false, ValidationErrors: [{ CheckName: "PUBLIC_ACCESS_CHECK", ErrorMessage }] };
}
