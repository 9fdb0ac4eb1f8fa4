import type { LifecycleStage } from "#model/lifecycle-stages.ts";
import type { DeploymentConfigurationRecord, HookRecord, ShiftRecord } from "#model/service-records.ts";

/**
 * The stages of a deployment that shifts traffic (BLUE_GREEN, LINEAR, CANARY), as a pure machine: one step at a time, each of them kept before the next is looked at,
 * so a crash anywhere goes on where it was. Source: ECS Developer Guide, "Amazon ECS blue/green service deployments workflow", and those of linear and
 * canary deployments.
 */

const minuteMs = 60_000;
const hookTimeoutMinutes = 1440;

/** What the stages rest on besides the clock. */
export interface StageFacts {
  readonly configuration: DeploymentConfigurationRecord;
  /** The number of the deployment's id: hooks' ids begin with it. */
  readonly deployment: string;
  /** As many healthy tasks as are wanted. */
  readonly ready: boolean;
  /** What earlier deployments have left behind is gone, but for tasks that stand in for missing ones. */
  readonly reconciled: boolean;
}

/** How a deployment begins. */
export function firstStage(
  shift: Pick<ShiftRecord, "blue" | "routes">,
  /** Further deployments have not ended: their tasks go first. */
  reconcile: boolean,
  facts: Pick<StageFacts, "configuration" | "deployment">,
  now: number,
): ShiftRecord {
  const begun = { step: 0, production: 0, test: 0, hooks: [], ...shift } as const;
  return enter({ ...begun, stage: "PRE_SCALE_UP", since: now }, reconcile ? "RECONCILE_SERVICE" : "PRE_SCALE_UP", facts, now);
}

/** The next stage; the same record while it waits. */
export function advance(shift: ShiftRecord, facts: StageFacts, now: number): ShiftRecord {
  const next = nextStage(shift, facts, now);
  return next === undefined ? shift : enter(shift, next, facts, now);
}

/** When the stage is over by the clock alone. */
export function stageEndsAt(shift: ShiftRecord, configuration: DeploymentConfigurationRecord): number | undefined {
  if (shift.stage === "BAKE_TIME") return shift.since + (configuration.bakeTimeInMinutes ?? 0) * minuteMs;
  // A step waits; the last one does not.
  if (shift.stage === "PRODUCTION_TRAFFIC_SHIFT" && shift.production < 100) return shift.since + stepMinutes(configuration) * minuteMs;
  return undefined;
}

function nextStage(shift: ShiftRecord, { configuration, ready, reconciled }: StageFacts, now: number): LifecycleStage | undefined {
  if (!shift.hooks.every((hook) => isOver(hook))) return undefined;
  if ((stageEndsAt(shift, configuration) ?? 0) > now) return undefined;
  switch (shift.stage) {
    case "RECONCILE_SERVICE":
      return reconciled ? "PRE_SCALE_UP" : undefined;
    case "PRE_SCALE_UP":
      return "SCALE_UP";
    case "SCALE_UP":
      return ready ? "POST_SCALE_UP" : undefined;
    case "POST_SCALE_UP":
      return "TEST_TRAFFIC_SHIFT";
    case "TEST_TRAFFIC_SHIFT":
      return "POST_TEST_TRAFFIC_SHIFT";
    case "POST_TEST_TRAFFIC_SHIFT":
      return "PRE_PRODUCTION_TRAFFIC_SHIFT";
    // No more traffic comes, and nothing that could take it back goes, while it lacks tasks.
    case "PRE_PRODUCTION_TRAFFIC_SHIFT":
      return ready ? "PRODUCTION_TRAFFIC_SHIFT" : undefined;
    case "PRODUCTION_TRAFFIC_SHIFT":
      return shift.production < 100 ? "PRE_PRODUCTION_TRAFFIC_SHIFT" : "POST_PRODUCTION_TRAFFIC_SHIFT";
    case "POST_PRODUCTION_TRAFFIC_SHIFT":
      return "BAKE_TIME";
    case "BAKE_TIME":
      return ready ? "CLEAN_UP" : undefined;
    case "CLEAN_UP":
      return undefined;
  }
}

function enter(
  shift: ShiftRecord,
  stage: LifecycleStage,
  { configuration, deployment }: Pick<StageFacts, "configuration" | "deployment">,
  now: number,
): ShiftRecord {
  const step = stage === "PRODUCTION_TRAFFIC_SHIFT" ? shift.step + 1 : shift.step;
  return {
    ...shift,
    stage,
    since: now,
    step,
    ...(stage === "TEST_TRAFFIC_SHIFT" ? { test: 100 } : {}),
    // The first deployment has nobody to share with.
    ...(stage === "PRODUCTION_TRAFFIC_SHIFT" ? { production: shift.blue === undefined ? 100 : percentAt(configuration, step) } : {}),
    hooks: hooksOf(configuration, stage, `${deployment}-${stage}-${step}`, now),
  };
}

/** Percent of production traffic from the step on; the first is 1. Source: ECS API Reference, LinearConfiguration and CanaryConfiguration. */
export function percentAt({ strategy, linearConfiguration, canaryConfiguration }: DeploymentConfigurationRecord, step: number): number {
  // Tenths of a percent, so that no sum of them comes out crooked.
  if (strategy === "LINEAR") return Math.min(1000, step * Math.round((linearConfiguration?.stepPercent ?? 10) * 10)) / 10;
  if (strategy === "CANARY" && step === 1) return canaryConfiguration?.canaryPercent ?? 5;
  return 100;
}

function stepMinutes({ strategy, linearConfiguration, canaryConfiguration }: DeploymentConfigurationRecord): number {
  if (strategy === "LINEAR") return linearConfiguration?.stepBakeTimeInMinutes ?? 6;
  return strategy === "CANARY" ? (canaryConfiguration?.canaryBakeTimeInMinutes ?? 10) : 0;
}

function hooksOf({ lifecycleHooks = [] }: DeploymentConfigurationRecord, stage: LifecycleStage, prefix: string, now: number): HookRecord[] {
  return lifecycleHooks.flatMap(
    ({ targetType = "AWS_LAMBDA", hookTargetArn, lifecycleStages, hookDetails, timeoutConfiguration }, index) => {
      if (!lifecycleStages.includes(stage)) return [];
      const called = targetType === "AWS_LAMBDA";
      return [
        {
          id: `${prefix}-${index}`,
          targetType,
          ...(called ? { targetArn: hookTargetArn, callAt: now } : {}),
          status: called ? ("IN_PROGRESS" as const) : ("AWAITING_ACTION" as const),
          expiresAt: now + (timeoutConfiguration?.timeoutInMinutes ?? hookTimeoutMinutes) * minuteMs,
          timeoutAction: timeoutConfiguration?.action ?? "ROLLBACK",
          ...(called && hookDetails !== undefined ? { details: hookDetails } : {}),
        },
      ];
    },
  );
}

const isOpen = ({ status }: HookRecord) => status === "IN_PROGRESS" || status === "AWAITING_ACTION";
const isOver = (hook: HookRecord) => hook.status === "SUCCEEDED" || (hook.status === "TIMED_OUT" && hook.timeoutAction === "CONTINUE");

/** Those whose time is over are TIMED_OUT from here on. */
export function expireHooks(shift: ShiftRecord, now: number): ShiftRecord {
  if (!shift.hooks.some((hook) => isOpen(hook) && hook.expiresAt <= now)) return shift;
  return {
    ...shift,
    hooks: shift.hooks.map((hook) => (isOpen(hook) && hook.expiresAt <= now ? { ...hook, status: "TIMED_OUT" as const } : hook)),
  };
}

/** Why a hook ends the deployment; undefined: none does. */
export function hookFailure({ stage, hooks }: ShiftRecord): string | undefined {
  for (const { status, timeoutAction, targetArn, targetType, reason } of hooks) {
    const name = targetType === "PAUSE" ? "The pause hook" : `The lifecycle hook ${targetArn}`;
    if (status === "FAILED") return `${name} failed at ${stage}${reason === undefined ? "" : `: ${reason}`}.`;
    if (status === "TIMED_OUT" && timeoutAction === "ROLLBACK") return `${name} timed out at ${stage}.`;
  }
  return undefined;
}

export const openHooks = ({ hooks }: ShiftRecord): readonly HookRecord[] => hooks.filter(isOpen);
/** To be called now. */
export const dueHooks = ({ hooks }: ShiftRecord, now: number): readonly HookRecord[] =>
  hooks.filter(({ status, callAt }) => status === "IN_PROGRESS" && callAt !== undefined && callAt <= now);
