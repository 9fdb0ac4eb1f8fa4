import { RegistryError } from "#agent/images/registry.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import {
  RuntimeError,
  type ContainerProcess,
  type ContainerSpec,
  type ContainerStats,
  type ExecResult,
  type Exit,
  type Image,
  type KnownContainer,
  type PullRequest,
  type Runtime,
  type SandboxSpec,
} from "#agent/runtime.ts";

/** What a container of the script does. Times in milliseconds of the test's clock. */
export interface Script {
  readonly pullMs?: number;
  readonly pullError?: string;
  /** With pullError: what the registry answered. Absent: it did not. */
  readonly pullStatus?: number;
  readonly createMs?: number;
  readonly createError?: string;
  readonly startError?: string;
  /** Ends by itself this long after its start; absent: runs until it is killed. */
  readonly runMs?: number;
  readonly exitCode?: number;
  readonly outOfMemory?: boolean;
  /** SIGTERM has no effect. */
  readonly stubborn?: boolean;
  /** How long after a signal it ends. */
  readonly stopMs?: number;
  /** Result of the n-th health probe; the last one goes on. */
  readonly probes?: readonly (Partial<ExecResult> | "hang")[];
}

interface Life {
  readonly spec: ContainerSpec;
  readonly script: Script;
  state: "created" | "running" | "stopped";
  exit?: Exit;
  readonly waiters: (() => void)[];
  probes: number;
}

/** A runtime that does what it is told, and writes down what it was asked. It outlives the agent under test, as containerd does. */
export class ScriptedRuntime implements Runtime {
  readonly log: string[] = [];
  readonly lives = new Map<string, Life>();
  /** By image name. */
  readonly scripts: Map<string, Script>;
  down = false;
  readonly #clock: Clock;
  readonly #cached = new Set<string>();

  constructor(clock: Clock, scripts: Readonly<Record<string, Script>> = {}) {
    this.#clock = clock;
    this.scripts = new Map(Object.entries(scripts));
  }

  #note(what: string, id: string): void {
    const life = this.lives.get(id);
    this.log.push(`${what} ${life?.spec.labels["com.amazonaws.ecs.container-name"] ?? id}`);
  }

  async version() {
    if (this.down) throw new RuntimeError("Unavailable", "down");
    return { name: "scripted", version: "1" };
  }

  readonly images = {
    make: (image: string): Promise<Image> => this.images.ensure({ image, policy: "once" }),
    ensure: async (request: PullRequest): Promise<Image> => {
      const script = this.scripts.get(request.image) ?? {};
      this.log.push(`pull ${request.image} ${request.policy}`);
      const { promise, reject } = Promise.withResolvers<never>();
      promise.catch(() => {});
      request.signal?.addEventListener("abort", () => reject(new Error("aborted")));
      if (script.pullMs) await Promise.race([sleep(this.#clock, script.pullMs), promise]);
      if (script.pullError && !(request.policy === "prefer-cached" && this.#cached.has(request.image))) {
        const cause = script.pullStatus === undefined ? undefined : new RegistryError(script.pullStatus, "refused");
        throw new RuntimeError("CannotPull", script.pullError, { cause });
      }
      this.#cached.add(request.image);
      return imageNamed(request.image);
    },
    prune: async () => [],
  };

  readonly sandboxes = new Map<string, SandboxSpec>();
  /** Why the next sandboxes don't open. */
  sandboxError: string | undefined;

  async openSandbox(spec: SandboxSpec) {
    if (this.sandboxError) throw new RuntimeError("CannotCreate", this.sandboxError);
    if (this.sandboxes.has(spec.id)) return;
    this.sandboxes.set(spec.id, spec);
    this.log.push(`sandbox ${spec.id}`);
  }

  async create(spec: ContainerSpec) {
    const script = this.scripts.get(spec.image.name) ?? {};
    if (script.createMs) await sleep(this.#clock, script.createMs);
    if (script.createError) throw new RuntimeError("CannotCreate", script.createError);
    this.lives.set(spec.id, { spec, script, state: "created", waiters: [], probes: 0 });
    this.#note("create", spec.id);
    return { pid: 1 };
  }

  async start(id: string) {
    const life = this.#life(id);
    if (life.script.startError) throw new RuntimeError("CannotStart", life.script.startError);
    this.#note("start", id);
    life.state = "running";
    const { runMs, exitCode = 0, outOfMemory = false } = life.script;
    if (runMs !== undefined) this.#clock.after(runMs, () => this.exit(id, exitCode, outOfMemory));
  }

  /** Ends the container's process. */
  exit(id: string, exitCode: number, outOfMemory = false): void {
    const life = this.lives.get(id);
    if (!life || life.state !== "running") return;
    life.state = "stopped";
    life.exit = { exitCode, exitedAt: this.#clock.now(), outOfMemory };
    for (const waiter of life.waiters.splice(0)) waiter();
  }

  async kill(id: string, signal: number) {
    this.#note(`kill-${signal}`, id);
    const life = this.lives.get(id);
    if (!life || (signal !== 9 && life.script.stubborn)) return;
    this.#clock.after(life.script.stopMs ?? 1, () => this.exit(id, 128 + signal));
  }

  async wait(id: string, signal?: AbortSignal): Promise<Exit> {
    const life = this.#life(id);
    while (!life.exit) {
      await new Promise<void>((resolve, reject) => {
        life.waiters.push(resolve);
        signal?.addEventListener("abort", () => reject(new Error("aborted")), { once: true });
      });
    }
    return life.exit;
  }

  async remove(id: string) {
    if (this.sandboxes.delete(id)) this.log.push(`close ${id}`);
    if (!this.lives.has(id)) return;
    this.#note("remove", id);
    this.lives.delete(id);
  }

  async list(): Promise<readonly KnownContainer[]> {
    return [
      ...[...this.lives.values()].map(({ spec, state }) => ({ id: spec.id, labels: spec.labels, state, pid: 1 })),
      ...[...this.sandboxes.values()].map(({ id, labels }) => ({ id, labels, state: "running" as const, pid: 1 })),
    ];
  }

  async exec(id: string): Promise<ExecResult> {
    const life = this.#life(id);
    const probes = life.script.probes ?? [{}];
    const probe = probes[Math.min(life.probes++, probes.length - 1)];
    if (probe === "hang") return { exitCode: -1, output: "", timedOut: true };
    return { exitCode: 0, output: "", timedOut: false, ...probe };
  }

  async open(): Promise<ContainerProcess> {
    throw new RuntimeError("CannotStart", "nothing is opened here");
  }

  async endOpened(): Promise<readonly string[]> {
    return [];
  }

  async stats(id: string): Promise<ContainerStats | undefined> {
    if (this.lives.get(id)?.state !== "running") return undefined;
    return {
      readAt: this.#clock.now(),
      cpuNanoseconds: 5e6,
      memoryBytes: 3 << 20,
      memoryLimitBytes: 64 << 20,
      memoryCacheBytes: 1 << 20,
      pids: 2,
      readBytes: 10,
      writtenBytes: 20,
    };
  }

  #life(id: string): Life {
    const life = this.lives.get(id);
    if (!life) throw new RuntimeError("NotFound", `no container ${id}`);
    return life;
  }
}

export function imageNamed(name: string): Image {
  return {
    name,
    digest: `sha256:${"d".repeat(64)}`,
    configDigest: `sha256:${"c".repeat(64)}`,
    sizeBytes: 1000,
    config: { entrypoint: [], cmd: ["run"], env: [], user: "", workingDir: "", stopSignal: undefined, healthcheck: undefined, volumes: [] },
  };
}
