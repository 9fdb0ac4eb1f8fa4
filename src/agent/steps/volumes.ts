import { createHash } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import type { PayloadVolume } from "#agent-protocol/messages.ts";
import type { ContainerSpec } from "../runtime.ts";
import type { ContainerPlan, TaskPlan } from "../task/plan.ts";
import type { TaskContext, World } from "../task/world.ts";
import { StepError } from "./step-error.ts";
import { volumesOn } from "./storage.ts";

type Mount = ContainerSpec["mounts"][number];

/** `owned`: the directory is ours, and begins with what the image has at the mount point. */
export type VolumeMount = Mount & { readonly owned: boolean };

/**
 * Where volumes lie: on the task's own disk if it has one, else in `<home>/volumes/task/<task>/<volume>`, for those that end with the task; `<home>/volumes/shared/<name>` for Docker
 * volumes of scope `shared`, and wherever `sourcePath` says for host volumes.
 */
export async function mountsOf(
  { plan, world }: TaskContext,
  container: ContainerPlan,
  disk: string | undefined,
): Promise<readonly VolumeMount[]> {
  const mounts = collect(plan, container, new Set());
  const ready: VolumeMount[] = [];
  for (const { volume, target, readOnly } of mounts) {
    const definition = plan.payload.volumes?.find(({ name }) => name === volume);
    if (!definition)
      throw new StepError(`CannotCreateContainerError: volume ${volume} of container ${container.name} is not defined in the task`);
    const source = sourceOf(world, plan, definition, disk);
    try {
      await mkdir(source, { recursive: true });
    } catch (error) {
      // A file is as good a source as a directory.
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new StepError(`CannotCreateContainerError: cannot create the source of volume ${volume}: ${(error as Error).message}`);
      }
    }
    ready.push({
      source,
      target,
      readOnly,
      owned: source.startsWith(`${world.config.home}/volumes/`) || (disk !== undefined && source.startsWith(`${disk}/`)),
    });
  }
  return ready;
}

export async function removeTaskVolumes(world: World, plan: TaskPlan): Promise<void> {
  await rm(`${world.config.home}/volumes/task/${plan.id}`, { recursive: true, force: true });
}

function sourceOf(
  world: World,
  plan: TaskPlan,
  { name, type, host, dockerVolumeConfiguration }: PayloadVolume,
  disk: string | undefined,
): string {
  const volumes = `${world.config.home}/volumes`;
  const ofTask = disk === undefined ? `${volumes}/task/${plan.id}` : volumesOn(disk);
  if (type === "docker" || dockerVolumeConfiguration) {
    const { driver = "local", scope = "task" } = dockerVolumeConfiguration ?? {};
    if (driver !== "" && driver !== "local") {
      throw new StepError(`CannotCreateContainerError: volume ${name}: driver ${driver} is not supported; use local`);
    }
    return scope === "shared" ? `${volumes}/shared/${safe(name)}` : `${ofTask}/${safe(name)}`;
  }
  if (!host?.sourcePath) return `${ofTask}/${safe(name)}`;
  if (!host.sourcePath.startsWith("/"))
    throw new StepError(`CannotCreateContainerError: volume ${name}: sourcePath ${host.sourcePath} is not an absolute path`);
  return host.sourcePath;
}

/** Volume names are up to 255 of `[a-zA-Z0-9_-]`; whatever else comes is hashed, so that no name leaves the directory. */
function safe(name: string): string {
  return /^[a-zA-Z0-9_-]{1,255}$/.test(name) ? name : createHash("sha256").update(name).digest("hex");
}

interface Point {
  readonly volume: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** A container's own mount points, then those it takes from others; the first mount at a path wins. */
function collect(plan: TaskPlan, container: ContainerPlan, seen: Set<string>): Point[] {
  if (seen.has(container.name)) return [];
  seen.add(container.name);
  const own = (container.definition.mountPoints ?? []).map(({ sourceVolume, containerPath, readOnly }) => ({
    volume: sourceVolume,
    target: containerPath,
    readOnly: readOnly ?? false,
  }));
  for (const { sourceContainer, readOnly } of container.definition.volumesFrom ?? []) {
    const source = plan.containers.get(sourceContainer);
    if (!source)
      throw new StepError(`CannotCreateContainerError: volumesFrom names container ${sourceContainer}, which the task does not have`);
    for (const mount of collect(plan, source, seen)) {
      if (!own.some(({ target }) => target === mount.target)) own.push({ ...mount, readOnly: mount.readOnly || (readOnly ?? false) });
    }
  }
  return own;
}
