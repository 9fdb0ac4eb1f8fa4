import type { DescribeTasksRequest, DescribeTasksResponse, Failure, Task } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { readTask, scopeOf, type TaskDeps } from "./context.ts";
import { ecsArn, parseTaskName } from "./identifiers.ts";
import { clusterOf } from "./lookup.ts";
import { taskView } from "./view.ts";

export async function describeTasks(deps: TaskDeps, input: DescribeTasksRequest, context: RequestContext): Promise<DescribeTasksResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const names = input.tasks ?? [];
  if (names.length === 0) throw new ApiError("InvalidParameterException", "Tasks cannot be empty.");
  if (names.length > 100) throw new ApiError("InvalidParameterException", "tasks can have at most 100 items.");
  const tags = input.include?.includes("TAGS") ?? false;
  const tasks: Task[] = [];
  const failures: Failure[] = [];
  const parsed = names.map(parseTaskName);
  const states = await Promise.all(
    parsed.map(async ({ id, cluster: named }) =>
      named !== undefined && named !== cluster.name ? undefined : readTask(deps.store, scope, cluster.name, id),
    ),
  );
  states.forEach((state, index) => {
    if (!state) {
      const { id, cluster: named } = parsed[index]!;
      failures.push({ arn: ecsArn.task(scope, named ?? cluster.name, id), reason: "MISSING" });
      return;
    }
    tasks.push(taskView(state.task, state.observation, { clusterArn: cluster.arn, tags }));
  });
  return { tasks, failures };
}
