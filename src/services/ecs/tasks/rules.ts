import type { ContainerDefinition, RunTaskRequest, StartTaskRequest, TaskDefinition } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import type { ClusterRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import { checkLaunch, checkLaunchable } from "./launch-rules.ts";

/**
 * What RunTask and StartTask accept. Messages are AWS's where they are known. What AWS can do and Gantry cannot yet is refused with 501, so
 * that no task runs other than it was asked for.
 */
export function checkRunTask(input: RunTaskRequest, cluster: ClusterRecord, record: TaskDefinitionRecord): "EC2" | "FARGATE" {
  const count = input.count ?? 1;
  if (!Number.isInteger(count) || count < 1 || count > 10) throw invalid("count must be between 1 and 10.");
  if (input.clientToken !== undefined && !/^[\x21-\x7e]{1,64}$/.test(input.clientToken))
    throw invalid("clientToken must have 1 to 64 ASCII characters.");
  checkPlacement(input);
  const launchType = checkLaunch(input, cluster);
  checkCommon(input, record, launchType);
  return launchType;
}

/** What both operations share. */
export function checkCommon(input: RunTaskRequest | StartTaskRequest, record: TaskDefinitionRecord, launchType: "EC2" | "FARGATE"): void {
  if (input.startedBy !== undefined && !/^[A-Za-z0-9_/.:@ -]{0,128}$/.test(input.startedBy))
    throw invalid("startedBy may have up to 128 letters, numbers, hyphens, forward slashes and underscores.");
  if (input.group !== undefined && (input.group.length === 0 || input.group.length > 255))
    throw invalid("group must have 1 to 255 characters.");
  if (input.referenceId !== undefined && input.referenceId.length > 1024) throw invalid("referenceId must have at most 1024 characters.");
  if ((input.propagateTags as string | undefined) === "SERVICE") throw invalid("propagateTags SERVICE is for tasks of a service only.");
  if (input.volumeConfigurations?.length) throw notYet("volumeConfigurations");
  checkDefinition(record, launchType, input.networkConfiguration, input.overrides);
}

/** A task definition that tasks are to be made of, with the network that they are to have. */
export function checkDefinition(
  record: TaskDefinitionRecord,
  launchType: "EC2" | "FARGATE",
  network: RunTaskRequest["networkConfiguration"],
  overrides?: RunTaskRequest["overrides"],
): void {
  checkLaunchable(record, launchType, network, overrides);
  checkSupported(record.definition as TaskDefinition);
}

function checkSupported(definition: TaskDefinition): void {
  if (definition.proxyConfiguration) throw notYet("proxyConfiguration");
  for (const volume of definition.volumes ?? []) {
    const kind = (["efsVolumeConfiguration", "fsxWindowsFileServerVolumeConfiguration"] as const).find((name) => volume[name]);
    if (kind) throw notYet(`the volume '${volume.name}' with ${kind}`);
    if (volume.configuredAtLaunch) throw notYet(`the volume '${volume.name}' with configuredAtLaunch`);
  }
  for (const container of definition.containerDefinitions ?? []) {
    if (container.firelensConfiguration) throw notYet(`firelensConfiguration (container '${container.name}')`);
    checkRequirements(container.name ?? "", container.resourceRequirements);
  }
}

/** A container definition's, or its override's. GPUs are given out whole; of what else there is, nobody's agent here knows. */
export function checkRequirements(container: string, requirements: ContainerDefinition["resourceRequirements"]): void {
  for (const { type, value = "" } of requirements ?? []) {
    if (type !== "GPU") throw notYet(`resourceRequirements of type ${type} (container '${container}')`);
    if (!/^[1-9]\d{0,3}$/.test(value))
      throw client(`Invalid 'GPU' value '${value}' for container '${container}'. It must be a whole number above 0.`);
  }
  if ((requirements?.length ?? 0) > 1) throw client(`Container '${container}' has more than one resource requirement of type GPU.`);
}

/** Placement constraints and strategies, of a task or a service. */
export function checkPlacement(input: Pick<RunTaskRequest, "placementConstraints" | "placementStrategy">): void {
  const constraints = input.placementConstraints ?? [];
  const strategies = input.placementStrategy ?? [];
  if (constraints.length > 10) throw invalid("You can specify a maximum of 10 constraints for each task.");
  if (strategies.length > 5) throw invalid("You can specify a maximum of 5 strategy rules for each task.");
  for (const { type, expression } of constraints) {
    if (type !== "memberOf" && type !== "distinctInstance") throw invalid(`Invalid constraint type: ${type}`);
    if (type === "distinctInstance" && expression !== undefined && expression !== "")
      throw invalid("An expression is not supported for the placement constraint distinctInstance.");
    if (type === "memberOf" && !expression) throw invalid("The placement constraint memberOf needs an expression.");
  }
  for (const { type, field } of strategies) {
    if (type === "random") {
      if (field) throw invalid("A field is not supported for the placement strategy random.");
    } else if (type === "spread") {
      if (!field || !/^(instanceId|host|attribute:[A-Za-z0-9_./\\-]{1,128})$/.test(field))
        throw invalid(`Invalid field for the placement strategy spread: ${field}`);
    } else if (type === "binpack") {
      if (!/^(cpu|memory)$/i.test(field ?? "")) throw invalid(`Invalid field for the placement strategy binpack: ${field}`);
    } else throw invalid(`Invalid placement strategy type: ${String(type)}`);
  }
}

function notYet(what: string): ApiError {
  return new ApiError("NotImplemented", `Gantry does not support ${what} yet.`, 501);
}

function invalid(message: string): ApiError {
  return new ApiError("InvalidParameterException", message);
}

function client(message: string): ApiError {
  return new ApiError("ClientException", message);
}
