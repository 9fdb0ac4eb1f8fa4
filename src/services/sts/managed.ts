import { awsPolicies } from "#identity/aws-policies.ts";
import { iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { PolicyRecord } from "#model/iam-records.ts";
import type { Store } from "#store/store.ts";

/** Whether there is a managed policy of this ARN. */
export async function managedPolicyExists(store: Store, arn: string): Promise<boolean> {
  if (awsPolicies.has(arn)) return true;
  const parsed = parseIamArn(arn);
  if (parsed?.kind !== "policy") return false;
  const record = (await store.get<PolicyRecord>(iamKeys.policy(parsed.account, parsed.name)))?.value;
  return record?.name === parsed.name && record.path === parsed.path;
}
