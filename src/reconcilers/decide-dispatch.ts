import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import { maxUnacknowledgedDeliveries } from "./limits.ts";

/** What the server remembers of telling an instance's agent about one task. Lost with the server's process: sending again is harmless. */
export interface Delivery {
  readonly desiredStatus: "RUNNING" | "STOPPED";
  readonly messageId: string;
  /** The connection that carried it. */
  readonly link: number;
  readonly sentAt: number;
  readonly acknowledged: boolean;
  /** Connections that stood long enough and ended without an acknowledgement. */
  readonly refusals: number;
}

export type Dispatch =
  /** Nothing to tell. */
  | "none"
  /** The task has ended: what was remembered can go. */
  | "forget"
  | "send"
  /** The agent never takes it: ask for its stop instead. */
  | "give-up";

/**
 * What to tell the agent on connection `link`. A start goes out until it is acknowledged, once a connection; a stop goes out once a connection
 * until the agent says STOPPED.
 */
export function decideDispatch(
  task: TaskRecord | undefined,
  observation: TaskObservation | undefined,
  delivery: Delivery | undefined,
  link: number,
): Dispatch {
  if (!task || isStopped(observation)) return "forget";
  if (delivery?.desiredStatus === task.desiredStatus && delivery.link === link) return "none";
  if (task.desiredStatus === "STOPPED") return "send";
  // A report of any kind, or an acknowledgement, shows that the agent has the task.
  if (observation || (delivery?.desiredStatus === "RUNNING" && delivery.acknowledged)) return "none";
  if (delivery && delivery.refusals >= maxUnacknowledgedDeliveries) return "give-up";
  return "send";
}
