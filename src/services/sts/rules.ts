import type * as Sdk from "@aws-sdk/client-sts";
import { parseIamArn } from "#model/iam-keys.ts";
import { parsePolicy } from "#model/policy/index.ts";
import type { SessionTerms } from "#identity/sessions.ts";
import { errors } from "./errors.ts";

/** What STS demands of its input. Pure. Source: AWS STS API Reference, "AssumeRole", "GetFederationToken". */

export const hour = 3600;

/** The constraints of one member that a value breaks, as the API Reference gives them. */
export function checkText(
  member: string,
  value: string,
  { min, max, pattern }: { readonly min: number; readonly max: number; readonly pattern?: RegExp },
): void {
  const broken = [
    ...(value.length < min ? [`Member must have length greater than or equal to ${min}`] : []),
    ...(value.length > max ? [`Member must have length less than or equal to ${max}`] : []),
    ...(pattern && !pattern.test(value) ? [`Member must satisfy regular expression pattern: ${pattern.source.slice(1, -1)}`] : []),
  ];
  if (broken.length > 0)
    throw errors.constraints(broken.map((rule) => `Value '${value.slice(0, 256)}' at '${member}' failed to satisfy constraint: ${rule}`));
}

export function checkDuration(seconds: number, most: number): void {
  if (Number.isInteger(seconds) && seconds >= 900 && seconds <= most) return;
  const rule = seconds > most ? `less than or equal to ${most}` : "greater than or equal to 900";
  throw errors.constraints([`Value '${seconds}' at 'durationSeconds' failed to satisfy constraint: Member must have value ${rule}`]);
}

export function checkSessionName(name: string, member = "roleSessionName"): void {
  checkText(member, name, { min: 2, max: 64, pattern: /^[\w+=,.@-]*$/ });
}

const mostPolicyArns = 10;
const mostTags = 50;

/** Session policies as they are kept. `findPolicy`: whether there is a managed policy of this ARN. */
export async function sessionPoliciesOf(
  input: { readonly Policy?: string; readonly PolicyArns?: readonly Sdk.PolicyDescriptorType[] },
  account: string,
  findPolicy: (arn: string) => Promise<boolean>,
): Promise<Pick<SessionTerms, "policies" | "policyArns">> {
  const { Policy: policy, PolicyArns: given = [] } = input;
  if (policy !== undefined) {
    checkText("policy", policy, { min: 1, max: 2048, pattern: /^[\t\n\r -\u00ff]+$/ });
    const { problem } = parsePolicy(policy, "identity");
    if (problem !== undefined) throw errors.malformedPolicy(problem);
  }
  const arns = given.map(({ arn = "" }) => arn);
  if (arns.length > mostPolicyArns)
    throw errors.constraints([
      `Value at 'policyArns' failed to satisfy constraint: Member must have length less than or equal to ${mostPolicyArns}`,
    ]);
  for (const arn of arns) {
    const parsed = parseIamArn(arn);
    if (parsed?.kind !== "policy") throw errors.validation(`Invalid ARN: ${arn}`);
    if (parsed.account !== "aws" && parsed.account !== account)
      throw errors.validation(`The policy ${arn} must be in the same account as the role.`);
    if (!(await findPolicy(arn))) throw errors.malformedPolicy(`Managed policy ${arn} does not exist or is not attachable.`);
  }
  return { ...(policy === undefined ? {} : { policies: [policy] }), ...(arns.length > 0 ? { policyArns: arns } : {}) };
}

export function sessionTagsOf(given: readonly Sdk.Tag[] | undefined): Record<string, string> {
  const tags: Record<string, string> = {};
  const seen = new Set<string>();
  if ((given ?? []).length > mostTags)
    throw errors.constraints([`Value at 'tags' failed to satisfy constraint: Member must have length less than or equal to ${mostTags}`]);
  (given ?? []).forEach(({ Key: key = "", Value: value = "" }, index) => {
    checkText(`tags.${index + 1}.member.key`, key, { min: 1, max: 128, pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u });
    checkText(`tags.${index + 1}.member.value`, value, { min: 0, max: 256, pattern: /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u });
    if (/^aws:/i.test(key)) throw errors.invalidParameter("Tag keys that begin with aws: are reserved for AWS.");
    if (seen.has(key.toLowerCase()))
      throw errors.invalidParameter("Duplicate tag keys found. Please note that Tag keys are case insensitive.");
    seen.add(key.toLowerCase());
    Object.defineProperty(tags, key, { value, enumerable: true, configurable: true, writable: true });
  });
  return tags;
}

const packedLimit = 2048;

/** How much of what a token may carry is used, in percent; undefined when nothing limits or tags the session. Throws PackedPolicyTooLarge. */
export function packedSizeOf({ policies = [], policyArns = [], tags = {} }: SessionTerms): number | undefined {
  const size =
    [...policies, ...policyArns].reduce((sum, text) => sum + text.replace(/\s+/g, " ").length, 0) +
    Object.entries(tags).reduce((sum, [key, value]) => sum + key.length + value.length, 0);
  if (size === 0) return undefined;
  // AWS packs before it counts; so much shorter gets what repeats itself as policies and ARNs do.
  const percent = Math.ceil((size / (packedLimit * 2)) * 100);
  if (percent > 100)
    throw errors.tooLarge(`PackedPolicySize is ${percent}%: the session policies and tags together are larger than a token can carry.`);
  return percent;
}
