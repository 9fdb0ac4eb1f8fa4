import { drainMs } from "#model/elb-attributes.ts";
import type { LoadBalancerRecord, TargetGroupRecord, TargetHealthReason, TargetHealthRecord, TargetRecord } from "#model/elb-records.ts";

/** A target's health as the API shows it: registration and what the data plane saw, joined. Source: Elastic Load Balancing API Reference, "TargetHealth". */
export interface TargetHealthView {
  readonly state: "initial" | "healthy" | "unhealthy" | "draining" | "unused";
  readonly reason?: TargetHealthReason;
  readonly description?: string;
}

/** When a target that drains is gone, or undefined while it does not drain. Where nothing routes to its group, that is at once. */
export function goneAt(group: TargetGroupRecord, target: TargetRecord, inUse: boolean): number | undefined {
  if (target.deregisteringAt === undefined) return undefined;
  return target.deregisteringAt + (inUse ? drainMs(group) : 0);
}

/** Whether the target is still there; what has drained counts no more, though its record may wait for the sweeper. */
export function isRegistered(
  group: TargetGroupRecord,
  target: TargetRecord | undefined,
  inUse: boolean,
  now: number,
): target is TargetRecord {
  if (!target) return false;
  const gone = goneAt(group, target, inUse);
  return gone === undefined || gone > now;
}

/** `users`: the load balancers that route to the group. Pure. */
export function healthOf(
  group: TargetGroupRecord,
  target: TargetRecord | undefined,
  seen: TargetHealthRecord | undefined,
  users: readonly Pick<LoadBalancerRecord, "zones">[],
  now: number,
): TargetHealthView {
  if (!isRegistered(group, target, users.length > 0, now))
    return { state: "unused", reason: "Target.NotRegistered", description: "Target is not registered to the target group" };
  if (target.deregisteringAt !== undefined)
    return { state: "draining", reason: "Target.DeregistrationInProgress", description: "Target deregistration is in progress" };
  if (users.length === 0)
    return {
      state: "unused",
      reason: "Target.NotInUse",
      description: "Target group is not configured to receive traffic from the load balancer",
    };
  const zone = target.availabilityZone;
  if (zone !== undefined && zone !== "all" && !users.some(({ zones }) => zones.some(({ zoneName }) => zoneName === zone)))
    return {
      state: "unused",
      reason: "Target.NotInUse",
      description: "Target is in an Availability Zone that is not enabled for the load balancer",
    };
  if (seen?.registeredAt !== target.registeredAt)
    return { state: "initial", reason: "Elb.RegistrationInProgress", description: "Target registration is in progress" };
  return {
    state: seen.state,
    ...(seen.reason === undefined ? {} : { reason: seen.reason }),
    ...(seen.description === undefined ? {} : { description: seen.description }),
  };
}
