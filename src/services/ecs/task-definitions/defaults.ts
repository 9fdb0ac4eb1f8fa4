import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";

/** The definition as AWS shows it: what was given, kept exactly, with the members that AWS fills in. Tags are kept beside it. */
export function withDefaults(input: RegisterTaskDefinitionRequest): Readonly<Record<string, unknown>> {
  const { tags: _tags, containerDefinitions = [], ...rest } = input;
  return {
    ...rest,
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
    ...(container.logConfiguration
      ? {
          logConfiguration: {
            ...container.logConfiguration,
            options: container.logConfiguration.options ?? {},
            secretOptions: container.logConfiguration.secretOptions ?? [],
          },
        }
      : {}),
  };
}
