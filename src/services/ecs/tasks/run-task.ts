import type { Failure, RunTaskRequest, RunTaskResponse, TaskDefinition } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { ecsKeys, type NodePlace, type Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import { capacityKeys, type CapacityProviderRecord, isManaged } from "#model/capacity-records.ts";
import { writeWaitingTask } from "#reconcilers/capacity/waiting.ts";
import { clusterQueue, spotProvider, writeNewTask } from "#reconcilers/task-writes.ts";
import { nameless, targetOf, type LaunchTarget, type NetworkMaking } from "#reconcilers/launch.ts";
import { capacityUnavailable } from "#reconcilers/services/messages.ts";
import { reclaimSpot, reopenForSpot } from "#reconcilers/spot.ts";
import { VpcError } from "#reconcilers/vpc/errors.ts";
import { splitByStrategy, type ProviderShare } from "#scheduler/capacity-providers.ts";
import { place } from "#scheduler/place.ts";
import type { Node, PlacementRequest, Rejection } from "#scheduler/types.ts";
import type { Unit } from "#store/unit.ts";
import { earlierRun, fingerprint, rememberRun } from "./client-token.ts";
import { readTask, scopeOf, type TaskDeps, type TaskState } from "./context.ts";
import { clusterOf, taskDefinitionOf } from "./lookup.ts";
import { fargateNodesOf, nodesOf } from "#reconcilers/nodes.ts";
import { checkOverrides } from "./overrides.ts";
import { networkWish, readerOf, strategyOf } from "./launch-rules.ts";
import { placementRequestOf, requestFor } from "./placement.ts";
import { newTask, planOf, type TaskPlan } from "./plan.ts";
import { checkRunTask } from "./rules.ts";
import { checkRoles } from "./roles.ts";
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
  const launchType = checkRunTask(input, cluster, definition);
  checkTags(input.tags);
  checkOverrides(input.overrides, (definition.definition as TaskDefinition).containerDefinitions ?? []);
  await checkRoles(deps, definition, input.overrides, context);
  const plan = planOf(scope, cluster.name, definition, input);
  const count = input.count ?? 1;
  const parts = partsOf(strategyOf(input, cluster) as readonly ProviderShare[], launchType, count);
  const request = placementRequestOf(plan, count, input);
  const wish = await networkWish(readerOf(deps.store), scope, input.networkConfiguration);
  const outcome = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit): Promise<Outcome> => {
    const token = input.clientToken;
    const earlier = token === undefined ? undefined : await earlierRun(unit, scope, input, token);
    if (earlier) return { started: [], failures: earlier.failures, earlier: earlier.tasks.map(({ id }) => id) };
    await checkActive(unit, scope, cluster.name);
    const making = wish && { wish, zones: new Map(), random: deps.random, now: context.now, publicPool: deps.config.publicPool };
    const placed = await placeTasks(deps, unit, plan, request, parts, making, context.now, input);
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

/** Tasks of one launch target. */
interface Part {
  readonly target: LaunchTarget;
  readonly count: number;
}

/** One part for each capacity provider that gets tasks. */
function partsOf(strategy: readonly ProviderShare[], launchType: string, count: number): Part[] {
  if (strategy.length === 0) return [{ target: targetOf(launchType, undefined), count }];
  const counts = new Map<string, number>();
  for (const provider of splitByStrategy(strategy, new Map(), count)) counts.set(provider, (counts.get(provider) ?? 0) + 1);
  return [...counts].map(([provider, each]) => ({ target: targetOf(undefined, provider), count: each }));
}

async function placeTasks(
  deps: TaskDeps,
  unit: Unit,
  plan: TaskPlan,
  request: PlacementRequest,
  parts: readonly Part[],
  network: NetworkMaking | undefined,
  now: number,
  input: Pick<RunTaskRequest, "placementConstraints" | "placementStrategy">,
): Promise<Outcome> {
  const started: TaskState[] = [];
  const failures: Failure[] = [];
  for (const { target, count } of parts) {
    const fargate = target.launchType === "FARGATE";
    const places = new Map<string, NodePlace>();
    // Each provider's instances are its own, but for Fargate's two: the second is placed on what the first has left.
    const nodes = fargate ? await fargateNodes(unit, target, now, places) : await nodesOf(unit, plan.scope, plan.cluster);
    const managed = !fargate && target.provider !== undefined && (await waitsFor(unit, plan.scope, target.provider));
    if (!fargate && !managed && nodes.length === 0)
      throw new ApiError("InvalidParameterException", "No Container Instances were found in your cluster.");
    const wanted = requestFor(request, target, plan.definition.definition as TaskDefinition, count);
    const { assignments, rejections } = place(nodes, wanted, () => deps.random.next());
    for (const id of assignments) {
      const where = places.get(id) ?? { ...plan.scope, cluster: plan.cluster };
      // Read with `get`, so that the instance is still ACTIVE, and its allocation what it was, when this is committed.
      const instance = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(where, where.cluster, id));
      const planned = newTask(plan, { instance: instance!, place: where }, target, deps.random, now);
      try {
        started.push({ task: await writeNewTask(unit, plan.scope, planned, network), observation: undefined });
      } catch (error) {
        if (!(error instanceof VpcError)) throw error;
        failures.push({ reason: "RESOURCE:ENI", detail: `${error.message} (ErrorCode: ${error.code})` });
      }
    }
    const missing = count - assignments.length;
    if (missing === 0) continue;
    if (managed) {
      const waiting = {
        constraints: input.placementConstraints ?? [],
        strategy: input.placementStrategy ?? [],
        ...(network ? { network: network.wish } : {}),
      };
      for (let each = 0; each < missing; each++) {
        const task = newTask(plan, { waiting }, target, deps.random, now);
        if (await writeWaitingTask(unit, plan.scope, task)) started.push({ task, observation: undefined });
        else failures.push({ reason: "LIMIT:PROVISIONING", detail: "The cluster has 500 tasks in the PROVISIONING state." });
      }
      continue;
    }
    if (!fargate) {
      failures.push(...failuresOf(rejections, missing, count));
      continue;
    }
    const machines = nodes.map((node) => ({ node, place: places.get(node.id)! }));
    const coming = target.provider === spotProvider ? 0 : await reclaimSpot(unit, machines, wanted, missing, now);
    failures.push(noCapacity(rejections, missing, count, coming));
  }
  return { started, failures };
}

/** Whether tasks without a place wait for the provider to bring one. Source: ECS Developer Guide, "Amazon ECS managed scaling behavior". */
async function waitsFor(unit: Unit, scope: Scope, provider: string): Promise<boolean> {
  return isManaged(await unit.get<CapacityProviderRecord>(capacityKeys.provider(scope, provider)));
}

async function fargateNodes(unit: Unit, target: LaunchTarget, now: number, places: Map<string, NodePlace>): Promise<Node[]> {
  const machines = await fargateNodesOf(unit);
  for (const { node, place: where } of machines) places.set(node.id, where);
  if (target.provider !== spotProvider) return machines.map(({ node }) => node);
  await reopenForSpot(
    unit,
    machines.map(({ node, place: where }) => ({ id: node.id, place: where })),
    now,
  );
  return (await fargateNodesOf(unit)).map(({ node }) => node);
}

/** One failure an instance, as AWS answers; the detail says what each lacked. */
function failuresOf(rejections: readonly Rejection[], missing: number, count: number): Failure[] {
  return rejections.map(({ node, reason, detail }) => ({
    arn: node.arn,
    reason,
    detail: count === 1 ? detail : `${missing} of ${count} tasks were not placed. ${detail}`,
  }));
}

/** As Fargate says it, which shows no machine; what each of them lacked is told without its name. */
function noCapacity(rejections: readonly Rejection[], missing: number, count: number, coming: number): Failure {
  const lacks = rejections.map((rejection) => nameless(rejection).detail);
  const why =
    lacks.length === 0
      ? "No machine is marked as Fargate capacity, or none has its agent connected (./gantry nodes)."
      : `Fargate's machines: ${[...new Set(lacks)].slice(0, 5).join("; ")}.`;
  const soon =
    coming > 0 ? ` ${coming} of them will find room once Spot tasks that were asked to leave have gone, within two minutes.` : "";
  return { reason: capacityUnavailable, detail: `${missing} of ${count} tasks were not placed. ${why}${soon}` };
}
