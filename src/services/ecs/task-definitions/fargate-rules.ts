import type { ContainerDefinition, RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { fargateSizes } from "#model/cost/fargate-sizes.ts";
import { ecsErrors } from "../errors.ts";
import { cpuUnits, memoryMiB } from "./task-size.ts";

export function isFargateSize(cpu: number | undefined, memory: number | undefined): boolean {
  return (
    cpu !== undefined &&
    memory !== undefined &&
    (fargateSizes[cpu] ?? []).some(([from, to, step]) => memory >= from && memory <= to && (memory - from) % step === 0)
  );
}

/** What Fargate forbids. Throws ClientException. */
export function checkFargate(input: RegisterTaskDefinitionRequest): void {
  const obstacle = fargateObstacle(input) ?? missingRole(input);
  if (obstacle !== undefined) throw ecsErrors.client(obstacle);
}

const unsupported = (what: string) => `Fargate compatible task definitions do not support ${what}`;

/**
 * Why Fargate could not run this, in AWS's words, or undefined when it could. Source: ECS Developer Guide, "Amazon ECS task definition
 * differences for Fargate".
 */
export function fargateObstacle(input: RegisterTaskDefinitionRequest): string | undefined {
  if (input.networkMode !== "awsvpc") return "Fargate only supports network mode ‘awsvpc’.";
  if (input.cpu === undefined) return "Fargate requires that 'cpu' be defined at the task level.";
  if (input.memory === undefined) return "Fargate requires that 'memory' be defined at the task level.";
  const [cpu, memory] = [cpuUnits(input.cpu), memoryMiB(input.memory)];
  const isWindows = input.runtimePlatform?.operatingSystemFamily?.startsWith("WINDOWS") ?? false;
  if (!isFargateSize(cpu, memory) || (isWindows && cpu! < 1024))
    return `No Fargate configuration exists for given values: ${cpu} CPU, ${memory} memory. See the Amazon ECS documentation for the valid values.`;
  if (input.placementConstraints?.length) return unsupported("constraints");
  if (input.ipcMode) return unsupported("ipcMode");
  if (input.pidMode === "host") return "Fargate compatible task definitions only support the pidMode 'task'.";
  for (const volume of input.volumes ?? []) {
    if (volume.host?.sourcePath) return unsupported("sourcePath");
    if (volume.dockerVolumeConfiguration) return unsupported("dockerVolumeConfiguration");
    if (volume.fsxWindowsFileServerVolumeConfiguration) return unsupported("fsxWindowsFileServerVolumeConfiguration");
  }
  for (const container of input.containerDefinitions ?? []) {
    const obstacle = ofContainer(container);
    if (obstacle !== undefined) return obstacle;
  }
  return undefined;
}

const logDrivers = ["awslogs", "splunk", "awsfirelens"];

function ofContainer(container: ContainerDefinition): string | undefined {
  const { linuxParameters: linux, logConfiguration: log } = container;
  const present: readonly (readonly [what: string, given: unknown])[] = [
    ["privileged", container.privileged],
    ["links", container.links?.length],
    ["disableNetworking", container.disableNetworking],
    ["dnsServers", container.dnsServers?.length],
    ["dnsSearchDomains", container.dnsSearchDomains?.length],
    ["extraHosts", container.extraHosts?.length],
    ["dockerSecurityOptions", container.dockerSecurityOptions?.length],
    ["devices", linux?.devices?.length],
    ["sharedMemorySize", linux?.sharedMemorySize !== undefined],
    ["tmpfs", linux?.tmpfs?.length],
    ["maxSwap", linux?.maxSwap !== undefined],
    ["swappiness", linux?.swappiness !== undefined],
    ["gpu", container.resourceRequirements?.some(({ type }) => type === "GPU")],
  ];
  const found = present.find(([, given]) => given);
  if (found) return unsupported(found[0]);
  if (linux?.capabilities?.add?.some((each) => each.replace(/^CAP_/, "") !== "SYS_PTRACE"))
    return "Fargate compatible task definitions only support adding the capability SYS_PTRACE.";
  if (log && !logDrivers.includes(log.logDriver ?? ""))
    return `${log.logDriver} is not a valid log driver. Must be one of [${logDrivers.join(",")}]`;
  if (container.firelensConfiguration?.options?.["config-file-type"] === "s3")
    return "Fargate launch type does not support FirelensConfiguration config file from 's3'";
  for (const setting of ["startTimeout", "stopTimeout"] as const)
    if ((container[setting] ?? 0) > 120)
      return `Tasks using the Fargate launch type must have a container ${setting === "stopTimeout" ? "stop" : "start"} timeout of less than 120 seconds.`;
  return undefined;
}

/** A definition made for Fargate needs the role that pulls and logs; one that merely would run there does not. */
function missingRole({ executionRoleArn, containerDefinitions = [] }: RegisterTaskDefinitionRequest): string | undefined {
  if (executionRoleArn) return undefined;
  if (containerDefinitions.some(({ image = "" }) => /^\d{12}\.dkr\.ecr\./.test(image)))
    return "Fargate requires task definition to have execution role ARN to support ECR images.";
  if (containerDefinitions.some(({ logConfiguration }) => logConfiguration?.logDriver === "awslogs"))
    return "Fargate requires task definition to have execution role ARN to support log driver awslogs.";
  return undefined;
}
