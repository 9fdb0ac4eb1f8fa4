import type { ContainerDefinition, TaskDefinition } from "@aws-sdk/client-ecs";
import type { DockerConfig, DockerContainerConfig, DockerHostConfig } from "#agent-protocol/messages.ts";

/** A container's members that travel in the Docker Engine's own form. */
export function dockerConfigOf(definition: TaskDefinition, container: ContainerDefinition): DockerConfig {
  return {
    version: "1.19",
    config: JSON.stringify(containerConfig(container)),
    hostConfig: JSON.stringify(hostConfig(definition, container)),
  };
}

function containerConfig(container: ContainerDefinition): DockerContainerConfig {
  return {
    Labels: filled(container.dockerLabels),
    Healthcheck: healthCheck(container.healthCheck),
    User: container.user || undefined,
    WorkingDir: container.workingDirectory || undefined,
    Hostname: container.hostname || undefined,
    OpenStdin: container.interactive || undefined,
    Tty: container.pseudoTerminal || undefined,
    NetworkDisabled: container.disableNetworking || undefined,
  };
}

/** Seconds become nanoseconds; AWS's defaults are 30 s, 5 s and 3 retries. */
function healthCheck(check: ContainerDefinition["healthCheck"]): DockerContainerConfig["Healthcheck"] {
  if (!check?.command?.length) return undefined;
  const nanoseconds = (seconds: number) => seconds * 1_000_000_000;
  return {
    Test: check.command,
    Interval: nanoseconds(check.interval ?? 30),
    Timeout: nanoseconds(check.timeout ?? 5),
    Retries: check.retries ?? 3,
    StartPeriod: check.startPeriod ? nanoseconds(check.startPeriod) : undefined,
  };
}

function hostConfig(definition: TaskDefinition, container: ContainerDefinition): DockerHostConfig {
  const capabilities = container.linuxParameters?.capabilities;
  const log = container.logConfiguration;
  const sysctls = (container.systemControls ?? []).flatMap(({ namespace, value }) =>
    namespace ? [[namespace, value ?? ""] as const] : [],
  );
  return {
    NetworkMode: definition.networkMode ?? "bridge",
    CapAdd: full(capabilities?.add),
    CapDrop: full(capabilities?.drop),
    Ulimits: full(container.ulimits?.map(({ name, softLimit, hardLimit }) => ({ Name: name!, Soft: softLimit!, Hard: hardLimit! }))),
    LogConfig: log?.logDriver ? { Type: log.logDriver, Config: { ...log.options } } : undefined,
    ReadonlyRootfs: container.readonlyRootFilesystem || undefined,
    Privileged: container.privileged || undefined,
    Dns: full(container.dnsServers),
    DnsSearch: full(container.dnsSearchDomains),
    ExtraHosts: full(container.extraHosts?.map(({ hostname, ipAddress }) => `${hostname}:${ipAddress}`)),
    SecurityOpt: full(container.dockerSecurityOptions),
    Sysctls: sysctls.length > 0 ? Object.fromEntries(sysctls) : undefined,
    MemoryReservation: container.memoryReservation ? container.memoryReservation * 1024 * 1024 : undefined,
    PidMode: definition.pidMode,
    IpcMode: definition.ipcMode,
  };
}

function full<T>(list: readonly T[] | undefined): readonly T[] | undefined {
  return list?.length ? list : undefined;
}

function filled<T extends object>(map: T | undefined): T | undefined {
  return map && Object.keys(map).length > 0 ? map : undefined;
}
