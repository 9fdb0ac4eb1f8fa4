import { mkdir, open } from "node:fs/promises";
import { sleep } from "#platform/clock.ts";
import { writeContainerFiles } from "../network/files.ts";
import type { ContainerSpec, Image } from "../runtime.ts";
import type { ContainerPlan } from "../task/plan.ts";
import type { ContainerState } from "../task/state.ts";
import { isProxy, proxyDirectory } from "../service-connect/service-connect.ts";
import { connectDirectory, containerDirectory, taskCgroup, type TaskContext } from "../task/world.ts";
import { environmentOf } from "./environment.ts";
import { isolationOf, limitCpu } from "./sandbox.ts";
import { connectContainer } from "./service-connect.ts";
import { containersOn, storageOf } from "./storage.ts";
import { Cancelled, StepError } from "./step-error.ts";
import { seedVolumes } from "./seed-volumes.ts";
import { mountsOf } from "./volumes.ts";

export interface LaunchHooks {
  /** Journals that the container exists, before its process may run. False: the task is to stop, don't start. */
  created(): boolean;
  started(): void;
}

/** Creates the container and starts its process. Safe to repeat until `created` was called. */
export async function launch(context: TaskContext, container: ContainerPlan, hooks: LaunchHooks): Promise<void> {
  const { world } = context;
  const state = context.state().containers.find(({ name }) => name === container.name);
  if (!state?.image) throw new Error(`launch of ${container.name} without an image`);
  const { spec, volumes } = await specOf(context, container, state, state.image);
  const signal = AbortSignal.timeout(world.config.startTimeoutMs);
  const { pid } = await withTimeout(create(context, spec, signal), signal, "created", world.config.startTimeoutMs);
  await seedVolumes(
    { pid, id: spec.id, inside: spec.runtime.name !== "runc" },
    volumes.filter(({ owned }) => owned),
  ).catch((error: unknown) =>
    context.log.warn({ err: error, container: container.name }, "a new volume could not be filled from the image"),
  );
  if (!hooks.created()) throw new Cancelled();
  if (state.network) {
    await world.network.published(state.network).catch((error: unknown) => {
      throw new StepError(`CannotStartContainerError: ${(error as Error).message}`);
    });
  }
  await connectContainer(context, container, state);
  if (spec.sandbox === undefined) await limitCpu(context);
  await withTimeout(world.runtime.start(spec.id), signal, "started", world.config.startTimeoutMs);
  if (spec.sandbox !== undefined) await limitCpu(context);
  if (isProxy(context.plan, container)) await world.connect.ready(context.plan);
  hooks.started();
}

/**
 * An agent that was killed may have left containerd in the middle of making the same container: until that is over, both are in each other's way.
 */
async function create({ world, log }: TaskContext, spec: ContainerSpec, signal: AbortSignal): Promise<{ readonly pid: number }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await world.runtime.create(spec);
    } catch (error) {
      const collision = error instanceof Error && /file exists|already exists|getwd: no such file/.test(error.message);
      if (!collision || attempt >= 10) throw error;
      log.warn({ err: error, attempt }, "the container is still being made by an agent that was killed, trying again");
      await sleep(world.clock, 200 * attempt, signal);
    }
  }
}

async function withTimeout<T>(work: Promise<T>, signal: AbortSignal, state: string, ms: number): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () =>
    reject(new StepError(`DockerTimeoutError: Could not transition to ${state}; timed out after waiting ${ms / 1000}s`));
  signal.addEventListener("abort", onAbort);
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function specOf(context: TaskContext, container: ContainerPlan, state: ContainerState, image: Image) {
  const { plan, world } = context;
  const { definition, config, host } = container;
  const directory = containerDirectory(world, plan, container.name);
  const linux = definition.linuxParameters ?? {};
  const hostname =
    plan.networkMode === "host"
      ? undefined
      : plan.networkInterface
        ? plan.networkInterface.privateDnsName
        : config.Hostname || state.id.slice(0, 12);
  const disk = await storageOf(context);
  if (disk) await mkdir(containersOn(disk), { recursive: true, mode: 0o711 });
  const [environment, volumes, files] = await Promise.all([
    environmentOf(context, container),
    mountsOf(context, container, disk),
    writeContainerFiles(context, container, state, hostname, directory),
  ]);
  const stdout = `${directory}/stdout.${state.restarts}`;
  const stderr = `${directory}/stderr.${state.restarts}`;
  for (const path of [stdout, stderr]) await (await open(path, "a", 0o600)).close();
  const spec: ContainerSpec = {
    id: state.id,
    labels: labelsOf(context, container),
    image,
    entryPoint: container.entryPoint,
    command: container.command,
    environment: environment.open,
    secretEnvironment: environment.secret,
    user: config.User || undefined,
    workingDirectory: config.WorkingDir || undefined,
    hostname,
    readonlyRootFilesystem: host.ReadonlyRootfs ?? false,
    privileged: container.privileged,
    capabilities: { add: host.CapAdd ?? [], drop: host.CapDrop ?? [] },
    ulimits: (host.Ulimits ?? []).map(({ Name, Soft, Hard }) => ({ name: Name, soft: Soft, hard: Hard })),
    sysctls: host.Sysctls ?? {},
    devices: (linux.devices ?? []).map(({ hostPath, containerPath, permissions }) => ({
      hostPath,
      containerPath: containerPath || hostPath,
      permissions: (permissions?.length ? permissions : ["read", "write", "mknod"]).map((word) => word[0] ?? "").join(""),
    })),
    initProcess: linux.initProcessEnabled ?? false,
    sharedMemoryMiB: linux.sharedMemorySize || undefined,
    tmpfs: (linux.tmpfs ?? []).map(({ containerPath, size, mountOptions }) => ({
      path: containerPath,
      sizeMiB: size,
      options: mountOptions ?? [],
    })),
    // A volume mounted over /etc/hosts hides ours, as with Docker: the agent's files come first.
    mounts: [
      ...files.filter(({ target }) => !volumes.some((volume) => volume.target === target)),
      ...volumes.map(({ source, target, readOnly }) => ({ source, target, readOnly })),
      ...(isProxy(plan, container) ? [{ source: connectDirectory(world, plan), target: proxyDirectory, readOnly: false }] : []),
    ],
    cgroupParent: taskCgroup(world, plan),
    cpuShares: definition.cpu,
    memoryMiB: definition.memory || undefined,
    memoryReservationMiB: host.MemoryReservation ? Math.ceil(host.MemoryReservation / 1048576) : undefined,
    swap:
      linux.maxSwap === undefined && linux.swappiness === undefined ? undefined : { maxMiB: linux.maxSwap, swappiness: linux.swappiness },
    network: state.network?.namespace ? { namespace: world.network.path(state.network.namespace) } : "host",
    pidNamespace: namespaceOf("pidMode", host.PidMode || plan.payload.pidMode),
    ipcNamespace: namespaceOf("ipcMode", host.IpcMode || plan.payload.ipcMode),
    stdout,
    stderr,
    group: plan.id,
    ...isolationOf(world, plan),
    writableDirectory: disk && containersOn(disk),
  };
  return { spec, volumes };
}

function namespaceOf(field: string, mode: string | undefined): "host" | undefined {
  if (mode === "host") return "host";
  if (mode === undefined || mode === "" || mode === "none" || mode === "private" || mode === "shareable") return undefined;
  throw new StepError(`CannotCreateContainerError: ${field} ${mode} is not supported by this agent; use host, or leave it out`);
}

/** The labels that a standard agent puts on every container, and the definition's own. */
export function labelsOf({ plan, world }: TaskContext, container: ContainerPlan): Record<string, string> {
  return {
    ...container.config.Labels,
    "com.amazonaws.ecs.cluster": world.cluster(),
    "com.amazonaws.ecs.container-name": container.name,
    "com.amazonaws.ecs.task-arn": plan.arn,
    "com.amazonaws.ecs.task-definition-family": plan.payload.family,
    "com.amazonaws.ecs.task-definition-version": plan.payload.version,
  };
}
