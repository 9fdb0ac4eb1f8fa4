import { type Resource, scalingKeys, type Scope } from "#model/application-autoscaling/keys.ts";
import type { ActivityRecord, NotScaled, ScalingStateRecord, TargetRecord } from "#model/application-autoscaling/records.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ServiceRecord } from "#model/service-records.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";

/** What scaling writes: the service's desired count, the activity that tells of it and what is remembered, in one transaction, so that a crash never scales twice. */

export interface Hand {
  readonly unit: Unit;
  readonly scope: Scope;
  readonly random: Random;
  readonly now: number;
}

/** Six weeks. Source: DescribeScalingActivities. */
export const activitiesKeptMs = 42 * 86_400_000;

export const noState: ScalingStateRecord = { heard: {}, ran: {} };

export async function stateOf({ unit, scope }: Hand, resource: Resource): Promise<ScalingStateRecord> {
  return (await unit.get<ScalingStateRecord>(scalingKeys.state(scope, resource))) ?? noState;
}

/** What is remembered of an alarm's words to a policy lies under this. */
export const heardBy = (alarm: string, policy: string): string => `${alarm}/${policy}`;

/** Nothing is remembered of a policy, or a scheduled action, that is gone. */
export async function forget(hand: Hand, resource: Resource, gone: { readonly policy?: string; readonly action?: string }): Promise<void> {
  const key = scalingKeys.state(hand.scope, resource);
  const state = await hand.unit.get<ScalingStateRecord>(key);
  if (!state) return;
  const without = <T>(record: Readonly<Record<string, T>>, drop: (name: string) => boolean) =>
    Object.fromEntries(Object.entries(record).filter(([name]) => !drop(name)));
  const ofPolicy = (name: string) => gone.policy !== undefined && name.endsWith(heardBy("", gone.policy));
  hand.unit.put(key, {
    ...state,
    heard: without(state.heard, ofPolicy),
    unscaled: state.unscaled && without(state.unscaled, ofPolicy),
    ran: without(state.ran, (name) => name === gone.action),
  } satisfies ScalingStateRecord);
}

export async function setDesired(hand: Hand, service: ServiceRecord, to: number, cause: string, state: ScalingStateRecord): Promise<void> {
  const { unit, scope, random, now } = hand;
  const resource = { cluster: service.cluster, service: service.name };
  unit.put(ecsKeys.service(scope, service.cluster, service.name), {
    ...service,
    desiredCount: to,
    version: service.version + 1,
  } satisfies ServiceRecord);
  await override(hand, state.open);
  const id = random.uuid();
  const open = scalingKeys.activity(scope, resource, now, id);
  unit.put(open, {
    ...resource,
    id,
    description: `Setting desired count to ${to}.`,
    cause,
    startedAt: now,
    status: "InProgress",
    statusMessage: `Successfully set desired count to ${to}. Waiting for change to be fulfilled by ecs.`,
    to,
  } satisfies ActivityRecord);
  const { unscaled: _, ...kept } = state;
  unit.put(scalingKeys.state(scope, resource), { ...kept, open } satisfies ScalingStateRecord);
}

/** What was on its way is not waited for any more. */
async function override({ unit, now }: Hand, key: string | undefined): Promise<void> {
  const open = key === undefined ? undefined : await unit.get<ActivityRecord>(key);
  if (open?.status !== "InProgress") return;
  unit.put(key!, {
    ...open,
    status: "Overridden",
    endedAt: now,
    statusMessage: `Successfully set desired count to ${open.to}. Change was overridden before it was fulfilled by ecs.`,
  } satisfies ActivityRecord);
}

/** The service has got there, or somebody has asked it for another number. */
export async function settleActivity(hand: Hand, resource: Resource, service: ServiceRecord, arrived: boolean): Promise<void> {
  const { unit, scope, now } = hand;
  const state = await stateOf(hand, resource);
  const open = state.open === undefined ? undefined : await unit.get<ActivityRecord>(state.open);
  const replaced = open?.to !== service.desiredCount;
  if (open && !replaced && !arrived) return;
  if (open?.status === "InProgress") {
    if (replaced) await override(hand, state.open);
    else
      unit.put(state.open!, {
        ...open,
        status: "Successful",
        endedAt: now,
        statusMessage: `Successfully set desired count to ${open.to}. Change successfully fulfilled by ecs.`,
      } satisfies ActivityRecord);
  }
  const { open: _, ...rest } = state;
  unit.put(scalingKeys.state(scope, resource), rest satisfies ScalingStateRecord);
}

export function putNotScaled({ unit, scope, random, now }: Hand, resource: Resource, cause: string, reason: NotScaled): void {
  const id = random.uuid();
  unit.put(scalingKeys.activity(scope, resource, now, id), {
    ...resource,
    id,
    description: "Attempting to scale due to alarm triggered",
    cause,
    startedAt: now,
    endedAt: now,
    status: "Failed",
    statusMessage: sentences[reason.code](reason),
    notScaled: [reason],
  } satisfies ActivityRecord);
}

const sentences: Readonly<Record<NotScaled["code"], (reason: NotScaled) => string>> = {
  AlreadyAtMaxCapacity: ({ max }) => `The service is at its maximum capacity of ${max}.`,
  AlreadyAtMinCapacity: ({ min }) => `The service is at its minimum capacity of ${min}.`,
  AlreadyAtDesiredCapacity: ({ current }) => `The desired count is ${current} already; its tasks do not all run yet.`,
  AutoScalingAnticipatedFlapping: ({ current }) => `With fewer than ${current} tasks the metric would be above the target again.`,
  TargetServicePutResourceAsUnscalable: () => "A deployment is in progress: the service scales in once it has ended.",
};

/** The limits of a target were changed: a desired count beyond them is brought to them, once. Source: RegisterScalableTarget. */
export async function enforceLimits(
  hand: Hand,
  target: Pick<TargetRecord, "cluster" | "service" | "min" | "max">,
  changed: { readonly min: boolean; readonly max: boolean },
): Promise<void> {
  const { unit, scope } = hand;
  const service = await unit.get<ServiceRecord>(ecsKeys.service(scope, target.cluster, target.service));
  if (service?.status !== "ACTIVE") return;
  const { min, max } = target;
  if (changed.min && service.desiredCount < min)
    await setDesired(hand, service, min, `minimum capacity was set to ${min}`, await stateOf(hand, target));
  else if (changed.max && service.desiredCount > max)
    await setDesired(hand, service, max, `maximum capacity was set to ${max}`, await stateOf(hand, target));
}
