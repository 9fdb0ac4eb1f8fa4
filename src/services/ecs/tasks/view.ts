import type { Attachment, Container, ManagedAgent, Task, TaskOverride } from "@aws-sdk/client-ecs";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { parseArn } from "#model/arn.ts";
import type { TaskNetwork } from "#model/vpc-records.ts";
import { desiredStatus, initialObservation, isStopped, taskHealth } from "#model/task-state.ts";
import { ecsArn } from "./identifiers.ts";

export interface ViewContext {
  readonly clusterArn: string;
  readonly tags: boolean;
}

/** A task as DescribeTasks shows it. */
export function taskView(task: TaskRecord, observation: TaskObservation | undefined, context: ViewContext): Task {
  const seen = observation ?? initialObservation(task);
  const stopped = isStopped(seen);
  const fargate = task.launchType === "FARGATE";
  return {
    attachments: task.network ? [attachmentView(task.network, seen.lastStatus)] : [],
    attributes: task.cpuArchitecture ? [{ name: "ecs.cpu-architecture", value: task.cpuArchitecture }] : [],
    availabilityZone: task.availabilityZone,
    capacityProviderName: task.capacityProviderName,
    clusterArn: context.clusterArn,
    connectivity: seen.connectivityAt === undefined ? undefined : "CONNECTED",
    connectivityAt: date(seen.connectivityAt),
    // Fargate's machines are nobody's to see.
    ...(fargate || task.waiting
      ? {}
      : { containerInstanceArn: ecsArn.containerInstance(parseArn(task.arn)!, task.cluster, task.containerInstanceId) }),
    containers: task.containers.map((container) => containerView(task, container, seen)),
    cpu: task.cpu,
    createdAt: new Date(task.createdAt),
    desiredStatus: desiredStatus(task, seen),
    enableExecuteCommand: task.enableExecuteCommand,
    ...(task.ephemeralStorageGiB === undefined
      ? {}
      : { ephemeralStorage: { sizeInGiB: task.ephemeralStorageGiB }, fargateEphemeralStorage: { sizeInGiB: task.ephemeralStorageGiB } }),
    executionStoppedAt: date(seen.executionStoppedAt),
    group: task.group,
    healthStatus: taskHealth(task, seen),
    inferenceAccelerators: [],
    lastStatus: draining(task, seen) ? "DEACTIVATING" : seen.lastStatus,
    launchType: task.launchType,
    memory: task.memory,
    overrides: overridesView(task),
    ...(fargate ? { platformVersion: task.platformVersion, platformFamily: "Linux" } : {}),
    pullStartedAt: date(seen.pullStartedAt),
    pullStoppedAt: date(seen.pullStoppedAt),
    startedAt: date(seen.startedAt),
    startedBy: task.startedBy,
    stopCode: (seen.stopCode ?? task.stop?.code) as Task["stopCode"],
    stoppedAt: stopped ? date(seen.stoppedAt) : undefined,
    stoppedReason: seen.reason ?? task.stop?.reason,
    stoppingAt: date(seen.stoppingAt ?? task.stop?.at),
    tags: context.tags ? task.tags.map(({ key, value }) => ({ key, value })) : [],
    taskArn: task.arn,
    taskDefinitionArn: task.taskDefinitionArn,
    version: 1 + seen.version + (task.stop ? 1 : 0),
  };
}

/** It is to stop, and leaves its load balancers and registries first. Source: ECS Developer Guide, "Amazon ECS task lifecycle". */
const draining = (task: TaskRecord, { lastStatus }: TaskObservation): boolean =>
  task.stop !== undefined && lastStatus === "RUNNING" && Boolean(task.loadBalancers?.length || task.serviceRegistries?.length);

/** Source: ECS API Reference, Attachment; its details as ECS Developer Guide, "Task networking", lists them. */
function attachmentView(network: TaskNetwork, lastStatus: string): Attachment {
  const { attachmentId, subnetId, networkInterfaceId, mac, privateDnsName, privateIp, ipv6 } = network;
  const details = { subnetId, networkInterfaceId, macAddress: mac, privateDnsName, privateIPv4Address: privateIp, IPv6Address: ipv6 };
  return {
    id: attachmentId,
    type: "ElasticNetworkInterface",
    status: attachmentStatus[lastStatus] ?? "ATTACHED",
    details: Object.entries(details).flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }])),
  };
}

const attachmentStatus: Readonly<Record<string, string>> = {
  PROVISIONING: "PRECREATED",
  PENDING: "ATTACHING",
  STOPPED: "DELETED",
  DELETED: "DELETED",
};

function containerView(task: TaskRecord, container: TaskRecord["containers"][number], observation: TaskObservation): Container {
  const seen = observation.containers.find(({ name }) => name === container.name);
  const lastStatus = seen?.lastStatus ?? "PENDING";
  return {
    containerArn: container.arn,
    taskArn: task.arn,
    name: container.name,
    image: container.image,
    imageDigest: seen?.imageDigest,
    runtimeId: seen?.runtimeId,
    lastStatus,
    exitCode: seen?.exitCode,
    reason: seen?.reason,
    networkBindings: lastStatus === "PENDING" ? undefined : ((seen?.networkBindings ?? []) as Container["networkBindings"]),
    networkInterfaces: task.network
      ? [
          {
            attachmentId: task.network.attachmentId,
            privateIpv4Address: task.network.privateIp,
            ...(task.network.ipv6 ? { ipv6Address: task.network.ipv6 } : {}),
          },
        ]
      : [],
    ...(task.enableExecuteCommand ? { managedAgents: [managedAgent(lastStatus, seen?.execAgent)] } : {}),
    healthStatus: seen?.healthStatus ?? "UNKNOWN",
    cpu: container.cpu,
    memory: container.memory,
    memoryReservation: container.memoryReservation,
    gpuIds: container.gpuIds && [...container.gpuIds],
  };
}

/** Source: ECS API Reference, ManagedAgent. */
function managedAgent(container: string, agent: TaskObservation["containers"][number]["execAgent"]): ManagedAgent {
  return {
    name: "ExecuteCommandAgent",
    lastStatus: container === "STOPPED" ? "STOPPED" : (agent?.lastStatus ?? "PENDING"),
    lastStartedAt: date(agent?.startedAt),
    reason: agent?.reason,
  };
}

/** One containerOverride for each container, empty where none was given, as AWS fills them in. */
function overridesView(task: TaskRecord): TaskOverride {
  const given = task.overrides as TaskOverride;
  const byName = new Map((given.containerOverrides ?? []).map((override) => [override.name, override]));
  return {
    ...given,
    containerOverrides: task.containers.map(({ name }) => byName.get(name) ?? { name }),
    inferenceAcceleratorOverrides: given.inferenceAcceleratorOverrides ?? [],
  };
}

function date(time: number | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}
