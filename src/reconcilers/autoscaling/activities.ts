import { autoscalingKeys, type ActivityRecord, type GroupRecord, type HookRecord, type MemberRecord } from "#model/autoscaling-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";

/** What groups do, as DescribeScalingActivities shows it: written in the transaction of what was done. Source: Amazon EC2 Auto Scaling API Reference, "Activity". */

export function startActivity(
  unit: Unit,
  scope: Scope,
  group: GroupRecord,
  given: {
    readonly random: Random;
    readonly now: number;
    readonly description: string;
    readonly cause: string;
    readonly zone: string;
    readonly subnet?: string;
  },
): { readonly id: string; readonly startedAt: number } {
  const activity: ActivityRecord = {
    id: given.random.uuid(),
    group: group.name,
    description: given.description,
    cause: given.cause,
    startedAt: given.now,
    status: "InProgress",
    progress: 50,
    details: JSON.stringify({ ...(given.subnet ? { "Subnet ID": given.subnet } : {}), "Availability Zone": given.zone }),
  };
  unit.put(autoscalingKeys.activity(scope, group.name, activity), activity);
  return { id: activity.id, startedAt: activity.startedAt };
}

const keptActivities = 100;

export async function finishActivity(
  unit: Unit,
  scope: Scope,
  group: string,
  activity: { readonly id: string; readonly startedAt: number },
  status: ActivityRecord["status"],
  now: number,
  statusMessage?: string,
): Promise<void> {
  const key = autoscalingKeys.activity(scope, group, activity);
  const record = await unit.get<ActivityRecord>(key);
  if (!record || record.endedAt !== undefined) return;
  unit.put(key, { ...record, status, progress: 100, endedAt: now, ...(statusMessage ? { statusMessage } : {}) } satisfies ActivityRecord);
  const keys = [...(await unit.list(autoscalingKeys.activitiesOf(scope, group))).keys()].toSorted();
  for (const old of keys.slice(0, Math.max(0, keys.length - keptActivities))) unit.delete(old);
}

/** The instance is on its way out: hooks of the group hold it, until each is completed or its time is over. */
export async function beginTermination(
  unit: Unit,
  scope: Scope,
  group: GroupRecord,
  member: MemberRecord,
  cause: string,
  { random, now, hooks: withHooks }: { readonly random: Random; readonly now: number; readonly hooks: boolean },
): Promise<{ readonly id: string; readonly startedAt: number }> {
  const hooks = withHooks ? [...(await unit.list<HookRecord>(autoscalingKeys.hooksOf(scope, group.name))).values()] : [];
  const at = new Date(now).toISOString().replace(/\.\d+Z$/, "Z");
  const activity = startActivity(unit, scope, group, {
    random,
    now,
    description: `Terminating EC2 instance: ${member.id}`,
    cause: `At ${at} ${cause}`,
    zone: member.zone,
  });
  unit.put(autoscalingKeys.member(scope, group.name, member.id), {
    ...member,
    activity,
    ...(hooks.length > 0
      ? {
          lifecycle: "Terminating:Wait",
          waiting: {
            token: random.uuid(),
            hooks: hooks.map(({ name, heartbeatSeconds }) => ({ name, until: now + heartbeatSeconds * 1000 })),
          },
        }
      : { lifecycle: "Terminating:Proceed" }),
  } satisfies MemberRecord);
  return activity;
}
