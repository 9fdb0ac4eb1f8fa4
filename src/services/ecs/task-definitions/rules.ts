import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { ecsErrors } from "../errors.ts";
import { checkContainer } from "./container-rules.ts";
import { checkDependencies } from "./dependency-rules.ts";
import { checkFargate } from "./fargate-rules.ts";

/** What RegisterTaskDefinition refuses, in AWS's words where they are known. Throws ClientException. Source: ECS API Reference, RegisterTaskDefinition. */
export function checkTaskDefinition(input: RegisterTaskDefinitionRequest): void {
  const { client } = ecsErrors;
  const { family = "", networkMode, containerDefinitions = [], requiresCompatibilities = [], volumes = [] } = input;
  if (family === "") throw client("Family should not be null or empty.");
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,254}$/.test(family)) throw client("Family contains invalid characters.");
  if (networkMode !== undefined && !["bridge", "host", "awsvpc", "none"].includes(networkMode))
    throw client(`Invalid network mode: ${String(networkMode)}. Valid values: bridge, host, awsvpc, none`);
  for (const each of requiresCompatibilities)
    if (!["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"].includes(each)) throw client(`Invalid compatibility: ${String(each)}`);
  if (requiresCompatibilities.includes("EXTERNAL") && networkMode === "awsvpc")
    throw client("EXTERNAL launch type does not support network mode 'awsvpc'.");
  if (containerDefinitions.length === 0) throw client("Container list cannot be empty.");
  if (containerDefinitions.length > 10) throw client("A task definition can have at most 10 containers.");
  if (Buffer.byteLength(JSON.stringify(input)) > 64 * 1024) throw client("Actual task definition size is larger than the limit of 64 KiB.");
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
  checkMemoryTotal(input);
  checkDependencies(containerDefinitions);
  checkPlacement(input);
  if (input.proxyConfiguration && networkMode !== "awsvpc")
    throw client("The proxyConfiguration is supported with network mode 'awsvpc' only.");
  if (requiresCompatibilities.includes("FARGATE")) checkFargate(input);
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

/** `512`, `0.5 GB`, `1GB` → MiB. */
export function memoryMiB(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d+(?:\.\d+)?)\s*(gb)?$/i.exec(text.trim());
  return match ? Number(match[1]) * (match[2] ? 1024 : 1) : Number.NaN;
}

/** `256`, `.25 vCPU`, `1 vcpu` → CPU units. */
export function cpuUnits(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const match = /^(\d*\.?\d+)\s*(vcpu)?$/i.exec(text.trim());
  return match ? Number(match[1]) * (match[2] ? 1024 : 1) : Number.NaN;
}

function checkTaskSize({ cpu, memory }: RegisterTaskDefinitionRequest): void {
  const units = cpuUnits(cpu);
  if (units !== undefined && (!Number.isInteger(units) || units < 128 || units > 196_608))
    throw ecsErrors.client(`Invalid 'cpu' setting for task. '${cpu}' must be between 128 (0.125 vCPU) and 196608 (192 vCPU) CPU units.`);
  const size = memoryMiB(memory);
  if (size !== undefined && (!Number.isInteger(size) || size < 6))
    throw ecsErrors.client(`Invalid 'memory' setting for task: '${memory}'.`);
}

function checkMemoryTotal({ memory, cpu, containerDefinitions = [] }: RegisterTaskDefinitionRequest): void {
  const task = memoryMiB(memory);
  const reserved = containerDefinitions.reduce((sum, each) => sum + (each.memoryReservation ?? each.memory ?? 0), 0);
  if (task !== undefined && reserved > task)
    throw ecsErrors.client(`Invalid setting for container memory: the containers reserve ${reserved} MiB together, the task has ${task}.`);
  const units = cpuUnits(cpu);
  const total = containerDefinitions.reduce((sum, each) => sum + (each.cpu ?? 0), 0);
  if (units !== undefined && total > units)
    throw ecsErrors.client(`Invalid setting for container cpu: the containers take ${total} CPU units together, the task has ${units}.`);
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
