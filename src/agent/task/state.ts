import type { Condition } from "#agent-protocol/messages.ts";
import type { Image } from "../runtime.ts";

/**
 * What the agent knows of a task: the journal's record. Plain data, changed only by `reduce` (reduce.ts), read by `decide` (decide.ts).
 * Times are milliseconds since the epoch.
 */
export interface TaskState {
  readonly arn: string;
  readonly acceptedAt: number;
  /** What is wanted. STOPPED is final. */
  readonly desired: "RUNNING" | "STOPPED";
  /** What is. Only rises. */
  readonly status: TaskStatus;
  readonly reason?: string;
  /** By container, milliseconds: what the stop itself said, where that differs from the definition (Spot's two minutes). */
  readonly stopTimeouts?: Readonly<Record<string, number>>;
  readonly pullStartedAt?: number;
  readonly pullStoppedAt?: number;
  readonly executionStoppedAt?: number;
  readonly stoppedAt?: number;
  readonly containers: readonly ContainerState[];
}

export type TaskStatus = "PENDING" | "RUNNING" | "STOPPED";

/** NONE: nothing in the runtime. CREATED: written before the process is started. STOPPED: never runs again. */
export type ContainerStatus = "NONE" | "CREATED" | "RUNNING" | "STOPPED";

export interface ContainerState {
  readonly name: string;
  /** The runtime's id, 64 hex digits, given when the task was accepted. */
  readonly id: string;
  /** The unguessable id in the container's metadata URLs. */
  readonly metadataId: string;
  readonly status: ContainerStatus;
  readonly image?: Image;
  readonly network?: Attachment;
  /** How often it was started again by its restart policy. */
  readonly restarts: number;
  readonly createdAt?: number;
  /** Of the latest start; absent: it never ran. */
  readonly startedAt?: number;
  readonly finishedAt?: number;
  readonly exitCode?: number;
  readonly reason?: string;
  readonly signalledAt?: number;
  readonly killedAt?: number;
  readonly health?: Health;
}

export interface Health {
  readonly status: "HEALTHY" | "UNHEALTHY" | "UNKNOWN";
  readonly since: number;
  readonly exitCode?: number;
  readonly output?: string;
}

/** A container's place in the network, decided before anything is made so that a crash leaves no unknown namespace behind. */
export interface Attachment {
  readonly mode: "bridge" | "host" | "none" | "awsvpc";
  /** Name of the network namespace; absent in host mode. In mode awsvpc all containers of the task have the same. */
  readonly namespace?: string;
  readonly address?: string;
  readonly vpc?: VpcAttachment;
  readonly bindings: readonly PortBinding[];
  /** The namespace was deleted and address and ports given back. */
  readonly released?: boolean;
}

/** A task's network interface as this machine has it. */
export interface VpcAttachment {
  readonly networkInterfaceId: string;
  /** The task's address in the bridge's subnet, by which the machine knows it; other VPCs may have the same private one. */
  readonly transit: string;
  /** The task's ARN, and the name of the container that holds the interface by this attachment. */
  readonly task: string;
  readonly holder: string;
}

export interface PortBinding {
  readonly protocol: "tcp" | "udp";
  readonly containerPort: number;
  readonly hostPort: number;
  /** The last port of a range that begins at `containerPort`; absent: one port. */
  readonly containerPortEnd?: number;
}

/** The part of a container's definition that decides what may happen next. */
export interface ContainerRules {
  readonly name: string;
  readonly essential: boolean;
  /** `CREATED` stands for volumesFrom: the source need only exist. */
  readonly dependsOn: readonly { readonly container: string; readonly condition: Condition | "CREATED" }[];
  /** How long others wait for this container to reach the state they depend on. */
  readonly startTimeoutMs?: number;
  readonly stopTimeoutMs: number;
  readonly restart?: { readonly ignoredExitCodes: readonly number[]; readonly periodMs: number };
}

export type TaskEvent =
  | { readonly type: "stop"; readonly reason?: string; readonly stopTimeouts?: Readonly<Record<string, number>>; readonly at: number }
  | { readonly type: "pulling"; readonly container: string; readonly at: number }
  | { readonly type: "pulled"; readonly container: string; readonly image: Image; readonly at: number }
  | { readonly type: "attached"; readonly container: string; readonly network: Attachment }
  | { readonly type: "released"; readonly container: string }
  | { readonly type: "created"; readonly container: string; readonly at: number }
  | { readonly type: "started"; readonly container: string; readonly at: number }
  /** A started process ended. */
  | { readonly type: "exited"; readonly container: string; readonly at: number; readonly exitCode?: number; readonly reason?: string }
  /** It never got to run, or its runtime lost it. */
  | { readonly type: "failed"; readonly container: string; readonly at: number; readonly reason: string; readonly exitCode?: number }
  /** Nothing was started and nothing will be: the task is to stop. */
  | { readonly type: "abandoned"; readonly container: string; readonly at: number }
  | { readonly type: "signalled"; readonly container: string; readonly kill: boolean; readonly at: number }
  | { readonly type: "health"; readonly container: string; readonly health: Health }
  /** After a crash: the process was never started, begin again with the creation. */
  | { readonly type: "rewound"; readonly container: string };
