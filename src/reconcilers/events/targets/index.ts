import type { DeliveryRecord, RuleTarget } from "#model/events/records.ts";
import { apiDestination } from "./api-destination.ts";
import { eventBus } from "./event-bus.ts";
import { logGroup } from "./log-group.ts";
import { runTask } from "./run-task.ts";
import { putEvents, universal } from "./schedule-targets.ts";
import type { Deliver } from "./target.ts";

export type TargetKind = "ecs" | "logs" | "api-destination" | "event-bus" | "universal";

/** Undefined: a target that Gantry has not. */
export function kindOf(arn: string): TargetKind | undefined {
  if (/^arn:aws:ecs:[^:]+:\d{12}:cluster\/.+$/.test(arn)) return "ecs";
  if (/^arn:aws:logs:[^:]+:\d{12}:log-group:[^:]+(:\*)?$/.test(arn)) return "logs";
  if (/^arn:aws:events:[^:]+:\d{12}:api-destination\/.+$/.test(arn)) return "api-destination";
  if (/^arn:aws:events:[^:]+:\d{12}:event-bus\/.+$/.test(arn)) return "event-bus";
  return arn.startsWith("arn:aws:scheduler:::aws-sdk:") ? "universal" : undefined;
}

export function delivererOf({ target, origin }: Pick<DeliveryRecord, "origin"> & { readonly target: RuleTarget }): Deliver | undefined {
  const kind = kindOf(target.Arn);
  switch (kind) {
    case "ecs":
      return runTask;
    case "logs":
      return logGroup;
    case "api-destination":
      return apiDestination;
    case "event-bus":
      return origin.kind === "schedule" ? putEvents : eventBus;
    case "universal":
      return universal;
    default:
      return undefined;
  }
}
