import type { ClusterConfiguration, ExecuteCommandRequest, ExecuteCommandResponse } from "@aws-sdk/client-ecs";
import { ApiError, type RequestContext } from "#api/contract.ts";
import { instanceKeyOf } from "#model/ecs-keys.ts";
import type { ClusterRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { ExecSessionRecord } from "#model/exec-records.ts";
import { initialObservation, isStopped } from "#model/task-state.ts";
import { type ExecHub, mostSessions } from "#reconcilers/exec/hub.ts";
import { ecsErrors } from "../errors.ts";
import { readTask, scopeOf, type TaskDeps } from "../tasks/context.ts";
import { parseTaskName } from "../tasks/identifiers.ts";
import { clusterOf } from "../tasks/lookup.ts";
import { streamUrlOf } from "./doors.ts";
import { loggingOf } from "./logging.ts";

const notEnabled =
  "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again.";
const notConnected = () =>
  new ApiError("TargetNotConnectedException", "The execute command failed due to an internal error. Try again later.");

export interface ExecDeps extends TaskDeps {
  readonly hub: ExecHub;
}

/** Source: ECS API Reference, ExecuteCommand; the sentences are AWS's. Answers once the task's agent has taken the session up; the command runs when its client is there. */
export async function executeCommand(
  deps: ExecDeps,
  input: ExecuteCommandRequest,
  context: RequestContext,
): Promise<ExecuteCommandResponse> {
  const scope = scopeOf(context);
  if (input.interactive !== true) throw ecsErrors.invalid("Interactive is the only mode supported currently.");
  const command = input.command ?? "";
  if (command.trim() === "") throw ecsErrors.invalid("Command must not be blank.");
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const { id, cluster: named = cluster.name } = parseTaskName(input.task ?? "");
  const { task, session } = await openSession(deps, cluster, named === cluster.name ? id : "", command, context, ({ containers }) => {
    if (input.container === undefined && containers.length > 1)
      throw ecsErrors.invalid(
        `A container name must be specified for a task with several containers: ${containers.map(({ name }) => name).join(", ")}.`,
      );
    return input.container ?? containers[0]!.name;
  });
  return {
    clusterArn: cluster.arn,
    containerArn: task.containers.find(({ name }) => name === session.container)!.arn,
    containerName: session.container,
    interactive: true,
    session: openedView(deps, session, context),
    taskArn: task.arn,
  };
}

/** What the plugin is started with. */
export const openedView = ({ hub }: ExecDeps, session: ExecSessionRecord, { endpoint }: RequestContext) => ({
  sessionId: session.id,
  streamUrl: streamUrlOf(endpoint, session.id),
  tokenValue: hub.tokenOf(session),
});

/** Throws InvalidParameterException, TargetNotConnectedException. */
export async function openSession(
  { store, hub }: ExecDeps,
  cluster: ClusterRecord,
  id: string,
  command: string,
  context: RequestContext,
  choose: (task: TaskRecord, observation: TaskObservation) => string,
): Promise<{ readonly task: TaskRecord; readonly session: ExecSessionRecord }> {
  const scope = scopeOf(context);
  const found = await readTask(store, scope, cluster.name, id);
  if (!found) throw ecsErrors.invalid("The referenced task was not found.");
  const { task, observation = initialObservation(task) } = found;
  if (isStopped(observation) || task.desiredStatus === "STOPPED") throw ecsErrors.invalid("The specified task is not running.");
  const container = choose(task, observation);
  if (!task.containers.some(({ name }) => name === container))
    throw ecsErrors.invalid(`The container ${container} is not a container of the task.`);
  const seen = observation.containers.find(({ name }) => name === container);
  if (!task.enableExecuteCommand || seen?.execAgent?.lastStatus !== "RUNNING" || seen.lastStatus !== "RUNNING")
    throw ecsErrors.invalid(notEnabled);
  if (hub.active >= mostSessions) throw ecsErrors.client(`There are ${hub.active} sessions already, as many as there can be.`);
  const session = await hub.open({
    scope,
    owner: context.principal.arn,
    target: `ecs:${cluster.name}_${task.id}_${seen.runtimeId ?? ""}`,
    taskArn: task.arn,
    container,
    instance: instanceKeyOf(scope, task),
    command,
    logging: loggingOf(cluster.configuration as ClusterConfiguration | undefined),
  });
  if (!session) throw notConnected();
  return { task, session };
}
