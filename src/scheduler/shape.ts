import type { PlacementRequest } from "./types.ts";

const known = new WeakMap<PlacementRequest, string>();

/**
 * All of a request but its count, as text: requests of one shape rank all nodes alike, so they share what an index keeps. Two memberOf
 * constraints are the same when their expressions are.
 */
export function shapeOf(request: PlacementRequest): string {
  const before = known.get(request);
  if (before !== undefined) return before;
  const { group, resources, requiredAttributes, constraints, strategy } = request;
  const shape = JSON.stringify([
    group,
    [resources.cpu, resources.memory, resources.portsTcp, resources.portsUdp, resources.gpuCount ?? 0],
    requiredAttributes.map(({ name, value = "" }) => [name, value]),
    constraints.map((constraint) => (constraint.type === "memberOf" ? [constraint.expression] : [])),
    strategy.map((rule) => (rule.type === "random" ? [rule.type] : [rule.type, rule.field])),
  ]);
  known.set(request, shape);
  return shape;
}
