import type * as Sdk from "@aws-sdk/client-auto-scaling";
import { autoscalingKeys, type GroupRecord, type HookRecord } from "#model/autoscaling-records.ts";
import { autoscalingErrors, type Change, memberOf, needGroup, putMember, type Question } from "./context.ts";

/** Lifecycle hooks of instances that are to go. Source: Amazon EC2 Auto Scaling API Reference, "PutLifecycleHook" and its kin. */

const { validation, notYet } = autoscalingErrors;

export async function putLifecycleHook(change: Change, input: Sdk.PutLifecycleHookType): Promise<Sdk.PutLifecycleHookAnswer> {
  const group = await needGroup(change, input.AutoScalingGroupName);
  const before = await change.unit.get<HookRecord>(autoscalingKeys.hook(change.scope, group.name, input.LifecycleHookName ?? ""));
  if (!before && input.LifecycleTransition === undefined) throw validation("LifecycleTransition is required for a new lifecycle hook.");
  putHooks(change, group, [{ ...input, LifecycleTransition: input.LifecycleTransition ?? before?.transition }], before);
  return {};
}

export function putHooks(
  { unit, scope }: Change,
  group: GroupRecord,
  specifications: readonly Partial<Sdk.LifecycleHookSpecification>[],
  before?: HookRecord,
): void {
  for (const given of specifications) {
    const name = given.LifecycleHookName ?? "";
    if (!/^[A-Za-z0-9\-_/]{1,255}$/.test(name)) throw validation("A lifecycle hook's name has 1 to 255 letters, digits, and - _ /.");
    if (given.LifecycleTransition === "autoscaling:EC2_INSTANCE_LAUNCHING") throw notYet("lifecycle hooks of instances that are launched");
    if (given.LifecycleTransition !== "autoscaling:EC2_INSTANCE_TERMINATING")
      throw validation(`Lifecycle Transition must be one of [autoscaling:EC2_INSTANCE_LAUNCHING, autoscaling:EC2_INSTANCE_TERMINATING]`);
    const heartbeatSeconds = given.HeartbeatTimeout ?? before?.heartbeatSeconds ?? 3600;
    if (!Number.isInteger(heartbeatSeconds) || heartbeatSeconds < 30 || heartbeatSeconds > 7200)
      throw validation("HeartbeatTimeout must be between 30 and 7200 seconds.");
    const defaultResult = given.DefaultResult ?? before?.defaultResult ?? "ABANDON";
    if (defaultResult !== "CONTINUE" && defaultResult !== "ABANDON") throw validation("DefaultResult must be CONTINUE or ABANDON.");
    unit.put(autoscalingKeys.hook(scope, group.name, name), {
      name,
      group: group.name,
      transition: given.LifecycleTransition,
      heartbeatSeconds,
      defaultResult,
      ...(given.NotificationTargetARN ? { notificationTarget: given.NotificationTargetARN } : {}),
      ...(given.RoleARN ? { roleArn: given.RoleARN } : {}),
      ...(given.NotificationMetadata ? { notificationMetadata: given.NotificationMetadata } : {}),
    } satisfies HookRecord);
  }
}

export async function deleteLifecycleHook(change: Change, input: Sdk.DeleteLifecycleHookType): Promise<Sdk.DeleteLifecycleHookAnswer> {
  const group = await needGroup(change, input.AutoScalingGroupName);
  const key = autoscalingKeys.hook(change.scope, group.name, input.LifecycleHookName ?? "");
  if (!(await change.unit.get(key))) throw validation(`No Lifecycle Hook found with name: ${input.LifecycleHookName}`);
  change.unit.delete(key);
  return {};
}

export async function describeLifecycleHooks(
  { scope, deps }: Question,
  input: Sdk.DescribeLifecycleHooksType,
): Promise<Sdk.DescribeLifecycleHooksAnswer> {
  const name = input.AutoScalingGroupName ?? "";
  if (!(await deps.store.get(autoscalingKeys.group(scope, name)))) throw autoscalingErrors.noGroup();
  const { entries } = await deps.store.list<HookRecord>(autoscalingKeys.hooksOf(scope, name));
  const wanted = input.LifecycleHookNames ?? [];
  return {
    LifecycleHooks: entries
      .map(({ value }) => value)
      .filter((hook) => wanted.length === 0 || wanted.includes(hook.name))
      .map((hook) => ({
        LifecycleHookName: hook.name,
        AutoScalingGroupName: hook.group,
        LifecycleTransition: hook.transition,
        HeartbeatTimeout: hook.heartbeatSeconds,
        GlobalTimeout: Math.min(172_800, hook.heartbeatSeconds * 100),
        DefaultResult: hook.defaultResult,
        NotificationTargetARN: hook.notificationTarget,
        RoleARN: hook.roleArn,
        NotificationMetadata: hook.notificationMetadata,
      })),
  };
}

async function waiting(
  change: Change,
  input: { InstanceId?: string; LifecycleActionToken?: string; LifecycleHookName?: string; AutoScalingGroupName?: string },
) {
  const group = await needGroup(change, input.AutoScalingGroupName);
  const nothing = () =>
    validation(
      `No active Lifecycle Action found with ${input.InstanceId ? `instance ID ${input.InstanceId}` : `token ${input.LifecycleActionToken}`}`,
    );
  const members = [
    ...(await change.unit.list<Awaited<ReturnType<typeof memberOf>>>(autoscalingKeys.membersOf(change.scope, group.name))).values(),
  ];
  const member = members.find(
    ({ id, waiting: each }) => each && (input.InstanceId ? id === input.InstanceId : each.token === input.LifecycleActionToken),
  );
  const hooks = member?.waiting?.hooks ?? [];
  if (!member?.waiting || !hooks.some(({ name }) => name === input.LifecycleHookName)) throw nothing();
  return { member, hooks, token: member.waiting.token };
}

/** An instance that is to go goes either way: ABANDON only leaves out the other hooks. */
export async function completeLifecycleAction(change: Change, input: Sdk.CompleteLifecycleActionType): Promise<object> {
  const { member, hooks, token } = await waiting(change, input);
  if (input.LifecycleActionResult !== "CONTINUE" && input.LifecycleActionResult !== "ABANDON")
    throw validation("LifecycleActionResult must be CONTINUE or ABANDON.");
  const left = input.LifecycleActionResult === "ABANDON" ? [] : hooks.filter(({ name }) => name !== input.LifecycleHookName);
  putMember(change, { ...member, waiting: { token, hooks: left } });
  return {};
}

export async function recordLifecycleActionHeartbeat(change: Change, input: Sdk.RecordLifecycleActionHeartbeatType): Promise<object> {
  const { member, hooks, token } = await waiting(change, input);
  const hook = await change.unit.get<HookRecord>(autoscalingKeys.hook(change.scope, member.group, input.LifecycleHookName ?? ""));
  const until = change.now + (hook?.heartbeatSeconds ?? 3600) * 1000;
  putMember(change, {
    ...member,
    waiting: { token, hooks: hooks.map((each) => (each.name === input.LifecycleHookName ? { ...each, until } : each)) },
  });
  return {};
}
