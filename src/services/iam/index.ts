import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { IamOperations } from "#api/generated/iam.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { createWriter } from "#store/unit.ts";
import { absent } from "./absent.ts";
import * as keys from "./access-keys.ts";
import * as account from "./account.ts";
import * as attachments from "./attachments.ts";
import { asking, type Change, changing, type Question } from "./context.ts";
import { getAccountAuthorizationDetails } from "./details.ts";
import * as groups from "./groups.ts";
import * as inline from "./inline.ts";
import * as profiles from "./instance-profiles.ts";
import * as oidc from "./oidc-providers.ts";
import * as policies from "./policies.ts";
import * as roles from "./roles.ts";
import * as linked from "./service-linked-roles.ts";
import * as tags from "./tags.ts";
import * as users from "./users.ts";

/** AWS Identity and Access Management: who there is, and what they may do. Global: no region is part of it. Source: IAM API Reference. */
export function createIam(serverDeps: ServerDeps): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const change = <I, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, operation);
  const ask = <I, O>(operation: (question: Question, input: I) => Promise<O>) => asking(deps, operation);

  /** An operation that only changes answers nothing. */
  const handlers: Handlers<IamOperations> = {
    ...absent(deps),
    CreateUser: change(users.createUser),
    GetUser: ask(users.getUser),
    ListUsers: ask(users.listUsers),
    UpdateUser: done(change(users.updateUser)),
    DeleteUser: done(change(users.deleteUser)),
    PutUserPermissionsBoundary: done(change(users.putUserPermissionsBoundary)),
    DeleteUserPermissionsBoundary: done(change(users.deleteUserPermissionsBoundary)),
    CreateAccessKey: change(keys.createAccessKey),
    ListAccessKeys: ask(keys.listAccessKeys),
    UpdateAccessKey: done(change(keys.updateAccessKey)),
    DeleteAccessKey: done(change(keys.deleteAccessKey)),
    GetAccessKeyLastUsed: ask(keys.getAccessKeyLastUsed),
    CreateGroup: change(groups.createGroup),
    GetGroup: ask(groups.getGroup),
    ListGroups: ask(groups.listGroups),
    ListGroupsForUser: ask(groups.listGroupsForUser),
    UpdateGroup: done(change(groups.updateGroup)),
    DeleteGroup: done(change(groups.deleteGroup)),
    AddUserToGroup: done(change(groups.addUserToGroup)),
    RemoveUserFromGroup: done(change(groups.removeUserFromGroup)),
    CreateRole: change(roles.createRole),
    GetRole: ask(roles.getRole),
    ListRoles: ask(roles.listRoles),
    UpdateRole: change(roles.updateRole),
    UpdateRoleDescription: change(roles.updateRoleDescription),
    UpdateAssumeRolePolicy: done(change(roles.updateAssumeRolePolicy)),
    DeleteRole: done(change(roles.deleteRole)),
    PutRolePermissionsBoundary: done(change(roles.putRolePermissionsBoundary)),
    DeleteRolePermissionsBoundary: done(change(roles.deleteRolePermissionsBoundary)),
    CreateServiceLinkedRole: change(linked.createServiceLinkedRole),
    DeleteServiceLinkedRole: change(linked.deleteServiceLinkedRole),
    GetServiceLinkedRoleDeletionStatus: ask(linked.getServiceLinkedRoleDeletionStatus),
    PutUserPolicy: done(change((at, input) => inline.putInline(at, "user", input.UserName, input))),
    PutGroupPolicy: done(change((at, input) => inline.putInline(at, "group", input.GroupName, input))),
    PutRolePolicy: done(change((at, input) => inline.putInline(at, "role", input.RoleName, input))),
    GetUserPolicy: ask(async (at, input) => {
      const { name, ...policy } = await inline.getInline(at, "user", input.UserName, input);
      return { UserName: name, ...policy };
    }),
    GetGroupPolicy: ask(async (at, input) => {
      const { name, ...policy } = await inline.getInline(at, "group", input.GroupName, input);
      return { GroupName: name, ...policy };
    }),
    GetRolePolicy: ask(async (at, input) => {
      const { name, ...policy } = await inline.getInline(at, "role", input.RoleName, input);
      return { RoleName: name, ...policy };
    }),
    DeleteUserPolicy: done(change((at, input) => inline.deleteInline(at, "user", input.UserName, input))),
    DeleteGroupPolicy: done(change((at, input) => inline.deleteInline(at, "group", input.GroupName, input))),
    DeleteRolePolicy: done(change((at, input) => inline.deleteInline(at, "role", input.RoleName, input))),
    ListUserPolicies: ask((at, input) => inline.listInline(at, "user", input.UserName, input)),
    ListGroupPolicies: ask((at, input) => inline.listInline(at, "group", input.GroupName, input)),
    ListRolePolicies: ask((at, input) => inline.listInline(at, "role", input.RoleName, input)),
    AttachUserPolicy: done(change((at, input) => attachments.attach(at, "user", input.UserName, input.PolicyArn!))),
    AttachGroupPolicy: done(change((at, input) => attachments.attach(at, "group", input.GroupName, input.PolicyArn!))),
    AttachRolePolicy: done(change((at, input) => attachments.attach(at, "role", input.RoleName, input.PolicyArn!))),
    DetachUserPolicy: done(change((at, input) => attachments.detach(at, "user", input.UserName, input.PolicyArn!))),
    DetachGroupPolicy: done(change((at, input) => attachments.detach(at, "group", input.GroupName, input.PolicyArn!))),
    DetachRolePolicy: done(change((at, input) => attachments.detach(at, "role", input.RoleName, input.PolicyArn!))),
    ListAttachedUserPolicies: ask((at, input) => attachments.listAttached(at, "user", input.UserName, input)),
    ListAttachedGroupPolicies: ask((at, input) => attachments.listAttached(at, "group", input.GroupName, input)),
    ListAttachedRolePolicies: ask((at, input) => attachments.listAttached(at, "role", input.RoleName, input)),
    ListEntitiesForPolicy: ask(attachments.listEntitiesForPolicy),
    CreatePolicy: change(policies.createPolicy),
    GetPolicy: ask(policies.getPolicy),
    ListPolicies: ask(policies.listPolicies),
    DeletePolicy: done(change(policies.deletePolicy)),
    CreatePolicyVersion: change(policies.createPolicyVersion),
    GetPolicyVersion: ask(policies.getPolicyVersion),
    ListPolicyVersions: ask(policies.listPolicyVersions),
    DeletePolicyVersion: done(change(policies.deletePolicyVersion)),
    SetDefaultPolicyVersion: done(change(policies.setDefaultPolicyVersion)),
    CreateInstanceProfile: change(profiles.createInstanceProfile),
    GetInstanceProfile: ask(profiles.getInstanceProfile),
    ListInstanceProfiles: ask(profiles.listInstanceProfiles),
    ListInstanceProfilesForRole: ask(profiles.listInstanceProfilesForRole),
    DeleteInstanceProfile: done(change(profiles.deleteInstanceProfile)),
    AddRoleToInstanceProfile: done(change(profiles.addRoleToInstanceProfile)),
    RemoveRoleFromInstanceProfile: done(change(profiles.removeRoleFromInstanceProfile)),
    CreateOpenIDConnectProvider: change(oidc.createProvider),
    GetOpenIDConnectProvider: ask(oidc.getProvider),
    ListOpenIDConnectProviders: ask(oidc.listProviders),
    DeleteOpenIDConnectProvider: done(change(oidc.deleteProvider)),
    AddClientIDToOpenIDConnectProvider: done(change(oidc.addClientId)),
    RemoveClientIDFromOpenIDConnectProvider: done(change(oidc.removeClientId)),
    UpdateOpenIDConnectProviderThumbprint: done(change(oidc.updateThumbprints)),
    TagUser: done(change((at, input) => tags.tag(at, "user", input.UserName!, input.Tags))),
    TagRole: done(change((at, input) => tags.tag(at, "role", input.RoleName!, input.Tags))),
    TagPolicy: done(change((at, input) => tags.tag(at, "policy", input.PolicyArn!, input.Tags))),
    TagInstanceProfile: done(change((at, input) => tags.tag(at, "instanceProfile", input.InstanceProfileName!, input.Tags))),
    TagOpenIDConnectProvider: done(change((at, input) => tags.tag(at, "oidcProvider", input.OpenIDConnectProviderArn!, input.Tags))),
    UntagUser: done(change((at, input) => tags.untag(at, "user", input.UserName!, input.TagKeys))),
    UntagRole: done(change((at, input) => tags.untag(at, "role", input.RoleName!, input.TagKeys))),
    UntagPolicy: done(change((at, input) => tags.untag(at, "policy", input.PolicyArn!, input.TagKeys))),
    UntagInstanceProfile: done(change((at, input) => tags.untag(at, "instanceProfile", input.InstanceProfileName!, input.TagKeys))),
    UntagOpenIDConnectProvider: done(change((at, input) => tags.untag(at, "oidcProvider", input.OpenIDConnectProviderArn!, input.TagKeys))),
    ListUserTags: ask((at, input) => tags.listTags(at, "user", input.UserName!, input)),
    ListRoleTags: ask((at, input) => tags.listTags(at, "role", input.RoleName!, input)),
    ListPolicyTags: ask((at, input) => tags.listTags(at, "policy", input.PolicyArn!, input)),
    ListInstanceProfileTags: ask((at, input) => tags.listTags(at, "instanceProfile", input.InstanceProfileName!, input)),
    ListOpenIDConnectProviderTags: ask((at, input) => tags.listTags(at, "oidcProvider", input.OpenIDConnectProviderArn!, input)),
    CreateAccountAlias: done(change(account.createAccountAlias)),
    DeleteAccountAlias: done(change(account.deleteAccountAlias)),
    ListAccountAliases: ask(account.listAccountAliases),
    GetAccountSummary: ask(account.getAccountSummary),
    GetAccountAuthorizationDetails: ask(getAccountAuthorizationDetails),
  };
  return { registrations: [{ service: "iam", handlers: handlers as Readonly<Record<string, Handler>> }] };
}

/** Answers nothing, whatever the operation returned. */
function done<I, C>(handler: (input: I, context: C) => Promise<void>): (input: I, context: C) => Promise<Record<string, never>> {
  return async (input, context) => {
    await handler(input, context);
    return {};
  };
}
