import type * as Sdk from "@aws-sdk/client-iam";
import { newId } from "#identity/ids.ts";
import { iamArn, iamKeys } from "#model/iam-keys.ts";
import type { AccessKeyRecord, GroupRecord, UserRecord } from "#model/iam-records.ts";
import { byName, type Change, need, page, put, type Question, type Records } from "./context.ts";
import { errors } from "./errors.ts";
import { setBoundary } from "./managed.ts";
import { checkName, checkPathPrefix, mergedTags, pathOf, quotas } from "./rules.ts";
import { userSummary, userView } from "./views.ts";

/** Users. Source: IAM API Reference, "CreateUser" and its kin. */

/** The user who asks, when an operation names none. */
export function callersName({ context }: Records): string {
  const { identity } = context.principal;
  if (identity?.kind !== "User") throw errors.validation("Must specify userName when calling with non-User credentials");
  return identity.userName;
}

export async function createUser(change: Change, input: Sdk.CreateUserRequest): Promise<Sdk.CreateUserResponse> {
  const { account } = change;
  const name = input.UserName!;
  checkName("userName", name, 64);
  const path = pathOf(input.Path);
  const tags = mergedTags([], input.Tags);
  if (await change.get(iamKeys.entity(account, "user", name))) throw errors.entityExists("user", name);
  if ((await change.list(iamKeys.entities(account, "user"))).length >= quotas.users) throw errors.quota("UsersPerAccount", quotas.users);
  const boundary = await setBoundary(change, undefined, input.PermissionsBoundary);
  const user: UserRecord = {
    name,
    id: newId(change.random, "AIDA"),
    path,
    createdAt: change.now,
    policies: {},
    attached: [],
    groups: [],
    accessKeys: [],
    tags,
    ...(boundary === undefined ? {} : { boundary }),
  };
  put(change, "user", user);
  return { User: userView(account, user) };
}

export async function getUser(question: Question, { UserName }: Sdk.GetUserRequest): Promise<Sdk.GetUserResponse> {
  const { account, context } = question;
  if (UserName === undefined && context.principal.identity === undefined)
    // The root user has neither name nor path; it is as old as the account, which nobody wrote down.
    return {
      User: { Path: "/", UserName: undefined, UserId: account, Arn: iamArn(account, "root"), CreateDate: new Date(0) },
    };
  return { User: userView(account, await need(question, "user", UserName ?? callersName(question))) };
}

export async function listUsers(question: Question, input: Sdk.ListUsersRequest): Promise<Sdk.ListUsersResponse> {
  const prefix = checkPathPrefix(input.PathPrefix);
  const all = await question.list<UserRecord>(iamKeys.entities(question.account, "user"));
  const found = all.filter(({ path }) => path.startsWith(prefix));
  const { items, ...rest } = page(question, found, byName, { operation: "ListUsers", asked: prefix, ...input });
  return { Users: items.map((user) => userSummary(question.account, user)), ...rest };
}

export async function updateUser(change: Change, input: Sdk.UpdateUserRequest): Promise<void> {
  const { account } = change;
  const user = await need(change, "user", input.UserName);
  const name = input.NewUserName ?? user.name;
  checkName("newUserName", name, 64);
  const path = input.NewPath === undefined ? user.path : pathOf(input.NewPath, "newPath");
  const moved = name.toLowerCase() !== user.name.toLowerCase();
  if (moved && (await change.get(iamKeys.entity(account, "user", name)))) throw errors.entityExists("user", name);
  if (name !== user.name) {
    for (const each of user.groups) {
      const group = await need(change, "group", each);
      put(change, "group", { ...group, users: group.users.map((member) => (member === user.name ? name : member)) });
    }
    for (const id of user.accessKeys) {
      const key = await change.get<AccessKeyRecord>(iamKeys.accessKey(id));
      if (key) change.unit.put(iamKeys.accessKey(id), { ...key, user: name });
    }
  }
  if (moved) change.unit.delete(iamKeys.entity(account, "user", user.name));
  put(change, "user", { ...user, name, path });
}

export async function deleteUser(change: Change, { UserName }: Sdk.DeleteUserRequest): Promise<void> {
  const user = await need(change, "user", UserName);
  if (user.groups.length > 0) throw errors.conflict("Cannot delete entity, must remove users from group first.");
  if (user.accessKeys.length > 0) throw errors.conflict("Cannot delete entity, must delete access keys first.");
  if (Object.keys(user.policies).length > 0) throw errors.conflict("Cannot delete entity, must delete policies first.");
  if (user.attached.length > 0) throw errors.conflict("Cannot delete entity, must detach all policies first.");
  await setBoundary(change, user.boundary, undefined);
  change.unit.delete(iamKeys.entity(change.account, "user", user.name));
}

export async function putUserPermissionsBoundary(change: Change, input: Sdk.PutUserPermissionsBoundaryRequest): Promise<void> {
  const user = await need(change, "user", input.UserName);
  put(change, "user", { ...user, boundary: await setBoundary(change, user.boundary, input.PermissionsBoundary) });
}

export async function deleteUserPermissionsBoundary(change: Change, input: Sdk.DeleteUserPermissionsBoundaryRequest): Promise<void> {
  const { boundary, ...user } = await need(change, "user", input.UserName);
  if (boundary === undefined) throw errors.noSuchEntity(`The user with name ${user.name} has no permissions boundary.`);
  await setBoundary(change, boundary, undefined);
  put(change, "user", user);
}

export async function listGroupsForUser(question: Question, input: Sdk.ListGroupsForUserRequest) {
  const user = await need(question, "user", input.UserName);
  const groups: GroupRecord[] = [];
  for (const name of user.groups) {
    const group = await question.get<GroupRecord>(iamKeys.entity(question.account, "group", name));
    if (group) groups.push(group);
  }
  return page(
    question,
    groups.toSorted((a, b) => (byName(a) < byName(b) ? -1 : 1)),
    byName,
    { operation: "ListGroupsForUser", asked: user.name, ...input },
  );
}
