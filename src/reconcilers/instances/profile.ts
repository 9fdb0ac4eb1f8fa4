import type { Scope } from "#model/ecs-keys.ts";
import { iamArn, iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { InstanceProfileRecord } from "#model/iam-records.ts";
import type { InstanceRecord } from "#model/instance-records.ts";
import type { Store } from "#store/store.ts";
import type { Unit } from "#store/unit.ts";

/** An instance profile as EC2's requests name it: by ARN or by name, and by both if they are of one. */
export interface ProfileName {
  readonly arn?: string;
  readonly name?: string;
}

export interface FoundProfile {
  readonly arn: string;
  readonly record: InstanceProfileRecord;
}

/** The profile of this account; undefined: there is none such. */
export async function findProfile(unit: Pick<Unit, "get">, { account }: Scope, named: ProfileName): Promise<FoundProfile | undefined> {
  const parsed = named.arn === undefined ? undefined : parseIamArn(named.arn);
  if (named.arn !== undefined && (parsed?.account !== account || parsed.kind !== "instance-profile")) return undefined;
  const record = await unit.get<InstanceProfileRecord>(iamKeys.instanceProfile(account, parsed?.name ?? named.name ?? ""));
  if (!record || (named.name !== undefined && record.name !== named.name)) return undefined;
  const arn = iamArn(account, `instance-profile${record.path}${record.name}`);
  return named.arn === undefined || named.arn === arn ? { arn, record } : undefined;
}

/** EC2's sentence for one that is not there. */
export const noSuchProfile = ({ arn, name }: ProfileName): string =>
  arn === undefined
    ? `Value (${name}) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name`
    : `Value (${arn}) for parameter iamInstanceProfile.arn is invalid. Invalid IAM Instance Profile ARN`;

/** What the instance's profile is now: one that was made again under its name is another. */
export async function profileOf(
  store: Pick<Store, "get">,
  { instanceProfile }: Pick<InstanceRecord, "instanceProfile">,
): Promise<InstanceProfileRecord | undefined> {
  const parsed = parseIamArn(instanceProfile?.arn ?? "");
  if (!parsed) return undefined;
  const record = (await store.get<InstanceProfileRecord>(iamKeys.instanceProfile(parsed.account, parsed.name)))?.value;
  return record?.id === instanceProfile?.id ? record : undefined;
}
