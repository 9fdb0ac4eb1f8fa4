import type { ContainerDefinition, RunTaskRequest, StartTaskRequest, TaskDefinition, TaskOverride } from "@aws-sdk/client-ecs";
import type { Scope } from "#model/ecs-keys.ts";
import type { Tag, TaskLoadBalancer, TaskServiceRegistry, TaskDefinitionRecord, TaskRecord } from "#model/ecs-records.ts";
import { connectImage, type ResolvedConnect } from "#model/service-connect.ts";
import { capacityProviderOf, type Machine } from "#reconcilers/nodes.ts";
import type { Random } from "#platform/random.ts";
import type { LaunchTarget } from "#reconcilers/launch.ts";
import type { Demand } from "#scheduler/types.ts";
import { ecsArn } from "./identifiers.ts";
import { mergeOverrides } from "./overrides.ts";
import { gpuCountOf, resourcesOf, taskLimits } from "./resources.ts";

/** A task in all but its place: what each of a request's tasks has in common. */
export interface TaskPlan {
  readonly scope: Scope;
  readonly cluster: string;
  readonly definition: TaskDefinitionRecord;
  readonly group: string;
  readonly startedBy: string | undefined;
  readonly overrides: TaskOverride;
  readonly containers: readonly ContainerDefinition[];
  readonly resources: Demand;
  readonly enableExecuteCommand: boolean;
  /** Of a service's tasks. */
  readonly loadBalancers?: readonly TaskLoadBalancer[];
  readonly serviceRegistries?: readonly TaskServiceRegistry[];
  readonly serviceConnect?: ResolvedConnect;
  readonly tags: readonly Tag[];
}

export function planOf(
  scope: Scope,
  cluster: string,
  definition: TaskDefinitionRecord,
  input: RunTaskRequest | StartTaskRequest,
): TaskPlan {
  const body = definition.definition as TaskDefinition;
  const overrides = input.overrides ?? {};
  const containers = mergeOverrides(body.containerDefinitions ?? [], overrides);
  return {
    scope,
    cluster,
    definition,
    group: input.group ?? `family:${definition.family}`,
    startedBy: input.startedBy,
    overrides,
    containers,
    resources: resourcesOf(body, containers, overrides),
    enableExecuteCommand: input.enableExecuteCommand ?? false,
    tags: tagsOf(cluster, definition, input),
  };
}

/** The request's own tags win over those of the task definition. */
function tagsOf(cluster: string, definition: TaskDefinitionRecord, input: RunTaskRequest | StartTaskRequest): Tag[] {
  const tags = new Map<string, string>();
  if (input.propagateTags === "TASK_DEFINITION") for (const { key, value } of definition.tags) tags.set(key, value);
  for (const { key, value } of input.tags ?? []) tags.set(key ?? "", value ?? "");
  if (input.enableECSManagedTags) tags.set("aws:ecs:clusterName", cluster);
  return [...tags].map(([key, value]) => ({ key, value }));
}

/** The newest, which LATEST stands for. */
export const platformVersion = "1.4.0";

/** GiB that a Fargate task has without asking for more. Source: ECS Developer Guide, "Fargate task ephemeral storage". */
const defaultStorageGiB = 20;

/** Which GPUs it takes, and its network interface, is decided when it is written. */
export function newTask(plan: TaskPlan, { instance, place }: Machine, target: LaunchTarget, random: Random, now: number): TaskRecord {
  const { scope, cluster, definition } = plan;
  const fargate = target.launchType === "FARGATE";
  const provider = target.provider === undefined ? undefined : fargate ? target.provider : capacityProviderOf(instance);
  const id = random.hex(16);
  const { gpuCount: _, ...resources } = plan.resources;
  const limits = taskLimits(definition.definition as TaskDefinition, plan.overrides);
  const attribute = (name: string) => instance.attributes.find((each) => each.name === name)?.value;
  const connect = plan.serviceConnect && { container: connectContainer(random), ...plan.serviceConnect };
  const proxy = connect && {
    name: connect.container,
    arn: ecsArn.container(scope, cluster, id, random.uuid()),
    image: connectImage,
    cpu: "0",
    essential: true,
  };
  const hostAddress = attribute("gantry.address");
  return {
    arn: ecsArn.task(scope, cluster, id),
    id,
    cluster,
    taskDefinitionArn: definition.arn,
    containerInstanceId: instance.id,
    ...(fargate ? { node: place, platformVersion, ephemeralStorageGiB: storageOf(plan) } : {}),
    availabilityZone: attribute("ecs.availability-zone"),
    cpuArchitecture: attribute("ecs.cpu-architecture"),
    launchType: target.launchType,
    ...(plan.serviceRegistries?.length ? { serviceRegistries: plan.serviceRegistries } : {}),
    ...(plan.loadBalancers?.length ? { loadBalancers: plan.loadBalancers } : {}),
    ...(plan.loadBalancers?.length || connect ? { ec2InstanceId: instance.ec2InstanceId } : {}),
    ...(connect ? { serviceConnect: connect } : {}),
    ...((connect || plan.serviceRegistries?.length) && !fargate && hostAddress !== undefined ? { hostAddress } : {}),
    ...(provider === undefined ? {} : { capacityProviderName: provider }),
    group: plan.group,
    startedBy: plan.startedBy,
    desiredStatus: "RUNNING",
    createdAt: now,
    resources,
    cpu: limits.cpu === undefined ? undefined : String(limits.cpu),
    memory: limits.memory === undefined ? undefined : String(limits.memory),
    overrides: { ...plan.overrides },
    containers: [
      ...plan.containers.map((container) => ({
        name: container.name!,
        arn: ecsArn.container(scope, cluster, id, random.uuid()),
        image: container.image!,
        cpu: String(container.cpu ?? 0),
        memory: container.memory === undefined ? undefined : String(container.memory),
        memoryReservation: container.memoryReservation === undefined ? undefined : String(container.memoryReservation),
        essential: container.essential ?? true,
        ...(gpuCountOf(container) > 0 ? { gpuCount: gpuCountOf(container) } : {}),
        healthCheck: (container.healthCheck?.command?.length ?? 0) > 0,
      })),
      ...(proxy ? [proxy] : []),
    ],
    enableExecuteCommand: plan.enableExecuteCommand,
    tags: plan.tags,
  };
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/** As AWS names the proxy of a task. */
const connectContainer = (random: Random) =>
  `ecs-service-connect-${Array.from({ length: 6 }, () => letters[Math.floor(random.next() * letters.length)]).join("")}`;

function storageOf({ definition, overrides }: TaskPlan): number {
  const given = overrides.ephemeralStorage ?? (definition.definition as TaskDefinition).ephemeralStorage;
  return given?.sizeInGiB ?? defaultStorageGiB;
}
