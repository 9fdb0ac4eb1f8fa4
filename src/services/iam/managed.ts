import { awsPolicies } from "#identity/aws-policies.ts";
import { iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { PolicyRecord, PolicyUse } from "#model/iam-records.ts";
import type { Change, Records } from "./context.ts";
import { errors } from "./errors.ts";
import { checkText } from "./rules.ts";
import type { ManagedPolicy } from "./views.ts";

/** Managed policies by their ARN, and the count of who uses them. */

const none: PolicyUse = { attachments: 0, boundaries: 0 };

function checkArn(arn: string): void {
  if (arn.length < 20 || arn.length > 2048) checkText("policyArn", arn, { min: 20, max: 2048 });
  const parsed = parseIamArn(arn);
  if (parsed?.kind !== "policy") throw errors.invalidInput(`ARN ${arn} is not valid.`);
}

/** Undefined when there is none of this ARN. Throws InvalidInput for what is no ARN of a policy. */
export async function findPolicy(records: Records, arn: string): Promise<ManagedPolicy | undefined> {
  checkArn(arn);
  const aws = awsPolicies.get(arn);
  if (aws) return { arn, aws, ...((await records.get<PolicyUse>(iamKeys.awsPolicyUse(records.account, aws.name))) ?? none) };
  const { account, name, path } = parseIamArn(arn)!;
  if (account !== records.account) return undefined;
  const own = await records.get<PolicyRecord>(iamKeys.policy(account, name));
  if (own?.name !== name || own.path !== path) return undefined;
  return { arn, own, attachments: own.attachments, boundaries: own.boundaries };
}

/** Throws NoSuchEntity. */
export async function needPolicy(records: Records, arn: string, missing = errors.noPolicy): Promise<ManagedPolicy> {
  const policy = await findPolicy(records, arn);
  if (!policy) throw missing(arn);
  return policy;
}

/** One of the account's own. Throws NoSuchEntity, AccessDenied for AWS's. */
export async function needOwnPolicy(change: Change, arn: string): Promise<PolicyRecord> {
  const { own } = await needPolicy(change, arn);
  if (!own) throw errors.outside();
  return own;
}

/** Counts one use more or less. Reads the policy, so that none is deleted while it comes into use. */
export async function countUse(change: Change, arn: string, what: keyof PolicyUse, by: 1 | -1): Promise<void> {
  const policy = await findPolicy(change, arn);
  if (!policy) return;
  const use = { attachments: policy.attachments, boundaries: policy.boundaries };
  use[what] += by;
  if (policy.own) change.unit.put(iamKeys.policy(change.account, policy.own.name), { ...policy.own, ...use });
  else if (use.attachments + use.boundaries > 0) change.unit.put(iamKeys.awsPolicyUse(change.account, policy.aws!.name), use);
  else change.unit.delete(iamKeys.awsPolicyUse(change.account, policy.aws!.name));
}

/** The boundary of an identity that is made or changed: counted, and returned as it is kept. */
export async function setBoundary(change: Change, before: string | undefined, after: string | undefined): Promise<string | undefined> {
  if (after !== undefined) {
    checkText("permissionsBoundary", after, { min: 20, max: 2048 });
    if (parseIamArn(after)?.kind !== "policy") throw errors.validation(`Invalid ARN: ${after}`);
    await needPolicy(change, after, errors.noBoundary);
  }
  if (before === after) return after;
  if (before !== undefined) await countUse(change, before, "boundaries", -1);
  if (after !== undefined) await countUse(change, after, "boundaries", 1);
  return after;
}
