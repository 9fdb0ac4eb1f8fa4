import type { Failure, StartTaskRequest, StartTaskResponse, TaskDefinition } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskRecord } from "#model/ecs-records.ts";
import { clusterQueue, writeNewTask } from "#reconcilers/task-writes.ts";
import { onEc2, type NetworkMaking } from "#reconcilers/launch.ts";
import { VpcError } from "#reconcilers/vpc/errors.ts";
import { obstacleOn } from "#scheduler/place.ts";
import type { PlacementRequest } from "#scheduler/types.ts";
import type { Unit } from "#store/unit.ts";
import { scopeOf, type TaskDeps } from "./context.ts";
import { containerInstanceId, ecsArn } from "./identifiers.ts";
import { clusterOf, taskDefinitionOf } from "./lookup.ts";
import { nodeOf } from "#reconcilers/nodes.ts";
import { checkOverrides } from "./overrides.ts";
import { networkWish, readerOf } from "./launch-rules.ts";
import { newTask, planOf, type TaskPlan } from "./plan.ts";
import { checkCommon } from "./rules.ts";
import { checkActive } from "./run-task.ts";
import { checkRoles } from "./roles.ts";
import { checkTags } from "./tags.ts";
import { taskView } from "./view.ts";

/** One task on each of the given instances. The caller places: constraints and strategies have no say, resources and attributes do. */
export async function startTask(deps: TaskDeps, input: StartTaskRequest, context: RequestContext): Promise<StartTaskResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const definition = await taskDefinitionOf(deps.store, scope, input.taskDefinition ?? "");
  const instances = input.containerInstances ?? [];
  if (instances.length === 0) throw new ApiError("InvalidParameterException", "Container instances cannot be empty.");
  if (instances.length > 10) throw new ApiError("InvalidParameterException", "You can specify a maximum of 10 container instances.");
  checkCommon(input, definition, "EC2");
  checkTags(input.tags);
  checkOverrides(input.overrides, (definition.definition as TaskDefinition).containerDefinitions ?? []);
  await checkRoles(deps, definition, input.overrides, context);
  const plan = planOf(scope, cluster.name, definition, input);
  const wish = await networkWish(readerOf(deps.store), scope, input.networkConfiguration);
  return deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    await checkActive(unit, scope, cluster.name);
    const tasks: TaskRecord[] = [];
    const failures: Failure[] = [];
    const making = wish && { wish, zones: new Map(), random: deps.random, now: context.now, publicPool: deps.config.publicPool };
    for (const name of instances) {
      const outcome = await startOn(deps, unit, plan, name, making, context.now);
      if ("failure" in outcome) failures.push(outcome.failure);
      else tasks.push(outcome.task);
    }
    const views = tasks.map((task) =>
      taskView(task, undefined, {
        clusterArn: cluster.arn,
        tags: true,
      }),
    );
    return { tasks: views, failures };
  });
}

async function startOn(
  deps: TaskDeps,
  unit: Unit,
  plan: TaskPlan,
  name: string,
  network: NetworkMaking | undefined,
  now: number,
): Promise<{ task: TaskRecord } | { failure: Failure }> {
  const { scope, cluster } = plan;
  const id = containerInstanceId(name, cluster);
  const instance = id === undefined ? undefined : await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, cluster, id));
  if (!instance) {
    const arn = name.startsWith("arn:") ? name : ecsArn.containerInstance(scope, cluster, name);
    return { failure: { arn, reason: "MISSING", detail: `the cluster ${cluster} has no such container instance` } };
  }
  const allocation = await unit.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, instance.id));
  const connection = await unit.get<ConnectionRecord>(ecsKeys.connection(scope, cluster, instance.id));
  const request: PlacementRequest = {
    count: 1,
    group: plan.group,
    resources: plan.resources,
    requiredAttributes: plan.definition.requiresAttributes,
    constraints: [],
    strategy: [],
  };
  const rejection = obstacleOn(nodeOf(instance, allocation, connection), request);
  if (rejection) return { failure: { arn: instance.arn, reason: rejection.reason, detail: rejection.detail } };
  try {
    const planned = newTask(plan, { instance, place: { ...scope, cluster } }, onEc2, deps.random, now);
    return { task: await writeNewTask(unit, scope, planned, network) };
  } catch (error) {
    if (!(error instanceof VpcError)) throw error;
    return { failure: { arn: instance.arn, reason: "RESOURCE:ENI", detail: `${error.message} (ErrorCode: ${error.code})` } };
  }
}
