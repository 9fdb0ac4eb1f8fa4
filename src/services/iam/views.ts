import type * as Sdk from "@aws-sdk/client-iam";
import type { AwsPolicy } from "#identity/aws-policies.ts";
import type { Tag } from "#model/ecs-records.ts";
import { iamArn } from "#model/iam-keys.ts";
import type {
  EntityKind,
  EntityRecord,
  GroupRecord,
  InstanceProfileRecord,
  LastUsedRecord,
  PolicyRecord,
  PolicyUse,
  RoleRecord,
  UserRecord,
} from "#model/iam-records.ts";
import { encoded } from "./documents.ts";

/** Records as IAM shows them. Lists leave out tags, boundary and last use, as AWS's do. */

export const entityArn = (account: string, kind: EntityKind, { path, name }: EntityRecord) => iamArn(account, `${kind}${path}${name}`);

export const tagsView = (tags: readonly Tag[]): Sdk.Tag[] => tags.map(({ key, value }) => ({ Key: key, Value: value }));

const someTags = (tags: readonly Tag[]) => (tags.length > 0 ? { Tags: tagsView(tags) } : {});

/** The type is `Policy` on the wire, whatever the SDK's list of values says. */
const boundaryView = (boundary: string | undefined): { PermissionsBoundary?: Sdk.AttachedPermissionsBoundary } =>
  boundary === undefined
    ? {}
    : {
        PermissionsBoundary: {
          PermissionsBoundaryType: "Policy" as Sdk.PermissionsBoundaryAttachmentType,
          PermissionsBoundaryArn: boundary,
        },
      };

export function userSummary(account: string, user: UserRecord): Sdk.User {
  return {
    Path: user.path,
    UserName: user.name,
    UserId: user.id,
    Arn: entityArn(account, "user", user),
    CreateDate: new Date(user.createdAt),
  };
}

export const userView = (account: string, user: UserRecord): Sdk.User => ({
  ...userSummary(account, user),
  ...boundaryView(user.boundary),
  ...someTags(user.tags),
});

export function groupView(account: string, group: GroupRecord): Sdk.Group {
  return {
    Path: group.path,
    GroupName: group.name,
    GroupId: group.id,
    Arn: entityArn(account, "group", group),
    CreateDate: new Date(group.createdAt),
  };
}

export function roleSummary(account: string, role: RoleRecord): Sdk.Role {
  return {
    Path: role.path,
    RoleName: role.name,
    RoleId: role.id,
    Arn: entityArn(account, "role", role),
    CreateDate: new Date(role.createdAt),
    AssumeRolePolicyDocument: encoded(role.trust),
    ...(role.description === undefined ? {} : { Description: role.description }),
    MaxSessionDuration: role.maxSessionDuration,
  };
}

/** `used` is left out of the answers of operations that change a role. */
export const roleView = (account: string, role: RoleRecord, used?: LastUsedRecord | "never"): Sdk.Role => ({
  ...roleSummary(account, role),
  ...boundaryView(role.boundary),
  ...someTags(role.tags),
  ...(used === undefined ? {} : { RoleLastUsed: used === "never" ? {} : { LastUsedDate: new Date(used.at), Region: used.region } }),
});

export function profileView(account: string, profile: InstanceProfileRecord, role: RoleRecord | undefined): Sdk.InstanceProfile {
  return {
    Path: profile.path,
    InstanceProfileName: profile.name,
    InstanceProfileId: profile.id,
    Arn: iamArn(account, `instance-profile${profile.path}${profile.name}`),
    CreateDate: new Date(profile.createdAt),
    Roles: role ? [roleSummary(account, role)] : [],
    ...someTags(profile.tags),
  };
}

export const policyArn = (account: string, { path, name }: PolicyRecord) => iamArn(account, `policy${path}${name}`);

/** A managed policy, the account's own or AWS's. */
export interface ManagedPolicy extends PolicyUse {
  readonly arn: string;
  readonly own?: PolicyRecord;
  readonly aws?: AwsPolicy;
}

export function policySummary({ arn, own, aws, attachments, boundaries }: ManagedPolicy): Sdk.Policy {
  const { name, id, path, createdAt, updatedAt } = (own ?? aws)!;
  return {
    PolicyName: name,
    PolicyId: id,
    Arn: arn,
    Path: path,
    DefaultVersionId: own?.defaultVersion ?? aws?.version,
    AttachmentCount: attachments,
    PermissionsBoundaryUsageCount: boundaries,
    IsAttachable: true,
    CreateDate: new Date(createdAt),
    UpdateDate: new Date(updatedAt),
  };
}

export function policyView(policy: ManagedPolicy): Sdk.Policy {
  const description = (policy.own ?? policy.aws)!.description;
  return {
    ...policySummary(policy),
    ...(description === undefined ? {} : { Description: description }),
    Tags: tagsView(policy.own?.tags ?? []),
  };
}
