import type { MemberRecord } from "#model/autoscaling-records.ts";
import { drainingHook } from "#model/capacity-records.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";

/** A container instance, and how many tasks that are not a daemon's it has. */
export interface HostState {
  readonly record: ContainerInstanceRecord;
  readonly tasks: number;
}

const heartbeatMs = 3_600_000;

/**
 * What is to happen to an instance that is to go and is held by ECS's hook: it drains, the hook is kept alive while it has tasks, and lets go after the last. Pure. Source: ECS Developer Guide,
 * "Safely stop Amazon ECS workloads running on EC2 instances".
 */
export function drainingOf(
  member: MemberRecord,
  host: HostState | undefined,
  now: number,
): { readonly drain: boolean; readonly waiting?: NonNullable<MemberRecord["waiting"]> } {
  const { waiting } = member;
  const hook = waiting?.hooks.find(({ name }) => name === drainingHook);
  if (member.lifecycle !== "Terminating:Wait" || !waiting || !hook) return { drain: false };
  const others = waiting.hooks.filter(({ name }) => name !== drainingHook);
  if (!host) return { drain: false, waiting: { ...waiting, hooks: others } };
  // Tasks that are not services' run on until they end by themselves.
  if (host.tasks > 0) {
    const late = hook.until - now < heartbeatMs / 2;
    const drain = host.record.status === "ACTIVE";
    return late ? { drain, waiting: { ...waiting, hooks: [...others, { name: drainingHook, until: now + heartbeatMs }] } } : { drain };
  }
  // Nothing may come in between: it drains first, and lets go when that is written.
  if (host.record.status === "ACTIVE") return { drain: true };
  return { drain: false, waiting: { ...waiting, hooks: others } };
}
