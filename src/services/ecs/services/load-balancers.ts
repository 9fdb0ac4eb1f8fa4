import type { LoadBalancer, TaskDefinition } from "@aws-sdk/client-ecs";
import { elbKeys } from "#model/elb-keys.ts";
import type { ListenerRecord, RuleRecord, TargetGroupRecord } from "#model/elb-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import { usageOf } from "#reconcilers/load-balancers/usage.ts";
import type { Store } from "#store/store.ts";
import { ecsErrors } from "../errors.ts";

const { invalid, notYet } = ecsErrors;

/** That the target groups are there, lead somewhere, and fit the tasks. Source: ECS API Reference, LoadBalancer; messages are AWS's where they are known. */
export async function checkLoadBalancers(
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
