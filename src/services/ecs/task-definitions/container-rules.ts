import type { ContainerDefinition } from "@aws-sdk/client-ecs";
import { ecsErrors } from "../errors.ts";
import { checkPorts } from "./port-rules.ts";

export interface ContainerSurroundings {
  readonly networkMode: string;
  /** MiB. */
  readonly taskMemory: number | undefined;
  readonly volumeNames: ReadonlySet<string | undefined>;
  readonly containerNames: ReadonlySet<string | undefined>;
  readonly ipcMode: string | undefined;
}

const ulimits = new Set([
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
]);
const logDrivers = new Set(["awsfirelens", "awslogs", "fluentd", "gelf", "journald", "json-file", "splunk", "syslog"]);
const capabilities = new Set(
  "ALL AUDIT_CONTROL AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG SYSLOG WAKE_ALARM".split(
    " ",
  ),
);

/** One container of a task definition. Throws ClientException. Source: ECS API Reference, ContainerDefinition and the types below it. */
export function checkContainer(container: ContainerDefinition, around: ContainerSurroundings): void {
  const { client } = ecsErrors;
  const { name = "", image } = container;
  const wrong = (setting: string, why: string) => client(`Invalid '${setting}' setting for container '${name}'. ${why}`);
  if (!image) throw client("Container.image should not be null or empty.");
  if (!/^[A-Za-z0-9_\-:./@#]{1,255}$/.test(image)) throw client("Container.image contains invalid characters.");
  checkMemory(container, around, wrong);
  if (container.cpu !== undefined && (!Number.isInteger(container.cpu) || container.cpu < 0 || container.cpu > 196_608))
    throw wrong("cpu", "It must be a number of CPU units from 0 to 196608.");
  checkPorts(container, around.networkMode);
  checkMounts(container, around, wrong);
  checkHealth(container, wrong);
  checkTimes(container, wrong);
  checkLinux(container, around, wrong);
  checkNetwork(container, around.networkMode);
  for (const { name: key = "" } of container.environment ?? [])
    if (key === "") throw wrong("environment", "A variable's name must not be empty.");
  const secrets = new Set<string>();
  for (const { name: key = "", valueFrom } of container.secrets ?? []) {
    if (key === "" || !valueFrom) throw wrong("secrets", "A secret needs a name and a valueFrom.");
    if (secrets.has(key) || container.environment?.some((variable) => variable.name === key))
      throw client(
        `The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '${key}'.`,
      );
    secrets.add(key);
  }
  for (const { name: limit, softLimit, hardLimit } of container.ulimits ?? []) {
    if (!ulimits.has(limit ?? "")) throw wrong("ulimits", `Unknown limit: ${String(limit)}`);
    if (softLimit === undefined || hardLimit === undefined || (hardLimit !== -1 && (softLimit > hardLimit || softLimit === -1)))
      throw wrong("ulimits", "softLimit must not be greater than hardLimit.");
  }
  const log = container.logConfiguration;
  if (log) {
    if (!logDrivers.has(log.logDriver ?? "")) throw wrong("logConfiguration", `Unknown logDriver: ${String(log.logDriver)}`);
    for (const { name: option = "", valueFrom } of log.secretOptions ?? []) {
      if (option === "" || !valueFrom) throw wrong("logConfiguration", "A secret option needs a name and a valueFrom.");
      if (log.options?.[option] !== undefined) throw wrong("logConfiguration", `The option ${option} is there as a secret too.`);
    }
    const missing =
      log.logDriver === "awslogs"
        ? ["awslogs-region", "awslogs-group"].filter(
            (option) => !log.options?.[option] && !log.secretOptions?.some(({ name: given }) => given === option),
          )
        : [];
    if (missing.length > 0) throw client(`Log driver awslogs requires options: ${missing.join(", ")}`);
    if (log.options?.["mode"] && !["blocking", "non-blocking"].includes(log.options["mode"]))
      throw wrong("logConfiguration", "mode must be blocking or non-blocking.");
  }
  for (const { type, value = "" } of container.environmentFiles ?? []) {
    if (type !== "s3") throw wrong("environmentFiles", `Invalid type: ${String(type)}`);
    // A path on the container instance is Gantry's own addition.
    if (!/^arn:aws[a-z-]*:s3:::[^/]+\/.+/.test(value) && !/^\/[^\0]+$/.test(value))
      throw wrong("environmentFiles", "The value must be the ARN of an S3 object, or an absolute path on the container instance.");
  }
}

/** Source: ECS Developer Guide, "Task definition parameters", for each of them; the words are AWS's. */
function checkNetwork(container: ContainerDefinition, networkMode: string): void {
  const refuse = (what: string) => ecsErrors.client(`${what} not supported on container when networkMode=${networkMode}.`);
  if (container.links?.length && networkMode !== "bridge")
    throw ecsErrors.client(`Links are not supported when networkMode=${networkMode}.`);
  if (networkMode === "bridge" || networkMode === "none") return;
  if (container.hostname) throw refuse("hostname is");
  if (networkMode !== "awsvpc") return;
  if (container.extraHosts?.length) throw refuse("Extra hosts are");
  if (container.disableNetworking) throw refuse("Disable Networking is");
}

/** MiB. The least that a container can be given. */
export const leastMemoryMiB = 4;

type Wrong = (setting: string, why: string) => Error;

function checkMemory({ name, memory, memoryReservation }: ContainerDefinition, { taskMemory }: ContainerSurroundings, wrong: Wrong): void {
  if (memory === undefined && memoryReservation === undefined && taskMemory === undefined)
    throw ecsErrors.client(`Invalid setting for container '${name}'. At least one of 'memory' or 'memoryReservation' must be specified.`);
  for (const [setting, value] of [
    ["memory", memory],
    ["memoryReservation", memoryReservation],
  ] as const)
    if (value !== undefined && (!Number.isInteger(value) || value < leastMemoryMiB))
      throw wrong(setting, `It must be at least ${leastMemoryMiB} MiB.`);
  if (memory !== undefined && memoryReservation !== undefined && memoryReservation > memory)
    throw ecsErrors.client(`Invalid setting for container '${name}'. 'memory' must be greater than or equal to 'memoryReservation'.`);
  for (const [setting, value = 0] of [
    ["memory", memory],
    ["memoryReservation", memoryReservation],
  ] as const)
    if (taskMemory !== undefined && value > taskMemory)
      throw ecsErrors.client(`The '${setting}' setting for container '${name}' is greater than for the task.`);
}

function checkMounts(
  { name, mountPoints, volumesFrom }: ContainerDefinition,
  { volumeNames, containerNames }: ContainerSurroundings,
  wrong: Wrong,
): void {
  const paths = new Set<string>();
  for (const { sourceVolume, containerPath = "" } of mountPoints ?? []) {
    if (sourceVolume !== undefined && !volumeNames.has(sourceVolume)) throw ecsErrors.client(`Unknown volume '${sourceVolume}'.`);
    if (!containerPath.startsWith("/")) throw wrong("mountPoints", "A containerPath must be absolute.");
    if (paths.has(containerPath)) throw wrong("mountPoints", `Two volumes are mounted at ${containerPath}.`);
    paths.add(containerPath);
  }
  for (const { sourceContainer } of volumesFrom ?? [])
    if (!containerNames.has(sourceContainer) || sourceContainer === name)
      throw wrong("volumesFrom", `There is no other container '${sourceContainer}' in the task definition.`);
}

function checkHealth({ healthCheck }: ContainerDefinition, wrong: Wrong): void {
  if (!healthCheck) return;
  const range = (setting: string, value: number | undefined, least: number, most: number) => {
    if (value !== undefined && (!Number.isInteger(value) || value < least || value > most))
      throw wrong("healthCheck", `${setting} must be between ${least} and ${most}.`);
  };
  range("interval", healthCheck.interval, 5, 300);
  range("timeout", healthCheck.timeout, 2, 60);
  range("retries", healthCheck.retries, 1, 10);
  range("startPeriod", healthCheck.startPeriod, 0, 300);
  const [kind, ...rest] = healthCheck.command ?? [];
  if (kind === undefined) throw wrong("healthCheck", "The command must not be empty.");
  if (!["CMD", "CMD-SHELL", "NONE"].includes(kind)) throw wrong("healthCheck", "The command must begin with CMD or CMD-SHELL.");
  if ((kind === "CMD" || kind === "CMD-SHELL") && rest.length === 0) throw wrong("healthCheck", `${kind} needs a command.`);
}

function checkTimes({ name, startTimeout, stopTimeout, restartPolicy }: ContainerDefinition, wrong: Wrong): void {
  if (startTimeout !== undefined && (!Number.isInteger(startTimeout) || startTimeout < 2))
    throw ecsErrors.client(`Granular start timeout on container '${name}' must be at least 2 seconds.`);
  if (stopTimeout !== undefined && (!Number.isInteger(stopTimeout) || stopTimeout < 2))
    throw ecsErrors.client(`Granular stop timeout on container '${name}' must be at least 2 seconds.`);
  const period = restartPolicy?.restartAttemptPeriod;
  if (period !== undefined && (!Number.isInteger(period) || period < 60 || period > 1800))
    throw wrong("restartPolicy", "restartAttemptPeriod must be between 60 and 1800 seconds.");
  if ((restartPolicy?.ignoredExitCodes?.length ?? 0) > 50) throw wrong("restartPolicy", "At most 50 ignoredExitCodes can be given.");
}

function checkLinux(container: ContainerDefinition, { ipcMode }: ContainerSurroundings, wrong: Wrong): void {
  const linux = container.linuxParameters;
  for (const each of [...(linux?.capabilities?.add ?? []), ...(linux?.capabilities?.drop ?? [])])
    if (!capabilities.has(each.replace(/^CAP_/, ""))) throw wrong("linuxParameters", `Unknown capability: ${each}`);
  const swappiness = linux?.swappiness;
  if (swappiness !== undefined && (!Number.isInteger(swappiness) || swappiness < 0 || swappiness > 100))
    throw wrong("linuxParameters", "swappiness must be between 0 and 100.");
  if (linux?.sharedMemorySize !== undefined && linux.sharedMemorySize < 0)
    throw wrong("linuxParameters", "sharedMemorySize must not be negative.");
  for (const { containerPath = "", size } of linux?.tmpfs ?? [])
    if (!containerPath.startsWith("/") || size === undefined || size < 1)
      throw wrong("linuxParameters", "A tmpfs needs an absolute containerPath and a size in MiB.");
  for (const { hostPath } of linux?.devices ?? [])
    if (!hostPath?.startsWith("/")) throw wrong("linuxParameters", "A device needs an absolute hostPath.");
  for (const { namespace } of container.systemControls ?? [])
    if (namespace?.startsWith("kernel.") && (ipcMode === "host" || ipcMode === "none"))
      throw wrong("systemControls", `${namespace} can't be set with ipcMode ${ipcMode}.`);
}
