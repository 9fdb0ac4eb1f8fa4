import assert from "node:assert/strict";
import { once } from "node:events";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { cgroupProcesses, createTaskCgroup, removeInstanceCgroup } from "#agent/cgroups/cgroups.ts";
import { connectContainerd, type Containerd } from "#agent/containerd/client.ts";
import { startContainerd, type RunningContainerd } from "#agent/containerd/daemon.ts";
import { memoryPlace } from "#agent/containerd/memory.ts";
import { until } from "../../support/until.ts";
import { unmountBelow } from "./mounts.ts";
import { createContainerdRuntime, type ContainerdRuntime, type ContainerdRuntimeOptions } from "#agent/containerd/runtime.ts";
import type { ContainerSpec, Image } from "#agent/runtime.ts";
import { systemClock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";

/** How long anything may take that nobody measures. */
export const patienceMs = 60_000;

/** A containerd of the test's own, a runtime over it, and what it takes to see that nothing is left. */
export class Machine {
  readonly home: string;
  readonly instance: string;
  containerd: RunningContainerd;
  readonly client: Containerd;
  readonly runtime: ContainerdRuntime;
  readonly options: ContainerdRuntimeOptions;
  #counter = 0;

  static async start(
    overrides: Partial<ContainerdRuntimeOptions> = {},
    home = mkdtempSync(join(tmpdir(), "gantry-ctrd-")),
    binary?: string,
  ): Promise<Machine> {
    mkdirSync(home, { recursive: true });
    const containerd = await startContainerd({ home, log: silentLogger, binary, timeoutMs: patienceMs });
    const options: ContainerdRuntimeOptions = {
      socket: containerd.socket,
      namespace: "gantry-test",
      stateDirectory: join(home, "state"),
      containerdRoot: containerd.root,
      own: { root: containerd.root, state: containerd.state },
      log: silentLogger,
      clock: systemClock,
      connectTimeoutMs: patienceMs,
      ...overrides,
    };
    const runtime = await createContainerdRuntime(options);
    return new Machine(home, containerd, options, runtime);
  }

  private constructor(home: string, containerd: RunningContainerd, options: ContainerdRuntimeOptions, runtime: ContainerdRuntime) {
    this.home = home;
    this.instance = `/gantry-test-${randomUUID().slice(0, 8)}`;
    this.containerd = containerd;
    this.options = options;
    this.runtime = runtime;
    this.client = connectContainerd({ socket: containerd.socket, namespace: options.namespace, snapshotter: runtime.snapshotter });
  }

  /** A container's settings with the files and the cgroup they need. */
  async spec(image: Image, changes: Partial<ContainerSpec> = {}): Promise<ContainerSpec> {
    const id = changes.id ?? `c${++this.#counter}`;
    const logs = join(this.home, "logs");
    mkdirSync(logs, { recursive: true });
    const stdout = join(logs, `${id}.out`);
    const stderr = join(logs, `${id}.err`);
    writeFileSync(stdout, "");
    writeFileSync(stderr, "");
    const cgroupParent = `${this.instance}/task-${id}`;
    await createTaskCgroup({ parent: changes.cgroupParent ?? cgroupParent });
    return {
      id,
      labels: {},
      image,
      environment: {},
      readonlyRootFilesystem: false,
      privileged: false,
      capabilities: { add: [], drop: [] },
      ulimits: [],
      sysctls: {},
      devices: [],
      initProcess: false,
      tmpfs: [],
      mounts: [],
      cgroupParent,
      cpuShares: 256,
      network: "host",
      stdout,
      stderr,
      group: id,
      runtime: { name: "runc" },
      ...changes,
    };
  }

  /** Runs a shell command to its end and gives what it wrote. */
  async run(image: Image, command: readonly string[], changes: Partial<ContainerSpec> = {}) {
    const spec = await this.spec(image, { command, ...changes });
    await this.runtime.create(spec);
    await this.runtime.start(spec.id);
    const exit = await this.runtime.wait(spec.id, AbortSignal.timeout(patienceMs));
    await this.runtime.remove(spec.id);
    return { ...exit, stdout: readFileSync(spec.stdout, "utf8"), stderr: readFileSync(spec.stderr, "utf8") };
  }

  /** What containers leave behind: containers, tasks, snapshots that are active, shims, mounts, processes in our cgroups. */
  async leftovers(): Promise<string[]> {
    const { containers } = await this.client.containers.list({ filters: [] });
    const { tasks } = await this.client.tasks.list({ filter: "" });
    const left = [...containers.map(({ id }) => `container ${id}`), ...tasks.map(({ id }) => `task ${id}`)];
    for await (const { info } of this.client.snapshots.list({ snapshotter: this.runtime.snapshotter, filters: [] })) {
      for (const entry of info) if (entry.kind !== 3 && !entry.name.startsWith("gantry-lower-")) left.push(`snapshot ${entry.name}`);
    }
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
    left.push(...mounts.filter((line) => line.includes(this.home)).map((line) => `mount ${line.split(" ")[4]}`));
    for (const pid of await this.shims()) left.push(`shim ${pid}`);
    for (const pid of await cgroupProcesses(this.instance)) left.push(`process ${pid}`);
    left.push(...(await readdir(join(this.home, "state", "rootfs")).catch(() => [])).map((name) => `root ${name}`));
    left.push(...(await readdir(join(this.home, "state", "volumes")).catch(() => [])).map((name) => `volume ${name}`));
    return left;
  }

  /** After each test. What is left is removed, so that the next one is judged by itself. */
  async nothingLeft(look: () => Promise<string[]> = () => this.leftovers()): Promise<void> {
    let left: string[] = [];
    const gone = async () => (left = await look()).length === 0;
    await until("nothing is left behind", gone, { ms: 30_000 }).catch(async () => {
      for (const { id } of await this.runtime.list()) await this.runtime.remove(id);
      assert.deepEqual(left, [], "nothing may be left behind");
    });
  }

  /** containerd collects when a lease is removed and the caller waits for it. */
  async collectGarbage(): Promise<void> {
    await this.runtime.images.settled();
    await this.client.leases.create({ id: "collect", labels: {} });
    await this.client.leases.delete({ id: "collect", sync: true });
  }

  /** Ends containerd and starts it again `downMs` later. */
  async restartContainerd(signal: NodeJS.Signals, downMs: number): Promise<void> {
    const ended = once(this.containerd.process, "exit");
    this.containerd.process.kill(signal);
    await ended;
    await delay(downMs);
    this.containerd = await startContainerd({ home: this.home, log: silentLogger, timeoutMs: patienceMs });
  }

  async shims(): Promise<number[]> {
    const found: number[] = [];
    for (const entry of await readdir("/proc")) {
      if (!/^\d+$/.test(entry)) continue;
      try {
        const command = readFileSync(`/proc/${entry}/cmdline`, "utf8");
        if (command.includes("containerd-shim") && command.includes(this.containerd.socket)) found.push(Number(entry));
      } catch {
        // It has ended.
      }
    }
    return found;
  }

  async stop(): Promise<void> {
    for (const { id } of await this.runtime.list().catch(() => [])) await this.runtime.remove(id).catch(() => undefined);
    await this.runtime.close();
    this.client.close();
    await this.containerd.stop();
    await removeInstanceCgroup(this.instance);
    await unmountBelow(this.home);
    rmSync(this.home, { recursive: true, force: true });
    const memory = memoryPlace(this.options.stateDirectory);
    if (memory) rmSync(memory, { recursive: true, force: true });
  }
}
