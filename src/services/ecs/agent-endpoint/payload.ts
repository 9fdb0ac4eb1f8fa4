import type { ContainerDefinition, TaskDefinition, TaskOverride, Volume } from "@aws-sdk/client-ecs";
import type {
  Condition,
  LinuxParameters,
  PayloadContainer,
  PayloadPortMapping,
  PayloadTask,
  PayloadVolume,
} from "#agent-protocol/messages.ts";
import type { ElasticNetworkInterface } from "#agent-protocol/vpc.ts";
import { parseArn } from "#model/arn.ts";
import type { TaskNetwork } from "#model/vpc-records.ts";
import { spotNoticeSeconds, spotStop } from "#reconcilers/spot.ts";
import type { TaskDefinitionRecord, TaskRecord } from "#model/ecs-records.ts";
import { mergeOverrides } from "../tasks/overrides.ts";
import { taskLimits } from "../tasks/resources.ts";
import { dockerConfigOf } from "./docker-config.ts";
import { connectContainerOf, serviceConnectOf } from "./service-connect.ts";
import { registryAuthenticationOf, type RegistryContext } from "./registry-authentication.ts";

/** A task as its agent is told of it: overrides merged, everything in the protocol's own units. */
export function payloadTaskOf(task: TaskRecord, record: TaskDefinitionRecord, clusterArn: string, registry: RegistryContext): PayloadTask {
  const definition = record.definition as TaskDefinition;
  const overrides = task.overrides as TaskOverride;
  const limits = taskLimits(definition, overrides);
  const containers = mergeOverrides(definition.containerDefinitions ?? [], overrides);
  return {
    arn: task.arn,
    taskClusterArn: clusterArn,
    family: record.family,
    version: String(record.revision),
    desiredStatus: task.desiredStatus,
    overrides: "{}",
    taskDefinitionAccountId: registry.account,
    launchType: task.launchType,
    networkMode: definition.networkMode ?? "bridge",
    cpu: limits.cpu === undefined ? undefined : limits.cpu / 1024,
    memory: limits.memory,
    containers: [
      ...containers.map((container) => containerOf(task, definition, container, registry)),
      ...(task.serviceConnect ? [connectContainerOf(task, task.serviceConnect, definition)] : []),
    ],
    ...(task.serviceConnect ? { serviceConnect: serviceConnectOf(task.serviceConnect, definition) } : {}),
    volumes: (definition.volumes ?? []).map(volumeOf),
    ...(task.enableExecuteCommand ? { enableExecuteCommand: true } : {}),
    pidMode: definition.pidMode,
    ipcMode: definition.ipcMode,
    serviceName: /^service:(.+)$/.exec(task.group)?.[1],
    group: task.group,
    zone: task.availabilityZone,
    associations: associationsOf(task),
    ...(task.network ? { elasticNetworkInterfaces: [interfaceOf(task, task.network)] } : {}),
    ...(task.ephemeralStorageGiB === undefined ? {} : { ephemeralStorage: task.ephemeralStorageGiB }),
    ...(task.launchType === "FARGATE" ? { isolation: "FARGATE" as const } : {}),
  };
}

function interfaceOf({ arn }: TaskRecord, network: TaskNetwork): ElasticNetworkInterface {
  const length = (block: string) => block.split("/")[1]!;
  return {
    attachmentArn: arn.replace(/:task\/.*$/, `:attachment/${network.attachmentId}`),
    ec2Id: network.networkInterfaceId,
    index: 0,
    macAddress: network.mac,
    ipv4Addresses: [{ primary: true, privateAddress: network.privateIp }],
    ipv6Addresses: network.ipv6 ? [{ address: network.ipv6 }] : [],
    subnetGatewayIpv4Address: `${network.gateway}/${length(network.subnetCidr)}`,
    domainName: [],
    domainNameServers: [network.resolver],
    privateDnsName: network.privateDnsName,
    interfaceAssociationProtocol: "default",
  };
}

/** Each GPU by its id, with the container that it is for: the agent shows it to no other. */
function associationsOf({ containers }: TaskRecord): PayloadTask["associations"] {
  const gpus = containers.flatMap(({ name, gpuIds = [] }) => gpuIds.map((id) => ({ name: id, containers: [name] })));
  if (gpus.length === 0) return undefined;
  return gpus.map((each) => ({ ...each, type: "gpu", content: { encoding: "base64", value: "" } }));
}

function containerOf(
  task: TaskRecord,
  definition: TaskDefinition,
  container: ContainerDefinition,
  registry: RegistryContext,
): PayloadContainer {
  const name = container.name!;
  const image = container.image!;
  return {
    name,
    image,
    containerArn: task.containers.find((each) => each.name === name)?.arn ?? "",
    cpu: container.cpu ?? 0,
    memory: container.memory ?? 0,
    essential: container.essential ?? true,
    command: container.command,
    entryPoint: container.entryPoint,
    environment: Object.fromEntries((container.environment ?? []).map((variable) => [variable.name!, variable.value ?? ""])),
    environmentFiles: container.environmentFiles?.map(({ value, type }) => ({ value: value!, type: type! })),
    links: container.links,
    portMappings: portMappings(definition, container),
    mountPoints: container.mountPoints?.map(({ sourceVolume, containerPath, readOnly }) => ({
      sourceVolume: sourceVolume!,
      containerPath: containerPath!,
      readOnly: readOnly ?? false,
    })),
    volumesFrom: container.volumesFrom?.map(({ sourceContainer, readOnly }) => ({
      sourceContainer: sourceContainer!,
      readOnly: readOnly ?? false,
    })),
    overrides: "{}",
    dockerConfig: dockerConfigOf(definition, container),
    healthCheckType: container.healthCheck?.command?.length ? "docker" : undefined,
    registryAuthentication: registryAuthentication(container, image, registry),
    secrets: secretsOf(container, registry),
    dependsOn: container.dependsOn?.map(({ containerName, condition }) => ({
      containerName: containerName!,
      condition: condition as Condition,
    })),
    startTimeout: container.startTimeout,
    stopTimeout: task.stop?.code === spotStop.code ? spotNoticeSeconds : container.stopTimeout,
    restartPolicy: container.restartPolicy && {
      enabled: container.restartPolicy.enabled ?? false,
      ignoredExitCodes: container.restartPolicy.ignoredExitCodes,
      restartAttemptPeriod: container.restartPolicy.restartAttemptPeriod,
    },
    linuxParameters: linuxParameters(container.linuxParameters),
    privileged: container.privileged,
  };
}

function registryAuthentication(
  container: ContainerDefinition,
  image: string,
  registry: RegistryContext,
): PayloadContainer["registryAuthentication"] {
  const parameter = container.repositoryCredentials?.credentialsParameter;
  if (parameter) return { type: "asm", asmAuthData: { region: registry.region, credentialsParameter: parameter } };
  return registryAuthenticationOf(image, registry);
}

/** Those of the container's variables and of its log driver's options, which the agent fetches. */
function secretsOf({ secrets, logConfiguration }: ContainerDefinition, { region }: RegistryContext): PayloadContainer["secrets"] {
  const all = [
    ...(secrets ?? []).map((secret) => ({ ...secret, target: "CONTAINER" as const })),
    ...(logConfiguration?.secretOptions ?? []).map((secret) => ({ ...secret, target: "LOG_DRIVER" as const })),
  ];
  if (all.length === 0) return undefined;
  return all.map(({ name, valueFrom = "", target }) => {
    const arn = parseArn(valueFrom);
    const provider = arn?.service === "secretsmanager" ? "asm" : "ssm";
    return { name: name!, valueFrom, provider, type: "ENVIRONMENT_VARIABLE", region: arn?.region || region, target };
  });
}

/** With these the container's ports are those that it is reached at. */
const ownPorts: ReadonlySet<string> = new Set(["host", "awsvpc"]);

/** A dynamic host port travels as 0. */
function portMappings(definition: TaskDefinition, container: ContainerDefinition): PayloadPortMapping[] {
  return (container.portMappings ?? []).map((mapping) => ({
    containerPort: mapping.containerPort,
    hostPort: mapping.containerPortRange
      ? undefined
      : ownPorts.has(definition.networkMode ?? "")
        ? mapping.containerPort
        : (mapping.hostPort ?? 0),
    containerPortRange: mapping.containerPortRange,
    protocol: mapping.protocol === "udp" ? "udp" : "tcp",
  }));
}

function linuxParameters(parameters: ContainerDefinition["linuxParameters"]): LinuxParameters | undefined {
  if (!parameters) return undefined;
  return {
    initProcessEnabled: parameters.initProcessEnabled,
    devices: parameters.devices?.map(({ hostPath, containerPath, permissions }) => ({ hostPath: hostPath!, containerPath, permissions })),
    sharedMemorySize: parameters.sharedMemorySize,
    tmpfs: parameters.tmpfs?.map(({ containerPath, size, mountOptions }) => ({ containerPath: containerPath!, size: size!, mountOptions })),
    maxSwap: parameters.maxSwap,
    swappiness: parameters.swappiness,
  };
}

function volumeOf(volume: Volume): PayloadVolume {
  const docker = volume.dockerVolumeConfiguration;
  if (!docker) return { name: volume.name!, type: "host", host: { sourcePath: volume.host?.sourcePath } };
  const { scope, autoprovision, driver, driverOpts, labels } = docker;
  return { name: volume.name!, type: "docker", dockerVolumeConfiguration: { scope, autoprovision, driver, driverOpts, labels } };
}
