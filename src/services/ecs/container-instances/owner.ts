import { ApiError, type Principal } from "#api/contract.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";

/**
 * An instance belongs to whoever registered it first: an agent, a user, a role's session that is named after its machine (EC2's and Systems Manager's are),
 * or a role whose sessions have other names. Only they may speak for it; the root user may for every instance.
 */

/** Pure. What is written down of who registers. */
export function ownerOf({ account, userId, identity }: Pick<Principal, "account" | "userId" | "identity">): string {
  if (!identity) return account;
  if (identity.kind !== "AssumedRole" || /^m?i-[0-9a-f]+$/.test(identity.sessionName)) return userId;
  return userId.slice(0, userId.indexOf(":"));
}

/** Pure. Records of before there were owners belong to nobody but the root user, until an agent registers their instance again. */
export function speaksFor(principal: Principal, instance: Pick<ContainerInstanceRecord, "owner"> | undefined): boolean {
  return !principal.identity || (instance?.owner !== undefined && instance.owner === ownerOf(principal));
}

/** Who registers what is there already: its owner goes on, whoever registers it in their stead. */
export function nextOwner(principal: Principal, before: Pick<ContainerInstanceRecord, "owner"> | undefined): string {
  if (before?.owner !== undefined && !speaksFor(principal, before)) throw notYours(principal, "ecs:RegisterContainerInstance");
  return before?.owner ?? ownerOf(principal);
}

/** `what`: the ARN of the task or instance, where the caller named it. */
export const notYours = ({ arn }: Principal, action: string, what = "") =>
  new ApiError(
    "AccessDeniedException",
    `User: ${arn} is not authorized to perform: ${action}${what && ` on resource: ${what}`} because it is not the principal that registered the container instance`,
    400,
  );
