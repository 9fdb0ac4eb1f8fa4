import type * as Sdk from "@aws-sdk/client-iam";
import { iamKeys } from "#model/iam-keys.ts";
import type { EntityRecord, GroupRecord, InstanceProfileRecord, LastUsedRecord, RoleRecord, UserRecord } from "#model/iam-records.ts";
import { attachedView } from "./attachments.ts";
import { byName, page, type Question } from "./context.ts";
import { encoded } from "./documents.ts";
import { errors } from "./errors.ts";
import { allPolicies, versionViews } from "./policies.ts";
import { groupView, type ManagedPolicy, policyView, profileView, roleView, userView } from "./views.ts";

/** Everything of an account at once. Source: IAM API Reference, "GetAccountAuthorizationDetails". */

const kinds = ["User", "Group", "Role", "LocalManagedPolicy", "AWSManagedPolicy"] as const;

type Item =
  | { readonly kind: "User"; readonly record: UserRecord }
  | { readonly kind: "Group"; readonly record: GroupRecord }
  | { readonly kind: "Role"; readonly record: RoleRecord }
  | { readonly kind: "LocalManagedPolicy" | "AWSManagedPolicy"; readonly record: ManagedPolicy };

const positionOf = (item: Item) => `${kinds.indexOf(item.kind)} ${"arn" in item.record ? item.record.arn : byName(item.record)}`;

const inlineView = ({ policies }: EntityRecord): Sdk.PolicyDetail[] =>
  Object.entries(policies).map(([name, document]) => ({ PolicyName: name, PolicyDocument: encoded(document) }));

export async function getAccountAuthorizationDetails(
  question: Question,
  input: Sdk.GetAccountAuthorizationDetailsRequest,
): Promise<Sdk.GetAccountAuthorizationDetailsResponse> {
  const { account } = question;
  for (const each of input.Filter ?? [])
    if (!(kinds as readonly string[]).includes(each))
      throw errors.constraints([
        `Value '[${each}]' at 'filter' failed to satisfy constraint: Member must satisfy enum value set: [${kinds.join(", ")}]`,
      ]);
  const wanted = new Set<string>(input.Filter?.length ? input.Filter : kinds);
  const all: Item[] = [];
  if (wanted.has("User"))
    for (const record of await question.list<UserRecord>(iamKeys.entities(account, "user"))) all.push({ kind: "User", record });
  if (wanted.has("Group"))
    for (const record of await question.list<GroupRecord>(iamKeys.entities(account, "group"))) all.push({ kind: "Group", record });
  if (wanted.has("Role"))
    for (const record of await question.list<RoleRecord>(iamKeys.entities(account, "role"))) all.push({ kind: "Role", record });
  if (wanted.has("LocalManagedPolicy"))
    for (const record of await allPolicies(question, "Local")) all.push({ kind: "LocalManagedPolicy", record });
  // Of AWS's, those that are in use.
  if (wanted.has("AWSManagedPolicy"))
    for (const record of await allPolicies(question, "AWS"))
      if (record.attachments + record.boundaries > 0) all.push({ kind: "AWSManagedPolicy", record });
  const sorted = all.toSorted((a, b) => (positionOf(a) < positionOf(b) ? -1 : 1));
  const { items, ...rest } = page(question, sorted, positionOf, {
    operation: "GetAccountAuthorizationDetails",
    asked: [...wanted],
    ...input,
  });
  const users: Sdk.UserDetail[] = [];
  const groups: Sdk.GroupDetail[] = [];
  const roles: Sdk.RoleDetail[] = [];
  const policies: Sdk.ManagedPolicyDetail[] = [];
  for (const item of items) {
    if (item.kind === "User") {
      const { record } = item;
      users.push({
        ...userView(account, record),
        UserPolicyList: inlineView(record),
        GroupList: [...record.groups],
        AttachedManagedPolicies: attachedView(record.attached),
      });
    } else if (item.kind === "Group") {
      const { record } = item;
      groups.push({
        ...groupView(account, record),
        GroupPolicyList: inlineView(record),
        AttachedManagedPolicies: attachedView(record.attached),
      });
    } else if (item.kind === "Role") roles.push(await roleDetail(question, item.record));
    else policies.push({ ...policyView(item.record), PolicyVersionList: versionViews(item.record) });
  }
  return { UserDetailList: users, GroupDetailList: groups, RoleDetailList: roles, Policies: policies, ...rest };
}

async function roleDetail(question: Question, role: RoleRecord): Promise<Sdk.RoleDetail> {
  const { account } = question;
  const profiles: Sdk.InstanceProfile[] = [];
  for (const name of role.profiles) {
    const profile = await question.get<InstanceProfileRecord>(iamKeys.instanceProfile(account, name));
    if (profile) profiles.push(profileView(account, profile, role));
  }
  return {
    ...roleView(account, role, (await question.get<LastUsedRecord>(iamKeys.lastUsed(role.id))) ?? "never"),
    InstanceProfileList: profiles,
    RolePolicyList: inlineView(role),
    AttachedManagedPolicies: attachedView(role.attached),
  };
}
