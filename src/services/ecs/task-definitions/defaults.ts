import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { cpuUnits, memoryMiB } from "./task-size.ts";

/** The definition as AWS shows it: what was given, kept exactly, with the members that AWS fills in and units made numbers (`1 vCPU` is 1024, `1 GB` 1024). Tags are kept beside it. */
export function withDefaults(input: RegisterTaskDefinitionRequest): Readonly<Record<string, unknown>> {
  const { tags: _tags, containerDefinitions = [], cpu, memory, ...rest } = input;
  return {
    ...rest,
    ...(cpu === undefined ? {} : { cpu: String(cpuUnits(cpu)) }),
    ...(memory === undefined ? {} : { memory: String(memoryMiB(memory)) }),
    containerDefinitions: containerDefinitions.map((container) => containerWithDefaults(container, input.networkMode ?? "bridge")),
    volumes: input.volumes ?? [],
    placementConstraints: input.placementConstraints ?? [],
  };
}

function containerWithDefaults(container: ContainerDefinition, networkMode: string): ContainerDefinition {
  return {
    ...container,
    cpu: container.cpu ?? 0,
    portMappings: (container.portMappings ?? []).map((mapping) => ({
      ...mapping,
      ...(mapping.containerPortRange === undefined
        ? { hostPort: mapping.hostPort ?? (networkMode === "bridge" ? 0 : mapping.containerPort) }
        : {}),
      protocol: mapping.protocol ?? "tcp",
    })),
    essential: container.essential ?? true,
    environment: container.environment ?? [],
    mountPoints: container.mountPoints ?? [],
    volumesFrom: container.volumesFrom ?? [],
    systemControls: container.systemControls ?? [],
    ...(container.healthCheck
      ? {
          healthCheck: {
            ...container.healthCheck,
            interval: container.healthCheck.interval ?? 30,
            timeout: container.healthCheck.timeout ?? 5,
            retries: container.healthCheck.retries ?? 3,
          },
        }
      : {}),
  };
}
