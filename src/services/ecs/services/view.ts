import type {
  Deployment,
  DeploymentConfiguration,
  NetworkConfiguration,
  Service,
  ServiceRevisionSummary,
  TaskSet,
} from "@aws-sdk/client-ecs";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type {
  DeploymentRecord,
  RevisionSpec,
  ServiceRecord,
  ServiceRevisionRecord,
  ServiceStateRecord,
  TaskSetRecord,
} from "#model/service-records.ts";
import { desiredStatus, isStopped } from "#model/task-state.ts";
import { ecsArn } from "../tasks/identifiers.ts";
import type { ServiceDeps } from "./context.ts";

export interface Counts {
  readonly running: number;
  readonly pending: number;
}

/** Tasks that are to run, by deployment or task set: those that do, and those on their way. */
export function countsOf(tasks: Iterable<TaskRecord>, observed: ReadonlyMap<string, TaskObservation>): ReadonlyMap<string, Counts> {
  const counts = new Map<string, { running: number; pending: number }>();
  for (const task of tasks) {
    const observation = observed.get(task.id);
    if (isStopped(observation) || desiredStatus(task, observation) === "STOPPED") continue;
    const group = task.startedBy ?? "";
    let count = counts.get(group);
    if (!count) counts.set(group, (count = { running: 0, pending: 0 }));
    if (observation?.lastStatus === "RUNNING") count.running++;
    else count.pending++;
  }
  return counts;
}

export const none: Counts = { running: 0, pending: 0 };

export function readCounts({ index }: ServiceDeps, scope: Scope, { cluster, name }: ServiceRecord): ReadonlyMap<string, Counts> {
  const found = index.cluster(scope, cluster);
  const tasks = found?.services.get(name)?.tasks.values() ?? [];
  return countsOf(tasks, found?.observed ?? new Map());
}

/** Everything of a service that the API shows. Source: ECS API Reference, Service. */
export async function describeService(
  deps: ServiceDeps,
  scope: Scope,
  record: ServiceRecord,
  include: readonly string[],
): Promise<Service> {
  const { store } = deps;
  const { cluster, name } = record;
  const [state, deployments, revisions, taskSets] = await Promise.all([
    store.get<ServiceStateRecord>(ecsKeys.serviceState(scope, cluster, name)),
    store.list<DeploymentRecord>(ecsKeys.deployments(scope, cluster, name)),
    store.list<ServiceRevisionRecord>(ecsKeys.serviceRevisions(scope, cluster, name)),
    store.list<TaskSetRecord>(ecsKeys.taskSets(scope, cluster, name)),
  ]);
  const specs = new Map(revisions.entries.map(({ value }) => [value.id, value]));
  const counts = readCounts(deps, scope, record);
  const shown = deployments.entries.map(({ value }) => value).filter(({ status }) => status !== "INACTIVE");
  shown.sort((a, b) => Number(b.status === "PRIMARY") - Number(a.status === "PRIMARY") || b.createdAt - a.createdAt);
  const primary = shown[0];
  const spec: RevisionSpec = (primary && specs.get(primary.revision)) ?? {};
  const desired = desiredOf(record, state?.value);
  const all = [...counts.values()];
  const current = shown.map((each) => {
    const { running, pending } = counts.get(each.id) ?? none;
    return {
      arn: specs.get(each.revision)?.arn,
      requestedTaskCount: each.status === "PRIMARY" ? desired : running + pending,
      runningTaskCount: running,
      pendingTaskCount: pending,
    };
  });
  const open = shown.find(({ outcome }) => outcome === "IN_PROGRESS" || outcome === "ROLLBACK_IN_PROGRESS");
  return {
    serviceArn: record.arn,
    serviceName: name,
    clusterArn: ecsArn.cluster(scope, cluster),
    loadBalancers: (spec.loadBalancers ?? []) as Service["loadBalancers"],
    serviceRegistries: (spec.serviceRegistries ?? []) as Service["serviceRegistries"],
    status: record.status,
    desiredCount: desired,
    runningCount: all.reduce((sum, { running }) => sum + running, 0),
    pendingCount: all.reduce((sum, { pending }) => sum + pending, 0),
    ...placedBy(spec),
    ...(spec.platformVersion ? { platformVersion: spec.platformVersion, platformFamily: "Linux" } : {}),
    ...(spec.taskDefinition ? { taskDefinition: spec.taskDefinition } : {}),
    deploymentConfiguration: record.deploymentConfiguration as DeploymentConfiguration,
    ...(record.deploymentController === "EXTERNAL"
      ? { taskSets: taskSets.entries.map(({ value }) => taskSetView(scope, record, value, counts, state?.value, [])) }
      : {}),
    deployments: shown.map((each) => deploymentView(each, specs.get(each.revision) ?? {}, counts.get(each.id) ?? none, desired)),
    ...(record.role ? { roleArn: record.role } : {}),
    events: (state?.value.events ?? []).map(({ id, createdAt, message }) => ({ id, createdAt: new Date(createdAt), message })),
    createdAt: new Date(record.createdAt),
    ...(open ? { currentServiceDeployment: open.serviceDeploymentArn } : {}),
    ...(current.length > 0 ? { currentServiceRevisions: current } : {}),
    placementConstraints: record.placementConstraints as Service["placementConstraints"],
    placementStrategy: record.placementStrategy as Service["placementStrategy"],
    ...(spec.networkConfiguration ? { networkConfiguration: spec.networkConfiguration as NetworkConfiguration } : {}),
    ...(record.healthCheckGracePeriodSeconds === undefined ? {} : { healthCheckGracePeriodSeconds: record.healthCheckGracePeriodSeconds }),
    schedulingStrategy: record.schedulingStrategy,
    deploymentController: { type: record.deploymentController },
    ...(include.includes("TAGS") && record.tags.length > 0 ? { tags: record.tags.map(({ key, value }) => ({ key, value })) } : {}),
    createdBy: record.createdBy,
    enableECSManagedTags: record.enableECSManagedTags,
    propagateTags: record.propagateTags,
    enableExecuteCommand: record.enableExecuteCommand,
    availabilityZoneRebalancing: record.availabilityZoneRebalancing,
  };
}

/** Of a daemon service, the instances that it belongs on. */
export function desiredOf(record: ServiceRecord, state: ServiceStateRecord | undefined): number {
  return record.schedulingStrategy === "DAEMON" ? (record.status === "ACTIVE" ? (state?.daemonDesired ?? 0) : 0) : record.desiredCount;
}

function placedBy({ capacityProviderStrategy, launchType }: RevisionSpec): Pick<Service, "launchType" | "capacityProviderStrategy"> {
  if (capacityProviderStrategy?.length) return { capacityProviderStrategy: capacityProviderStrategy.map((each) => ({ ...each })) };
  return launchType ? { launchType } : {};
}

function deploymentView(
  record: DeploymentRecord,
  spec: Partial<ServiceRevisionRecord>,
  { running, pending }: Counts,
  desired: number,
): Deployment {
  return {
    id: record.id,
    status: record.status,
    taskDefinition: spec.taskDefinition,
    desiredCount: record.status === "PRIMARY" ? desired : running + pending,
    pendingCount: pending,
    runningCount: running,
    failedTasks: record.failedTasks,
    createdAt: new Date(record.createdAt),
    updatedAt: new Date(record.updatedAt),
    ...placedBy(spec),
    ...(spec.platformVersion ? { platformVersion: spec.platformVersion, platformFamily: "Linux" } : {}),
    ...(spec.networkConfiguration ? { networkConfiguration: spec.networkConfiguration as NetworkConfiguration } : {}),
    ...(spec.serviceConnectConfiguration
      ? { serviceConnectConfiguration: spec.serviceConnectConfiguration as Deployment["serviceConnectConfiguration"] }
      : {}),
    ...(spec.serviceConnect
      ? {
          serviceConnectResources: spec.serviceConnect.endpoints.map(({ discoveryName, cloudMapArn }) => ({
            discoveryName,
            discoveryArn: cloudMapArn,
          })),
        }
      : {}),
    rolloutState: record.rolloutState,
    rolloutStateReason: record.rolloutStateReason,
  };
}

/** Source: ECS API Reference, TaskSet. */
export function taskSetView(
  scope: Scope,
  service: ServiceRecord,
  record: TaskSetRecord,
  counts: ReadonlyMap<string, Counts>,
  state: ServiceStateRecord | undefined,
  include: readonly string[],
): TaskSet {
  const { running, pending } = counts.get(record.id) ?? none;
  const computed = record.status === "DRAINING" ? 0 : Math.ceil((service.desiredCount * record.scale.value) / 100);
  const steady = state !== undefined && !(state.unsteadyTaskSets ?? []).includes(record.id) && running === computed && pending === 0;
  return {
    id: record.id,
    taskSetArn: record.arn,
    serviceArn: service.arn,
    clusterArn: ecsArn.cluster(scope, service.cluster),
    ...(record.startedBy ? { startedBy: record.startedBy } : {}),
    ...(record.externalId ? { externalId: record.externalId } : {}),
    status: record.status,
    taskDefinition: record.taskDefinition,
    computedDesiredCount: computed,
    pendingCount: pending,
    runningCount: running,
    createdAt: new Date(record.createdAt),
    updatedAt: new Date(record.updatedAt),
    ...placedBy(record),
    ...(record.platformVersion ? { platformVersion: record.platformVersion, platformFamily: "Linux" } : {}),
    ...(record.networkConfiguration ? { networkConfiguration: record.networkConfiguration as NetworkConfiguration } : {}),
    loadBalancers: (record.loadBalancers ?? []) as TaskSet["loadBalancers"],
    serviceRegistries: (record.serviceRegistries ?? []) as TaskSet["serviceRegistries"],
    scale: { ...record.scale },
    stabilityStatus: steady ? "STEADY_STATE" : "STABILIZING",
    stabilityStatusAt: new Date(record.updatedAt),
    ...(include.includes("TAGS") ? { tags: record.tags.map(({ key, value }) => ({ key, value })) } : {}),
  };
}

export function revisionSummary(
  arn: string | undefined,
  requested: number,
  { running, pending }: Counts,
  weight: number,
): ServiceRevisionSummary {
  return {
    arn,
    requestedTaskCount: requested,
    runningTaskCount: running,
    pendingTaskCount: pending,
    requestedProductionTrafficWeight: weight,
  };
}
