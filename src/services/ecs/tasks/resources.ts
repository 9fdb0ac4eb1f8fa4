import type { ContainerDefinition, TaskDefinition, TaskOverride } from "@aws-sdk/client-ecs";
import type { Demand } from "#scheduler/types.ts";

/** CPU units from `256`, `1 vCPU` or `.25vcpu`; undefined for anything else. Source: ECS API Reference, RegisterTaskDefinition, `cpu`. */
export function parseCpu(text: string): number | undefined {
  const match = /^\s*(\d+|\d*\.\d+)\s*(vcpus?)?\s*$/i.exec(text);
  if (!match) return undefined;
  const value = Number(match[1]) * (match[2] ? 1024 : 1);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}

/** MiB from `512`, `1GB` or `0.5 GB`; undefined for anything else. */
export function parseMemory(text: string): number | undefined {
  const match = /^\s*(\d+|\d*\.\d+)\s*(gb|mb|mib|gib)?\s*$/i.exec(text);
  if (!match) return undefined;
  const value = Number(match[1]) * (/^g/i.test(match[2] ?? "") ? 1024 : 1);
  return Number.isInteger(value) && value > 0 ? value : undefined;
}

/** Task-level CPU units and MiB: the override's, else the definition's, else undefined. */
export function taskLimits(definition: TaskDefinition, overrides: TaskOverride | undefined): { cpu?: number; memory?: number } {
  const cpu = overrides?.cpu ?? definition.cpu;
  const memory = overrides?.memory ?? definition.memory;
  return { cpu: cpu ? parseCpu(cpu) : undefined, memory: memory ? parseMemory(memory) : undefined };
}

/**
 * What a task takes from its instance. Task-level values count where they are given, else the containers' sum: of memory the
 * reservation where there is one. Source: ECS Developer Guide, "Container instance memory", and RegisterTaskDefinition.
 */
export function resourcesOf(
  definition: TaskDefinition,
  containers: readonly ContainerDefinition[],
  overrides: TaskOverride | undefined,
): Demand {
  const limits = taskLimits(definition, overrides);
  const sum = (value: (container: ContainerDefinition) => number) => containers.reduce((total, container) => total + value(container), 0);
  return {
    cpu: limits.cpu ?? sum(({ cpu }) => cpu ?? 0),
    memory: limits.memory ?? sum(({ memory, memoryReservation }) => memoryReservation ?? memory ?? 0),
    portsTcp: hostPorts(definition.networkMode, containers, "tcp"),
    portsUdp: hostPorts(definition.networkMode, containers, "udp"),
    ...(containers.some((container) => gpuCountOf(container) > 0) ? { gpuCount: sum(gpuCountOf) } : {}),
  };
}

/** GPUs that a container asks for. Source: ECS API Reference, ResourceRequirement: the number of whole GPUs, as text. */
export function gpuCountOf({ resourceRequirements }: ContainerDefinition): number {
  return Number(resourceRequirements?.find(({ type }) => type === "GPU")?.value ?? 0);
}

/** Fixed host ports. With `host` each container port is one; a dynamic port (0 or none with `bridge`) is the agent's to choose. */
function hostPorts(networkMode: string | undefined, containers: readonly ContainerDefinition[], protocol: "tcp" | "udp"): number[] {
  if (networkMode === "awsvpc" || networkMode === "none") return [];
  const ports = containers
    .flatMap(({ portMappings }) => portMappings ?? [])
    .filter((mapping) => (mapping.protocol ?? "tcp") === protocol)
    .map((mapping) => (networkMode === "host" ? (mapping.containerPort ?? mapping.hostPort) : mapping.hostPort) ?? 0);
  return [...new Set(ports.filter((port) => port > 0))];
}
