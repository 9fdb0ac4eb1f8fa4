import type * as Sdk from "@aws-sdk/client-iam";
import { iamKeys } from "#model/iam-keys.ts";
import type { GroupRecord, PolicyRecord, RoleRecord, UserRecord } from "#model/iam-records.ts";
import type { Change, Question } from "./context.ts";
import { errors } from "./errors.ts";
import { checkText, quotas } from "./rules.ts";

/** The account as a whole: its alias and its numbers. Source: IAM API Reference, "CreateAccountAlias", "GetAccountSummary". */

interface Alias {
  readonly alias: string;
}

export async function createAccountAlias(change: Change, { AccountAlias = "" }: Sdk.CreateAccountAliasRequest): Promise<void> {
  const { account } = change;
  checkText("accountAlias", AccountAlias, { min: 3, max: 63, pattern: /^[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?$/ });
  const owner = await change.get<{ readonly account: string }>(iamKeys.aliasOwner(AccountAlias));
  if (owner && owner.account !== account) throw errors.exists(`The account alias ${AccountAlias} already exists.`);
  // An account has one alias: another takes its place.
  const before = await change.get<Alias>(iamKeys.alias(account));
  if (before && before.alias !== AccountAlias) change.unit.delete(iamKeys.aliasOwner(before.alias));
  change.unit.put(iamKeys.aliasOwner(AccountAlias), { account });
  change.unit.put(iamKeys.alias(account), { alias: AccountAlias } satisfies Alias);
}

export async function deleteAccountAlias(change: Change, { AccountAlias = "" }: Sdk.DeleteAccountAliasRequest): Promise<void> {
  const { account } = change;
  const known = await change.get<Alias>(iamKeys.alias(account));
  if (known?.alias !== AccountAlias) throw errors.noSuchEntity(`The account alias ${AccountAlias} cannot be found.`);
  change.unit.delete(iamKeys.alias(account));
  change.unit.delete(iamKeys.aliasOwner(AccountAlias));
}

export async function listAccountAliases(question: Question): Promise<Sdk.ListAccountAliasesResponse> {
  const known = await question.get<Alias>(iamKeys.alias(question.account));
  return { AccountAliases: known ? [known.alias] : [], IsTruncated: false };
}

/** Only what is counted here; what cannot exist is zero. */
export async function getAccountSummary(question: Question): Promise<Sdk.GetAccountSummaryResponse> {
  const { account } = question;
  const users = await question.list<UserRecord>(iamKeys.entities(account, "user"));
  const groups = await question.list<GroupRecord>(iamKeys.entities(account, "group"));
  const roles = await question.list<RoleRecord>(iamKeys.entities(account, "role"));
  const policies = await question.list<PolicyRecord>(iamKeys.policies(account));
  const profiles = await question.list(iamKeys.instanceProfiles(account));
  const providers = await question.list(iamKeys.oidcProviders(account));
  return {
    SummaryMap: {
      Users: users.length,
      UsersQuota: quotas.users,
      Groups: groups.length,
      GroupsQuota: quotas.groups,
      Roles: roles.filter(({ service }) => service === undefined).length,
      RolesQuota: quotas.roles,
      Policies: policies.length,
      PoliciesQuota: quotas.policies,
      PolicySizeQuota: quotas.policySize,
      PolicyVersionsInUse: policies.reduce((sum, { versions }) => sum + versions.length, 0),
      PolicyVersionsInUseQuota: 10_000,
      VersionsPerPolicyQuota: quotas.versions,
      InstanceProfiles: profiles.length,
      InstanceProfilesQuota: quotas.instanceProfiles,
      Providers: providers.length,
      AccessKeysPerUserQuota: quotas.accessKeysPerUser,
      AttachedPoliciesPerUserQuota: quotas.attachedPerEntity,
      AttachedPoliciesPerGroupQuota: quotas.attachedPerEntity,
      AttachedPoliciesPerRoleQuota: quotas.attachedPerEntity,
      AssumeRolePolicySizeQuota: quotas.trustSize,
      UserPolicySizeQuota: quotas.inlineSize.user,
      GroupPolicySizeQuota: quotas.inlineSize.group,
      RolePolicySizeQuota: quotas.inlineSize.role,
      GroupsPerUserQuota: quotas.groupsPerUser,
      AccountAccessKeysPresent: 1,
      AccountMFAEnabled: 0,
      AccountPasswordPresent: 0,
      AccountSigningCertificatesPresent: 0,
      GlobalEndpointTokenVersion: 1,
      MFADevices: 0,
      MFADevicesInUse: 0,
      ServerCertificates: 0,
      ServerCertificatesQuota: 20,
      SigningCertificatesPerUserQuota: 2,
    },
  };
}
