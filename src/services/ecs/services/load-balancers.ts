import type { LoadBalancer, ServiceRegistry, TaskDefinition } from "@aws-sdk/client-ecs";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord, TargetGroupRecord } from "#model/elb-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { usageOf } from "#reconcilers/load-balancers/usage.ts";
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
): Promise<void> {
  await checkLoadBalancers(store, scope, given.loadBalancers, definition);
  const registries = given.serviceRegistries ?? [];
  if (registries.length === 0) return;
  if (definition && definition.networkMode !== "awsvpc")
    throw notYet(`serviceRegistries of tasks in network mode ${definition.networkMode ?? "bridge"}`);
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
    if (advancedConfiguration) throw notYet("advancedConfiguration of a service's load balancer");
    if (!arn) throw invalid("The target group can not be empty.");
    const id = arn.slice(arn.lastIndexOf("/") + 1);
    const group = (await store.get<TargetGroupRecord>(elbKeys.targetGroup(scope, id)))?.value;
    if (group?.arn !== arn)
      throw invalid(`Unable to assume role and validate the specified targetGroupArn. The specified target group does not exist: ${arn}`);
    if (!usage.get(id)?.size) throw invalid(`The target group with targetGroupArn ${arn} does not have an associated load balancer.`);
    checkContainer(definition, containerName, containerPort);
    const wanted = definition?.networkMode === "awsvpc" ? "ip" : "instance";
    if (definition && group.targetType !== wanted)
      throw invalid(
        `The provided target group ${arn} has target type ${group.targetType}, which is incompatible with the ${definition.networkMode ?? "bridge"} network mode specified in the task definition.`,
      );
  }
}

function checkContainer(definition: TaskDefinition | undefined, name: string, port: number | undefined): void {
  if (!definition) return;
  const container = definition.containerDefinitions?.find((each) => each.name === name);
  if (!container) throw invalid(`The container ${name} does not exist in the task definition.`);
  if (!container.portMappings?.some(({ containerPort }) => containerPort === port))
    throw invalid(`The container ${name} did not have a container port ${port} defined.`);
}
