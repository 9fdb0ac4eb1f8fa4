import type { TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord } from "#model/service-records.ts";
import { obstacleOn } from "#scheduler/place.ts";
import type { PlacementRequest } from "#scheduler/types.ts";
import type { AlarmFacts } from "./deployment-alarms.ts";
import { factsOf, type InstanceFacts, type ServiceSnapshot } from "./facts.ts";
import { nodeIn, serviceOf, type ClusterEntry, type InstanceEntry, type ServiceEntry, type ServiceIndex } from "./index.ts";

/** Of a task that waits for an instance. */
const nowhere: InstanceFacts = { status: "ACTIVE", lost: false, onlyDaemons: false };

export function snapshotOf(
  cluster: ClusterEntry,
  index: Pick<ServiceIndex, "fargate" | "targetsOf" | "lostAfterMs">,
  entry: ServiceEntry,
  service: ServiceRecord,
  /** For a task of the group that is to have them: undefined when its task definition is gone. */
  request: PlacementRequest | undefined,
  now: number,
  trafficProblem?: string,
  alarms?: AlarmFacts,
): ServiceSnapshot {
  const machines = new Map<string, InstanceFacts | undefined>();
  const instanceOf = (id: string) => cluster.instances.get(id) ?? index.fargate.instances.get(id);
  const machine = (id: string) => {
    if (!machines.has(id)) machines.set(id, instanceFacts(cluster, instanceOf(id), now, index.lostAfterMs));
    return machines.get(id);
  };
  const grace = service.healthCheckGracePeriodSeconds ?? 0;
  const facts = (task: TaskRecord) => {
    const seen = cluster.observed.get(task.id);
    const protectedUntil = cluster.protections.get(task.id) ?? 0;
    return factsOf(
      task,
      seen,
      task.waiting ? nowhere : machine(task.containerInstanceId),
      protectedUntil,
      grace,
      now,
      index.targetsOf(entry, task, seen),
    );
  };
  const daemon = service.schedulingStrategy === "DAEMON";
  return {
    service,
    state: entry.state,
    deployments: [...entry.deployments.values()].toSorted(byAge),
    taskSets: [...entry.taskSets.values()],
    rules: { strategy: request?.strategy ?? [], node: (id) => nodeIn(instanceOf(id)) },
    tasks: [...entry.tasks.values()].map(facts),
    ...(daemon ? { homes: request ? homesOf(cluster, request, now, index.lostAfterMs) : [] } : {}),
    ...(trafficProblem === undefined ? {} : { trafficProblem }),
    ...(alarms === undefined ? {} : { alarms }),
    ...(service.availabilityZoneRebalancing === "ENABLED" && request ? { openZones: () => zonesFor(cluster, request) } : {}),
  };
}

const byAge = (a: DeploymentRecord, b: DeploymentRecord) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1);

function instanceFacts(
  cluster: ClusterEntry,
  instance: InstanceEntry | undefined,
  now: number,
  lostAfterMs: number,
): InstanceFacts | undefined {
  if (!instance?.record) return undefined;
  const { record, connection, allocation } = instance;
  const daemons = Object.values(allocation?.tasks ?? {}).every(({ group }) => {
    const name = serviceOf(group);
    return name !== undefined && cluster.services.get(name)?.record?.schedulingStrategy === "DAEMON";
  });
  return {
    status: record.status,
    lost: isLost(instance, now, lostAfterMs),
    onlyDaemons: daemons && connection !== undefined,
  };
}

export function isLost({ record, connection }: InstanceEntry, now: number, lostAfterMs: number): boolean {
  if (connection?.connected) return false;
  if (connection?.gone) return true;
  return now - (connection?.since ?? record?.registeredAt ?? 0) >= lostAfterMs;
}

/** The instances that a daemon belongs on, whether or not there is room: those that match, those that may only be busy now, and where it is, those whose agent is away for a moment. */
function homesOf(cluster: ClusterEntry, request: PlacementRequest, now: number, lostAfterMs: number): string[] {
  const homes: string[] = [];
  for (const instance of cluster.instances.values()) {
    const node = nodeIn(instance);
    if (!node) continue;
    const obstacle = obstacleOn(node, request);
    const isThere = (node.usage.groups.get(request.group) ?? 0) > 0;
    if (
      !obstacle ||
      obstacle.reason.startsWith("RESOURCE:") ||
      (obstacle.reason === "AGENT" && isThere && !isLost(instance, now, lostAfterMs))
    )
      homes.push(node.id);
  }
  return homes.toSorted();
}

function zonesFor(cluster: ClusterEntry, request: PlacementRequest): Set<string> {
  const zones = new Set<string>();
  for (const instance of cluster.instances.values()) {
    const node = nodeIn(instance);
    if (node && !obstacleOn(node, request)) zones.add(node.attributes.get("ecs.availability-zone") ?? "");
  }
  return zones;
}
