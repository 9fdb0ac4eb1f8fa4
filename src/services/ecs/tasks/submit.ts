import type {
  ContainerStateChange,
  ManagedAgentStateChange,
  NetworkBinding,
  SubmitAttachmentStateChangesRequest,
  SubmitAttachmentStateChangesResponse,
  SubmitContainerStateChangeRequest,
  SubmitContainerStateChangeResponse,
  SubmitTaskStateChangeRequest,
  SubmitTaskStateChangeResponse,
} from "@aws-sdk/client-ecs";
import { ApiError, type Principal, type RequestContext } from "#api/contract.ts";
import { parseArn } from "#model/arn.ts";
import { ecsKeys, instanceKeyOf, placeOf } from "#model/ecs-keys.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";
import type { ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { observe, observeHealth, type ContainerReport, type TaskReport } from "#model/task-state.ts";
import { stoppedTaskRetentionMs } from "#reconcilers/limits.ts";
import { clusterQueue, followTask, writeObservation } from "#reconcilers/task-writes.ts";
import { notYours, speaksFor } from "../container-instances/owner.ts";
import { scopeOf, type TaskDeps } from "./context.ts";
import { clusterOf } from "./lookup.ts";

/**
 * The agent's word on a task. InvalidParameterException for a task that is not known (any more) makes an agent drop the
 * report, every other error makes it try again.
 */
export async function submitTaskStateChange(
  deps: TaskDeps,
  input: SubmitTaskStateChangeRequest,
  context: RequestContext,
): Promise<SubmitTaskStateChangeResponse> {
  await report(deps, context, input.cluster, input.task, {
    status: input.status,
    reason: input.reason,
    pullStartedAt: input.pullStartedAt?.getTime(),
    pullStoppedAt: input.pullStoppedAt?.getTime(),
    executionStoppedAt: input.executionStoppedAt?.getTime(),
    containers: withAgents((input.containers ?? []).map(containerReport), input.managedAgents ?? []),
  });
  return { acknowledgment: "ACK" };
}

export async function submitContainerStateChange(
  deps: TaskDeps,
  input: SubmitContainerStateChangeRequest,
  context: RequestContext,
): Promise<SubmitContainerStateChangeResponse> {
  await report(deps, context, input.cluster, input.task, { containers: [containerReport(input)] });
  return { acknowledgment: "ACK" };
}

/** A task's interface is attached by being the task's, and its status follows from the task's: a report on it is taken note of, one on an unknown attachment is not. */
export async function submitAttachmentStateChanges(
  deps: TaskDeps,
  input: SubmitAttachmentStateChangesRequest,
  context: RequestContext,
): Promise<SubmitAttachmentStateChangesResponse> {
  for (const { attachmentArn = "" } of input.attachments ?? []) {
    const arn = parseArn(attachmentArn);
    const scope = arn && { account: arn.account, region: arn.region };
    const interfaces = scope ? (await deps.store.list<NetworkInterfaceRecord>(vpcKeys.of(scope, "network-interface"))).entries : [];
    const attached = interfaces.find(({ value }) => value.description === attachmentArn)?.value;
    if (attached) {
      await checkSpeaker(deps, context.principal, attached.task?.node, "ecs:SubmitAttachmentStateChanges", attachmentArn);
      continue;
    }
    context.log.warn({ attachment: attachmentArn }, "state of an attachment that nobody made");
    throw new ApiError("InvalidParameterException", "The referenced attachment was not found.");
  }
  return { acknowledgment: "ACK" };
}

async function report(
  deps: TaskDeps,
  context: RequestContext,
  cluster: string | undefined,
  task: string | undefined,
  change: TaskReport,
): Promise<void> {
  const { now, principal } = context;
  const agent = scopeOf(context);
  // An agent names the cluster as it was configured; the task's ARN says it for certain.
  const arn = parseArn(task ?? "");
  const [kind, named, id] = arn?.resource.split("/") ?? [];
  const isWhole = arn !== undefined && kind === "task" && id !== undefined;
  const name = isWhole ? named! : (await clusterOf(deps.store, agent, cluster)).name;
  const scope = isWhole ? { account: arn.account, region: arn.region } : agent;
  const taskId = id ?? (task ?? "").split("/").at(-1)!;
  const found = await deps.writer.run(clusterQueue(scope, name), async (unit) => {
    const record = await unit.get<TaskRecord>(ecsKeys.task(scope, name, taskId));
    const place = record && placeOf(scope, record);
    // An agent reports on the tasks of its own account's machines, whoever these tasks belong to.
    if (!record || place?.account !== agent.account || place.region !== agent.region) return false;
    await checkSpeaker(deps, principal, instanceKeyOf(scope, record), "ecs:SubmitTaskStateChange", record.arn);
    const previous = await unit.get<TaskObservation>(ecsKeys.taskObserved(scope, name, taskId));
    const next = observe(record, previous, change, now);
    if (next) await writeObservation(unit, scope, record, previous, next, now + stoppedTaskRetentionMs);
    return true;
  });
  if (!found) throw new ApiError("InvalidParameterException", "The referenced task was not found.");
}

/** An agent reports on what is on its own instance. `instance`: its key. Throws AccessDeniedException. */
async function checkSpeaker(
  { store }: TaskDeps,
  principal: Principal,
  instance: string | undefined,
  action: string,
  what: string,
): Promise<void> {
  if (!principal.identity) return;
  const record = instance === undefined ? undefined : (await store.get<ContainerInstanceRecord>(instance))?.value;
  if (!speaksFor(principal, record)) throw notYours(principal, action, what);
}

/** The task, where it is on the instance with this key. */
export async function taskOn({ store }: TaskDeps, instance: string, taskArn: string): Promise<TaskRecord | undefined> {
  const arn = parseArn(taskArn);
  const [, cluster, id] = arn?.resource.split("/") ?? [];
  if (!arn || !cluster || !id) return undefined;
  const scope = { account: arn.account, region: arn.region };
  const record = (await store.get<TaskRecord>(ecsKeys.task(scope, cluster, id)))?.value;
  return record !== undefined && instanceKeyOf(scope, record) === instance ? record : undefined;
}

/** What TCS tells of container health checks. Tasks that are not known or not of this instance are passed over. */
export async function reportHealth(deps: TaskDeps, instance: string, taskArn: string, health: ReadonlyMap<string, string>): Promise<void> {
  const arn = parseArn(String(taskArn));
  const [, cluster, id] = arn?.resource.split("/") ?? [];
  if (!arn || !cluster || !id) return;
  const scope = { account: arn.account, region: arn.region };
  const key = ecsKeys.taskObserved(scope, cluster, id);
  const record = (await deps.store.get<TaskRecord>(ecsKeys.task(scope, cluster, id)))?.value;
  const seen = (await deps.store.get<TaskObservation>(key))?.value;
  // Most reports bring nothing new: they cost no turn in the writer's queue.
  if (!record || instanceKeyOf(scope, record) !== instance || !observeHealth(record, seen, health)) return;
  await deps.writer.run(clusterQueue(scope, cluster), async (unit) => {
    const previous = await unit.get<TaskObservation>(key);
    const task = await unit.get<TaskRecord>(ecsKeys.task(scope, cluster, id));
    const next = task && observeHealth(task, previous, health);
    if (!next) return;
    unit.put(key, next);
    await followTask(unit, scope, task, previous, next, deps.clock.now());
  });
}

/** A managed agent's state may come without its container's. */
function withAgents(containers: readonly ContainerReport[], agents: readonly ManagedAgentStateChange[]): readonly ContainerReport[] {
  const reports = new Map(containers.map((container) => [container.name, container]));
  for (const { containerName: name = "", managedAgentName, status, reason } of agents)
    if (managedAgentName === "ExecuteCommandAgent")
      reports.set(name, { ...(reports.get(name) ?? { name }), execAgent: { status, ...(reason === undefined ? {} : { reason }) } });
  return [...reports.values()];
}

function containerReport(change: ContainerStateChange | SubmitContainerStateChangeRequest): ContainerReport {
  return {
    name: change.containerName ?? "",
    status: change.status,
    exitCode: change.exitCode,
    reason: change.reason,
    runtimeId: change.runtimeId,
    imageDigest: "imageDigest" in change ? change.imageDigest : undefined,
    networkBindings: change.networkBindings?.map(bindingOf),
  };
}

function bindingOf({ bindIP, containerPort, hostPort, protocol, containerPortRange, hostPortRange }: NetworkBinding) {
  return { bindIP, containerPort, hostPort, protocol, ...(containerPortRange && { containerPortRange, hostPortRange }) };
}
