import { lowMark } from "#model/application-autoscaling/alarms.ts";
import type { Step, StepScaling, Tracking } from "#model/application-autoscaling/records.ts";

/** How many tasks a policy would have, all else left aside. Pure. */

/** What an alarm in ALARM looks at. */
export interface Breach {
  readonly threshold: number;
  /** The alarm is on values above its threshold. */
  readonly above: boolean;
  /** The data points of its evaluation periods, newest first. */
  readonly values: readonly number[];
}

/** Rounding up makes enough of them, and what binary fractions add makes none. */
const enough = (tasks: number): number => Math.ceil(tasks - 1e-9);

/**
 * As many as bring the metric to the target, on the assumption that it is shared evenly: undefined when the newest data point does not ask for it any
 * more. Out as fast as that; in by a tenth of what runs at a time, or one. Source: "How target tracking scaling works": both round up.
 */
export function proposeTracking(tracking: Tracking, which: "High" | "Low", { values }: Pick<Breach, "values">, capacity: number) {
  const [value] = values;
  const { targetValue } = tracking;
  if (value === undefined || !(targetValue > 0)) return undefined;
  const share = enough((capacity * value) / targetValue);
  if (which === "High") return value > targetValue ? Math.max(share, capacity + 1) : undefined;
  if (value >= targetValue * lowMark) return undefined;
  return Math.min(capacity, Math.max(share, capacity - Math.max(1, Math.floor(capacity / 10)), 0));
}

/** Undefined: no step is for such a breach. Source: "Step scaling policies", "How step scaling works". */
export function proposeStep(step: StepScaling, breach: Breach, capacity: number): number | undefined {
  const value = aggregate(breach.values, step.aggregation ?? "Average");
  if (value === undefined) return undefined;
  const found = stepFor(step.steps, value - breach.threshold, breach.above);
  if (!found) return undefined;
  const { adjustment } = found;
  switch (step.adjustmentType) {
    case "ExactCapacity":
      return adjustment;
    case "ChangeInCapacity":
      return Math.max(0, capacity + adjustment);
    case "PercentChangeInCapacity":
      return Math.max(0, capacity + percentOf(capacity, adjustment, step.minAdjustmentMagnitude ?? 0));
  }
}

/** Above the threshold the lower bound is within a step, beneath it the upper. On it, the alarm's direction says which. */
export function stepFor(steps: readonly Step[], difference: number, above: boolean): Step | undefined {
  const upwards = difference > 0 || (difference === 0 && above);
  return steps.find(({ lower = -Infinity, upper = Infinity }) =>
    upwards ? difference >= lower && difference < upper : difference > lower && difference <= upper,
  );
}

/** Parts of a task: less than one is one, more is what is whole of it. */
function percentOf(capacity: number, percent: number, least: number): number {
  const exact = (capacity * percent) / 100;
  if (exact === 0 && percent === 0) return 0;
  const size = Math.max(Math.floor(Math.abs(exact) + 1e-9), 1, least);
  return Math.sign(percent) * size;
}

function aggregate(values: readonly number[], how: "Average" | "Minimum" | "Maximum"): number | undefined {
  if (values.length === 0) return undefined;
  if (how === "Minimum") return Math.min(...values);
  if (how === "Maximum") return Math.max(...values);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
