import type * as Sdk from "@aws-sdk/client-iam";
import { newId } from "#identity/ids.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { GroupRecord, UserRecord } from "#model/iam-records.ts";
import { byName, type Change, need, page, put, type Question } from "./context.ts";
import { errors } from "./errors.ts";
import { checkName, checkPathPrefix, pathOf, quotas } from "./rules.ts";
import { groupView, userSummary } from "./views.ts";
import { listGroupsForUser as groupsOf } from "./users.ts";

/** Groups and who is in them: a membership stands in both records, written together. Source: IAM API Reference, "CreateGroup" and its kin. */

export async function createGroup(change: Change, input: Sdk.CreateGroupRequest): Promise<Sdk.CreateGroupResponse> {
  const { account } = change;
  const name = input.GroupName!;
  checkName("groupName", name, 128);
  const path = pathOf(input.Path);
  if (await change.get(iamKeys.entity(account, "group", name))) throw errors.entityExists("group", name);
  if ((await change.list(iamKeys.entities(account, "group"))).length >= quotas.groups)
    throw errors.quota("GroupsPerAccount", quotas.groups);
  const group: GroupRecord = {
    name,
    id: newId(change.random, "AGPA"),
    path,
    createdAt: change.now,
    policies: {},
    attached: [],
    users: [],
  };
  put(change, "group", group);
  return { Group: groupView(account, group) };
}

export async function getGroup(question: Question, input: Sdk.GetGroupRequest): Promise<Sdk.GetGroupResponse> {
  const { account } = question;
  const group = await need(question, "group", input.GroupName);
  const names = group.users.toSorted((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
  const { items, ...rest } = page(question, names, (name) => name.toLowerCase(), { operation: "GetGroup", asked: group.name, ...input });
  const users: Sdk.User[] = [];
  for (const name of items) {
    const user = await question.get<UserRecord>(iamKeys.entity(account, "user", name));
    if (user) users.push(userSummary(account, user));
  }
  return { Group: groupView(account, group), Users: users, ...rest };
}

export async function listGroups(question: Question, input: Sdk.ListGroupsRequest): Promise<Sdk.ListGroupsResponse> {
  const prefix = checkPathPrefix(input.PathPrefix);
  const all = await question.list<GroupRecord>(iamKeys.entities(question.account, "group"));
  const found = all.filter(({ path }) => path.startsWith(prefix));
  const { items, ...rest } = page(question, found, byName, { operation: "ListGroups", asked: prefix, ...input });
  return { Groups: items.map((group) => groupView(question.account, group)), ...rest };
}

export async function listGroupsForUser(question: Question, input: Sdk.ListGroupsForUserRequest): Promise<Sdk.ListGroupsForUserResponse> {
  const { items, ...rest } = await groupsOf(question, input);
  return { Groups: items.map((group) => groupView(question.account, group)), ...rest };
}

export async function updateGroup(change: Change, input: Sdk.UpdateGroupRequest): Promise<void> {
  const { account } = change;
  const group = await need(change, "group", input.GroupName);
  const name = input.NewGroupName ?? group.name;
  checkName("newGroupName", name, 128);
  const path = input.NewPath === undefined ? group.path : pathOf(input.NewPath, "newPath");
  const moved = name.toLowerCase() !== group.name.toLowerCase();
  if (moved && (await change.get(iamKeys.entity(account, "group", name)))) throw errors.entityExists("group", name);
  if (name !== group.name)
    for (const each of group.users) {
      const user = await need(change, "user", each);
      put(change, "user", { ...user, groups: user.groups.map((known) => (known === group.name ? name : known)) });
    }
  if (moved) change.unit.delete(iamKeys.entity(account, "group", group.name));
  put(change, "group", { ...group, name, path });
}

export async function deleteGroup(change: Change, { GroupName }: Sdk.DeleteGroupRequest): Promise<void> {
  const group = await need(change, "group", GroupName);
  if (group.users.length > 0) throw errors.conflict("Cannot delete entity, must remove users from group first.");
  if (Object.keys(group.policies).length > 0) throw errors.conflict("Cannot delete entity, must delete policies first.");
  if (group.attached.length > 0) throw errors.conflict("Cannot delete entity, must detach all policies first.");
  change.unit.delete(iamKeys.entity(change.account, "group", group.name));
}

export async function addUserToGroup(change: Change, input: Sdk.AddUserToGroupRequest): Promise<void> {
  const group = await need(change, "group", input.GroupName);
  const user = await need(change, "user", input.UserName);
  if (user.groups.includes(group.name)) return;
  if (user.groups.length >= quotas.groupsPerUser) throw errors.quota("GroupsPerUser", quotas.groupsPerUser);
  put(change, "group", { ...group, users: [...group.users, user.name] });
  put(change, "user", { ...user, groups: [...user.groups, group.name] });
}

export async function removeUserFromGroup(change: Change, input: Sdk.RemoveUserFromGroupRequest): Promise<void> {
  const group = await need(change, "group", input.GroupName);
  const user = await need(change, "user", input.UserName);
  if (!user.groups.includes(group.name)) throw errors.noSuchEntity(`User ${user.name} is not in group ${group.name}.`);
  put(change, "group", { ...group, users: group.users.filter((name) => name !== user.name) });
  put(change, "user", { ...user, groups: user.groups.filter((name) => name !== group.name) });
}
