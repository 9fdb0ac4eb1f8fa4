import { ApiError, type RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { autoscalingKeys, type GroupRecord, type MemberRecord } from "#model/autoscaling-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { LaunchError } from "#reconcilers/instances/launch.ts";
import { changeVpc, ensureDefaultVpc } from "#reconcilers/vpc/make-vpc.ts";
import type { Unit, Writer } from "#store/unit.ts";

export interface AutoScalingDeps extends ServerDeps {
  readonly writer: Writer;
}

/** What an operation that changes something is given: one transaction of EC2's queue, in which the reconciler of groups writes too. */
export interface Change {
  readonly unit: Unit;
  readonly scope: Scope;
  readonly now: number;
  readonly deps: AutoScalingDeps;
}

export interface Question {
  readonly scope: Scope;
  readonly deps: AutoScalingDeps;
}

/** Source: Amazon EC2 Auto Scaling API Reference, "Common errors" and each operation's own. */
export const autoscalingErrors = {
  validation: (message: string) => new ApiError("ValidationError", message),
  exists: (message: string) => new ApiError("AlreadyExists", message),
  inUse: (message: string) => new ApiError("ResourceInUse", message),
  inProgress: () =>
    new ApiError(
      "ScalingActivityInProgress",
      "You cannot delete an AutoScalingGroup while there are scaling activities in progress for that group.",
    ),
  noGroup: () => new ApiError("ValidationError", "AutoScalingGroup name not found - AutoScalingGroup not found"),
  badToken: () => new ApiError("InvalidNextToken", "The NextToken value is not valid."),
  notYet: (what: string) => new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501),
};

export const changing =
  <I extends object, O>(deps: AutoScalingDeps, operation: (change: Change, input: I) => Promise<O>) =>
  async (input: I, { account, region, now }: RequestContext): Promise<O> => {
    const scope = { account, region };
    await ensureDefaultVpc(deps, scope, deps.random);
    try {
      return await changeVpc(deps.writer, scope, (unit) => operation({ unit, scope, now, deps }, input));
    } catch (error) {
      throw error instanceof LaunchError ? autoscalingErrors.validation(`${error.message}`) : error;
    }
  };

export const asking =
  <I extends object, O>(deps: AutoScalingDeps, operation: (question: Question, input: I) => Promise<O>) =>
  (input: I, { account, region }: RequestContext): Promise<O> =>
    operation({ scope: { account, region }, deps }, input);

export async function needGroup({ unit, scope }: Change, name = ""): Promise<GroupRecord> {
  const group = await unit.get<GroupRecord>(autoscalingKeys.group(scope, name));
  if (!group || group.deleting) throw autoscalingErrors.noGroup();
  return group;
}

export const putGroup = ({ unit, scope }: Change, group: GroupRecord): void => unit.put(autoscalingKeys.group(scope, group.name), group);

export const putMember = ({ unit, scope }: Change, member: MemberRecord): void =>
  unit.put(autoscalingKeys.member(scope, member.group, member.id), member);

export async function membersOf({ unit, scope }: Change, group: string): Promise<MemberRecord[]> {
  return [...(await unit.list<MemberRecord>(autoscalingKeys.membersOf(scope, group))).values()];
}

/** The instance, of whatever group. */
export async function memberOf({ unit, scope }: Change, id: string): Promise<MemberRecord> {
  const found = [...(await unit.list<MemberRecord>(autoscalingKeys.members(scope))).values()].find((each) => each.id === id);
  if (!found) throw autoscalingErrors.validation(`Instance Id not found - No managed instance found for instance ID: ${id}`);
  return found;
}
