import { allocationKeyOf, ecsKeys, instanceKeyOf, type Scope } from "#model/ecs-keys.ts";
import type {
  AllocatedTask,
  AllocationRecord,
  ContainerInstanceRecord,
  TaskObservation,
  TaskRecord,
  TaskServiceRegistry,
} from "#model/ecs-records.ts";
import { capacityKeys } from "#model/capacity-records.ts";
import { abandon, isStopped } from "#model/task-state.ts";
import { stoppedTaskRetentionMs } from "./limits.ts";
import { deregisterTask, registerTask } from "./names/instances.ts";
import { deregisterTargets, registerTargets } from "./task-targets.ts";
import { withInterface, type NetworkMaking } from "./launch.ts";
import { releaseTaskInterface } from "./vpc/interfaces.ts";
import { freeGpus, usageOf } from "#scheduler/usage.ts";
import type { Unit } from "#store/unit.ts";
import { writeTaskUsage } from "./meter/record.ts";

/**
 * The writes that belong together, whoever decides them: a task that comes takes its share of the instance in the same transaction,
 * one that stops gives it back in the same transaction, exactly once.
 */

/** The writer's queue of a cluster: all that takes and frees there is decided in one line. */
export function clusterQueue(scope: Scope, cluster: string): string {
  return `${scope.account}/${scope.region}/${cluster}`;
}

/** Its tasks make room for others when there is none left. */
export const spotProvider = "FARGATE_SPOT";

/**
 * Returns the task as it was written: with the GPUs and the network interface that it takes. The caller has found that there is room for it. Throws VpcError when its
 * subnets have no free address.
 */
export async function writeNewTask(unit: Unit, scope: Scope, planned: TaskRecord, network?: NetworkMaking): Promise<TaskRecord> {
  const key = allocationKeyOf(scope, planned);
  const allocation = await unit.get<AllocationRecord>(key);
  const connected = network ? await withInterface(unit, scope, planned, network) : planned;
  const task = await withGpus(unit, scope, connected, allocation);
  const taskKey = ecsKeys.task(scope, task.cluster, task.id);
  const share: AllocatedTask = {
    ...task.resources,
    group: task.group,
    ...(task.node ? { key: taskKey } : {}),
    ...(task.capacityProviderName === spotProvider ? { spot: true } : {}),
  };
  const changes = (allocation?.changes ?? 0) + 1;
  unit.put(key, { ...allocation, tasks: { ...allocation?.tasks, [task.id]: share }, changes } satisfies AllocationRecord);
  unit.put(taskKey, task);
  return task;
}

/** GPUs are whole, and each is one container's: the containers take theirs in turn from those that are free. */
async function withGpus(unit: Unit, scope: Scope, task: TaskRecord, allocation: AllocationRecord | undefined): Promise<TaskRecord> {
  const wanted = task.containers.reduce((sum, { gpuCount = 0 }) => sum + gpuCount, 0);
  if (wanted === 0) return task;
  const instance = await unit.get<ContainerInstanceRecord>(instanceKeyOf(scope, task));
  const gpus = instance && freeGpus(instance.registeredResources, usageOf(allocation), wanted);
  if (!gpus) throw new Error(`the instance ${task.containerInstanceId} has fewer than ${wanted} free GPUs`);
  let next = 0;
  const containers = task.containers.map((container) =>
    container.gpuCount ? { ...container, gpuIds: gpus.slice(next, (next += container.gpuCount)) } : container,
  );
  return { ...task, resources: { ...task.resources, gpus }, containers };
}

/** `previous` is what the unit read; a task that is STOPPED now is released, metered, and vanishes at `expiresAt`. */
export async function writeObservation(
  unit: Unit,
  scope: Scope,
  task: TaskRecord,
  previous: TaskObservation | undefined,
  next: TaskObservation,
  expiresAt: number,
): Promise<void> {
  const observedKey = ecsKeys.taskObserved(scope, task.cluster, task.id);
  unit.put(observedKey, next);
  await followTask(unit, scope, task, previous, next, expiresAt - stoppedTaskRetentionMs);
  if (!isStopped(next) || isStopped(previous)) return;
  await release(unit, scope, task);
  if (task.network) await releaseTaskInterface(unit, scope, task.network.networkInterfaceId);
  await writeTaskUsage(unit, scope, task, next);
  const taskKey = ecsKeys.task(scope, task.cluster, task.id);
  unit.put(ecsKeys.expiry("task", expiresAt, task.id), { keys: [taskKey, observedKey] });
}

/** Whoever leads others to it: it is registered with them while it runs and is to run, and not any more from the moment that it begins to end. */
export async function followTask(
  unit: Unit,
  scope: Scope,
  task: TaskRecord,
  previous: TaskObservation | undefined,
  next: TaskObservation,
  now: number,
): Promise<void> {
  const serves = (seen: TaskObservation | undefined) => seen?.lastStatus === "RUNNING" && seen.stoppingAt === undefined;
  if (serves(next) && task.desiredStatus === "RUNNING") {
    if (task.loadBalancers && !serves(previous)) await registerTargets(unit, scope, task, next, now);
    const registries = registriesOf(task);
    if (registries.length > 0) {
      const { hostAddress } = task;
      await registerTask(unit, scope, { task, observed: next, registries, now, ...(hostAddress === undefined ? {} : { hostAddress }) });
    }
  } else if (serves(previous) && !serves(next)) await leave(unit, scope, task, next, now);
}

async function leave(unit: Unit, scope: Scope, task: TaskRecord, observation: TaskObservation | undefined, now: number): Promise<void> {
  if (task.loadBalancers) await deregisterTargets(unit, scope, task, observation, now);
  if (registriesOf(task).length > 0) await deregisterTask(unit, scope, task.id);
}

/** Those that it was given, and those that Service Connect finds it by. */
function registriesOf({ serviceRegistries = [], serviceConnect }: TaskRecord): readonly TaskServiceRegistry[] {
  const connected = (serviceConnect?.endpoints ?? []).map(({ cloudMapArn, containerName, containerPort, ingressPort }) => ({
    registryArn: cloudMapArn,
    ...(ingressPort === undefined ? { containerName, containerPort } : { port: ingressPort }),
  }));
  return connected.length > 0 ? [...serviceRegistries, ...connected] : serviceRegistries;
}

/** The task is to stop: its load balancers send it nothing new from now on, and the dispatcher tells its agent when they have let go of it. */
export async function writeStop(
  unit: Unit,
  scope: Scope,
  task: TaskRecord,
  observation: TaskObservation | undefined,
  stop: NonNullable<TaskRecord["stop"]>,
): Promise<TaskRecord> {
  const stopping: TaskRecord = { ...task, desiredStatus: "STOPPED", stop };
  unit.put(ecsKeys.task(scope, task.cluster, task.id), stopping);
  if (task.waiting) {
    // Nobody else would ever report on it.
    unit.delete(capacityKeys.waiting(scope, task.cluster, task.id));
    const stopped = abandon(stopping, observation, stop, stop.at);
    if (stopped) await writeObservation(unit, scope, stopping, observation, stopped, stop.at + stoppedTaskRetentionMs);
    return stopping;
  }
  await leave(unit, scope, task, observation, stop.at);
  return stopping;
}

async function release(unit: Unit, scope: Scope, task: TaskRecord): Promise<void> {
  const key = allocationKeyOf(scope, task);
  const allocation = await unit.get<AllocationRecord>(key);
  if (!allocation || !(task.id in allocation.tasks)) return;
  const { [task.id]: _, ...tasks } = allocation.tasks;
  const next: AllocationRecord = { ...allocation, tasks, changes: (allocation.changes ?? 0) + 1 };
  if (Object.keys(tasks).length === 0 && allocation.reclaimedAt === undefined)
    await forgetAllocation(unit, key, instanceKeyOf(scope, task), next);
  else unit.put(key, next);
}

/** Nothing is taken any more. The instance keeps what its version had risen by. */
export async function forgetAllocation(unit: Unit, key: string, instanceKey: string, { changes = 0 }: AllocationRecord): Promise<void> {
  unit.delete(key);
  const instance = await unit.get<ContainerInstanceRecord>(instanceKey);
  if (instance && changes > 0)
    unit.put(instanceKey, { ...instance, version: instance.version + changes } satisfies ContainerInstanceRecord);
}
