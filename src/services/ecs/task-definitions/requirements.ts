import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { checkFargate } from "./fargate-rules.ts";

interface Attribute {
  readonly name: string;
  readonly value?: string;
}

const old = "com.amazonaws.ecs.capability.";
const now = "ecs.capability.";
const isEcr = (image: string | undefined) => /^\d{12}\.dkr\.ecr\./.test(image ?? "");

/** What an instance's agent must be able to do to run this. Names are the standard agent's (ECS Developer Guide, "Amazon ECS container instance attributes"). */
export function requiredAttributes(input: RegisterTaskDefinitionRequest): readonly Attribute[] {
  const names = new Set<string>();
  const containers = input.containerDefinitions ?? [];
  const api = (minor: number) => names.add(`${old}docker-remote-api.1.${minor}`);
  if (input.taskRoleArn) {
    names.add(`${old}task-iam-role`);
    api(17);
    if (input.networkMode === "host") names.add(`${old}task-iam-role-network-host`);
  }
  if (input.networkMode === "awsvpc") names.add(`${now}task-eni`);
  if (input.pidMode || input.ipcMode) names.add(`${now}pid-ipc-namespace-sharing`);
  if ((input.cpu !== undefined || input.memory !== undefined) && input.networkMode !== "awsvpc") names.add(`${now}task-cpu-mem-limit`);
  if (input.proxyConfiguration) names.add(`${now}aws-appmesh`);
  for (const volume of input.volumes ?? []) {
    if (volume.efsVolumeConfiguration) names.add(`${now}efs`);
    if (volume.dockerVolumeConfiguration) {
      names.add(`${now}docker-plugin.${volume.dockerVolumeConfiguration.driver ?? "local"}`);
      api(25);
    }
  }
  for (const container of containers) ofContainer(container, input, names, api);
  const cpuArchitecture = input.runtimePlatform?.cpuArchitecture;
  const os = input.runtimePlatform?.operatingSystemFamily;
  return [
    ...[...names].map((name) => ({ name })),
    ...(cpuArchitecture
      ? [{ name: "ecs.cpu-architecture", value: cpuArchitecture === "X86_64" ? "x86_64" : cpuArchitecture.toLowerCase() }]
      : []),
    ...(os ? [{ name: "ecs.os-type", value: os.startsWith("WINDOWS") ? "windows" : "linux" }] : []),
  ];
}

function ofContainer(
  container: ContainerDefinition,
  input: RegisterTaskDefinitionRequest,
  names: Set<string>,
  api: (minor: number) => void,
): void {
  const log = container.logConfiguration;
  if (log) {
    api(18);
    names.add(`${old}logging-driver.${log.logDriver}`);
    if (log.logDriver === "awslogs") {
      api(19);
      if (input.executionRoleArn) names.add(`${now}execution-role-awslogs`);
    }
    if (log.logDriver === "awsfirelens") names.add(`${now}logging-driver.awsfirelens`);
    if (log.secretOptions?.length)
      for (const { valueFrom } of log.secretOptions)
        names.add(`${now}secrets.${isSecretsManager(valueFrom) ? "asm" : "ssm"}.bootstrap.log-driver`);
  }
  if (isEcr(container.image)) {
    names.add(`${old}ecr-auth`);
    api(19);
    if (input.executionRoleArn) names.add(`${now}execution-role-ecr-pull`);
  }
  if (container.repositoryCredentials) names.add(`${now}private-registry-authentication.secretsmanager`);
  for (const { valueFrom } of container.secrets ?? [])
    names.add(`${now}secrets.${isSecretsManager(valueFrom) ? "asm" : "ssm"}.environment-variables`);
  for (const { value = "" } of container.environmentFiles ?? []) names.add(`${now}env-files.${value.startsWith("/") ? "path" : "s3"}`);
  if (container.healthCheck) {
    names.add(`${now}container-health-check`);
    api(24);
  }
  if (container.dependsOn?.length) names.add(`${now}container-ordering`);
  if (container.restartPolicy?.enabled) names.add(`${now}container-restart-policy`);
  if (container.privileged) names.add(`${old}privileged-container`);
  if (container.memoryReservation !== undefined) api(21);
  if (container.linuxParameters?.initProcessEnabled) api(25);
  if (container.linuxParameters?.tmpfs?.length || container.linuxParameters?.sharedMemorySize !== undefined) api(22);
  if (container.portMappings?.some(({ containerPortRange }) => containerPortRange)) names.add(`${now}network.container-port-range`);
  if (container.firelensConfiguration) names.add(`${now}firelens.${container.firelensConfiguration.type}`);
  for (const { type } of container.resourceRequirements ?? [])
    names.add(type === "GPU" ? "ecs.capability.gpu-driver-version" : `${now}task-eia`);
}

const isSecretsManager = (valueFrom: string | undefined) => /^arn:aws[a-z-]*:secretsmanager:/.test(valueFrom ?? "");

/** The launch types that the definition is valid for, whether asked for or not. */
export function compatibilities(input: RegisterTaskDefinitionRequest): readonly string[] {
  const found = input.networkMode === "awsvpc" ? ["EC2"] : ["EXTERNAL", "EC2"];
  try {
    checkFargate(input);
    found.push("FARGATE");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
  }
  return found;
}
