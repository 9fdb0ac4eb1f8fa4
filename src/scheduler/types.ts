import type { Resources } from "#model/ecs-records.ts";

/** The scheduler's world: a read-only picture of the machines. Nothing in this folder knows a clock, a store or randomness of its own. */
export interface Node {
  readonly id: string;
  readonly arn: string;
  readonly ec2InstanceId: string;
  readonly agentVersion?: string;
  /** The capacity provider whose instance group it belongs to. */
  readonly capacityProvider?: string;
  /** Milliseconds since the epoch. */
  readonly registeredAt?: number;
  readonly status: string;
  /** Spot tasks had to leave it just now: new ones are to go elsewhere. */
  readonly closedToSpot?: boolean;
  /** The agent's connection stands. */
  readonly connected: boolean;
  /** By name; an attribute without a value is the empty text. */
  readonly attributes: ReadonlyMap<string, string>;
  /** The ports here are reserved by the machine itself. */
  readonly capacity: Resources;
  readonly usage: Usage;
}

/** What the tasks on a node take together. */
export interface Usage {
  readonly cpu: number;
  readonly memory: number;
  readonly portsTcp: ReadonlySet<number>;
  readonly portsUdp: ReadonlySet<number>;
  readonly gpus: ReadonlySet<string>;
  readonly tasks: number;
  /** Tasks by group. */
  readonly groups: ReadonlyMap<string, number>;
}

/** What a task asks for. Of GPUs it asks for a number: which ones is decided when it takes them (`freeGpus`). */
export interface Demand extends Resources {
  readonly gpuCount?: number;
}

export interface PlacementRequest {
  readonly count: number;
  readonly group: string;
  readonly resources: Demand;
  /** The task definition's: a node must have the name, and the value where one is given. */
  readonly requiredAttributes: readonly { readonly name: string; readonly value?: string }[];
  readonly constraints: readonly Constraint[];
  /** In order: each decides among what the ones before it left equal. Empty: spread over zones, then over nodes. */
  readonly strategy: readonly Strategy[];
}

export type Constraint =
  | { readonly type: "distinctInstance" }
  /** `matches` is a function of the expression and the node alone. */
  | { readonly type: "memberOf"; readonly expression: string; matches(node: Node): boolean };

export type Strategy =
  | { readonly type: "random" }
  /** `instanceId`, or an attribute's name without `attribute:`. */
  | { readonly type: "spread"; readonly field: string }
  | { readonly type: "binpack"; readonly field: "cpu" | "memory" };

export interface Placement {
  /** Node ids, one for each task that was placed, in order. */
  readonly assignments: readonly string[];
  /** Why the others took no further task; empty when all were placed. In the order of the nodes. */
  readonly rejections: readonly Rejection[];
}

/** `reason` in ECS's words ("API failure reasons" in the Developer Guide), `detail` in plain ones: what was asked and what is there. */
export interface Rejection {
  readonly node: Node;
  readonly reason: string;
  readonly detail: string;
}
