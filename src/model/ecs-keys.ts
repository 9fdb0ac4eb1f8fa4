/** Where ECS's records lie in the store. `scope` is the account and the region, part of every key. */
export interface Scope {
  readonly account: string;
  readonly region: string;
}

const root = ({ account, region }: Scope) => `/ecs/${account}/${region}`;
const revisionText = (revision: number) => String(revision).padStart(10, "0");

export const ecsKeys = {
  /** `NodeKey`: the machines that are Fargate's capacity, of all accounts: nobody's own. */
  fargateNodes: () => "/ecs-fargate/",
  fargateNode: ({ account, region }: Scope, cluster: string, id: string) => `/ecs-fargate/${account}/${region}/${cluster}/${id}`,
  root,
  clusters: (scope: Scope) => `${root(scope)}/cluster/`,
  cluster: (scope: Scope, name: string) => `${root(scope)}/cluster/${name}`,
  taskDefinitions: (scope: Scope) => `${root(scope)}/task-definition/`,
  taskDefinitionsOf: (scope: Scope, family: string) => `${root(scope)}/task-definition/${family}/`,
  taskDefinition: (scope: Scope, family: string, revision: number) => `${root(scope)}/task-definition/${family}/${revisionText(revision)}`,
  families: (scope: Scope) => `${root(scope)}/family/`,
  family: (scope: Scope, family: string) => `${root(scope)}/family/${family}`,
  containerInstances: (scope: Scope, cluster: string) => `${root(scope)}/container-instance/${cluster}/`,
  containerInstance: (scope: Scope, cluster: string, id: string) => `${root(scope)}/container-instance/${cluster}/${id}`,
  allocations: (scope: Scope, cluster: string) => `${root(scope)}/allocation/${cluster}/`,
  allocation: (scope: Scope, cluster: string, id: string) => `${root(scope)}/allocation/${cluster}/${id}`,
  connections: (scope: Scope, cluster: string) => `${root(scope)}/connection/${cluster}/`,
  connection: (scope: Scope, cluster: string, id: string) => `${root(scope)}/connection/${cluster}/${id}`,
  tasks: (scope: Scope, cluster: string) => `${root(scope)}/task/${cluster}/`,
  task: (scope: Scope, cluster: string, id: string) => `${root(scope)}/task/${cluster}/${id}`,
  tasksObserved: (scope: Scope, cluster: string) => `${root(scope)}/task-observed/${cluster}/`,
  taskObserved: (scope: Scope, cluster: string, id: string) => `${root(scope)}/task-observed/${cluster}/${id}`,
  services: (scope: Scope, cluster: string) => `${root(scope)}/service/${cluster}/`,
  service: (scope: Scope, cluster: string, name: string) => `${root(scope)}/service/${cluster}/${name}`,
  serviceState: (scope: Scope, cluster: string, name: string) => `${root(scope)}/service-state/${cluster}/${name}`,
  serviceRevisions: (scope: Scope, cluster: string, service: string) => `${root(scope)}/service-revision/${cluster}/${service}/`,
  serviceRevision: (scope: Scope, cluster: string, service: string, id: string) =>
    `${root(scope)}/service-revision/${cluster}/${service}/${id}`,
  deployments: (scope: Scope, cluster: string, service: string) => `${root(scope)}/deployment/${cluster}/${service}/`,
  /** `id` with or without its `ecs-svc/`. */
  deployment: (scope: Scope, cluster: string, service: string, id: string) =>
    `${root(scope)}/deployment/${cluster}/${service}/${id.slice(id.lastIndexOf("/") + 1)}`,
  taskSets: (scope: Scope, cluster: string, service: string) => `${root(scope)}/task-set/${cluster}/${service}/`,
  taskSet: (scope: Scope, cluster: string, service: string, id: string) =>
    `${root(scope)}/task-set/${cluster}/${service}/${id.slice(id.lastIndexOf("/") + 1)}`,
  taskProtection: (scope: Scope, cluster: string, id: string) => `${root(scope)}/task-protection/${cluster}/${id}`,
  clientToken: (scope: Scope, operation: string, token: string) => `${root(scope)}/client-token/${operation}/${token}`,
  /**
   * `{ keys: string[] }`, deleted with these keys once the time in its name has come: what has ended vanishes at a cost that does not
   * depend on what lives. Outside the accounts, so that one reading finds the oldest of all.
   */
  expiries: (kind: "task" | "client-token") => `/ecs-expiry/${kind}/`,
  expiry: (kind: "task" | "client-token", at: number, id: string) => `/ecs-expiry/${kind}/${String(at).padStart(15, "0")}/${id}`,
  /** `{ reserved: number }`: no payload's seqNum or manifest's timeline is greater yet. */
  timeline: () => "/ecs-timeline",
  accountSetting: (scope: Scope, principal: string, name: string) => `${root(scope)}/account-setting/${principal}/${name}`,
};

/** Where a container instance is registered. */
export interface NodePlace extends Scope {
  readonly cluster: string;
}

interface Placed {
  readonly id: string;
  readonly cluster: string;
  readonly containerInstanceId: string;
  readonly node?: NodePlace;
}

/** Where the machine of a task is registered: for Fargate's not in the task's own cluster. */
export function placeOf(scope: Scope, { cluster, node }: Placed): NodePlace {
  return node ?? { ...scope, cluster };
}

/** Key of the container instance that the task is on. */
export function instanceKeyOf(scope: Scope, task: Placed): string {
  const place = placeOf(scope, task);
  return ecsKeys.containerInstance(place, place.cluster, task.containerInstanceId);
}

export function allocationKeyOf(scope: Scope, task: Placed): string {
  const place = placeOf(scope, task);
  return ecsKeys.allocation(place, place.cluster, task.containerInstanceId);
}

/** Keys of the tasks of an allocation record. */
export function allocatedTaskKeys(place: NodePlace, tasks: Readonly<Record<string, { readonly key?: string }>>): string[] {
  return Object.entries(tasks).map(([id, { key }]) => key ?? ecsKeys.task(place, place.cluster, id));
}

/** Key of the observation of the task at `key`. */
export function observedKeyOf(key: string): string {
  const { scope, names } = parseEcsKey(key)!;
  return ecsKeys.taskObserved(scope, names[0]!, names[1]!);
}

export interface EcsKey {
  readonly scope: Scope;
  /** `task`, `connection` … */
  readonly kind: string;
  /** What follows, e.g. the cluster and the id. */
  readonly names: readonly string[];
}

/** The parts of a key under `/ecs/`, or undefined for any other key. */
export function parseEcsKey(key: string): EcsKey | undefined {
  const [empty, service, account, region, kind, ...names] = key.split("/");
  if (empty !== "" || service !== "ecs" || !account || !region || !kind) return undefined;
  return { scope: { account, region }, kind, names };
}
