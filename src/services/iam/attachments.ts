import type * as Sdk from "@aws-sdk/client-iam";
import { iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { EntityKind, EntityRecord } from "#model/iam-records.ts";
import { byName, type Change, type EntityRecords, need, needOwn, page, type PageInput, put, type Question } from "./context.ts";
import { errors } from "./errors.ts";
import { countUse, needPolicy } from "./managed.ts";
import { checkPathPrefix, quotas } from "./rules.ts";
import { serviceRolePath } from "./roles.ts";

/** Managed policies on users, groups and roles. Source: IAM API Reference, "AttachRolePolicy" and its kin, "ListEntitiesForPolicy". */

const quotaNames: Readonly<Record<EntityKind, string>> = { user: "PoliciesPerUser", group: "PoliciesPerGroup", role: "PoliciesPerRole" };

export async function attach(change: Change, kind: EntityKind, name: string | undefined, arn: string): Promise<void> {
  const record = await needOwn(change, kind, name);
  const policy = await needPolicy(change, arn, errors.cannotAttach);
  if (policy.aws?.path.startsWith(serviceRolePath)) throw errors.notAttachable("Cannot attach a Service Role Policy to a Customer Role.");
  if (record.attached.includes(arn)) return;
  if (record.attached.length >= quotas.attachedPerEntity) throw errors.quota(quotaNames[kind], quotas.attachedPerEntity);
  await countUse(change, arn, "attachments", 1);
  put(change, kind, { ...record, attached: [...record.attached, arn] } as EntityRecords[EntityKind]);
}

export async function detach(change: Change, kind: EntityKind, name: string | undefined, arn: string): Promise<void> {
  const record = await needOwn(change, kind, name);
  if (!record.attached.includes(arn)) throw errors.noPolicy(arn);
  await countUse(change, arn, "attachments", -1);
  put(change, kind, { ...record, attached: record.attached.filter((each) => each !== arn) } as EntityRecords[EntityKind]);
}

export const attachedView = (arns: readonly string[]): Sdk.AttachedPolicy[] =>
  arns.map((arn) => ({ PolicyName: parseIamArn(arn)?.name, PolicyArn: arn }));

export async function listAttached(
  question: Question,
  kind: EntityKind,
  name: string | undefined,
  input: PageInput & { readonly PathPrefix?: string },
) {
  const record = await need(question, kind, name);
  const prefix = checkPathPrefix(input.PathPrefix);
  const arns = record.attached.filter((arn) => parseIamArn(arn)?.path.startsWith(prefix));
  const { items, ...rest } = page(question, arns.toSorted(), (arn) => arn, {
    operation: `ListAttached${kind}Policies`,
    asked: [record.name, prefix],
    ...input,
  });
  return { AttachedPolicies: attachedView(items), ...rest };
}

const filters: Readonly<Record<string, readonly EntityKind[]>> = { User: ["user"], Role: ["role"], Group: ["group"] };

export async function listEntitiesForPolicy(
  question: Question,
  input: Sdk.ListEntitiesForPolicyRequest,
): Promise<Sdk.ListEntitiesForPolicyResponse> {
  const { arn } = await needPolicy(question, input.PolicyArn!);
  const prefix = checkPathPrefix(input.PathPrefix);
  const usage = input.PolicyUsageFilter;
  const found: { readonly kind: EntityKind; readonly record: EntityRecord & { readonly boundary?: string } }[] = [];
  for (const kind of filters[input.EntityFilter ?? ""] ?? (["group", "role", "user"] as const))
    for (const record of await question.list<EntityRecord & { readonly boundary?: string }>(iamKeys.entities(question.account, kind))) {
      const attached = usage !== "PermissionsBoundary" && record.attached.includes(arn);
      const bounded = usage !== "PermissionsPolicy" && record.boundary === arn;
      if ((attached || bounded) && record.path.startsWith(prefix)) found.push({ kind, record });
    }
  const { items, ...rest } = page(question, found, ({ kind, record }) => `${kind} ${byName(record)}`, {
    operation: "ListEntitiesForPolicy",
    asked: [arn, prefix, usage, input.EntityFilter],
    ...input,
  });
  const of = (kind: EntityKind) => items.filter((item) => item.kind === kind).map((item) => item.record);
  return {
    PolicyGroups: of("group").map(({ name, id }) => ({ GroupName: name, GroupId: id })),
    PolicyUsers: of("user").map(({ name, id }) => ({ UserName: name, UserId: id })),
    PolicyRoles: of("role").map(({ name, id }) => ({ RoleName: name, RoleId: id })),
    ...rest,
  };
}
