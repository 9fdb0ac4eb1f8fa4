import type { ContainerDefinition, ContainerOverride, TaskOverride } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { parseCpu, parseMemory } from "./resources.ts";
import { checkRequirements } from "./rules.ts";

/** The longest `overrides` that RunTask takes, in characters of JSON. Source: ECS API Reference, RunTask. */
const maxLength = 8192;

/** Checks a TaskOverride against the containers it is for. Throws AWS's errors. */
export function checkOverrides(overrides: TaskOverride | undefined, containers: readonly ContainerDefinition[]): void {
  if (!overrides) return;
  if (JSON.stringify(overrides).length > maxLength) throw invalid(`Container Overrides length must be at most ${maxLength}`);
  const names = new Set(containers.map(({ name }) => name));
  const seen = new Set<string>();
  for (const override of overrides.containerOverrides ?? []) {
    const name = override.name ?? "";
    if (!names.has(name)) throw invalid(`Override for container named ${name} is not a container in the TaskDefinition.`);
    if (seen.has(name)) throw invalid(`Duplicate override for the container named ${name}.`);
    seen.add(name);
    checkContainer(name, override);
  }
  if (overrides.cpu !== undefined && parseCpu(overrides.cpu) === undefined) throw client("Invalid 'cpu' setting for task.");
  if (overrides.memory !== undefined && parseMemory(overrides.memory) === undefined) throw client("Invalid 'memory' setting for task.");
  if (overrides.inferenceAcceleratorOverrides?.length)
    throw invalid("Inference accelerator overrides name no accelerator of the TaskDefinition.");
  for (const role of [overrides.taskRoleArn, overrides.executionRoleArn])
    if (role !== undefined && role !== "" && !/^(arn:aws[a-z-]*:iam::\d{12}:role\/\S+|[\w+=,.@-]{1,64})$/.test(role))
      throw client("Role is not valid");
}

function checkContainer(name: string, override: ContainerOverride): void {
  if (override.cpu !== undefined && override.cpu < 0) throw client(`Invalid 'cpu' setting for container '${name}'.`);
  for (const value of [override.memory, override.memoryReservation])
    if (value !== undefined && value < 6) throw client(`Invalid setting for container '${name}'. The minimum value for memory is 6 MiB.`);
  if (override.memory !== undefined && override.memoryReservation !== undefined && override.memory < override.memoryReservation)
    throw client(`Invalid setting for container '${name}'. 'memory' must be at least 'memoryReservation'.`);
  checkRequirements(name, override.resourceRequirements);
  const unnamed = override.environment?.some((variable) => !variable.name);
  if (unnamed) throw client(`Invalid setting for container '${name}'. An environment variable has no name.`);
}

/** The container definitions as this task runs them: what an override gives replaces, environment variables replace by name. */
export function mergeOverrides(containers: readonly ContainerDefinition[], overrides: TaskOverride | undefined): ContainerDefinition[] {
  const byName = new Map((overrides?.containerOverrides ?? []).map((override) => [override.name, override]));
  return containers.map((container) => {
    const override = byName.get(container.name);
    return override ? merge(container, override) : container;
  });
}

function merge(container: ContainerDefinition, override: ContainerOverride): ContainerDefinition {
  const { command, environment, environmentFiles, cpu, memory, memoryReservation, resourceRequirements } = override;
  const variables = new Map((container.environment ?? []).map((variable) => [variable.name, variable]));
  for (const variable of environment ?? []) variables.set(variable.name, variable);
  return {
    ...container,
    ...(command && command.length > 0 && { command }),
    ...(environment && { environment: [...variables.values()] }),
    ...(environmentFiles && { environmentFiles }),
    ...(cpu !== undefined && { cpu }),
    ...(memory !== undefined && { memory }),
    ...(memoryReservation !== undefined && { memoryReservation }),
    ...(resourceRequirements && { resourceRequirements }),
  };
}

function invalid(message: string): ApiError {
  return new ApiError("InvalidParameterException", message);
}

function client(message: string): ApiError {
  return new ApiError("ClientException", message);
}
