import { ApiError, type Principal } from "#api/contract.ts";
import { instancesAttribute } from "#agent-protocol/instances.ts";
import { hostAttribute } from "#agent-protocol/load-balancers.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { fargateAttribute } from "#reconcilers/nodes.ts";
import type { MachineIdentity } from "./identity-document.ts";

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

/**
 * What an agent may not say of its machine. A local EC2 instance's registers that instance and no other; and neither it nor that of a machine that joined takes in what has credentials of others:
 * local instances, Fargate's tasks, load balancers.
 */
export function checkClaims(
  principal: Principal,
  { instanceId }: Pick<MachineIdentity, "instanceId">,
  attributes: readonly { readonly name?: string | undefined; readonly value?: string | undefined }[],
): void {
  const { identity } = principal;
  if (identity?.kind !== "Agent" || (identity.machine === undefined && identity.instanceRegion === undefined)) return;
  if (identity.instanceRegion !== undefined && instanceId !== identity.node) throw notIts(principal, "instanceIdentityDocument");
  const claimed = attributes.find(({ name = "", value }) => ofTheServer.has(name) && value !== undefined && value !== "false");
  if (claimed) throw notIts(principal, claimed.name!);
}

const ofTheServer: ReadonlySet<string> = new Set([instancesAttribute, hostAttribute, fargateAttribute]);

const notIts = ({ arn }: Principal, what: string) =>
  new ApiError(
    "AccessDeniedException",
    `User: ${arn} is not authorized to perform: ecs:RegisterContainerInstance because ${what} is not that of its own machine`,
    400,
  );

/** `what`: the ARN of the task or instance, where the caller named it. */
export const notYours = ({ arn }: Principal, action: string, what = "") =>
  new ApiError(
    "AccessDeniedException",
    `User: ${arn} is not authorized to perform: ${action}${what && ` on resource: ${what}`} because it is not the principal that registered the container instance`,
    400,
  );
