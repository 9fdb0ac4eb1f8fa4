import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { ecsErrors } from "../errors.ts";
import { checkContainer, leastMemoryMiB as least } from "./container-rules.ts";
import { checkDependencies } from "./dependency-rules.ts";
import { checkFargate } from "./fargate-rules.ts";
import { cpuUnits, memoryMiB } from "./task-size.ts";

const mostBytes = 64 * 1024;

/** What RegisterTaskDefinition refuses, in AWS's words where they are known. Throws ClientException. Source: ECS API Reference, RegisterTaskDefinition. */
export function checkTaskDefinition(input: RegisterTaskDefinitionRequest): void {
  const { client } = ecsErrors;
  const { family = "", networkMode, containerDefinitions = [], requiresCompatibilities = [], volumes = [] } = input;
  if (family === "") throw client("Family should not be null or empty.");
  if (!/^[A-Za-z0-9_-]{1,255}$/.test(family)) throw client("Family contains invalid characters.");
  if (networkMode !== undefined && !["bridge", "host", "awsvpc", "none"].includes(networkMode))
    throw client(`Invalid network mode: ${String(networkMode)}. Valid values: bridge, host, awsvpc, none`);
  for (const each of requiresCompatibilities)
    if (!["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"].includes(each)) throw client(`Invalid compatibility: ${String(each)}`);
  if (requiresCompatibilities.includes("EXTERNAL") && networkMode === "awsvpc")
    throw client("EXTERNAL launch type does not support network mode 'awsvpc'.");
  if (containerDefinitions.length === 0) throw client("Container list cannot be empty.");
  if (containerDefinitions.length > 10) throw client("Too many containers.");
  const { tags: _tags, ...counted } = input;
  const length = Buffer.byteLength(JSON.stringify(counted));
  if (length > mostBytes) throw client(`Actual length: '${length}'. Max allowed length is '${mostBytes}' bytes.`);
  checkTaskSize(input);
  for (const [name, value, allowed] of [
    ["pidMode", input.pidMode, ["host", "task"]],
    ["ipcMode", input.ipcMode, ["host", "task", "none"]],
  ] as const)
    if (value !== undefined && !(allowed as readonly string[]).includes(value)) throw client(`Invalid ${name}: ${String(value)}`);
  checkVolumes(volumes);
  checkNames(containerDefinitions);
  const volumeNames = new Set(volumes.map(({ name }) => name));
  for (const container of containerDefinitions)
    checkContainer(container, {
      networkMode: networkMode ?? "bridge",
      taskMemory: memoryMiB(input.memory),
      volumeNames,
      containerNames: new Set(containerDefinitions.map(({ name }) => name)),
      ipcMode: input.ipcMode,
    });
  if (containerDefinitions.every(({ essential }) => essential === false))
    throw client("Invalid setting for essential in container definitions. At least one container must be marked as essential.");
  checkTotals(input);
  checkDependencies(containerDefinitions);
  checkPlacement(input);
  checkRoles(input);
  if (input.proxyConfiguration) checkProxy(input);
  const storage = input.ephemeralStorage?.sizeInGiB;
  if (storage !== undefined && (!Number.isInteger(storage) || storage < 20 || storage > 200))
    throw client("Invalid setting for ephemeral storage. Size must be between 20 GiB and 200 GiB.");
  checkPlatform(input);
  if (requiresCompatibilities.includes("FARGATE")) checkFargate(input);
}

const isRole = (text: string) => !text.startsWith("arn:") || /^arn:aws[a-z-]*:iam::\d{12}:role\/.+$/.test(text);

/** Roles are named by ARN or short name. Secrets are fetched by the execution role, so there has to be one. */
function checkRoles({ taskRoleArn = "", executionRoleArn = "", containerDefinitions = [] }: RegisterTaskDefinitionRequest): void {
  if (!isRole(taskRoleArn) || !isRole(executionRoleArn)) throw ecsErrors.client("Role is not valid");
  const secret = containerDefinitions.some(({ secrets, logConfiguration }) => secrets?.length || logConfiguration?.secretOptions?.length);
  if (secret && !executionRoleArn)
    throw ecsErrors.client("When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.");
  if (containerDefinitions.some(({ repositoryCredentials }) => repositoryCredentials) && !executionRoleArn)
    throw ecsErrors.client("When you are specifying repositoryCredentials, you must also specify a value for 'executionRoleArn'.");
}

function checkProxy({ proxyConfiguration, networkMode, containerDefinitions = [] }: RegisterTaskDefinitionRequest): void {
  if (networkMode !== "awsvpc") throw ecsErrors.client("The proxyConfiguration is supported with network mode 'awsvpc' only.");
  if (!containerDefinitions.some(({ name }) => name === proxyConfiguration?.containerName))
    throw ecsErrors.client(
      `The proxyConfiguration names a container that is not in the task definition: '${proxyConfiguration?.containerName}'.`,
    );
}

const architectures = ["X86_64", "ARM64"];

function checkPlatform({ runtimePlatform }: RegisterTaskDefinitionRequest): void {
  const { cpuArchitecture, operatingSystemFamily } = runtimePlatform ?? {};
  if (cpuArchitecture !== undefined && !architectures.includes(cpuArchitecture))
    throw ecsErrors.client(`Invalid cpuArchitecture: ${String(cpuArchitecture)}. Valid values: ${architectures.join(", ")}`);
  if (operatingSystemFamily !== undefined && !/^(LINUX|WINDOWS_SERVER_\w+)$/.test(operatingSystemFamily))
    throw ecsErrors.client(`Invalid operatingSystemFamily: ${String(operatingSystemFamily)}`);
}

function checkNames(containers: readonly ContainerDefinition[]): void {
  const seen = new Set<string>();
  for (const { name = "" } of containers) {
    if (name === "") throw ecsErrors.client("Container.name should not be null or empty.");
    if (!/^[A-Za-z0-9_-]{1,255}$/.test(name)) throw ecsErrors.client("Container.name contains invalid characters.");
    if (seen.has(name)) throw ecsErrors.client(`Container.name contains duplicate names: ${name}`);
    seen.add(name);
  }
}

function checkTaskSize({ cpu, memory }: RegisterTaskDefinitionRequest): void {
  const units = cpuUnits(cpu);
  if (units !== undefined && (!Number.isInteger(units) || units < 128 || units > 196_608))
    throw ecsErrors.client(
      "Invalid 'cpu' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
    );
  const size = memoryMiB(memory);
  if (size !== undefined && (!Number.isInteger(size) || size < least))
    throw ecsErrors.client(
      "Invalid 'memory' setting for task. For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.",
    );
}

/** The containers together must fit into the task. */
function checkTotals({ memory, cpu, containerDefinitions = [] }: RegisterTaskDefinitionRequest): void {
  const task = memoryMiB(memory);
  const reserved = containerDefinitions.reduce((sum, each) => sum + (each.memoryReservation ?? 0), 0);
  if (task !== undefined && reserved > task)
    throw ecsErrors.client("The sum of all container 'memoryReservation' values cannot be greater than the value of the task 'memory'.");
  const units = cpuUnits(cpu);
  const total = containerDefinitions.reduce((sum, each) => sum + (each.cpu ?? 0), 0);
  if (units !== undefined && total > units)
    throw ecsErrors.client("The sum of all container 'cpu' values cannot be greater than the value of the task 'cpu'.");
}

function checkVolumes(volumes: NonNullable<RegisterTaskDefinitionRequest["volumes"]>): void {
  const seen = new Set<string>();
  for (const volume of volumes) {
    const { name = "" } = volume;
    if (name === "" || !/^[A-Za-z0-9_-]{1,255}$/.test(name)) throw ecsErrors.client("Volume.name contains invalid characters.");
    if (seen.has(name)) throw ecsErrors.client(`Volume.name contains duplicate names: ${name}`);
    seen.add(name);
    const kinds = (["dockerVolumeConfiguration", "efsVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"] as const).filter(
      (kind) => volume[kind] !== undefined,
    );
    if (volume.host?.sourcePath) kinds.push("dockerVolumeConfiguration");
    if (kinds.length > 1) throw ecsErrors.client(`Only one volume type can be configured for the volume ${name}.`);
    const docker = volume.dockerVolumeConfiguration;
    if (docker?.scope !== undefined && docker.scope !== "task" && docker.scope !== "shared")
      throw ecsErrors.client(`Invalid scope of the volume ${name}: ${String(docker.scope)}`);
    if (docker?.autoprovision !== undefined && docker.scope !== "shared")
      throw ecsErrors.client(`The volume ${name}: autoprovision can be used with scope 'shared' only.`);
  }
}

function checkPlacement({ placementConstraints = [] }: RegisterTaskDefinitionRequest): void {
  if (placementConstraints.length > 10) throw ecsErrors.client("A task definition can have at most 10 placement constraints.");
  for (const { type, expression } of placementConstraints) {
    if (type !== "memberOf") throw ecsErrors.client(`Invalid constraint type in a task definition: ${String(type)}`);
    if (!expression) throw ecsErrors.client("The placement constraint memberOf needs an expression.");
  }
}
