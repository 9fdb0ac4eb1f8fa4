import type { VpcState, ZoneState } from "#agent-protocol/vpc.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import type { NetworkInterfaceRecord } from "#model/vpc-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import { followView } from "../feed.ts";
import type { Link, Links } from "../links.ts";
import { followNames, type NamesFollower } from "../names/follow.ts";
import { indexOf, type Locals, vpcStatesOf, type VpcRecords, type ZonesOf } from "./state.ts";

/**
 * Tells each connected agent the state of its VPCs: whole, when it connects and whenever something that concerns it changed. Keeps EC2's records, and
 * the names of Cloud Map's private zones, in memory by the change feed; only what follows from them is compared, so that a change that alters nothing for an agent sends it nothing.
 */
export interface VpcReconciler {
  start(): void;
  stop(): Promise<void>;
  /** By the key of its container instance. */
  connectionChanged(instance: string): void;
  /** What `balancers` says is another. */
  balancersChanged(): void;
  /** Resolves when every connected agent has been told. */
  idle(): Promise<void>;
}

/** What load balancers add: interfaces on the machine that serves them, and their names in every VPC. Undefined: not known yet, nothing is told. */
export interface Balancers {
  locals(): Locals | undefined;
  /** Whether `locals` may be believed for this machine, which has just connected. */
  knows(instance: string): boolean;
  zones(): readonly ZoneState[];
}

/** Changes that follow each other this closely are told together. */
const coalesceMs = 20;

type Kind = keyof VpcRecords;
const kinds: readonly Kind[] = ["vpc", "subnet", "internet-gateway", "nat-gateway", "route-table", "security-group", "network-interface"];

export function createVpcReconciler(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly links: Links;
  /** Absent: no load balancers. */
  readonly balancers?: Balancers;
}): VpcReconciler {
  const { store, clock, random, log, links, balancers } = options;
  const abort = new AbortController();
  const told = new WeakMap<Link, string>();
  let records = emptyRecords();
  /** Before the first reading nothing is known, and nothing is told. */
  let read = false;
  /** Machines to be told; all of them where a change may concern any. */
  let dirty = new Set<string>();
  let vpcs = new Set<string>();
  let cancel: (() => void) | undefined;
  let toldAt = 0;
  let idlers: (() => void)[] = [];
  let names: NamesFollower | undefined;

  function everyone(): void {
    for (const instance of links.instances()) dirty.add(instance);
    wake();
  }

  function zonesChanged(vpcId: string | undefined): void {
    if (vpcId === undefined) return everyone();
    vpcs.add(vpcId);
    wake();
  }

  function change(key: string, value: unknown): void {
    const place = placeOf(key);
    if (!place) return;
    const before = records[place.kind].get(place.id);
    put(records, key, value);
    for (const record of [before, value]) {
      if (record === undefined) continue;
      const { vpcId, id, task, instance } = record as { vpcId?: string; id: string } & Partial<NetworkInterfaceRecord>;
      vpcs.add(place.kind === "vpc" ? id : (vpcId ?? ""));
      const node = task?.node ?? instance?.node;
      if (node !== undefined) dirty.add(node);
    }
    wake();
  }

  function wake(): void {
    if (abort.signal.aborted || !read || !names?.current() || (balancers && !balancers.locals())) return;
    // At once when all was quiet: a task may be waiting for this to start.
    cancel ??= clock.after(Math.max(1, toldAt + coalesceMs - clock.now()), () => {
      cancel = undefined;
      toldAt = clock.now();
      tell();
    });
  }

  function tell(): void {
    const index = indexOf(records, balancers?.locals());
    const balancerZones = balancers?.zones() ?? [];
    const zonesOf: ZonesOf = (vpcId) => [...(names?.current()?.zonesOf(vpcId) ?? []), ...balancerZones];
    const concerned = dirty;
    for (const [node, interfaces] of index.byNode) if (interfaces.some(({ vpcId }) => vpcs.has(vpcId))) concerned.add(node);
    dirty = new Set();
    vpcs = new Set();
    for (const instance of concerned) {
      const link = links.get(instance);
      if (!link) continue;
      if (balancers && !balancers.knows(instance)) {
        dirty.add(instance);
        continue;
      }
      try {
        send(link, vpcStatesOf(records, index, instance, zonesOf));
      } catch (error) {
        log.error({ err: error, instance }, "the state of the agent's VPCs could not be told");
      }
    }
    for (const resolve of idlers.splice(0)) resolve();
  }

  function send(link: Link, states: readonly VpcState[]): void {
    const text = JSON.stringify(states);
    if (told.get(link) === text) return;
    link.send({ type: "VpcStateMessage", message: { messageId: random.uuid(), vpcs: states } });
    told.set(link, text);
  }

  let following: Promise<void> = Promise.resolve();
  return {
    start() {
      names = followNames({ store, clock, log, signal: abort.signal, changed: zonesChanged });
      following = followView({
        ...{ store, clock, log, signal: abort.signal },
        prefix: vpcKeys.everything,
        empty: emptyRecords,
        put,
        whole(next) {
          records = next;
          read = true;
          everyone();
        },
        changed: change,
      });
    },
    async stop() {
      abort.abort();
      cancel?.();
      cancel = undefined;
      for (const resolve of idlers.splice(0)) resolve();
      await Promise.all([following, names?.done]);
    },
    connectionChanged(instance) {
      if (!links.get(instance)) return;
      dirty.add(instance);
      wake();
    },
    balancersChanged: () => everyone(),
    idle: () =>
      new Promise((resolve) => {
        if (!cancel) resolve();
        else idlers.push(resolve);
      }),
  };
}

function emptyRecords(): VpcRecords {
  return Object.fromEntries(kinds.map((kind) => [kind, new Map()])) as unknown as VpcRecords;
}

/** `/ec2/<account>/<region>/<kind>/<id>`. */
function placeOf(key: string): { kind: Kind; id: string } | undefined {
  const [, , , , kind, id, more] = key.split("/");
  return id && more === undefined && kinds.includes(kind as Kind) ? { kind: kind as Kind, id } : undefined;
}

function put(records: VpcRecords, key: string, value: unknown): void {
  const place = placeOf(key);
  if (!place) return;
  const map = records[place.kind] as Map<string, unknown>;
  if (value === undefined) map.delete(place.id);
  else map.set(place.id, value);
}
