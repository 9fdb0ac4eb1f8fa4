import type { Scope } from "./ecs-keys.ts";

/** Where Cloud Map's records lie in the store. */
const root = ({ account, region }: Scope) => `/servicediscovery/${account}/${region}`;

export const cloudMapKeys = {
  /** All that names are made of, of every account and region: what a watch looks at. */
  everything: "/servicediscovery/",
  /** Of all regions. */
  ofAccount: (account: string) => `/servicediscovery/${account}/`,
  namespaces: (scope: Scope) => `${root(scope)}/namespace/`,
  namespace: (scope: Scope, id: string) => `${root(scope)}/namespace/${id}`,
  services: (scope: Scope) => `${root(scope)}/service/`,
  service: (scope: Scope, id: string) => `${root(scope)}/service/${id}`,
  instances: (scope: Scope, service: string) => `${root(scope)}/instance/${service}/`,
  instance: (scope: Scope, service: string, id: string) => `${root(scope)}/instance/${service}/${id}`,
  /**
   * `{}`: put, without comparing it, with every change of a service's instances; compared by who decides that there are none. The revision of its last
   * write is what DiscoverInstancesRevision answers.
   */
  instancesChanged: ({ account, region }: Scope, service: string) => `/servicediscovery-changed/${account}/${region}/service/${service}`,
  /** `{}`, the same for the services of a namespace. */
  servicesChanged: ({ account, region }: Scope, namespace: string) =>
    `/servicediscovery-changed/${account}/${region}/namespace/${namespace}`,
  /** `{}`: compared and put by all that give or take names of namespaces. */
  namespacesChanged: ({ account, region }: Scope) => `/servicediscovery-changed/${account}/${region}/namespaces`,
  /** `{ services: string[] }`: the services where a task of ECS is registered. */
  task: ({ account, region }: Scope, task: string) => `/servicediscovery-task/${account}/${region}/${task}`,
  operations: ({ account, region }: Scope) => `/servicediscovery-operation/${account}/${region}/`,
  operation: ({ account, region }: Scope, id: string) => `/servicediscovery-operation/${account}/${region}/${id}`,
  /** Of all accounts: what a sweep looks through. */
  allOperations: "/servicediscovery-operation/",
};

export type CloudMapKind = "namespace" | "service" | "instance";

export interface CloudMapKey {
  readonly scope: Scope;
  readonly kind: CloudMapKind;
  /** Of an instance: its service's. */
  readonly id: string;
  /** Of an instance. */
  readonly instance?: string;
}

/** The parts of a key under `everything`, or undefined for any other key. An instance's id may hold slashes. */
export function parseCloudMapKey(key: string): CloudMapKey | undefined {
  const match = /^\/servicediscovery\/([^/]+)\/([^/]+)\/(namespace|service|instance)\/([^/]+)(?:\/(.+))?$/s.exec(key);
  if (!match) return undefined;
  const [, account = "", region = "", kind, id = "", instance] = match;
  if ((kind === "instance") !== (instance !== undefined)) return undefined;
  return { scope: { account, region }, kind: kind as CloudMapKind, id, ...(instance === undefined ? {} : { instance }) };
}
