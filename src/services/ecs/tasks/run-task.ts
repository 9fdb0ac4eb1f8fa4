import type { Failure, RunTaskRequest, RunTaskResponse, TaskDefinition } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import { clusterQueue, writeNewTask } from "#reconcilers/task-writes.ts";
import { splitByStrategy, type ProviderShare } from "#scheduler/capacity-providers.ts";
import { place } from "#scheduler/place.ts";
import type { PlacementRequest, Rejection } from "#scheduler/types.ts";
import type { Unit } from "#store/unit.ts";
import { earlierRun, fingerprint, rememberRun } from "./client-token.ts";
import { readTask, scopeOf, type TaskDeps, type TaskState } from "./context.ts";
import { ecsArn } from "./identifiers.ts";
import { clusterOf, taskDefinitionOf } from "./lookup.ts";
import { nodesOf } from "#reconcilers/nodes.ts";
import { checkOverrides } from "./overrides.ts";
import { onProvider, placementRequestOf } from "./placement.ts";
import { newTask, planOf, type TaskPlan } from "./plan.ts";
import { checkRunTask } from "./rules.ts";
import { checkTags } from "./tags.ts";
import { taskView } from "./view.ts";

interface Outcome {
  readonly started: readonly TaskState[];
  readonly failures: readonly Failure[];
  /** Tasks of an earlier request with the same clientToken. */
  readonly earlier?: readonly string[];
}

/**
 * Places and records up to 10 tasks in one transaction with what they take from their instances, so that nothing is ever over-committed.
 * The agents are told by the dispatcher, which watches the records.
 */
export async function runTask(deps: TaskDeps, input: RunTaskRequest, context: RequestContext): Promise<RunTaskResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const definition = await taskDefinitionOf(deps.store, scope, input.taskDefinition ?? "");
  checkRunTask(input, cluster, definition);
  checkTags(input.tags);
  checkOverrides(input.overrides, (definition.definition as TaskDefinition).containerDefinitions ?? []);
  const strategy = strategyOf(input, cluster);
  const plan = { ...planOf(scope, cluster.name, definition, input), byProvider: strategy.length > 0 };
  const request = placementRequestOf(plan, input.count ?? 1, input);
  const outcome = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit): Promise<Outcome> => {
    const token = input.clientToken;
    const earlier = token === undefined ? undefined : await earlierRun(unit, scope, input, token);
    if (earlier) return { started: [], failures: earlier.failures, earlier: earlier.tasks.map(({ id }) => id) };
    await checkActive(unit, scope, cluster.name);
    const placed = await placeTasks(deps, unit, plan, split(request, strategy), context.now);
    if (token !== undefined && placed.started.length > 0) {
      const tasks = placed.started.map(({ task: { id, arn } }) => ({ id, arn }));
      const record = { request: fingerprint(input), cluster: cluster.name, tasks, failures: placed.failures };
      rememberRun(unit, scope, token, record, context.now, deps.random.hex(8));
    }
    return placed;
  });
  const found = await Promise.all((outcome.earlier ?? []).map((id) => readTask(deps.store, scope, cluster.name, id)));
  const states = [...outcome.started, ...found.filter((state) => state !== undefined)];
  const tasks = states.map(({ task, observation }) =>
    taskView(task, observation, {
      clusterArn: cluster.arn,
      containerInstanceArn: ecsArn.containerInstance(scope, cluster.name, task.containerInstanceId),
      tags: true,
    }),
  );
  return { tasks, failures: [...outcome.failures] };
}

/** The cluster may have been deleted since it was looked up: read here, it is compared at the commit. */
export async function checkActive(unit: Unit, scope: Scope, name: string): Promise<void> {
  const cluster = await unit.get<ClusterRecord>(ecsKeys.cluster(scope, name));
  if (cluster?.status !== "ACTIVE") throw new ApiError("ClusterNotFoundException", "Cluster not found.");
}

/** The request's own strategy, or the cluster's where neither that nor a launch type is given. */
function strategyOf({ capacityProviderStrategy = [], launchType }: RunTaskRequest, cluster: ClusterRecord): readonly ProviderShare[] {
  const given = capacityProviderStrategy.length > 0 || launchType ? capacityProviderStrategy : cluster.defaultCapacityProviderStrategy;
  return given as readonly ProviderShare[];
}

/** One request for each capacity provider that gets tasks. */
function split(request: PlacementRequest, strategy: readonly ProviderShare[]): PlacementRequest[] {
  if (strategy.length === 0) return [request];
  const counts = new Map<string, number>();
  for (const provider of splitByStrategy(strategy, new Map(), request.count)) counts.set(provider, (counts.get(provider) ?? 0) + 1);
  return [...counts].map(([provider, count]) => ({ ...onProvider(request, provider), count }));
}

async function placeTasks(
  deps: TaskDeps,
  unit: Unit,
  plan: TaskPlan,
  requests: readonly PlacementRequest[],
  now: number,
): Promise<Outcome> {
  const nodes = await nodesOf(unit, plan.scope, plan.cluster);
  if (nodes.length === 0) throw new ApiError("InvalidParameterException", "No Container Instances were found in your cluster.");
  const started: TaskState[] = [];
  const failures: Failure[] = [];
  // Each provider's instances are its own: the requests don't meet.
  for (const request of requests) {
    const { assignments, rejections } = place(nodes, request, () => deps.random.next());
    for (const id of assignments) {
      // Read with `get`, so that the instance is still ACTIVE, and its allocation what it was, when this is committed.
      const instance = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(plan.scope, plan.cluster, id));
      const task = await writeNewTask(unit, plan.scope, newTask(plan, instance!, deps.random, now));
      started.push({ task, observation: undefined });
    }
    failures.push(...failuresOf(rejections, request.count - assignments.length, request.count));
  }
  return { started, failures };
}

/** One failure an instance, as AWS answers; the detail says what each lacked. */
function failuresOf(rejections: readonly Rejection[], missing: number, count: number): Failure[] {
  return rejections.map(({ node, reason, detail }) => ({
    arn: node.arn,
    reason,
    detail: count === 1 ? detail : `${missing} of ${count} tasks were not placed. ${detail}`,
  }));
}
