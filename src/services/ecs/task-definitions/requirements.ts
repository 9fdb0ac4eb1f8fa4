import type { ContainerDefinition, RegisterTaskDefinitionRequest, Volume } from "@aws-sdk/client-ecs";
import { fargateObstacle } from "./fargate-rules.ts";
import { inSetOrder } from "./java-set-order.ts";

interface Attribute {
  readonly name: string;
  readonly value?: string;
}

/** Adds `com.amazonaws.ecs.capability.…` (the older names), `ecs.capability.…`, or a version of the Docker API. */
interface Needs {
  old(name: string): void;
  add(name: string): void;
  api(minor: number): void;
}

/**
 * What an instance's agent must be able to do to run this, in the names of the standard agent (amazon-ecs-agent, agent_capability.go). Which
 * parameter asks for which was read from answers of AWS that are public; requirements.test.ts keeps some of them.
 */
export function requiredAttributes(input: RegisterTaskDefinitionRequest): readonly Attribute[] {
  const names = new Set<string>();
  const needs: Needs = {
    old: (name) => names.add(`com.amazonaws.ecs.capability.${name}`),
    add: (name) => names.add(`ecs.capability.${name}`),
    api: (minor) => names.add(`com.amazonaws.ecs.capability.docker-remote-api.1.${minor}`),
  };
  ofTask(input, needs);
  for (const volume of input.volumes ?? []) ofVolume(volume, needs);
  for (const container of input.containerDefinitions ?? []) ofContainer(container, input, needs);
  for (const container of input.containerDefinitions ?? []) ofLogging(container, input, needs);
  return inSetOrder([...names].map((name) => ({ name })));
}

function ofTask(input: RegisterTaskDefinitionRequest, { old, add, api }: Needs): void {
  if (input.taskRoleArn) old(input.networkMode === "host" ? "task-iam-role-network-host" : "task-iam-role");
  if (input.networkMode === "awsvpc") {
    api(18);
    add("task-eni");
  }
  if (input.pidMode || input.ipcMode) add("pid-ipc-namespace-sharing");
  if (input.proxyConfiguration) add("aws-appmesh");
  if (input.ephemeralStorage) add("extensible-ephemeral-storage");
  if (input.enableFaultInjection) add("fault-injection");
}

function ofVolume(volume: Volume, { add, api }: Needs): void {
  const { efsVolumeConfiguration: efs, dockerVolumeConfiguration: docker } = volume;
  if (efs) {
    add("efs");
    api(25);
    if (efs.authorizationConfig || efs.transitEncryption === "ENABLED") add("efsAuth");
  }
  if (volume.fsxWindowsFileServerVolumeConfiguration) add("fsxWindowsFileServer");
  if (docker) {
    add(`docker-plugin.${docker.driver ?? "local"}`);
    api(25);
  }
}

function ofContainer(container: ContainerDefinition, input: RegisterTaskDefinitionRequest, needs: Needs): void {
  const { old, add, api } = needs;
  const isEcr = /^\d{12}\.dkr\.ecr\./.test(container.image ?? "");
  if (isEcr) {
    old("ecr-auth");
    if (input.executionRoleArn) add("execution-role-ecr-pull");
    else api(19);
  }
  if (container.repositoryCredentials) add("private-registry-authentication.secretsmanager");
  if (container.mountPoints?.length || container.user || container.workingDirectory || container.readonlyRootFilesystem !== undefined)
    api(17);
  if (container.dockerLabels || container.ulimits || container.linuxParameters?.capabilities) api(18);
  if (container.memoryReservation !== undefined) api(21);
  if (container.privileged) old("privileged-container");
  if (container.healthCheck) {
    add("container-health-check");
    api(container.healthCheck.startPeriod === undefined ? 24 : 29);
  }
  if (container.dependsOn?.length || container.startTimeout !== undefined || container.stopTimeout !== undefined) add("container-ordering");
  if (container.restartPolicy?.enabled) add("container-restart-policy");
  if (container.portMappings?.some(({ containerPortRange }) => containerPortRange)) add("network.container-port-range");
  for (const { valueFrom } of container.secrets ?? []) add(`secrets.${secretSource(valueFrom)}.environment-variables`);
  // A file on the machine is Gantry's own addition, and so is the attribute.
  for (const { value = "" } of container.environmentFiles ?? []) add(value.startsWith("/") ? "env-files.path" : "env-files.s3");
  for (const { type } of container.resourceRequirements ?? []) if (type === "InferenceAccelerator") add("task-eia");
  if (container.credentialSpecs?.length)
    add(container.credentialSpecs.some((each) => each.startsWith("credentialspecdomainless:")) ? "gmsa-domainless" : "gmsa");
  ofLinux(container, needs);
  ofFireLens(container, needs);
}

function ofLinux({ linuxParameters: linux }: ContainerDefinition, { api }: Needs): void {
  if (linux?.initProcessEnabled !== undefined) api(25);
  if (linux?.tmpfs?.length || linux?.sharedMemorySize !== undefined) api(22);
  if (linux?.maxSwap !== undefined || linux?.swappiness !== undefined) api(25);
}

function ofLogging(
  { logConfiguration: log }: ContainerDefinition,
  { executionRoleArn }: RegisterTaskDefinitionRequest,
  { old, add, api }: Needs,
): void {
  if (!log) return;
  old(`logging-driver.${log.logDriver}`);
  switch (log.logDriver) {
    case "json-file":
    case "syslog":
      api(18);
      break;
    case "splunk":
      api(22);
      break;
    default:
      api(19);
  }
  if (log.logDriver === "awslogs") {
    if (executionRoleArn) add("execution-role-awslogs");
    if (log.options?.["mode"] !== undefined || log.options?.["max-buffer-size"] !== undefined) api(28);
    if (log.options?.["awslogs-create-group"] !== undefined) api(29);
  }
  if (log.logDriver === "awsfirelens" && log.options?.["log-driver-buffer-limit"] !== undefined)
    add("logging-driver.awsfirelens.log-driver-buffer-limit");
  for (const { valueFrom } of log.secretOptions ?? []) add(`secrets.${secretSource(valueFrom)}.bootstrap.log-driver`);
}

function ofFireLens({ firelensConfiguration: fireLens }: ContainerDefinition, { add }: Needs): void {
  if (!fireLens) return;
  add(`firelens.${fireLens.type}`);
  const source = fireLens.options?.["config-file-type"];
  if (source === "file" || source === "s3") add(`firelens.options.config.${source}`);
}

const secretSource = (valueFrom: string | undefined) => (/^arn:aws[a-z-]*:secretsmanager:/.test(valueFrom ?? "") ? "asm" : "ssm");

/**
 * The launch types that the definition is valid for, whether asked for or not. ECS Managed Instances are not among Gantry's machines, so
 * MANAGED_INSTANCES is named only where it was asked for.
 */
export function compatibilities(input: RegisterTaskDefinitionRequest): readonly string[] {
  const found = isExternal(input) ? ["EXTERNAL", "EC2"] : ["EC2"];
  if (input.requiresCompatibilities?.includes("MANAGED_INSTANCES")) found.push("MANAGED_INSTANCES");
  if (fargateObstacle(input) === undefined) found.push("FARGATE");
  return found;
}

/** Source: ECS Developer Guide, "Amazon ECS clusters for external instances": no awsvpc, no EFS, no App Mesh, no Service Connect. */
function isExternal({ networkMode, volumes = [], proxyConfiguration, containerDefinitions = [] }: RegisterTaskDefinitionRequest): boolean {
  return (
    networkMode !== "awsvpc" &&
    !proxyConfiguration &&
    !volumes.some(({ efsVolumeConfiguration }) => efsVolumeConfiguration) &&
    !containerDefinitions.some(({ portMappings = [] }) =>
      portMappings.some(({ name, appProtocol }) => name !== undefined || appProtocol !== undefined),
    )
  );
}
