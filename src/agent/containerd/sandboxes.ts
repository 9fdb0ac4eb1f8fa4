import { execFile } from "node:child_process";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { cgroupProcesses } from "#agent/cgroups/cgroups.ts";
import type { Hierarchy } from "#agent/cgroups/hierarchy.ts";
import { RuntimeError, type RuntimeClass, type SandboxSpec } from "#agent/runtime.ts";
import { writePauseRoot } from "#agent/sandbox/pause.ts";
import { findRunsc, RunscMissing, writeWrapper, type Wrapper } from "#agent/sandbox/runsc.ts";
import { writeRuncWrapper } from "#agent/secrets/wrapper.ts";
import { buildSandboxSpec } from "#agent/spec/sandbox.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import { isAlreadyExists, isNotFound, jsonAny, messageOf, runcOptions, runtimeError, type Containerd } from "./client.ts";
import type { Memory } from "./memory.ts";
import { cgroupLabel } from "./use.ts";
import { Status } from "./generated/api/types/task/task_pb.ts";

const run = promisify(execFile);

const failed = "failed to start the task's sandbox: ";

export interface SandboxesOptions {
  readonly containerd: Containerd;
  readonly hierarchy: Hierarchy;
  readonly directory: string;
  /** Where runc, or what stands for it, keeps its records. */
  readonly runcRoot: string;
  readonly memory: Memory;
  readonly runscPlatform: string | undefined;
  readonly clock: Clock;
  /** Removes a container with its task and record. */
  readonly discard: (id: string) => Promise<void>;
}

/** How containerd is told to run a class of containers. */
export interface RuntimeCall {
  readonly name: string;
  /** Where runc, or what stands for it, keeps its records of this container. */
  readonly root: string;
  readonly options: ReturnType<typeof runcOptions>;
}

/** Sandboxes of tasks, and what containerd needs to know to run containers in them. containerd keeps each as a container of its own, so that a crash of ours loses none. */
export class Sandboxes {
  readonly #options: SandboxesOptions;
  readonly #opening = new Map<string, Promise<void>>();
  readonly #starting = new Map<string, Promise<void>>();
  #pauseRoot: Promise<string> | undefined;
  #wrapper: Promise<Wrapper> | undefined;
  #runc: Promise<string> | undefined;

  constructor(options: SandboxesOptions) {
    this.#options = options;
  }

  /** `runc` and `runsc` are called by runc's shim, any other runtime by its own. Throws RuntimeError `CannotCreate` where gVisor is missing. */
  async call({ name, binary }: RuntimeClass, kind: "sandbox" | "container", secret = false): Promise<RuntimeCall> {
    if (name === "runsc") {
      const root = await this.#runscRoot();
      return { name: "io.containerd.runc.v2", root, options: runcOptions({ root, binary: (await this.#gvisor())[kind] }) };
    }
    if (secret) return this.#secretCall({ name, binary });
    const root = this.#options.runcRoot;
    return { name: name === "runc" ? "io.containerd.runc.v2" : name, root, options: runcOptions({ root, binary }) };
  }

  async #secretCall({ name, binary = "runc" }: RuntimeClass): Promise<RuntimeCall> {
    const { memory, directory } = this.#options;
    if (name !== "runc")
      throw new RuntimeError("CannotCreate", `the runtime ${name} writes a container's variables to disk: it cannot be given secrets`);
    await memory.open();
    this.#runc ??= writeRuncWrapper(directory, binary, memory.path("secrets"));
    const root = memory.path("runc");
    return { name: "io.containerd.runc.v2", root, options: runcOptions({ root, binary: await this.#runc }) };
  }

  /** runsc writes down all that it knows of a container, its variables too. */
  async #runscRoot(): Promise<string> {
    const { memory, runcRoot } = this.#options;
    if (!memory.there) return runcRoot;
    await memory.open();
    return memory.path("runc");
  }

  /** gVisor says nothing useful of a source that is not there. Throws RuntimeError `CannotStart`, as runc would. */
  async checkMounts(mounts: readonly { readonly source: string; readonly target: string }[]): Promise<void> {
    for (const { source, target } of mounts) {
      await stat(source).catch(() => {
        throw new RuntimeError("CannotStart", `error mounting "${source}" to rootfs at "${target}": no such file or directory`);
      });
    }
  }

  /**
   * Several containers of a task ask at the same time: the sandbox is made once. Resolves when containers can be created in it; its own kernel starts meanwhile, and `started` waits
   * for that.
   */
  open(spec: SandboxSpec): Promise<void> {
    const { id } = spec;
    let opening = this.#opening.get(id);
    if (!opening) {
      opening = this.#open(spec).finally(() => this.#opening.delete(id));
      this.#opening.set(id, opening);
    }
    return opening;
  }

  /** Before a container of it may start. Throws RuntimeError `CannotCreate`. */
  async started(id: string): Promise<void> {
    await this.#starting.get(id);
  }

  /** For a sandbox that has been discarded: ends what a failed start or a killed shim left of it in its cgroup. */
  async sweep(cgroup: string): Promise<void> {
    for (const pid of await cgroupProcesses(cgroup, this.#options.hierarchy)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It has ended by itself.
      }
    }
  }

  /** Ends a process that `exec` began: the one outside only waits for it. */
  async killExec(id: string, execId: string): Promise<void> {
    const { container } = await this.#gvisor();
    await run(container, ["--root", this.#records, "kill-exec", id, execId], { timeout: 10_000, killSignal: "SIGKILL" });
  }

  async forgetExec(execId: string): Promise<void> {
    await rm(join(`${this.#records}.exec`, `${execId}.pid`), { force: true });
  }

  /** As the wrapper is given it by the shim. */
  get #records(): string {
    const { memory, runcRoot, containerd } = this.#options;
    return join(memory.there ? memory.path("runc") : runcRoot, containerd.namespace);
  }

  /** An agent that was killed may have left containerd in the middle of making, or of giving up, the same sandbox: until that is over, both are in each other's way. */
  async #open(spec: SandboxSpec): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        // What containerd takes back may be what we have just made by the same name: then only a sandbox that runs is one.
        if (!(await this.#make(spec)) || attempt > 1) await this.started(spec.id);
        return;
      } catch (error) {
        await this.#options.discard(spec.id).catch(() => undefined);
        const collision =
          isAlreadyExists(error) || /file exists|already exists|getwd: no such file|deleted process|not found/.test(messageOf(error));
        if (collision && attempt < 10) {
          await sleep(this.#options.clock, 100 * attempt);
          continue;
        }
        if (error instanceof RuntimeError) throw error;
        throw runtimeError("CannotCreate", error, failed);
      }
    }
  }

  /** False when there was something before. */
  async #make(spec: SandboxSpec): Promise<boolean> {
    const { id } = spec;
    const { containerd } = this.#options;
    const status = await this.#status(id);
    if (status === Status.RUNNING) return false;
    if (status === Status.CREATED) {
      if (!this.#starting.has(id)) this.#start(id);
      return false;
    }
    if (status !== undefined) await this.#options.discard(id);
    const runtime = await this.call(spec.runtime, "sandbox");
    this.#pauseRoot ??= writePauseRoot(this.#options.directory);
    const oci = buildSandboxSpec(spec, await this.#pauseRoot);
    // The record first: while it is there, a crash in between is found by `list`.
    await containerd.containers.create({
      container: {
        id,
        labels: { ...spec.labels, [cgroupLabel]: `${spec.cgroupParent}/${id}` },
        runtime: { name: runtime.name, options: runtime.options },
        spec: jsonAny("types.containerd.io/opencontainers/runtime-spec/1/Spec", oci),
      },
    });
    await containerd.tasks.create({ containerId: id, options: runtime.options });
    this.#start(id);
    return status === undefined;
  }

  #start(id: string): void {
    const { containerd, discard } = this.#options;
    const starting = containerd.tasks.start({ containerId: id }).then(
      () => {},
      async (error: unknown) => {
        await discard(id).catch(() => undefined);
        throw runtimeError("CannotCreate", error, failed);
      },
    );
    this.#starting.set(id, starting);
    starting.then(
      () => this.#starting.delete(id),
      // Kept for those who ask later, until the sandbox is made anew.
      () => {},
    );
  }

  /** Undefined when there is nothing at all of it. */
  async #status(id: string): Promise<Status | undefined> {
    try {
      const { process } = await this.#options.containerd.tasks.get({ containerId: id });
      return process?.status ?? Status.UNKNOWN;
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  async #gvisor(): Promise<Wrapper> {
    this.#wrapper ??= findRunsc(this.#options.runscPlatform).then((runsc) =>
      writeWrapper(this.#options.directory, runsc, this.#options.memory.path("secrets")),
    );
    const wrapper = this.#wrapper;
    try {
      return await wrapper;
    } catch (error) {
      // It may be installed the next time.
      this.#wrapper = undefined;
      if (error instanceof RunscMissing) throw new RuntimeError("CannotCreate", error.message, { cause: error });
      throw new RuntimeError("CannotCreate", `gVisor cannot be used: ${messageOf(error)}`, { cause: error });
    }
  }
}
