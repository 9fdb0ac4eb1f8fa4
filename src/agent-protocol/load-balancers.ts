import type { Snapshot, TargetHealth } from "#load-balancer/config.ts";
import type { Traffic } from "#load-balancer/traffic.ts";

/**
 * Ours, which standard agents drop: all load balancers that the agent's machine is to serve, whole each time, at the start of a connection and after each
 * change. Only an agent whose instance has the attribute `gantry.load-balancers=true` is told.
 */
export interface LoadBalancerStateMessage {
  readonly messageId: string;
  /** Never goes back, over restarts of the server too: the store's revision of the latest registration in it. Reports of health name it. */
  readonly revision: number;
  /**
   * As the driver takes it, but for what only the machine knows: a network's `namespace` is the VPC's id, and the address `127.0.0.1` of a target is
   * this machine.
   */
  readonly snapshot: Snapshot;
  /** Names that lead to load balancers from this machine itself. */
  readonly names: readonly { readonly name: string; readonly addresses: readonly string[] }[];
}

/** From the agent: targets' health under the snapshot of `revision`. Addresses as in the message. */
export interface TargetHealthMessage {
  readonly messageId: string;
  readonly revision: number;
  /** All targets, and others are unknown: the first of a connection. Else what has changed. */
  readonly whole: boolean;
  readonly targets: readonly TargetHealth[];
}

/** From the agent, once a minute shortly before it ends: what was carried since the last one. Said once: a minute that is lost on the way is lost. */
export interface LoadBalancerTrafficMessage extends Traffic {
  readonly messageId: string;
  /** When it was read: milliseconds since the epoch. */
  readonly at: number;
}

/** What a machine says in its registration when it can serve load balancers. */
export const hostAttribute = "gantry.load-balancers";
/** A target that is the load balancers' own machine. */
export const thisMachine = "127.0.0.1";
