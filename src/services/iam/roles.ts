import type * as Sdk from "@aws-sdk/client-iam";
import { newId } from "#identity/ids.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { LastUsedRecord, RoleRecord } from "#model/iam-records.ts";
import { byName, type Change, need, needOwn, page, put, type Question } from "./context.ts";
import { checkTrust } from "./documents.ts";
import { errors } from "./errors.ts";
import { setBoundary } from "./managed.ts";
import { checkDescription, checkName, checkPathPrefix, maxSessionDurationOf, mergedTags, pathOf, quotas } from "./rules.ts";
import { roleSummary, roleView } from "./views.ts";

/** Roles. Source: IAM API Reference, "CreateRole" and its kin. */

export const serviceRolePath = "/aws-service-role/";

/** Writes a role that is new. Throws EntityAlreadyExists, LimitExceeded. */
export async function addRole(
  change: Change,
  given: Pick<RoleRecord, "name" | "path" | "trust" | "maxSessionDuration" | "tags" | "attached"> & {
    readonly description?: string;
    readonly boundary?: string;
    readonly service?: string;
  },
): Promise<RoleRecord> {
  const { account } = change;
  if (await change.get(iamKeys.entity(account, "role", given.name))) throw errors.entityExists("role", given.name);
  const all = await change.list<RoleRecord>(iamKeys.entities(account, "role"));
  // AWS's own do not count.
  if (given.service === undefined && all.filter(({ service }) => service === undefined).length >= quotas.roles)
    throw errors.quota("RolesPerAccount", quotas.roles);
  const role: RoleRecord = { ...given, id: newId(change.random, "AROA"), createdAt: change.now, policies: {}, profiles: [] };
  put(change, "role", role);
  return role;
}

export async function createRole(change: Change, input: Sdk.CreateRoleRequest): Promise<Sdk.CreateRoleResponse> {
  const name = input.RoleName!;
  checkName("roleName", name, 64);
  const path = pathOf(input.Path);
  if (path.startsWith(serviceRolePath))
    throw errors.invalidInput(`Roles with the path ${serviceRolePath} are service-linked roles: CreateServiceLinkedRole makes them.`);
  checkDescription(input.Description);
  const maxSessionDuration = maxSessionDurationOf(input.MaxSessionDuration);
  const tags = mergedTags([], input.Tags);
  const trust = input.AssumeRolePolicyDocument!;
  await checkTrust(change, trust);
  const boundary = await setBoundary(change, undefined, input.PermissionsBoundary);
  const role = await addRole(change, {
    name,
    path,
    trust,
    ...(input.Description === undefined ? {} : { description: input.Description }),
    maxSessionDuration,
    tags,
    attached: [],
    ...(boundary === undefined ? {} : { boundary }),
  });
  return { Role: roleView(change.account, role) };
}

export async function getRole(question: Question, { RoleName }: Sdk.GetRoleRequest): Promise<Sdk.GetRoleResponse> {
  const role = await need(question, "role", RoleName);
  return { Role: roleView(question.account, role, (await question.get<LastUsedRecord>(iamKeys.lastUsed(role.id))) ?? "never") };
}

export async function listRoles(question: Question, input: Sdk.ListRolesRequest): Promise<Sdk.ListRolesResponse> {
  const prefix = checkPathPrefix(input.PathPrefix);
  const all = await question.list<RoleRecord>(iamKeys.entities(question.account, "role"));
  const found = all.filter(({ path }) => path.startsWith(prefix));
  const { items, ...rest } = page(question, found, byName, { operation: "ListRoles", asked: prefix, ...input });
  return { Roles: items.map((role) => roleSummary(question.account, role)), ...rest };
}

export async function updateRole(change: Change, input: Sdk.UpdateRoleRequest): Promise<Sdk.UpdateRoleResponse> {
  const role = await need(change, "role", input.RoleName);
  checkDescription(input.Description);
  // Of a service-linked role the description may be changed, nothing else.
  if (role.service !== undefined && input.MaxSessionDuration !== undefined) throw errors.protectedRole(role.name);
  put(change, "role", {
    ...role,
    description: input.Description ?? "",
    maxSessionDuration: role.service === undefined ? maxSessionDurationOf(input.MaxSessionDuration) : role.maxSessionDuration,
  });
  return {};
}

export async function updateRoleDescription(
  change: Change,
  input: Sdk.UpdateRoleDescriptionRequest,
): Promise<Sdk.UpdateRoleDescriptionResponse> {
  checkDescription(input.Description);
  const role = { ...(await need(change, "role", input.RoleName)), description: input.Description! };
  put(change, "role", role);
  return { Role: roleView(change.account, role) };
}

export async function updateAssumeRolePolicy(change: Change, input: Sdk.UpdateAssumeRolePolicyRequest): Promise<void> {
  const role = await needOwn(change, "role", input.RoleName);
  await checkTrust(change, input.PolicyDocument!);
  put(change, "role", { ...role, trust: input.PolicyDocument! });
}

export async function deleteRole(change: Change, { RoleName }: Sdk.DeleteRoleRequest): Promise<void> {
  const role = await needOwn(change, "role", RoleName);
  if (role.profiles.length > 0) throw errors.conflict("Cannot delete entity, must remove roles from instance profile first.");
  if (role.attached.length > 0) throw errors.conflict("Cannot delete entity, must detach all policies first.");
  if (Object.keys(role.policies).length > 0) throw errors.conflict("Cannot delete entity, must delete policies first.");
  await setBoundary(change, role.boundary, undefined);
  change.unit.delete(iamKeys.entity(change.account, "role", role.name));
  change.unit.delete(iamKeys.lastUsed(role.id));
}

export async function putRolePermissionsBoundary(change: Change, input: Sdk.PutRolePermissionsBoundaryRequest): Promise<void> {
  const role = await needOwn(change, "role", input.RoleName);
  put(change, "role", { ...role, boundary: await setBoundary(change, role.boundary, input.PermissionsBoundary) });
}

export async function deleteRolePermissionsBoundary(change: Change, input: Sdk.DeleteRolePermissionsBoundaryRequest): Promise<void> {
  const { boundary, ...role } = await needOwn(change, "role", input.RoleName);
  if (boundary === undefined) throw errors.noSuchEntity(`The role with name ${role.name} has no permissions boundary.`);
  await setBoundary(change, boundary, undefined);
  put(change, "role", role);
}
