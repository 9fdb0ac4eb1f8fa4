import type { ListTasksRequest, ListTasksResponse } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { pageOf } from "#api/pagination.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { desiredStatus } from "#model/task-state.ts";
import { scopeOf, type TaskDeps } from "./context.ts";
import { containerInstanceId } from "./identifiers.ts";
import { findService } from "../services/names.ts";
import { clusterOf } from "./lookup.ts";

const mostResults = 100;

/** Task ARNs in the order of their ids. Filters are joined by "and"; without desiredStatus only what is to run is listed. */
export async function listTasks(deps: TaskDeps, input: ListTasksRequest, context: RequestContext): Promise<ListTasksResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const limit = input.maxResults ?? mostResults;
  if (limit < 1 || limit > mostResults) throw new ApiError("InvalidParameterException", "maxResults should be between 1 and 100");
  if (input.daemonName !== undefined) throw new ApiError("NotImplemented", "Gantry does not support daemonName yet.", 501);
  const instance = input.containerInstance === undefined ? undefined : (containerInstanceId(input.containerInstance, cluster.name) ?? "");
  const wanted = input.desiredStatus ?? "RUNNING";
  // ECS keeps no task at the desired status PENDING: the API takes the filter and finds nothing.
  const group = input.serviceName === undefined ? undefined : `service:${input.serviceName.split("/").at(-1)}`;
  const [tasks, observed] = await Promise.all([
    deps.store.list<TaskRecord>(ecsKeys.tasks(scope, cluster.name)),
    deps.store.list<TaskObservation>(ecsKeys.tasksObserved(scope, cluster.name)),
  ]);
  const observations = new Map(observed.entries.map(({ key, value }) => [key, value]));
  const matching = tasks.entries
    .map(({ value }) => value)
    .filter(
      (task) =>
        (instance === undefined || (task.node === undefined && task.containerInstanceId === instance)) &&
        (input.family === undefined || familyOf(task) === input.family) &&
        (input.startedBy === undefined || task.startedBy === input.startedBy) &&
        (group === undefined || task.group === group) &&
        (input.launchType === undefined || task.launchType === input.launchType) &&
        desiredStatus(task, observations.get(ecsKeys.taskObserved(scope, cluster.name, task.id))) === wanted,
    );
  if (input.serviceName !== undefined) await findService(deps.store, scope, cluster.name, input.serviceName);
  const { nextToken: token, maxResults: _, ...filters } = input;
  const page = pageOf(deps.sealer, matching, ({ id }) => id, {
    scope: `ecs:ListTasks:${scope.account}:${scope.region}:${cluster.name}:${JSON.stringify(filters)}`,
    limit,
    token,
    badToken: () => new ApiError("InvalidParameterException", "Invalid token"),
  });
  return { taskArns: page.items.map(({ arn }) => arn), nextToken: page.nextToken };
}

function familyOf({ taskDefinitionArn }: TaskRecord): string {
  return /task-definition\/(.+):\d+$/.exec(taskDefinitionArn)?.[1] ?? "";
}
