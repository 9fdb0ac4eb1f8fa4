import type * as Sdk from "@aws-sdk/client-iam";
import { newId } from "#identity/ids.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { InstanceProfileRecord, RoleRecord } from "#model/iam-records.ts";
import { byName, type Change, need, needOwn, page, put, type Question, type Records } from "./context.ts";
import { errors } from "./errors.ts";
import { checkName, checkPathPrefix, mergedTags, pathOf, quotas } from "./rules.ts";
import { profileView } from "./views.ts";

/** Instance profiles: each holds one role at most. Source: IAM API Reference, "CreateInstanceProfile" and its kin. */

export async function needProfile(records: Records, name: string | undefined): Promise<InstanceProfileRecord> {
  const profile = await records.get<InstanceProfileRecord>(iamKeys.instanceProfile(records.account, name ?? ""));
  if (!profile) throw errors.noProfile(name ?? "");
  return profile;
}

const putProfile = (change: Change, profile: InstanceProfileRecord) =>
  change.unit.put(iamKeys.instanceProfile(change.account, profile.name), profile);

/** With its role. */
export async function showProfile(records: Records, profile: InstanceProfileRecord): Promise<Sdk.InstanceProfile> {
  const { account } = records;
  const role = profile.role === undefined ? undefined : await records.get<RoleRecord>(iamKeys.entity(account, "role", profile.role));
  return profileView(account, profile, role);
}

export async function createInstanceProfile(
  change: Change,
  input: Sdk.CreateInstanceProfileRequest,
): Promise<Sdk.CreateInstanceProfileResponse> {
  const { account } = change;
  const name = input.InstanceProfileName!;
  checkName("instanceProfileName", name, 128);
  const path = pathOf(input.Path);
  const tags = mergedTags([], input.Tags);
  if (await change.get(iamKeys.instanceProfile(account, name))) throw errors.exists(`Instance Profile ${name} already exists.`);
  if ((await change.list(iamKeys.instanceProfiles(account))).length >= quotas.instanceProfiles)
    throw errors.quota("InstanceProfilesPerAccount", quotas.instanceProfiles);
  const profile: InstanceProfileRecord = { name, id: newId(change.random, "AIPA"), path, createdAt: change.now, tags };
  putProfile(change, profile);
  return { InstanceProfile: await showProfile(change, profile) };
}

export async function getInstanceProfile(
  question: Question,
  { InstanceProfileName }: Sdk.GetInstanceProfileRequest,
): Promise<Sdk.GetInstanceProfileResponse> {
  return { InstanceProfile: await showProfile(question, await needProfile(question, InstanceProfileName)) };
}

async function pageOfProfiles(
  question: Question,
  found: readonly InstanceProfileRecord[],
  request: Parameters<typeof page>[3],
): Promise<Sdk.ListInstanceProfilesResponse> {
  const { items, ...rest } = page(question, found, byName, request);
  return { InstanceProfiles: await Promise.all(items.map((profile) => showProfile(question, profile))), ...rest };
}

export async function listInstanceProfiles(question: Question, input: Sdk.ListInstanceProfilesRequest) {
  const prefix = checkPathPrefix(input.PathPrefix);
  const all = await question.list<InstanceProfileRecord>(iamKeys.instanceProfiles(question.account));
  const found = all.filter(({ path }) => path.startsWith(prefix));
  return pageOfProfiles(question, found, { operation: "ListInstanceProfiles", asked: prefix, ...input });
}

export async function listInstanceProfilesForRole(question: Question, input: Sdk.ListInstanceProfilesForRoleRequest) {
  const role = await need(question, "role", input.RoleName);
  const found: InstanceProfileRecord[] = [];
  for (const name of role.profiles.toSorted((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)))
    found.push(await needProfile(question, name));
  return pageOfProfiles(question, found, { operation: "ListInstanceProfilesForRole", asked: role.name, ...input });
}

export async function deleteInstanceProfile(change: Change, { InstanceProfileName }: Sdk.DeleteInstanceProfileRequest): Promise<void> {
  const profile = await needProfile(change, InstanceProfileName);
  if (profile.role !== undefined) throw errors.conflict("Cannot delete entity, must remove roles from instance profile first.");
  change.unit.delete(iamKeys.instanceProfile(change.account, profile.name));
}

export async function addRoleToInstanceProfile(change: Change, input: Sdk.AddRoleToInstanceProfileRequest): Promise<void> {
  const profile = await needProfile(change, input.InstanceProfileName);
  const role = await needOwn(change, "role", input.RoleName);
  if (profile.role !== undefined) throw errors.quota("InstanceSessionsPerInstanceProfile", 1);
  putProfile(change, { ...profile, role: role.name });
  put(change, "role", { ...role, profiles: [...role.profiles, profile.name] });
}

export async function removeRoleFromInstanceProfile(change: Change, input: Sdk.RemoveRoleFromInstanceProfileRequest): Promise<void> {
  const { role: held, ...profile } = await needProfile(change, input.InstanceProfileName);
  const role = await needOwn(change, "role", input.RoleName);
  if (held !== role.name) throw errors.noEntity("role", role.name);
  putProfile(change, profile);
  put(change, "role", { ...role, profiles: role.profiles.filter((name) => name !== profile.name) });
}
