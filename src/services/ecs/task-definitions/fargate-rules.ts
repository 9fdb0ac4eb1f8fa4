import type { RegisterTaskDefinitionRequest } from "@aws-sdk/client-ecs";
import { ecsErrors } from "../errors.ts";
import { cpuUnits, memoryMiB } from "./rules.ts";

/** CPU units → memory in MiB: from, to, in steps of. Source: ECS Developer Guide, "Task CPU and memory" of Fargate. */
const sizes: Readonly<Record<number, readonly (readonly [from: number, to: number, step: number])[]>> = {
  256: [
    [512, 512, 512],
    [1024, 2048, 1024],
  ],
  512: [[1024, 4096, 1024]],
  1024: [[2048, 8192, 1024]],
  2048: [[4096, 16_384, 1024]],
  4096: [[8192, 30_720, 1024]],
  8192: [[16_384, 61_440, 4096]],
  16_384: [[32_768, 122_880, 8192]],
};

export function isFargateSize(cpu: number | undefined, memory: number | undefined): boolean {
  return (
    cpu !== undefined &&
    memory !== undefined &&
    (sizes[cpu] ?? []).some(([from, to, step]) => memory >= from && memory <= to && (memory - from) % step === 0)
  );
}

/** What Fargate forbids. Throws ClientException. */
export function checkFargate(input: RegisterTaskDefinitionRequest): void {
  const { client } = ecsErrors;
  if (input.networkMode !== "awsvpc") throw client("Fargate only supports network mode ‘awsvpc’.");
  if (input.cpu === undefined) throw client("Fargate requires that 'cpu' be defined at the task level.");
  if (input.memory === undefined) throw client("Fargate requires that 'memory' be defined at the task level.");
  const [cpu, memory] = [cpuUnits(input.cpu), memoryMiB(input.memory)];
  if (!isFargateSize(cpu, memory))
    throw client(
      `No Fargate configuration exists for given values: ${cpu} CPU, ${memory} memory. See the Amazon ECS documentation for the valid values.`,
    );
  const storage = input.ephemeralStorage?.sizeInGiB;
  if (storage !== undefined && (storage < 21 || storage > 200)) throw client("Ephemeral storage must be between 21 and 200 GiB.");
  if (input.placementConstraints?.length) throw client("Fargate tasks do not support placement constraints.");
  if (input.ipcMode || input.pidMode === "host") throw client("Fargate tasks do not support ipcMode, nor pidMode 'host'.");
  for (const volume of input.volumes ?? [])
    if (volume.host?.sourcePath || volume.dockerVolumeConfiguration)
      throw client("Fargate compatible task definitions do not support sourcePath or dockerVolumeConfiguration.");
  for (const container of input.containerDefinitions ?? []) {
    if (container.privileged) throw client("Fargate compatible task definitions do not support privileged containers.");
    const linux = container.linuxParameters;
    if (
      linux?.devices?.length ||
      linux?.sharedMemorySize !== undefined ||
      linux?.tmpfs?.length ||
      linux?.maxSwap !== undefined ||
      linux?.swappiness !== undefined
    )
      throw client("Fargate compatible task definitions do not support devices, sharedMemorySize, tmpfs, maxSwap and swappiness.");
    if (linux?.capabilities?.add?.some((each) => each !== "SYS_PTRACE"))
      throw client("Fargate compatible task definitions support the capability SYS_PTRACE only.");
    const driver = container.logConfiguration?.logDriver;
    if (driver && !["awslogs", "splunk", "awsfirelens"].includes(driver))
      throw client("Fargate compatible task definitions support the log drivers awslogs, splunk and awsfirelens only.");
    if (container.stopTimeout !== undefined && container.stopTimeout > 120)
      throw client("Fargate compatible task definitions support a stopTimeout of at most 120 seconds.");
    if (container.dockerSecurityOptions?.length || container.links?.length || container.extraHosts?.length || container.dnsServers?.length)
      throw client("Fargate compatible task definitions do not support dockerSecurityOptions, links, extraHosts and dnsServers.");
  }
}
