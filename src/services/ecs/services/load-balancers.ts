import type { AdvancedConfiguration, LoadBalancer, ServiceRegistry, TaskDefinition } from "@aws-sdk/client-ecs";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord, TargetGroupRecord } from "#model/elb-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { shiftsTraffic } from "#model/lifecycle-stages.ts";
import { usageOf } from "#reconcilers/load-balancers/usage.ts";
import { findForwarding, forwards } from "#reconcilers/services/traffic.ts";
import type { Store } from "#store/store.ts";
import { checkRegistries } from "#reconcilers/names/instances.ts";
import { ecsErrors } from "../errors.ts";
import { readerOf } from "../tasks/launch-rules.ts";

const { invalid, notYet } = ecsErrors;

/** What leads to a service's tasks: load balancers and service registries. */
export async function checkConnections(
  store: Store,
  scope: Scope,
  given: { readonly loadBalancers?: readonly LoadBalancer[]; readonly serviceRegistries?: readonly ServiceRegistry[] },
  definition: TaskDefinition | undefined,
  strategy?: string,
): Promise<void> {
  await checkLoadBalancers(store, scope, given.loadBalancers, definition, strategy);
  const registries = given.serviceRegistries ?? [];
  if (registries.length === 0) return;
  const containers = definition?.containerDefinitions ?? [];
  const ports = Object.fromEntries(
    containers.map(({ name = "", portMappings = [] }) => [name, portMappings.map(({ containerPort = 0 }) => containerPort)]),
  );
  const problem = await checkRegistries(readerOf(store), scope, registries, { networkMode: definition?.networkMode, ports });
  if (problem !== undefined) throw invalid(problem);
}

/** That the target groups are there, lead somewhere, and fit the tasks. Source: ECS API Reference, LoadBalancer; messages are AWS's where they are known. */
async function checkLoadBalancers(
  store: Store,
  scope: Scope,
  given: readonly LoadBalancer[] | undefined,
  definition: TaskDefinition | undefined,
  strategy: string | undefined,
): Promise<void> {
  if (!given?.length) return;
  if (given.length > 5) throw invalid("A service can have at most 5 load balancers or target groups.");
  const [listeners, rules] = await Promise.all([
    store.list<ListenerRecord>(elbKeys.listeners(scope)),
    store.list<RuleRecord>(elbKeys.rules(scope)),
  ]);
  const usage = usageOf(
    listeners.entries.map(({ value }) => value),
    rules.entries.map(({ value }) => value),
  );
  for (const { targetGroupArn: arn, loadBalancerName, containerName = "", containerPort, advancedConfiguration } of given) {
    if (loadBalancerName !== undefined) throw notYet("Classic Load Balancers: name a targetGroupArn");
    if (!arn) throw invalid("The target group can not be empty.");
    const group = await targetGroupOf(store, scope, arn);
    const routed = (each: string | undefined) => each !== undefined && (usage.get(each.slice(each.lastIndexOf("/") + 1))?.size ?? 0) > 0;
    if (!routed(arn) && !routed(advancedConfiguration?.alternateTargetGroupArn))
      throw invalid(`The target group with targetGroupArn ${arn} does not have an associated load balancer.`);
    if (advancedConfiguration) await checkAdvanced(store, scope, group, advancedConfiguration);
    else if (shiftsTraffic(strategy))
      throw invalid(`advancedConfiguration is required for the load balancers of a service with the ${strategy} deployment strategy.`);
    checkContainer(definition, containerName, containerPort);
    const wanted = definition?.networkMode === "awsvpc" ? "ip" : "instance";
    if (definition && group.targetType !== wanted)
      throw invalid(
        `The provided target group ${arn} has target type ${group.targetType}, which is incompatible with the ${definition.networkMode ?? "bridge"} network mode specified in the task definition.`,
      );
  }
}

async function targetGroupOf(store: Store, scope: Scope, arn: string): Promise<TargetGroupRecord> {
  const group = (await store.get<TargetGroupRecord>(elbKeys.targetGroup(scope, arn.slice(arn.lastIndexOf("/") + 1))))?.value;
  if (group?.arn !== arn)
    throw invalid(`Unable to assume role and validate the specified targetGroupArn. The specified target group does not exist: ${arn}`);
  return group;
}

/** Two target groups of one kind, and rules that lead to one of them. Source: ECS API Reference, AdvancedConfiguration. */
async function checkAdvanced(
  store: Store,
  scope: Scope,
  group: TargetGroupRecord,
  { alternateTargetGroupArn, productionListenerRule, testListenerRule }: AdvancedConfiguration,
): Promise<void> {
  if (!alternateTargetGroupArn) throw invalid("alternateTargetGroupArn is required in advancedConfiguration.");
  if (!productionListenerRule) throw invalid("productionListenerRule is required in advancedConfiguration.");
  const alternate = await targetGroupOf(store, scope, alternateTargetGroupArn);
  if (alternate.id === group.id) throw invalid("targetGroupArn and alternateTargetGroupArn must be different target groups.");
  for (const member of ["targetType", "protocol", "vpcId"] as const)
    if (alternate[member] !== group[member])
      throw invalid(`The alternate target group ${alternate.arn} must have the same ${member} as ${group.arn}.`);
  if (productionListenerRule === testListenerRule) throw invalid("productionListenerRule and testListenerRule must be different.");
  for (const [name, rule] of Object.entries({ productionListenerRule, testListenerRule })) {
    if (rule === undefined) continue;
    const found = await findForwarding({ get: readerOf(store) }, scope, rule);
    if (!found) throw invalid(`The ${name} does not exist: ${rule}`);
    if (!forwards(found)) throw invalid(`The ${name} ${rule} must have a forward action only.`);
    if (!/:listener-rule\/|:listener\/net\//.test(rule))
      throw invalid(`The ${name} of an Application Load Balancer must be a listener rule: ${rule}`);
  }
}

function checkContainer(definition: TaskDefinition | undefined, name: string, port: number | undefined): void {
  if (!definition) return;
  const container = definition.containerDefinitions?.find((each) => each.name === name);
  if (!container) throw invalid(`The container ${name} does not exist in the task definition.`);
  if (!container.portMappings?.some(({ containerPort }) => containerPort === port))
    throw invalid(`The container ${name} did not have a container port ${port} defined.`);
}
