import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LoadBalancerStateMessage, LoadBalancerTrafficMessage, TargetHealthMessage } from "#agent-protocol/load-balancers.ts";
import type { TargetHealth } from "#load-balancer/config.ts";
import { createLoadBalancers, type LoadBalancers, type LoadBalancersOptions, SnapshotRefused } from "#load-balancer/load-balancers.ts";
import { servable } from "#load-balancer/servable.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { createAccessLogs, type LogPlace } from "./access-logs.ts";
import { writeNames } from "./hosts-file.ts";
import { localize, toControlPlane } from "./localize.ts";

/**
 * The load balancers of this machine: owns the driver, from the first load balancer to the last. What the control plane said last is kept in a file, so a
 * restart without a server serves as before; HAProxy itself runs on through restarts of the agent.
 */
export interface LoadBalancing {
  /** Once the network stands: takes up what ran before. */
  start(): void;
  update(message: LoadBalancerStateMessage): void;
  /** A connection to the control plane: it is told all health, then each change, until the next one. */
  connected(send: (frame: Told) => void): void;
  disconnected(): void;
  /** HAProxy runs on. */
  close(): Promise<void>;
  /** Nothing is left: processes, link, addresses, names. */
  tearDown(): Promise<void>;
}

export type Told =
  | { readonly type: "TargetHealthMessage"; readonly message: TargetHealthMessage }
  | { readonly type: "LoadBalancerTrafficMessage"; readonly message: LoadBalancerTrafficMessage };

/** What it needs of the machine's network. */
export interface BalancerNetwork {
  /** Resolves when the VPC stands as the control plane said last, or at the latest after a few seconds; returns its namespace's name. */
  vpcStands(vpcId: string): Promise<string>;
  readonly gateway: string | undefined;
}

type Kept = Pick<LoadBalancerStateMessage, "revision" | "snapshot" | "names">;

const listenersOf = ({ snapshot }: Kept) => snapshot.loadBalancers.flatMap(({ listeners }) => listeners.map(({ id }) => id));

function loses(before: Kept, next: Kept): boolean {
  const left = new Set(listenersOf(next));
  return listenersOf(before).some((id) => !left.has(id));
}

/** Changes of health that follow each other this closely are told together. */
const coalesceMs = 10;
const retryMs = 2_000;
const minuteMs = 60_000;
const beforeEndMs = 2_000;
/** Minutes that are kept while there is no server. */
const mostUntold = 60;

export function createLoadBalancing(options: {
  readonly home: string;
  readonly dataDir: string;
  readonly instance: string;
  readonly network: BalancerNetwork;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly hostsFile?: string;
  readonly driver?: (options: LoadBalancersOptions) => LoadBalancers;
}): LoadBalancing {
  const { instance, network, clock, random, dataDir } = options;
  const log = options.log.child({ part: "load-balancing" });
  const directory = join(options.home, "load-balancers");
  const file = join(dataDir, "load-balancers.json");
  let driver: LoadBalancers | undefined;
  let wanted: Kept | undefined;
  /** What the driver has. */
  let applied: Kept | undefined;
  let report: ((message: TargetHealthMessage) => void) | undefined;
  let changed = new Map<string, TargetHealth>();
  let reportedRevision = -1;
  let cancelReport: (() => void) | undefined;
  let cancelRetry: (() => void) | undefined;
  let cancelTraffic: (() => void) | undefined;
  let tellTraffic: ((message: LoadBalancerTrafficMessage) => void) | undefined;
  /** Read while nobody listened. */
  let untold: LoadBalancerTrafficMessage[] = [];
  let running: Promise<void> | undefined;
  let started = false;
  let over = false;

  /** Those of load balancers that have gone stay: their last lines may still wait. */
  const logPlaces = new Map<string, LogPlace>();
  const accessLogs = createAccessLogs({
    buckets: join(options.home, "buckets"),
    directory: join(dataDir, "access-logs"),
    placeOf: (arn) => logPlaces.get(arn),
    clock,
    random,
    log,
  });
  const machine = { address: () => network.gateway ?? "127.0.0.1" };

  const open = (): LoadBalancers =>
    (driver ??= (options.driver ?? createLoadBalancers)({
      directory,
      // Ours by its name: `./gantry down --all` finds it even without us.
      link: `g${instance.slice(0, 6)}-lb0`,
      ownNamespace: `gantry-${instance}-host`,
      clock,
      log,
      onHealth(health) {
        changed.set(`${health.targetGroupId} ${health.address}:${health.port}`, health);
        tellSoon();
      },
      onAccess: accessLogs.take,
    }));

  function tellSoon(): void {
    if (!report) return;
    cancelReport ??= clock.after(coalesceMs, () => {
      cancelReport = undefined;
      tell(false);
    });
  }

  function tell(whole: boolean): void {
    if (!report || !applied) return;
    const list = whole ? (driver?.health() ?? []) : [...changed.values()];
    changed = new Map();
    if (!whole && list.length === 0 && reportedRevision === applied.revision) return;
    reportedRevision = applied.revision;
    const targets = list.map((each) => toControlPlane(each, { address: machine.address() }));
    report({ messageId: random.uuid(), revision: applied.revision, whole, targets });
  }

  /** Once a minute, shortly before it ends: who looks at a full minute sees all of it. */
  function readTrafficSoon(): void {
    const into = (clock.now() + beforeEndMs) % minuteMs;
    cancelTraffic = clock.after(minuteMs - into, () => void readTraffic().finally(() => !over && readTrafficSoon()));
  }

  async function readTraffic(): Promise<void> {
    if (!driver || over) return;
    try {
      const at = clock.now();
      const traffic = await driver.traffic();
      untold = [...untold, { messageId: random.uuid(), at, ...traffic }].slice(-mostUntold);
      flushTraffic();
    } catch (error) {
      log.warn({ err: error }, "what the load balancers carried could not be read");
    }
  }

  function flushTraffic(): void {
    if (!tellTraffic) return;
    const list = untold;
    untold = [];
    for (const each of list) tellTraffic(each);
  }

  /** Brings the driver to what is wanted last; one at a time, what comes meanwhile is taken next. */
  function bring(): void {
    if (running || !started || over) return;
    cancelRetry?.();
    cancelRetry = undefined;
    running = (async () => {
      while (wanted && wanted !== applied && !over) {
        const next = wanted;
        await apply(next);
        const gone = applied !== undefined && loses(applied, next);
        applied = next;
        tell(false);
        // While the control plane still knows whose it was.
        if (gone) await readTraffic();
      }
    })()
      .catch((error: unknown) => {
        log.error({ err: error }, "the load balancers could not be made as the control plane says, trying again");
        // The driver tries what it was told by itself; this is for what it was not told.
        if (!over) cancelRetry = clock.after(retryMs, bring);
      })
      .finally(() => {
        running = undefined;
        if (wanted !== applied && !cancelRetry) bring();
      });
  }

  async function apply({ snapshot, names }: Kept): Promise<void> {
    // A name that cannot be written is no reason to serve nothing.
    await writeNames({ path: options.hostsFile, instance, clock }, names).catch((error: unknown) =>
      log.error({ err: error }, "the load balancers' names could not be written into /etc/hosts"),
    );
    if (snapshot.loadBalancers.length === 0) {
      if (!driver && !existsSync(directory)) return;
      const last = open();
      await readTraffic();
      driver = undefined;
      await last.tearDown();
      return;
    }
    const vpcs = new Set(snapshot.loadBalancers.flatMap((each) => each.network?.namespace ?? []));
    const namespaces = new Map(await Promise.all([...vpcs].map(async (vpcId) => [vpcId, await network.vpcStands(vpcId)] as const)));
    const local = localize(snapshot, { address: machine.address(), namespaceOf: (vpcId) => namespaces.get(vpcId) ?? vpcId });
    await open()
      .apply(local)
      .catch(async (error: unknown) => {
        if (!(error instanceof SnapshotRefused)) throw error;
        const { snapshot: rest, dropped } = servable(local);
        for (const problem of dropped) log.error({ problem }, "this cannot be served, the rest is");
        await open().apply(rest);
      });
  }

  function want(next: Kept): void {
    wanted = next;
    const before = logPlaces.size;
    let still = 0;
    for (const { id, accessLog, addresses } of next.snapshot.loadBalancers) {
      if (!accessLog) continue;
      if (logPlaces.has(id)) still++;
      logPlaces.set(id, { ...accessLog, address: addresses[0] ?? "-" });
    }
    if (still < before) void accessLogs.publish();
  }

  function keep(next: Kept): void {
    // It holds private keys.
    writeFileSync(`${file}.new`, JSON.stringify(next), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  }

  return {
    start() {
      started = true;
      if (!wanted && existsSync(file)) {
        try {
          want(JSON.parse(readFileSync(file, "utf8")) as Kept);
        } catch (error) {
          log.error({ err: error }, "the load balancers of before can't be read; the control plane tells them again");
        }
      }
      bring();
      readTrafficSoon();
    },
    update({ revision, snapshot, names }) {
      if (over) return;
      const next = { revision, snapshot, names };
      want(next);
      keep(next);
      bring();
    },
    connected(send) {
      report = (message) => send({ type: "TargetHealthMessage", message });
      tellTraffic = (message) => send({ type: "LoadBalancerTrafficMessage", message });
      reportedRevision = -1;
      tell(true);
      flushTraffic();
    },
    disconnected() {
      report = undefined;
      tellTraffic = undefined;
    },
    async close() {
      over = true;
      report = undefined;
      cancelReport?.();
      cancelRetry?.();
      cancelTraffic?.();
      await running;
      await driver?.close();
      await accessLogs.close();
    },
    async tearDown() {
      over = true;
      report = undefined;
      cancelReport?.();
      cancelRetry?.();
      cancelTraffic?.();
      await running;
      rmSync(file, { force: true });
      await writeNames({ path: options.hostsFile, instance, clock }, []);
      if (driver || existsSync(directory)) await open().tearDown();
      driver = undefined;
      await accessLogs.publish();
      await accessLogs.close();
    },
  };
}
