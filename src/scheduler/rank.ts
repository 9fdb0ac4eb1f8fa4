import type { Strategy } from "./types.ts";
import type { Trial } from "./trial.ts";

/**
 * A strategy, taken apart: what a node shows by itself (keys), and what it shares with the other nodes of an attribute's value (the group's
 * tasks there). Smaller is better in both. Source: ECS Developer Guide, "Task placement strategies": spread counts the tasks of the same
 * group; binpack leaves the least of the resource free.
 */
export interface RankPlan {
  readonly keys: readonly ((trial: Trial) => number)[];
  /** The attributes whose values share their count. */
  readonly fields: readonly string[];
  /** What decides, in turn: a key by its index, a field by the complement (~) of its index. */
  readonly order: readonly number[];
  /** One of those that are equal by `order` is drawn, rather than the first of the nodes taken: nothing after `random` can decide. */
  readonly drawn: boolean;
}

/** AWS's default for services, and a kind one for tasks. */
const defaultStrategy: readonly Strategy[] = [
  { type: "spread", field: "ecs.availability-zone" },
  { type: "spread", field: "instanceId" },
];

export function rankPlanOf(strategy: readonly Strategy[]): RankPlan {
  const rules = strategy.length > 0 ? strategy : defaultStrategy;
  const keys: ((trial: Trial) => number)[] = [];
  const fields: string[] = [];
  const order: number[] = [];
  for (const rule of rules) {
    if (rule.type === "random") return { keys, fields, order, drawn: true };
    if (rule.type === "spread" && rule.field !== "instanceId") order.push(~(fields.push(rule.field) - 1));
    else order.push(keys.push(keyOf(rule)) - 1);
  }
  order.push(keys.push(({ tasks }) => tasks) - 1);
  return { keys, fields, order, drawn: false };
}

function keyOf(rule: Exclude<Strategy, { type: "random" }>): (trial: Trial) => number {
  if (rule.type === "spread") return ({ ofGroup }) => ofGroup;
  if (rule.field === "cpu") return ({ node, cpu }) => node.capacity.cpu - cpu;
  return ({ node, memory }) => node.capacity.memory - memory;
}

/** Names the values of the plan's fields that a node has: those of one name are equal in all counts, always. */
export function bucketName(values: readonly string[]): string {
  return values.length === 1 ? values[0]! : JSON.stringify(values);
}

export function valuesOf(plan: RankPlan, attributes: ReadonlyMap<string, string>): string[] {
  return plan.fields.map((field) => attributes.get(field) ?? "");
}
