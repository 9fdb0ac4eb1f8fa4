import type { TaskDefinition } from "@aws-sdk/client-ecs";
import type { TaskDefinitionRecord, TaskRecord } from "#model/ecs-records.ts";
import type { LaunchTarget } from "#reconcilers/launch.ts";
import { spotProvider } from "#reconcilers/task-writes.ts";
import type { Constraint, Node, PlacementRequest, Strategy } from "#scheduler/types.ts";
import { compileExpression } from "./expressions.ts";
import type { TaskPlan } from "./plan.ts";

/** What the scheduler is to find places for: the task definition's own constraints count too. */
export function placementRequestOf(
  plan: Pick<TaskPlan, "definition" | "group" | "resources">,
  count: number,
  input: {
    readonly placementConstraints?: readonly { readonly type?: string; readonly expression?: string }[];
    readonly placementStrategy?: readonly { readonly type?: string; readonly field?: string }[];
  },
): PlacementRequest {
  const own = (plan.definition.definition as TaskDefinition).placementConstraints ?? [];
  return {
    count,
    group: plan.group,
    resources: plan.resources,
    requiredAttributes: plan.definition.requiresAttributes,
    constraints: [...own, ...(input.placementConstraints ?? [])].map(constraintOf),
    strategy: (input.placementStrategy ?? []).map(strategyOf),
  };
}

function constraintOf({ type, expression }: { type?: string; expression?: string }): Constraint {
  if (type === "distinctInstance") return { type };
  const matches = compileExpression(expression ?? "");
  return { type: "memberOf", expression: expression ?? "", matches: (node: Node) => matches(node) };
}

function strategyOf({ type, field = "" }: { type?: string; field?: string }): Strategy {
  if (type === "binpack") return { type, field: field.toLowerCase() === "cpu" ? "cpu" : "memory" };
  if (type !== "spread") return { type: "random" };
  return { type, field: field === "host" ? "instanceId" : field.replace(/^attribute:/, "") };
}

/** The request for what the target may use only. */
export function requestFor(
  request: PlacementRequest,
  { launchType, provider }: LaunchTarget,
  definition: TaskDefinition,
  count: number,
): PlacementRequest {
  if (launchType === "FARGATE") return onFargate({ ...request, count }, definition, provider);
  return { ...(provider === undefined ? request : onProvider(request, provider)), count };
}

/** Fargate has neither constraints nor strategies: the architecture decides, and whether Spot may come. */
function onFargate(request: PlacementRequest, definition: TaskDefinition, provider: string | undefined): PlacementRequest {
  const architecture = definition.runtimePlatform?.cpuArchitecture;
  const attributes = architecture ? [{ name: "ecs.cpu-architecture", value: architecture.toLowerCase() }] : [];
  const open: Constraint = {
    type: "memberOf",
    expression: "open to FARGATE_SPOT",
    matches: ({ closedToSpot }: Node) => closedToSpot !== true,
  };
  return {
    ...request,
    requiredAttributes: [...request.requiredAttributes, ...attributes],
    constraints: provider === spotProvider ? [open] : [],
    strategy: [],
  };
}

/** The request for one capacity provider's instances only. */
function onProvider(request: PlacementRequest, provider: string): PlacementRequest {
  const matches = (node: Node) => node.capacityProvider === provider;
  const constraint: Constraint = { type: "memberOf", expression: `capacityProviderName == ${provider}`, matches };
  return { ...request, constraints: [constraint, ...request.constraints] };
}

/** What a task that waits for its capacity provider needs of an instance. */
export function waitingRequestOf(task: TaskRecord, definition: TaskDefinitionRecord): PlacementRequest {
  const { waiting, capacityProviderName: provider } = task;
  const { gpus: _, ...resources } = task.resources;
  const plan = { definition, group: task.group, resources: { ...resources, ...(waiting?.gpuCount ? { gpuCount: waiting.gpuCount } : {}) } };
  const request = placementRequestOf(plan, 1, {
    placementConstraints: waiting?.constraints ?? [],
    placementStrategy: waiting?.strategy ?? [],
  });
  return provider === undefined ? request : onProvider(request, provider);
}
