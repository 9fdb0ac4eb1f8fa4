/**
 * The data plane of all load balancers of this machine. A reconciler gives it whole snapshots, as often as it likes:
 *
 *     const balancers = createLoadBalancers({ directory, link: "gbl0", onHealth, onAccess, log, clock });
 *     await balancers.apply(snapshot);   // listeners bound, targets known
 *     balancers.health();                // every target's state, `onHealth` tells each change
 *     await balancers.close();           // HAProxy runs on: the next `apply` of a new object takes it over without losing a connection
 *     await balancers.tearDown();        // nothing is left: processes, files, link, namespace's name
 *
 * A target that leaves the snapshot is drained; when its state becomes `unused` (`Target.NotRegistered`) nothing runs through it any more.
 */
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import { readAccess, readFailure, type AccessRecord, type Known } from "./access-log.ts";
import type { Counted } from "./counting.ts";
import type { Action, LoadBalancer, Snapshot, TargetHealth } from "./config.ts";
import { isSecure } from "./frontends.ts";
import { createHost } from "./host.ts";
import { plan, type Plan } from "./plan.ts";
import { groupsOf, problems } from "./problems.ts";
import { Shard } from "./shard.ts";
import { without } from "./targets.ts";
import { Balances, together, type Traffic } from "./traffic.ts";

export interface LoadBalancersOptions {
  /** Its own, for configuration, maps, certificates and pids; made if missing. */
  readonly directory: string;
  /** For sockets, reachable by HAProxy's user: default below /run/gantry, named after the directory. */
  readonly socketDirectory?: string;
  /** Name of the link for addresses, at most 15 characters; default after the directory. */
  readonly link?: string;
  /** A name below /run/netns for this machine's own network; default after the directory. */
  readonly ownNamespace?: string;
  /** Default `haproxy`, in PATH or /usr/sbin. */
  readonly binary?: string;
  /** Of each HAProxy; default the machine's processors, at most 4. */
  readonly threads?: number;
  readonly clock: Clock;
  readonly log: Logger;
  /** Each change of a target's state or reason. */
  readonly onHealth?: (health: TargetHealth) => void;
  /** Each request through a load balancer with `accessLog`. As with AWS, a few may be missing under extreme load. */
  readonly onAccess?: (record: AccessRecord) => void;
}

/** The snapshot cannot be served; nothing of it was applied. */
export class SnapshotRefused extends Error {
  readonly problems: readonly string[];
  constructor(list: readonly string[]) {
    super(list.join("; "));
    this.problems = list;
  }
}

export interface LoadBalancers {
  /**
   * Resolves when HAProxy serves the snapshot. Calls run in their order. Throws `SnapshotRefused` for what cannot be served, and with HAProxy's own words
   * where it does not start (an address in use); then the configuration before stays in force, and the new one is tried again by itself.
   */
  apply(snapshot: Snapshot): Promise<void>;
  /** Every target of the last snapshot, and those that still drain. */
  health(): TargetHealth[];
  /** What was carried since the last time: each request once, over reloads of HAProxy and restarts of ours. */
  traffic(): Promise<Traffic>;
  /** The pids of HAProxy: those that listen, and those that only end what they had begun. */
  pids(): readonly number[];
  close(): Promise<void>;
  tearDown(): Promise<void>;
}

export function createLoadBalancers(options: LoadBalancersOptions): LoadBalancers {
  const { directory, clock, log } = options;
  const mark = createHash("sha256").update(directory).digest("hex").slice(0, 10);
  const sockets = options.socketDirectory ?? join("/run/gantry", `lb-${mark}`);
  const ownNamespace = options.ownNamespace ?? `gantry-lb-${mark}`;
  const host = createHost(options.link ?? `glb${mark}`, ownNamespace);
  const user = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : undefined;
  const shards = new Map<string, Shard>();
  const plans = new Map<string, Plan>();
  const balances = new Balances();
  /** Of networks that are no more. */
  const left: Counted[] = [];
  let snapshot: Snapshot = { loadBalancers: [], targetGroups: [] };
  let tail: Promise<unknown> = Promise.resolve();
  const inOrder = <T>(work: () => Promise<T>): Promise<T> => {
    const done = tail.then(work);
    tail = done.catch(() => {});
    return done;
  };

  mkdirSync(directory, { recursive: true, mode: 0o700 });
  mkdirSync(sockets, { recursive: true, mode: 0o711 });
  chmodSync(sockets, 0o711);
  for (const name of readdirSync(directory)) if (name.startsWith("net-")) shard(name.slice("net-".length));

  function shard(network: string): Shard {
    const known = shards.get(network);
    if (known) return known;
    const made = new Shard({
      directory: join(directory, `net-${network}`),
      // A socket's path is short.
      socketDirectory: join(sockets, createHash("sha256").update(network).digest("hex").slice(0, 10)),
      binary: options.binary ?? "/usr/sbin/haproxy",
      threads: options.threads ?? Math.min(4, availableParallelism()),
      namespace: network === "" ? undefined : network,
      user,
      clock,
      log: network === "" ? log : log.child({ network }),
      onHealth: (health) => options.onHealth?.(health),
      onAccess: (message) => {
        const record = readAccess(message, knownOf(plans.get(network)));
        if (record) options.onAccess?.(record);
        const failure = readFailure(message, record);
        if (failure) made.failed(failure.frontend, failure.status);
      },
    });
    shards.set(network, made);
    return made;
  }

  async function apply(next: Snapshot): Promise<void> {
    const wrong = problems(next);
    if (wrong.length > 0) throw new SnapshotRefused(wrong);
    const addresses = next.loadBalancers.flatMap((balancer) => balancer.addresses);
    await host.add(addresses);
    const parts = byNetwork(next);
    const hostNamespace = [...parts.keys()].some((network) => network !== "") ? await host.nameOwnNamespace() : undefined;
    snapshot = next;
    balances.learn(next);
    const failed: unknown[] = [];
    // Those that lose listeners first: another may take their addresses.
    for (const [network, part] of [...parts].toSorted(([a], [b]) => Number(shards.has(b)) - Number(shards.has(a)))) {
      const planned = plan(part, join(directory, `net-${network}`), hostNamespace);
      plans.set(network, planned);
      await shard(network)
        .apply(planned)
        .catch((error: unknown) => failed.push(error));
    }
    for (const [network, each] of shards)
      if (!parts.has(network)) {
        left.push(await each.counted());
        await each.tearDown();
        shards.delete(network);
        plans.delete(network);
      }
    await host.keep(addresses);
    if (failed.length > 0) throw failed[0];
  }

  return {
    apply: (next) => inOrder(() => apply(next)),
    health() {
      const known = [...shards.values()].flatMap((each) => each.health());
      const seen = new Set(known.map(({ targetGroupId, address, port }) => `${targetGroupId} ${address}:${port}`));
      const used = new Set(snapshot.loadBalancers.flatMap(({ listeners }) => listeners.flatMap(groupsOf)));
      for (const group of snapshot.targetGroups)
        for (const { address, port, wanted } of group.targets)
          if (!used.has(group.id) && wanted !== "deregistered" && !seen.has(`${group.id} ${address}:${port}`))
            known.push(without(group.id, address, port, "Target.NotInUse"));
      return known;
    },
    async traffic() {
      const all = [...left.splice(0), ...(await Promise.all([...shards.values()].map((each) => each.counted())))];
      return balances.take(together(all));
    },
    pids: () => [...shards.values()].flatMap((each) => each.processes().map(({ pid }) => pid)),
    close: () => inOrder(async () => void (await Promise.all([...shards.values()].map((each) => each.close())))),
    tearDown: () =>
      inOrder(async () => {
        await Promise.all([...shards.values()].map((each) => each.tearDown()));
        shards.clear();
        await host.tearDown();
        rmSync(directory, { recursive: true, force: true });
        rmSync(sockets, { recursive: true, force: true });
      }),
  };
}

/** Load balancers by the network of their targets, each part with the groups it uses. */
function byNetwork({ loadBalancers, targetGroups }: Snapshot): Map<string, Snapshot> {
  const balancers = Map.groupBy(
    loadBalancers.filter(({ listeners }) => listeners.length > 0),
    ({ network }) => network?.namespace ?? "",
  );
  return new Map(
    [...balancers].map(([network, list]) => {
      const used = new Set(list.flatMap(({ listeners }) => listeners.flatMap(groupsOf)));
      return [network, { loadBalancers: list, targetGroups: targetGroups.filter(({ id }) => used.has(id)) }];
    }),
  );
}

function knownOf(planned: Plan | undefined): Known {
  return {
    group: (backend) => planned?.groups.get(backend)?.id,
    listener(frontend) {
      const found = planned?.listeners.get(frontend);
      if (!found) return undefined;
      const { balancer, listener } = found;
      return {
        loadBalancerId: balancer.id,
        loadBalancerName: balancer.name,
        listenerId: listener.id,
        secure: isSecure(listener),
        application: isApplication(balancer),
        certificateId: listener.certificates?.[0]?.id,
        actionOf: (priority) =>
          actionText((listener.rules ?? []).find((rule) => rule.priority === priority)?.action ?? listener.defaultAction),
      };
    },
  };
}

const isApplication = ({ kind }: LoadBalancer) => kind === "application";
const actionText = ({ type }: Action) => (type === "forward" ? "forward" : type);
