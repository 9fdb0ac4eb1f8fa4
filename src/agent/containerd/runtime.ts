import { join } from "node:path";
import { mkdir, rm } from "node:fs/promises";
import { detectHierarchy, type Hierarchy } from "#agent/cgroups/hierarchy.ts";
import { createHttp, type Http } from "#agent/images/http.ts";
import { ImageStore } from "#agent/images/images.ts";
import { hostPlatform } from "#agent/images/manifest.ts";
import type { SourceOptions } from "#agent/images/sources.ts";
import {
  isSandbox,
  type ContainerSpec,
  type ContainerStats,
  type ExecResult,
  type ContainerProcess,
  type Exit,
  type KnownContainer,
  type ProcessOptions,
  type Runtime,
  type SandboxSpec,
} from "#agent/runtime.ts";
import type { OciSpec } from "#agent/spec/oci.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import {
  Code,
  connectContainerd,
  isAlreadyExists,
  isCode,
  isNotFound,
  isUnavailable,
  jsonAny,
  messageOf,
  runtimeError,
  unlessGone,
  type Containerd,
} from "./client.ts";
import { cgroupLabel, Use } from "./use.ts";
import { execInContainer, type ExecOptions } from "./exec.ts";
import { endProcesses, openProcess } from "./process.ts";
import { chainLabel, knownContainers } from "./known.ts";
import { RootFs } from "./rootfs.ts";
import { Sandboxes, type RuntimeCall } from "./sandboxes.ts";
import { makeSpread, placesOfContainers } from "./spread.ts";
import { chooseSnapshotter } from "./snapshotter.ts";
import { Memory } from "./memory.ts";
import { forgetStale } from "./stale.ts";
import { SpecSource } from "./spec-source.ts";

export interface ContainerdRuntimeOptions extends SourceOptions {
  readonly socket: string;
  /** containerd's namespace of this Gantry: one Gantry sees nothing of another's. */
  readonly namespace: string;
  /** For exec outputs and the volumes of images. */
  readonly stateDirectory: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Bytes that one layer may unpack to; default: as much as the disk has. */
  readonly maxUnpackedBytes?: number;
  /** containerd's root directory, so that a pull can see its disk filling up. */
  readonly containerdRoot?: string;
  /** The directories of a containerd of our own; absent for one that belongs to someone else. */
  readonly own?: { readonly root: string; readonly state: string };
  /** Bytes of that disk which a pull leaves free; default 256 MiB. */
  readonly reserveBytes?: number;
  /** How gVisor catches system calls; default: the best that its runsc knows. */
  readonly runscPlatform?: string;
  /** How long to wait for containerd to answer at first; default 10 s. */
  readonly connectTimeoutMs?: number;
}

const SIGKILL = 9;

/** The Runtime over containerd's gRPC API. Fails with `Unavailable` when containerd does not answer. */
export async function createContainerdRuntime(options: ContainerdRuntimeOptions): Promise<ContainerdRuntime> {
  await mkdir(options.stateDirectory, { recursive: true });
  await rm(join(options.stateDirectory, "exec"), { recursive: true, force: true });
  await makeSpread(placesOfContainers(options));
  const snapshotter = await chooseSnapshotter(options);
  const containerd = connectContainerd({ socket: options.socket, namespace: options.namespace, snapshotter });
  return new ContainerdRuntime(options, containerd);
}

/** Keeps nothing but caches: containers, tasks and images are containerd's, and an ended task keeps its exit code there until `remove`. */
export class ContainerdRuntime implements Runtime {
  readonly images: ImageStore;
  readonly #options: ContainerdRuntimeOptions;
  readonly #containerd: Containerd;
  readonly #http: Http;
  readonly #hierarchy: Hierarchy = detectHierarchy();
  readonly #use: Use;
  readonly #specs: SpecSource;
  /** Undefined where containerd's own snapshots are to be used: another's containerd, or one without overlayfs. */
  readonly #rootFs: RootFs | undefined;
  readonly #sandboxes: Sandboxes;
  readonly #memory: Memory;
  /** Of containers that are not started yet. */
  readonly #sandboxOf = new Map<string, string>();

  constructor(options: ContainerdRuntimeOptions, containerd: Containerd) {
    this.#options = options;
    this.#containerd = containerd;
    this.#http = createHttp();
    const { clock, log } = options;
    const limits = {
      maxUnpackedBytes: options.maxUnpackedBytes,
      snapshotDirectory: options.containerdRoot,
      reserveBytes: options.reserveBytes ?? 256 * 1024 * 1024,
    };
    const rootFs =
      options.own && containerd.snapshotter === "overlayfs" ? new RootFs(containerd, join(options.stateDirectory, "rootfs")) : undefined;
    this.#rootFs = rootFs;
    this.images = new ImageStore({
      ...options,
      release: async () => rootFs?.release(() => this.#chainsInUse()),
      containerd,
      http: this.#http,
      clock,
      log,
      limits,
      platform: hostPlatform(),
      parallelLayers: 3,
    });
    this.#use = new Use(containerd, this.#hierarchy);
    this.#memory = new Memory(options.stateDirectory);
    this.#sandboxes = new Sandboxes({
      memory: this.#memory,
      containerd,
      hierarchy: this.#hierarchy,
      directory: join(options.stateDirectory, "sandbox"),
      runcRoot: this.#runcRoot,
      runscPlatform: options.runscPlatform,
      clock,
      discard: (id) => this.#discard(id),
    });
    this.#specs = new SpecSource({ containerd, images: this.images, stateDirectory: options.stateDirectory, hierarchy: this.#hierarchy });
  }

  /** `overlayfs`, or `native` where that cannot be. */
  get snapshotter(): string {
    return this.#containerd.snapshotter;
  }

  async version(): Promise<{ name: string; version: string }> {
    try {
      const { version } = await this.#containerd.version.version({}, { timeoutMs: 5000 });
      return { name: "containerd", version: version.split(/[~+]/)[0] ?? version };
    } catch (error) {
      throw runtimeError("Unavailable", error);
    }
  }

  async create(spec: ContainerSpec): Promise<{ pid: number }> {
    const { id } = spec;
    const containerd = this.#containerd;
    const { snapshotter } = containerd;
    try {
      const secrets = Object.keys(spec.secretEnvironment ?? {}).length > 0 ? spec.secretEnvironment : undefined;
      const [{ oci, parent }, runtime] = await Promise.all([
        this.#specs.build(spec),
        this.#sandboxes.call(spec.runtime, spec.sandbox === undefined ? "sandbox" : "container", secrets !== undefined),
      ]);
      if (spec.runtime.name === "runsc") await this.#sandboxes.checkMounts(spec.mounts);
      const cgroup = `${spec.cgroupParent}/${spec.sandbox ?? id}`;
      const record = {
        id,
        labels: { ...spec.labels, [cgroupLabel]: cgroup, [chainLabel]: parent },
        image: spec.image.name,
        runtime: { name: runtime.name, options: runtime.options },
        spec: ociAny(oci),
        ...(this.#rootFs ? {} : { snapshotter, snapshotKey: id }),
      };
      // The record first: while it is there, a crash in between is found by `list`, and the garbage collector spares its snapshot.
      const create = (again: typeof record) => containerd.containers.create({ container: again });
      await create(record).catch(async (error: unknown) => {
        if (!isAlreadyExists(error)) throw error;
        await this.#discard(id);
        // With it went the directories of the image's volumes, which have this id too.
        const { oci: anew } = await this.#specs.build(spec);
        await create({ ...record, spec: ociAny(anew) });
      });
      const mounts = this.#rootFs ? await this.#rootFs.make(id, parent, spec.writableDirectory) : await this.#prepare(id, parent);
      if (secrets) await this.#memory.keep(id, secrets);
      this.#use.join(id, cgroup);
      if (spec.sandbox !== undefined) this.#sandboxOf.set(id, spec.sandbox);
      return await this.#createTask(spec, mounts, runtime);
    } catch (error) {
      await this.#discard(id).catch((second: unknown) =>
        this.#options.log.warn({ container: id, error: messageOf(second) }, "a failed container was not removed"),
      );
      // A sandbox that did not start is the reason of all that follows.
      if (spec.sandbox !== undefined) await this.#sandboxes.started(spec.sandbox);
      throw runtimeError("CannotCreate", error);
    }
  }

  async #prepare(key: string, parent: string) {
    const { snapshotter, snapshots } = this.#containerd;
    const prepare = () => snapshots.prepare({ snapshotter, key, parent });
    const { mounts } = await prepare().catch(async (error: unknown) => {
      if (!isAlreadyExists(error)) throw error;
      await snapshots.remove({ snapshotter, key });
      return prepare();
    });
    return mounts;
  }

  openSandbox(spec: SandboxSpec): Promise<void> {
    return this.#throughShim(() => this.#sandboxes.open(spec));
  }

  async #createTask(
    { id, stdout, stderr }: ContainerSpec,
    rootfs: Parameters<Containerd["tasks"]["create"]>[0]["rootfs"],
    { root, options }: RuntimeCall,
  ): Promise<{ pid: number }> {
    const create = () => this.#throughShim(() => this.#containerd.tasks.create({ containerId: id, rootfs, stdout, stderr, options }));
    try {
      const { pid } = await create().catch(async (error: unknown) => {
        // runc's own record of a container that neither containerd nor its shim know any more: the power went, or its directory was removed.
        if (!/container with given ID already exists/.test(messageOf(error))) throw error;
        if (!(await forgetStale(join(root, this.#containerd.namespace, id)))) throw error;
        return create();
      });
      return { pid };
    } catch (error) {
      // To Docker, and so to ECS, a container that runc refuses was created and failed to start.
      throw runtimeError("CannotStart", error, "failed to create task for container: ");
    }
  }

  /**
   * The shim of a task ends itself after the removal of its last container. A container of the same task that is made in that moment finds its
   * socket but no longer the shim behind it; a moment later containerd starts another.
   */
  async #throughShim<T>(make: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await make();
      } catch (error) {
        const ending = /failed to start shim: .*(no such file or directory|connection refused)|ttrpc: closed/.test(messageOf(error));
        if (!ending || attempt > 20) throw error;
        await sleep(this.#options.clock, 25 * attempt);
      }
    }
  }

  /** Not containerd's default, which is one directory for the whole machine: two Gantrys must not meet there. */
  get #runcRoot(): string {
    return join(this.#options.stateDirectory, "runc");
  }

  async start(id: string): Promise<void> {
    const sandbox = this.#sandboxOf.get(id);
    if (sandbox !== undefined) await this.#sandboxes.started(sandbox);
    try {
      await this.#containerd.tasks.start({ containerId: id });
    } catch (error) {
      if (isNotFound(error)) throw runtimeError("NotFound", error);
      throw runtimeError("CannotStart", error, "failed to start container: ");
    }
  }

  async kill(id: string, signal: number, all = false): Promise<void> {
    try {
      await this.#containerd.tasks.kill({ containerId: id, signal, all });
    } catch (error) {
      // "process already finished" has no code of its own.
      if (
        isNotFound(error) ||
        isCode(error, Code.FailedPrecondition) ||
        /already finished|not found|no such process/.test(messageOf(error))
      )
        return;
      throw runtimeError("CannotStart", error);
    }
  }

  async wait(id: string, signal?: AbortSignal): Promise<Exit> {
    const { clock } = this.#options;
    for (let failures = 0; ;) {
      try {
        const { exitStatus, exitedAt } = await this.#containerd.tasks.wait({ containerId: id }, { signal });
        const at = exitedAt ? Number(exitedAt.seconds) * 1000 + Math.floor(exitedAt.nanos / 1e6) : 0;
        return { exitCode: exitStatus, exitedAt: at > 0 ? at : clock.now(), outOfMemory: await this.#use.outOfMemory(id) };
      } catch (error) {
        if (signal?.aborted) throw signal.reason;
        if (isNotFound(error)) return await this.#lost(id);
        // containerd is being restarted, or the shim was killed: the containers' record says what is left.
        const away = isUnavailable(error) || /ttrpc: closed/.test(messageOf(error));
        if (!away && ++failures > 5) throw runtimeError("Unavailable", error);
        await sleep(clock, 200, signal);
      }
    }
  }

  /** A container whose task is gone without a word: the machine was restarted, or its shim killed. Docker reports 255 for it. */
  async #lost(id: string): Promise<Exit> {
    try {
      await this.#containerd.containers.get({ id });
    } catch (error) {
      throw runtimeError("NotFound", error);
    }
    return { exitCode: 255, exitedAt: this.#options.clock.now(), outOfMemory: false };
  }

  async remove(id: string): Promise<void> {
    try {
      await this.#discard(id);
    } catch (error) {
      throw runtimeError("CannotCreate", error);
    }
  }

  /** Task, record, snapshot, volumes, in this order: while the record is there a crash in between is found by `list`. */
  async #discard(id: string): Promise<void> {
    const containerd = this.#containerd;
    await this.#deleteTask(id);
    const cgroup = isSandbox(id) ? await this.#use.cgroup(id) : undefined;
    if (cgroup) await this.#sandboxes.sweep(cgroup);
    if (this.#rootFs) await this.#rootFs.remove(id);
    else await unlessGone(containerd.snapshots.remove({ snapshotter: containerd.snapshotter, key: id }));
    await this.#specs.removeVolumes(id);
    await this.#memory.forget(id);
    await unlessGone(containerd.containers.delete({ id }));
    this.#use.leave(id);
    this.#sandboxOf.delete(id);
  }

  async #chainsInUse(): Promise<ReadonlySet<string>> {
    const { containers } = await this.#containerd.containers.list({ filters: [] });
    return new Set(containers.map(({ labels }) => labels[chainLabel] ?? ""));
  }

  async #deleteTask(id: string): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        await this.#containerd.tasks.delete({ containerId: id });
        return;
      } catch (error) {
        if (isNotFound(error)) return;
        if (attempt >= 5) throw error;
        // It still runs.
        await this.kill(id, SIGKILL, true);
        await this.wait(id, AbortSignal.timeout(5000)).catch(() => undefined);
      }
    }
  }

  async list(): Promise<readonly KnownContainer[]> {
    const known = await knownContainers(this.#containerd);
    for (const { id, cgroup } of known) if (cgroup) this.#use.join(id, cgroup);
    return known;
  }

  async exec(id: string, options: { readonly args: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult> {
    return execInContainer(this.#beside("exec"), id, options);
  }

  open(id: string, options: ProcessOptions): Promise<ContainerProcess> {
    return openProcess(this.#beside("opened"), id, options);
  }

  endOpened(): Promise<readonly string[]> {
    return endProcesses(this.#beside("opened"));
  }

  /** For processes beside a container's own. */
  #beside(name: string): ExecOptions {
    const inside = {
      kill: (id: string, execId: string) => this.#sandboxes.killExec(id, execId),
      forget: (execId: string) => this.#sandboxes.forgetExec(execId),
    };
    const { clock, stateDirectory } = this.#options;
    return { containerd: this.#containerd, clock, directory: join(stateDirectory, name), inside };
  }

  async stats(id: string): Promise<ContainerStats | undefined> {
    return this.#use.stats(id, this.#options.clock.now());
  }

  /** Containers run on. */
  async close(): Promise<void> {
    await this.images.settled();
    this.#http.close();
    this.#containerd.close();
  }
}

const ociAny = (oci: OciSpec) => jsonAny("types.containerd.io/opencontainers/runtime-spec/1/Spec", oci);
