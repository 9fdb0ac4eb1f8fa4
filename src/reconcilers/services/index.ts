import { ecsKeys, parseEcsKey, type EcsKey, type NodePlace, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, ServiceRecord, ServiceStateRecord, TaskProtectionRecord, TaskSetRecord } from "#model/service-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { TargetHealthRecord } from "#model/elb-records.ts";
import { isStopped } from "#model/task-state.ts";
import { createPlacementIndex, type PlacementIndex } from "#scheduler/placement-index.ts";
import type { Node } from "#scheduler/types.ts";
import { targetsFacts, targetsOf, type TargetsFacts, type TaskTarget } from "../task-targets.ts";
import { clusterQueue } from "../task-writes.ts";
import { isFargateNode, isHidden, nodeOf } from "../nodes.ts";

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

/** Machines that tasks are placed on together. */
export interface Pool {
  readonly instances: Map<string, InstanceEntry>;
  /** The instances as the scheduler sees them; `stale` are those that have changed since. */
  readonly placement: PlacementIndex;
  readonly stale: Set<string>;
}

export interface ClusterEntry extends Pool {
  readonly scope: Scope;
  readonly name: string;
  readonly services: Map<string, ServiceEntry>;
  /** Of every task of the cluster, by id. */
  readonly observed: Map<string, TaskObservation>;
  readonly protections: Map<string, number>;
}

export interface InstanceEntry {
  readonly id: string;
  readonly place: NodePlace;
  record?: ContainerInstanceRecord;
  allocation?: AllocationRecord;
  connection?: ConnectionRecord;
  /** Made when asked for; gone with any change. */
  node?: Node;
}

/** Everything that services and their placement rest on, by cluster. Fed by one reader of the change feed; `touched` names the services that an event concerns. */
export class ServiceIndex {
  #clusters = new Map<string, ClusterEntry>();
  /** What the load balancers saw, by the key of its record. */
  readonly #health = new Map<string, TargetHealthRecord>();
  /** The service whose task stands behind a target, by the key of the target's health. */
  readonly #owners = new Map<string, string>();
  /** Fargate's machines, of all accounts. Those that are their cluster's as well are in both, as one. */
  fargate: Pool = newPool();
  /** An agent that comes back within this time was never away: longer than it takes to start again. */
  readonly lostAfterMs: number;
  #revision = 0;
  /** All that there is has been read. */
  #whole = false;
  #waiting: { readonly revision: number; readonly resolve: () => void }[] = [];
  #turns = 0;
  #news = Promise.withResolvers<void>();

  constructor(lostAfterMs: number) {
    this.lostAfterMs = lostAfterMs;
  }

  /** All that there is, read anew. Who is at work on an entry of before has what was known then, and finds a newer one in its next pass. */
  replaceBy(next: ServiceIndex): void {
    this.#whole = true;
    this.#clusters = next.#clusters;
    this.fargate = next.fargate;
    // Every service is looked at again, which finds its targets' owners.
    this.#owners.clear();
  }

  /** Resolves once every change up to `revision` is in. */
  caughtUp(revision: number): Promise<void> {
    if (revision <= this.#revision) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ revision, resolve }));
  }

  /** How often something has come in. */
  get turns(): number {
    return this.#turns;
  }

  /** Resolves once more has come in than that many times. */
  newsAfter(turns: number): Promise<void> {
    return turns < this.#turns ? Promise.resolve() : this.#news.promise;
  }

  reached(revision: number): void {
    this.#revision = Math.max(this.#revision, revision);
    this.#turns++;
    this.#news.resolve();
    this.#news = Promise.withResolvers();
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

  /** A service's tasks that run and are to. Undefined: what there is has not all been read. */
  running(scope: Scope, cluster: string, name: string): number | undefined {
    if (!this.#whole) return undefined;
    const found = this.cluster(scope, cluster);
    let count = 0;
    for (const { id, desiredStatus } of found?.services.get(name)?.tasks.values() ?? [])
      if (desiredStatus === "RUNNING" && found!.observed.get(id)?.lastStatus === "RUNNING") count++;
    return count;
  }

  *services(): Iterable<ServiceEntry> {
    for (const cluster of this.#clusters.values()) for (const service of cluster.services.values()) if (service.record) yield service;
  }

  /** Takes one change of a target's health in. */
  takeHealth(key: string, value: unknown): readonly string[] {
    inMap(this.#health, key, value as TargetHealthRecord | undefined);
    const owner = this.#owners.get(key);
    return owner === undefined ? [] : [owner];
  }

  /** What the load balancers say of a service's task; undefined where it stands behind none. */
  targetsOf({ key, scope, tasks }: ServiceEntry, task: TaskRecord, observation: TaskObservation | undefined): TargetsFacts | undefined {
    if (!task.loadBalancers || !tasks.has(task.id)) return undefined;
    const keyOf = ({ group, id, port }: TaskTarget) => elbKeys.health(scope, group, id, port);
    const targets = targetsOf(task, observation);
    for (const target of targets) {
      if (isStopped(observation)) this.#owners.delete(keyOf(target));
      else this.#owners.set(keyOf(target), key);
    }
    return targetsFacts(targets, task.loadBalancers.length, (target) => this.#health.get(keyOf(target)));
  }

  /** Brought up to date by what has changed since the last time. */
  placement({ instances, placement, stale }: Pool): PlacementIndex {
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
    return (this.cluster(scope, names[0]!)?.instances.get(names[1]!) ?? this.fargate.instances.get(names[1]!))?.connection;
  }

  /** Takes one change in, and returns the keys of the services that it may concern. */
  take(key: string, value: unknown): readonly string[] {
    const parsed = parseEcsKey(key);
    if (!parsed) return [];
    const [cluster, id] = parsed.names;
    if (!cluster || !id) return [];
    const { scope, kind } = parsed;
    const set = ofMachine[kind];
    if (set) return this.#machine(scope, cluster, id, kind, (instance) => set(instance, value));
    const change = changes[kind];
    return change ? change(this.#clusterOf(scope, cluster), id, value, parsed) : [];
  }

  /** A machine is in the pool of its cluster, of Fargate, or of both. */
  #machine(scope: Scope, name: string, id: string, kind: string, set: (instance: InstanceEntry) => void): readonly string[] {
    const cluster = this.#clusterOf(scope, name);
    const known = cluster.instances.get(id) ?? this.fargate.instances.get(id);
    const instance = known ?? { id, place: { account: scope.account, region: scope.region, cluster: name } };
    const before = instance.allocation;
    set(instance);
    instance.node = undefined;
    const { record, allocation, connection } = instance;
    const isThere = record !== undefined || allocation !== undefined || connection !== undefined;
    const ofFargate = isThere && (record ? isFargateNode(record) || hasForeign(allocation) : this.fargate.instances.has(id));
    join(cluster, instance, isThere && !(record && isHidden(record)));
    join(this.fargate, instance, ofFargate);
    const keys = new Set(kind === "allocation" ? waiting(cluster, instance) : concerned(cluster, instance));
    if (ofFargate || hasForeign(before)) for (const key of this.#ofFargate(instance, kind, before)) keys.add(key);
    return [...keys];
  }

  /** Services of any cluster with tasks on one of Fargate's machines, and those that wait for room there. */
  *#ofFargate({ allocation }: InstanceEntry, kind: string, before: AllocationRecord | undefined): Iterable<string> {
    const there = kind === "allocation" ? [] : Object.values((allocation ?? before)?.tasks ?? {});
    for (const { key, group } of there) {
      const name = serviceOf(group);
      const parsed = key === undefined ? undefined : parseEcsKey(key);
      if (name !== undefined && parsed) yield ecsKeys.service(parsed.scope, parsed.names[0]!, name);
    }
    for (const cluster of this.#clusters.values())
      for (const service of cluster.services.values()) if (service.state?.placement) yield service.key;
  }

  #clusterOf(scope: Scope, name: string): ClusterEntry {
    const id = clusterQueue(scope, name);
    let cluster = this.#clusters.get(id);
    if (!cluster) this.#clusters.set(id, (cluster = newCluster(scope, name)));
    return cluster;
  }
}

function newPool(): Pool {
  return { instances: new Map(), placement: createPlacementIndex(), stale: new Set() };
}

/** Tasks of Fargate's, which are not of the machine's own cluster's books. */
const hasForeign = (allocation: AllocationRecord | undefined) =>
  Object.values(allocation?.tasks ?? {}).some(({ key }) => key !== undefined);

function join(pool: Pool, instance: InstanceEntry, belongs: boolean): void {
  if (!belongs && !pool.instances.has(instance.id)) return;
  if (belongs) pool.instances.set(instance.id, instance);
  else pool.instances.delete(instance.id);
  pool.stale.add(instance.id);
}

function newCluster(scope: Scope, name: string): ClusterEntry {
  return {
    scope,
    name,
    services: new Map(),
    ...newPool(),
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
};

const ofMachine: Readonly<Record<string, (instance: InstanceEntry, value: unknown) => void>> = {
  "container-instance": (instance, value) => (instance.record = value as ContainerInstanceRecord | undefined),
  allocation: (instance, value) => (instance.allocation = value as AllocationRecord | undefined),
  connection: (instance, value) => (instance.connection = value as ConnectionRecord | undefined),
};
