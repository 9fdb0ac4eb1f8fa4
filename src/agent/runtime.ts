import type { Readable, Writable } from "node:stream";

/**
 * What the task runner needs of a container runtime. Implemented over containerd's gRPC API (src/agent/containerd) and by a scripted twin in
 * the tests. The runner owns a container's life; the runtime keeps no state of its own beside containerd's, so that after a crash
 * of the agent `list` and `wait` are all it takes to go on.
 */
export interface Runtime {
  /** e.g. `{ name: "containerd", version: "1.6.20" }`. Fails while the runtime is down. */
  version(): Promise<{ readonly name: string; readonly version: string }>;
  readonly images: Images;
  /**
   * The sandbox (a kernel of its own) that the containers of a task share: when this resolves, they can be created in it. One that is there already is left as it is. It stays until
   * `remove`, whatever becomes of its containers; when it dies, they all end. Throws RuntimeError `CannotCreate`, e.g. where gVisor is not installed; `start` of a container does when the
   * sandbox could not be started.
   */
  openSandbox(spec: SandboxSpec): Promise<void>;
  /** Snapshot, container and runtime task, not started yet. Safe to repeat: what an interrupted attempt left is removed first. Throws RuntimeError. */
  create(spec: ContainerSpec): Promise<{ readonly pid: number }>;
  /** Runs the container's process. Throws RuntimeError `CannotStart` with runc's message (unknown command, bad user …). */
  start(id: string): Promise<void>;
  /** A signal to the container's first process; with `all`, to every process. No error when it has already ended. */
  kill(id: string, signal: number, all?: boolean): Promise<void>;
  /** Resolves when the process has ended, at once for one that already has (also before an agent restart). Rejects when the id is not known. */
  wait(id: string, signal?: AbortSignal): Promise<Exit>;
  /** Removes the ended container, its snapshot and cgroup. No error when it is gone already. */
  remove(id: string): Promise<void>;
  /** All containers of this Gantry, sandboxes among them, running or ended. */
  list(): Promise<readonly KnownContainer[]>;
  /** Runs a command inside a running container and waits, `timeoutMs` at most; then the process is killed and `timedOut` is true. Output is cut at 4 KiB. */
  exec(id: string, options: { readonly args: readonly string[]; readonly timeoutMs: number }): Promise<ExecResult>;
  /** Runs a command inside a running container, as root, for somebody who talks to it. Throws RuntimeError `NotFound` (the container does not run), `CannotStart`. */
  open(id: string, options: ProcessOptions): Promise<ContainerProcess>;
  /** Ends all that an earlier life of the agent has opened; returns their names. */
  endOpened(): Promise<readonly string[]>;
  stats(id: string): Promise<ContainerStats | undefined>;
}

export interface Images {
  /**
   * The image in the local store, pulled where it is not there (`prefer-cached`), whenever the registry's digest differs (`always`), or only if missing and ever used (`once`).
   * A layer is fetched once however many pulls want it. Throws RuntimeError `CannotPull`.
   */
  ensure(request: PullRequest): Promise<Image>;
  /** An image of one layer, the uncompressed tar at `layer`, under that name: made if it is not there just so. Throws RuntimeError `CannotPull`. */
  make(
    name: string,
    image: { readonly layer: string; readonly config: { readonly entrypoint: readonly string[]; readonly stopSignal?: string } },
  ): Promise<Image>;
  /** Images that no container uses and that were not used since `before` (ms since the epoch) are removed; returns their names. */
  prune(before: number): Promise<readonly string[]>;
}

export interface PullRequest {
  /** As in the container definition: `busybox`, `localhost:4566/app:1`, `repo@sha256:…`. */
  readonly image: string;
  readonly policy: "always" | "once" | "prefer-cached";
  /** Basic credentials; absent: anonymous (with a bearer token where the registry asks for one). Called once a pull. */
  readonly credentials?: () => Promise<{ readonly username: string; readonly password: string } | undefined>;
  readonly signal?: AbortSignal;
}

export interface Image {
  /** The fully qualified name under which it is kept. */
  readonly name: string;
  /** Digest of the manifest (of the index where the tag points to one): what ECS reports as `imageDigest`. */
  readonly digest: string;
  /** Digest of the configuration: Docker's image id. */
  readonly configDigest: string;
  readonly sizeBytes: number;
  /** The image's own defaults. */
  readonly config: {
    readonly entrypoint: readonly string[];
    readonly cmd: readonly string[];
    readonly env: readonly string[];
    readonly user: string;
    readonly workingDir: string;
    readonly stopSignal: string | undefined;
    readonly healthcheck:
      | {
          readonly test: readonly string[];
          readonly intervalNs?: number;
          readonly timeoutNs?: number;
          readonly retries?: number;
          readonly startPeriodNs?: number;
        }
      | undefined;
    readonly volumes: readonly string[];
  };
}

export interface ContainerSpec {
  /** Unique on this machine; containerd's id: letters, digits, `-`, `_`, `.`; 76 characters at most. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly image: Image;
  /** Absent: the image's. An entry point without a command drops the image's command, as Docker does. */
  readonly entryPoint?: readonly string[];
  readonly command?: readonly string[];
  /** Added to the image's; these win. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Variables that no disk may see: not in containerd's record of the container, in no file that outlives the container's start but in memory. They win over all
   * others. Throws RuntimeError `CannotCreate` for a runtime other than runc and runsc, and where the machine has no tmpfs.
   */
  readonly secretEnvironment?: Readonly<Record<string, string>>;
  /** `name`, `uid`, `name:group`, `uid:gid`; looked up in the image's /etc/passwd and /etc/group. */
  readonly user?: string;
  readonly workingDirectory?: string;
  readonly hostname?: string;
  readonly readonlyRootFilesystem: boolean;
  readonly privileged: boolean;
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[] };
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly devices: readonly { readonly hostPath: string; readonly containerPath: string; readonly permissions: string }[];
  /** Run a small init (reaps zombies, passes signals on) as process 1. */
  readonly initProcess: boolean;
  /** Size of /dev/shm in MiB; default 64. */
  readonly sharedMemoryMiB?: number;
  readonly tmpfs: readonly { readonly path: string; readonly sizeMiB: number; readonly options: readonly string[] }[];
  /** Bind mounts, in order. The source exists. */
  readonly mounts: readonly { readonly source: string; readonly target: string; readonly readOnly: boolean }[];
  /** Parent cgroup of the task, e.g. `/gantry-<instance>/<task>`; its limits are the runner's (src/agent/cgroups). */
  readonly cgroupParent: string;
  /** CPU shares, 1024 a core; 0: the smallest, 2. */
  readonly cpuShares: number;
  readonly memoryMiB?: number;
  readonly memoryReservationMiB?: number;
  readonly swap?: { readonly maxMiB?: number; readonly swappiness?: number };
  /** Path of a network namespace, or the host's. */
  readonly network: { readonly namespace: string } | "host";
  readonly pidNamespace?: "host" | { readonly path: string };
  readonly ipcNamespace?: "host" | { readonly path: string };
  /** Plain files, created by the runner, that the streams are appended to. */
  readonly stdout: string;
  readonly stderr: string;
  /** Containers of one group (the task's id) share a shim. */
  readonly group: string;
  readonly runtime: RuntimeClass;
  /**
   * The id of the open sandbox to run in, whose `runtime` is the same; absent: `runsc` makes one for this container alone. Network, limits and the cgroup are the sandbox's then, and nothing limits its containers one from another:
   * to the kernel of this machine they are one program.
   */
  readonly sandbox?: string;
  /** An existing directory for all that the container writes outside its mounts (the task's own disk); absent: beside all others. */
  readonly writableDirectory?: string;
}

export interface SandboxSpec {
  /** `sandboxOf(task)`. */
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cgroupParent: string;
  readonly hostname: string;
  /** What the sandbox's own kernel shows as the machine's memory. */
  readonly memoryMiB?: number;
  /** Its addresses and routes become the sandbox's as it starts: they must be there. */
  readonly network: { readonly namespace: string };
  readonly group: string;
  readonly runtime: RuntimeClass;
}

/** The id of a task's sandbox; no container's looks like it. */
export const sandboxOf = (task: string): string => `sandbox-${task}`;
export const isSandbox = (id: string): boolean => id.startsWith("sandbox-");

/** `runc` by default; `runsc` is gVisor beneath runc's shim; another containerd runtime by its name and binary. */
export interface RuntimeClass {
  readonly name: string;
  readonly binary?: string;
}

export interface Exit {
  readonly exitCode: number;
  /** Milliseconds since the epoch. */
  readonly exitedAt: number;
  /** The kernel ended a process of this container for want of memory. */
  readonly outOfMemory: boolean;
}

export interface KnownContainer {
  readonly id: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: "created" | "running" | "stopped" | "unknown";
  readonly pid: number;
}

export interface ExecResult {
  readonly exitCode: number;
  readonly output: string;
  readonly timedOut: boolean;
}

export interface TerminalSize {
  readonly cols: number;
  readonly rows: number;
}

export interface ProcessOptions {
  /** Unique on this machine: letters, digits, `-`. */
  readonly name: string;
  readonly args: readonly string[];
  /** Absent: three plain streams. */
  readonly terminal?: TerminalSize;
}

export interface ContainerProcess {
  readonly stdin: Writable;
  /** With a terminal everything comes here. Not read until somebody does: then the process waits. */
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  /** What was written is still read by the process. */
  endInput(): Promise<void>;
  resize(size: TerminalSize): Promise<void>;
  kill(): Promise<void>;
  /** The exit code, once all output was read and nothing of the process is left. 255: it was lost. */
  readonly ended: Promise<number>;
}

/** Totals since the container's start, read from its cgroup (v1 or v2); of a container in a shared sandbox, its even part of the sandbox's. */
export interface ContainerStats {
  readonly readAt: number;
  readonly cpuNanoseconds: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly memoryCacheBytes: number;
  readonly pids: number;
  readonly readBytes: number;
  readonly writtenBytes: number;
}

export type RuntimeErrorCode = "CannotPull" | "CannotCreate" | "CannotStart" | "NotFound" | "Unavailable";

export class RuntimeError extends Error {
  readonly code: RuntimeErrorCode;
  constructor(code: RuntimeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "RuntimeError";
    this.code = code;
  }
}
