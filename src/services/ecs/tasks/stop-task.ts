import type { StopTaskRequest, StopTaskResponse } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import { clusterQueue, writeStop } from "#reconcilers/task-writes.ts";
import { scopeOf, type TaskDeps } from "./context.ts";
import { parseTaskName } from "./identifiers.ts";
import { clusterOf } from "./lookup.ts";
import { taskView } from "./view.ts";

const maxReason = 1024;

/** Sets the intent; the dispatcher tells the agent, which reports STOPPED. Stopping what is to stop already changes nothing. */
export async function stopTask(deps: TaskDeps, input: StopTaskRequest, context: RequestContext): Promise<StopTaskResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const { id, cluster: named } = parseTaskName(input.task ?? "");
  if (input.reason !== undefined && input.reason.length > maxReason)
    throw new ApiError("InvalidParameterException", `reason must have at most ${maxReason} characters.`);
  const state = await deps.writer.run(clusterQueue(scope, cluster.name), async (unit) => {
    const key = ecsKeys.task(scope, cluster.name, id);
    const task = named !== undefined && named !== cluster.name ? undefined : await unit.get<TaskRecord>(key);
    if (!task) throw new ApiError("InvalidParameterException", "The referenced task was not found.");
    const observation = await unit.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster.name, id));
    if (task.desiredStatus === "STOPPED" || isStopped(observation)) return { task, observation };
    const stop = { at: context.now, code: "UserInitiated", reason: input.reason || "Task stopped by user" };
    return { task: await writeStop(unit, scope, task, observation, stop), observation };
  });
  return {
    task: taskView(state.task, state.observation, {
      clusterArn: cluster.arn,
      tags: true,
    }),
  };
}
