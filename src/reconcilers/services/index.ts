import { ecsKeys, parseEcsKey, type EcsKey, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord, ServiceStateRecord, TaskProtectionRecord, TaskSetRecord } from "#model/service-records.ts";
import { createPlacementIndex, type PlacementIndex } from "#scheduler/placement-index.ts";
import type { Node } from "#scheduler/types.ts";
import { clusterQueue } from "../task-writes.ts";
import { nodeOf } from "../nodes.ts";

/** An agent that comes back within this time was never away: longer than it takes to start again. */
export const lostAfterMs = 10_000;

/** What the records say of one service, joined; kept current by the change feed, so that a look at it costs nothing. */
export interface ServiceEntry {
  readonly key: string;
  readonly scope: Scope;
  readonly cluster: string;
  readonly name: string;
  record?: ServiceRecord;
  state?: ServiceStateRecord;
  readonly deployments: Map<string, DeploymentRecord>;
  readonly taskSets: Map<string, TaskSetRecord>;
  readonly tasks: Map<string, TaskRecord>;
}

export interface ClusterEntry {
  readonly scope: Scope;
  readonly name: string;
  readonly services: Map<string, ServiceEntry>;
  readonly instances: Map<string, InstanceEntry>;
  /** The instances as the scheduler sees them; `stale` are those that have changed since. */
  readonly placement: PlacementIndex;
  readonly stale: Set<string>;
  /** Of every task of the cluster, by id. */
  readonly observed: Map<string, TaskObservation>;
  readonly protections: Map<string, number>;
}

export interface InstanceEntry {
  readonly id: string;
  record?: ContainerInstanceRecord;
  allocation?: AllocationRecord;
  connection?: ConnectionRecord;
  /** Made when asked for; gone with any change. */
  node?: Node;
}

/** Everything that services and their placement rest on, by cluster. Fed by one reader of the change feed; `touched` names the services that an event concerns. */
export class ServiceIndex {
  readonly #clusters = new Map<string, ClusterEntry>();
  #revision = 0;
  #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];

  clear(): void {
    this.#clusters.clear();
  }

  /** Resolves once every change up to `revision` is in. */
  caughtUp(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ revision, resolve }));
  }

  reached(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    if (this.#waiting.length === 0) return;
    const due = this.#waiting.filter((each) => each.revision <= this.#revision);
    this.#waiting = this.#waiting.filter((each) => each.revision > this.#revision);
    for (const { resolve } of due) resolve();
  }

  cluster(scope: Scope, name: string): ClusterEntry | undefined {
    return this.#clusters.get(clusterQueue(scope, name));
  }

  service(scope: Scope, cluster: string, name: string): ServiceEntry | undefined {
    return this.cluster(scope, cluster)?.services.get(name);
  }

  *services(): Iterable<ServiceEntry> {
    for (const cluster of this.#clusters.values()) for (const service of cluster.services.values()) if (service.record) yield service;
  }

  /** Brought up to date by what has changed since the last time. */
  placement({ instances, placement, stale }: ClusterEntry): PlacementIndex {
    for (const id of stale) {
      const instance = instances.get(id);
      const node = nodeIn(instance);
      if (node) placement.upsert(node);
      else placement.remove(id);
    }
    stale.clear();
    return placement;
  }

  /** The connection record at this key. */
  connection(key: string): ConnectionRecord | undefined {
    const { scope, names } = parseEcsKey(key)!;
    return this.cluster(scope, names[0]!)?.instances.get(names[1]!)?.connection;
  }

  /** Takes one change in, and returns the keys of the services that it may concern. */
  take(key: string, value: unknown): readonly string[] {
    const parsed = parseEcsKey(key);
    if (!parsed) return [];
    const [cluster, id] = parsed.names;
    if (!cluster || !id) return [];
    const change = changes[parsed.kind];
    return change ? change(this.#clusterOf(parsed.scope, cluster), id, value, parsed) : [];
  }

  #clusterOf(scope: Scope, name: string): ClusterEntry {
    const id = clusterQueue(scope, name);
    let cluster = this.#clusters.get(id);
    if (!cluster) this.#clusters.set(id, (cluster = newCluster(scope, name)));
    return cluster;
  }
}

function newCluster(scope: Scope, name: string): ClusterEntry {
  return {
    scope,
    name,
    services: new Map(),
    instances: new Map(),
    placement: createPlacementIndex(),
    stale: new Set(),
    observed: new Map(),
    protections: new Map(),
  };
}

export function nodeIn(instance: InstanceEntry | undefined): Node | undefined {
  if (!instance?.record || instance.record.status === "INACTIVE") return undefined;
  return (instance.node ??= nodeOf(instance.record, instance.allocation, instance.connection));
}

/** The service that a task's group names. */
export function serviceOf(group: string): string | undefined {
  return group.startsWith("service:") ? group.slice(8) : undefined;
}

type Change = (cluster: ClusterEntry, id: string, value: unknown, key: EcsKey) => readonly string[];

const serviceEntry = (cluster: ClusterEntry, name: string): ServiceEntry => {
  let service = cluster.services.get(name);
  if (!service) {
    const key = ecsKeys.service(cluster.scope, cluster.name, name);
    const { scope } = cluster;
    cluster.services.set(
      name,
      (service = { key, scope, cluster: cluster.name, name, deployments: new Map(), taskSets: new Map(), tasks: new Map() }),
    );
  }
  return service;
};

/** Nothing is left of it: it is forgotten. */
function tidy(cluster: ClusterEntry, service: ServiceEntry): void {
  if (!service.record && !service.state && service.deployments.size + service.taskSets.size + service.tasks.size === 0)
    cluster.services.delete(service.name);
}

function part<T>(set: (service: ServiceEntry, value: T | undefined, names: readonly string[]) => void): Change {
  return (cluster, name, value, { names }) => {
    const service = serviceEntry(cluster, name);
    set(service, value as T | undefined, names);
    tidy(cluster, service);
    return [service.key];
  };
}

function inMap<T>(map: Map<string, T>, id: string | undefined, value: T | undefined): void {
  if (id === undefined) return;
  if (value === undefined) map.delete(id);
  else map.set(id, value);
}

const machine =
  (
    set: (instance: InstanceEntry, value: unknown) => void,
    who: (cluster: ClusterEntry, instance: InstanceEntry) => readonly string[],
  ): Change =>
  (cluster, id, value) => {
    let instance = cluster.instances.get(id);
    if (!instance) cluster.instances.set(id, (instance = { id }));
    set(instance, value);
    instance.node = undefined;
    cluster.stale.add(id);
    if (!instance.record && !instance.allocation && !instance.connection) cluster.instances.delete(id);
    return who(cluster, instance);
  };

/** Those with tasks there, those that wait for room, and those that want to be everywhere. */
function concerned(cluster: ClusterEntry, { allocation }: InstanceEntry): string[] {
  const there = new Set<string>();
  for (const { group } of Object.values(allocation?.tasks ?? {})) {
    const name = serviceOf(group);
    if (name !== undefined) there.add(name);
  }
  const keys: string[] = [];
  for (const service of cluster.services.values()) {
    if (there.has(service.name) || service.state?.placement || service.record?.schedulingStrategy === "DAEMON") keys.push(service.key);
  }
  return keys;
}

/** Room that comes or goes concerns those that wait for it; on a draining instance also the daemons, which leave last. */
function waiting(cluster: ClusterEntry, { record }: InstanceEntry): string[] {
  const keys: string[] = [];
  for (const service of cluster.services.values()) {
    if (service.state?.placement || (record?.status === "DRAINING" && service.record?.schedulingStrategy === "DAEMON"))
      keys.push(service.key);
  }
  return keys;
}

const ofTask = (cluster: ClusterEntry, id: string): readonly string[] => {
  for (const service of cluster.services.values()) if (service.tasks.has(id)) return [service.key];
  return [];
};

const changes: Readonly<Record<string, Change>> = {
  service: part<ServiceRecord>((service, value) => (service.record = value)),
  "service-state": part<ServiceStateRecord>((service, value) => (service.state = value)),
  deployment: part<DeploymentRecord>((service, value, names) => inMap(service.deployments, names[2], value)),
  "task-set": part<TaskSetRecord>((service, value, names) => inMap(service.taskSets, names[2], value)),
  task: (cluster, id, value) => {
    const task = value as TaskRecord | undefined;
    const name = task ? serviceOf(task.group) : undefined;
    if (task && name === undefined) return [];
    const service = name === undefined ? [...cluster.services.values()].find(({ tasks }) => tasks.has(id)) : serviceEntry(cluster, name);
    if (!service) return [];
    inMap(service.tasks, id, task);
    tidy(cluster, service);
    return [service.key];
  },
  "task-observed": (cluster, id, value) => {
    inMap(cluster.observed, id, value as TaskObservation | undefined);
    return ofTask(cluster, id);
  },
  "task-protection": (cluster, id, value) => {
    inMap(cluster.protections, id, (value as TaskProtectionRecord | undefined)?.expiresAt);
    return ofTask(cluster, id);
  },
  "container-instance": machine((instance, value) => (instance.record = value as ContainerInstanceRecord | undefined), concerned),
  allocation: machine((instance, value) => (instance.allocation = value as AllocationRecord | undefined), waiting),
  connection: machine((instance, value) => (instance.connection = value as ConnectionRecord | undefined), concerned),
};
