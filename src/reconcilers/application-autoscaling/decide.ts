import type { Cooldown, NotScaled, PolicyRecord, ScalingStateRecord, Suspended } from "#model/application-autoscaling/records.ts";
import { type Breach, proposeStep, proposeTracking } from "./propose.ts";

/**
 * Whether a service is scaled because an alarm told a policy so, and to how many tasks. Pure. Sources: Application Auto Scaling User Guide, "How target
 * tracking scaling works" and "How step scaling works" (cooldowns, several policies); ECS Developer Guide, "Automatically scale your Amazon ECS service" and
 * "Service auto scaling and deployments".
 */

/** A policy with what one of its alarms says now. */
export interface Trigger {
  readonly policy: PolicyRecord;
  /** Which of a target tracking policy's alarms it is. */
  readonly which: "High" | "Low";
  readonly breach: Breach;
}

export interface ScalingFacts {
  readonly now: number;
  readonly min: number;
  readonly max: number;
  readonly suspended: Suspended;
  readonly desired: number;
  /** What is counted from: tasks that wait for room do not make a service ask for more of them. */
  readonly running: number;
  /** A deployment is in progress, of the ECS controller. */
  readonly deploying: boolean;
  readonly state: Pick<ScalingStateRecord, "out" | "in">;
  readonly trigger: Trigger;
  /** The target's other policies, each with its alarms in ALARM. */
  readonly others: readonly { readonly policy: PolicyRecord; readonly breaches: readonly Omit<Trigger, "policy">[] }[];
}

export type Decision =
  | { readonly kind: "scale"; readonly to: number; readonly state: Pick<ScalingStateRecord, "out" | "in"> }
  | { readonly kind: "not scaled"; readonly reason: NotScaled }
  /** Nothing to say: it waits for a cooldown, is suspended, or others do not agree. */
  | { readonly kind: "wait"; readonly why: string };

/** Of ECS services, by AWS. */
export const defaultCooldownSeconds = 300;

const wait = (why: string): Decision => ({ kind: "wait", why });
const notScaled = (reason: NotScaled): Decision => ({ kind: "not scaled", reason });

const cools = (cooldown: Cooldown | undefined, now: number): boolean => cooldown !== undefined && now < cooldown.until;

export function propose({ policy, which, breach }: Trigger, capacity: number): number | undefined {
  return policy.type === "StepScaling"
    ? proposeStep(policy.step, breach, capacity)
    : proposeTracking(policy.tracking, which, breach, capacity);
}

/** Milliseconds. */
export function cooldownOf(policy: PolicyRecord, direction: "out" | "in"): number {
  const own =
    policy.type === "StepScaling"
      ? policy.step.cooldown
      : direction === "out"
        ? policy.tracking.scaleOutCooldown
        : policy.tracking.scaleInCooldown;
  return (own ?? defaultCooldownSeconds) * 1000;
}

export function decideScaling(facts: ScalingFacts): Decision {
  const { now, state, running, trigger } = facts;
  // While a scale-out takes effect, what it added is part of the next one: that is counted from the same tasks.
  const base = cools(state.out, now) ? state.out!.from : running;
  const proposed = propose(trigger, base);
  if (proposed === undefined) return wait("the metric does not ask for it any more");
  if (trigger.policy.type === "TargetTrackingScaling") return trigger.which === "High" ? scaleOut(facts, base, proposed) : scaleIn(facts);
  if (proposed > base) return scaleOut(facts, base, proposed);
  return propose(trigger, running)! < running ? scaleIn(facts) : wait("the step changes nothing");
}

function scaleOut({ now, min, max, suspended, desired, state, trigger }: ScalingFacts, base: number, proposed: number): Decision {
  if (suspended.out) return wait("scaling out is suspended");
  if (desired >= max) return notScaled({ code: "AlreadyAtMaxCapacity", max });
  const to = Math.min(max, Math.max(min, proposed));
  if (to <= desired)
    return cools(state.out, now)
      ? wait("the last scale-out takes effect")
      : notScaled({ code: "AlreadyAtDesiredCapacity", current: desired });
  const out: Cooldown = { at: now, until: now + cooldownOf(trigger.policy, "out"), from: base, to };
  // A cooldown of scaling in ends here.
  return { kind: "scale", to, state: { out } };
}

function scaleIn(facts: ScalingFacts): Decision {
  const { now, min, max, suspended, desired, running, state, trigger, others, deploying } = facts;
  if (suspended.in) return wait("scaling in is suspended");
  if (desired <= min) return notScaled({ code: "AlreadyAtMinCapacity", min });
  if (cools(state.in, now) || cools(state.out, now)) return wait("the last scaling takes effect");
  const wishes = [propose(trigger, running)!];
  for (const { policy, breaches } of others) {
    const proposals = breaches.flatMap(({ which, breach }) => propose({ policy, which, breach }, running) ?? []);
    // Whoever wants more wins, whatever kind it is.
    if (proposals.some((proposal) => proposal > running)) return wait(`policy ${policy.name} does not agree`);
    if (trigger.policy.type === "TargetTrackingScaling" && policy.type === "TargetTrackingScaling" && !policy.tracking.disableScaleIn) {
      if (proposals.length === 0) return wait(`policy ${policy.name} does not agree`);
    }
    wishes.push(...proposals);
  }
  const wished = Math.max(...wishes);
  if (deploying) return notScaled({ code: "TargetServicePutResourceAsUnscalable" });
  if (wished >= running && desired <= max) return notScaled({ code: "AutoScalingAnticipatedFlapping", current: desired });
  const to = Math.max(min, Math.min(max, wished));
  if (to >= desired) return notScaled({ code: "AlreadyAtDesiredCapacity", current: desired });
  const cooldown: Cooldown = { at: now, until: now + cooldownOf(trigger.policy, "in"), from: running, to };
  return { kind: "scale", to, state: { in: cooldown } };
}
