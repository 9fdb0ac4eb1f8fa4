import type { Scope } from "./ecs-keys.ts";

/** Where Elastic Load Balancing's records lie in the store. Ids are the 16 hexadecimal digits that end an ARN. */
const root = ({ account, region }: Scope) => `/elb/${account}/${region}`;
const target = (group: string, id: string, port: number) => `${group}/${id}:${port}`;

export const elbKeys = {
  /** All that the load balancers shall do, of every account and region: what the data plane watches. What it writes itself is not among it. */
  everything: "/elb/",
  root,
  loadBalancers: (scope: Scope) => `${root(scope)}/load-balancer/`,
  loadBalancer: (scope: Scope, id: string) => `${root(scope)}/load-balancer/${id}`,
  listeners: (scope: Scope) => `${root(scope)}/listener/`,
  listenersOf: (scope: Scope, loadBalancer: string) => `${root(scope)}/listener/${loadBalancer}/`,
  listener: (scope: Scope, loadBalancer: string, id: string) => `${root(scope)}/listener/${loadBalancer}/${id}`,
  rules: (scope: Scope) => `${root(scope)}/rule/`,
  rulesOf: (scope: Scope, loadBalancer: string) => `${root(scope)}/rule/${loadBalancer}/`,
  rulesOfListener: (scope: Scope, loadBalancer: string, listener: string) => `${root(scope)}/rule/${loadBalancer}/${listener}/`,
  rule: (scope: Scope, loadBalancer: string, listener: string, id: string) => `${root(scope)}/rule/${loadBalancer}/${listener}/${id}`,
  targetGroups: (scope: Scope) => `${root(scope)}/target-group/`,
  targetGroup: (scope: Scope, id: string) => `${root(scope)}/target-group/${id}`,
  allTargets: (scope: Scope) => `${root(scope)}/target/`,
  targets: (scope: Scope, group: string) => `${root(scope)}/target/${group}/`,
  /** `id`: an IP address, an instance's id, or the ARN of an Application Load Balancer. */
  target: (scope: Scope, group: string, id: string, port: number) => `${root(scope)}/target/${target(group, id, port)}`,
  /** All health, of every account and region. Outside `everything`: the data plane writes it and is not woken by it. */
  everyHealth: "/elb-health/",
  healths: ({ account, region }: Scope, group: string) => `/elb-health/${account}/${region}/${group}/`,
  health: ({ account, region }: Scope, group: string, id: string, port: number) =>
    `/elb-health/${account}/${region}/${target(group, id, port)}`,
  /** `{ version: number }`, raised by every operation that writes, but not by registrations: what one of them decided from a list still holds when it is applied. */
  version: ({ account, region }: Scope) => `/elb-use/${account}/${region}/version`,
  /** `{}`: put, without comparing it, by everyone who registers a target; compared by whoever deletes the group. So no target comes while its group goes. */
  targetsTaken: ({ account, region }: Scope, group: string) => `/elb-use/${account}/${region}/targets/${group}`,
};
