import {
  hostAttribute,
  type LoadBalancerStateMessage,
  type LoadBalancerTrafficMessage,
  type TargetHealthMessage,
} from "#agent-protocol/load-balancers.ts";
import type { LocalInterface, ZoneState } from "#agent-protocol/vpc.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import { elbKeys } from "#model/elb-keys.ts";
import type { LoadBalancerRecord } from "#model/elb-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import type { Writer } from "#store/unit.ts";
import { followChanges } from "../feed.ts";
import type { Link, Links } from "../links.ts";
import type { Balancers } from "../vpc/reconciler.ts";
import { followCertificates, type Certificates } from "./certificates.ts";
import { createHealthWriter } from "./health-writer.ts";
import { type BalancerTotals, createBalancerMetrics } from "./published.ts";
import { BalancerRecords } from "./records.ts";
import { Reports } from "./seen.ts";
import { publicAddressesOf, snapshotOf } from "./snapshot.ts";

/**
 * Tells the machine that serves load balancers what they are: whole, when its agent connects and after each change; writes down what that agent says of
 * targets. One machine serves all of them: of the connected ones whose instance has the attribute `gantry.load-balancers=true` when it connects, the first by key.
 */
export interface LoadBalancerReconciler {
  /** What they add to the VPCs. */
  readonly balancers: Balancers;
  start(): void;
  stop(): Promise<void>;
  connectionChanged(instance: string): void;
  targetHealth(instance: string, link: Link, message: TargetHealthMessage): void;
  traffic(instance: string, link: Link, message: LoadBalancerTrafficMessage): void;
  totals(): BalancerTotals | undefined;
  /** What `addressOf` says may be another. */
  addressesChanged(): void;
}

/** Changes that follow each other this closely are told together. */
const coalesceMs = 20;
/** A host that comes back within this time has only been interrupted; HAProxy serves on meanwhile. */
const graceMs = 3_000;

interface Host {
  readonly instance: string;
  readonly link: Link;
  readonly ec2InstanceId: string;
}

export function createLoadBalancerReconciler(options: {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly sealer: Sealer;
  readonly links: Links;
  /** The VPCs' side, which is told first: a listener's addresses are there before it is. */
  readonly vpcs: () => { balancersChanged(): void; idle(): Promise<void> };
  /** The private address of an EC2 instance, or where a machine is that joined. */
  readonly addressOf?: (instanceId: string) => string | undefined;
  readonly metrics?: MetricSink;
}): LoadBalancerReconciler {
  const { store, clock, random, log, links } = options;
  const abort = new AbortController();
  const { signal } = abort;
  let records = new BalancerRecords();
  let read = false;
  let certificates: Certificates | undefined;
  /** Machines that have connected and can serve; undefined: they cannot. */
  const able = new Map<string, { readonly link: Link; readonly ec2InstanceId: string | undefined }>();
  let told: { readonly link: Link; readonly text: string } | undefined;
  let locals: ReadonlyMap<string, LocalInterface & { readonly node: string }> | undefined;
  let zones: readonly ZoneState[] = [];
  let shownText = "";
  let reports: { readonly link: Link; readonly reports: Reports } | undefined;
  let cancel: (() => void) | undefined;
  let cancelGrace: (() => void) | undefined;
  let toldAt = 0;
  let lost = false;

  const host = (): Host | undefined => {
    for (const [instance, { link, ec2InstanceId }] of [...able].toSorted(([a], [b]) => (a < b ? -1 : 1)))
      if (ec2InstanceId !== undefined && links.get(instance) === link) return { instance, link, ec2InstanceId };
    return undefined;
  };

  const health = createHealthWriter({
    ...options,
    records: () => (read ? records : undefined),
    data() {
      const now = host();
      return { host: now && { instance: now.ec2InstanceId, privateAddress: options.addressOf, reports: reportsOf(now.link) }, lost };
    },
  });

  const metrics =
    options.metrics &&
    createBalancerMetrics({ sink: options.metrics, clock, records: () => (read ? records : undefined), seen: health.of });

  function reportsOf(link: Link): Reports {
    if (reports?.link !== link) reports = { link, reports: new Reports() };
    return reports.reports;
  }

  async function readAll(): Promise<number> {
    const next = new BalancerRecords();
    const { entries, revision } = await store.list(elbKeys.everything);
    for (const entry of entries) next.put(entry.key, entry);
    await health.readAll();
    records = next;
    read = true;
    show();
    wake();
    return revision;
  }

  /** What VPCs see of load balancers: only a balancer's own record, and who serves, can change it. */
  function show(): void {
    if (!read) return;
    const serving = host();
    const all = [...records.loadBalancers.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const nextLocals = new Map(serving ? all.flatMap((each) => localsOf(each, serving.instance)) : []);
    const nextZones = all.map(zoneOf);
    const text = JSON.stringify([[...nextLocals], nextZones]);
    const first = locals === undefined;
    locals = nextLocals;
    zones = nextZones;
    if (!first && text === shownText) return;
    shownText = text;
    options.vpcs().balancersChanged();
  }

  function wake(): void {
    if (signal.aborted || !read || !certificates?.known()) return;
    cancel ??= clock.after(Math.max(1, toldAt + coalesceMs - clock.now()), () => {
      cancel = undefined;
      toldAt = clock.now();
      tell().catch((error: unknown) => log.error({ err: error }, "the load balancers could not be told"));
    });
  }

  async function tell(): Promise<void> {
    const serving = host();
    health.wake();
    if (!serving) return;
    const message: Omit<LoadBalancerStateMessage, "messageId"> = {
      revision: records.revision(),
      snapshot: snapshotOf(records, {
        instance: serving.ec2InstanceId,
        privateAddress: options.addressOf,
        pemOf: (arn) => certificates?.pemOf(arn),
      }),
      names: [...records.loadBalancers.values()]
        .map((each) => ({ name: each.dnsName, addresses: [each.address] }))
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    };
    const text = JSON.stringify(message);
    if (told?.link === serving.link && told.text === text) return;
    told = { link: serving.link, text };
    await options.vpcs().idle();
    serving.link.send({ type: "LoadBalancerStateMessage", message: { messageId: random.uuid(), ...message } });
  }

  /** Nobody serves: for a moment, or really. */
  function look(): void {
    const serving = host() !== undefined;
    if (serving) {
      cancelGrace?.();
      cancelGrace = undefined;
      lost = false;
    } else if (!lost && !signal.aborted)
      cancelGrace ??= clock.after(graceMs, () => {
        cancelGrace = undefined;
        lost = host() === undefined;
        health.wake();
      });
    show();
    wake();
  }

  async function connected(instance: string, link: Link): Promise<void> {
    const record = (await store.get<ContainerInstanceRecord>(instance))?.value;
    if (links.get(instance) !== link) return;
    const can = record?.attributes.some(({ name, value }) => name === hostAttribute && value === "true") ?? false;
    able.set(instance, { link, ec2InstanceId: can ? record?.ec2InstanceId : undefined });
    look();
    // The VPCs have waited for this.
    options.vpcs().balancersChanged();
  }

  let following: Promise<void> = Promise.resolve();
  return {
    balancers: {
      locals: () => locals,
      knows: (instance) => able.get(instance)?.link === links.get(instance),
      zones: () => zones,
    },
    start() {
      certificates = followCertificates({ ...options, signal, changed: wake });
      following = followChanges({
        store,
        clock,
        log,
        prefix: elbKeys.everything,
        signal,
        behind: readAll,
        changed(event) {
          records.put(event.key, event.type === "put" ? event.entry : undefined);
          if (event.key.split("/")[4] === "load-balancer") show();
          wake();
        },
      });
      look();
      metrics?.start();
    },
    async stop() {
      abort.abort();
      metrics?.stop();
      cancel?.();
      cancelGrace?.();
      cancelGrace = cancel = undefined;
      await Promise.all([following, certificates?.done, health.stop()]);
    },
    connectionChanged(instance) {
      const link = links.get(instance);
      if (!link) {
        able.delete(instance);
        look();
        return;
      }
      connected(instance, link).catch((error: unknown) => {
        log.error({ err: error, instance }, "whether the machine serves load balancers could not be read");
        link.close();
      });
    },
    addressesChanged: wake,
    targetHealth(instance, link, message) {
      if (links.get(instance) !== link) return;
      reportsOf(link).take(message);
      if (host()?.link === link) health.wake();
    },
    totals: () => metrics?.totals(),
    traffic(instance, link, message) {
      // Of one that has served before, what it still had to say counts too.
      if (links.get(instance) === link && able.get(instance)?.ec2InstanceId !== undefined) metrics?.take(message);
    },
  };
}

/** The load balancer's interfaces; its clients from outside come to the first one, or to its zone's Elastic IP. */
function localsOf(record: LoadBalancerRecord, node: string): [string, LocalInterface & { readonly node: string }][] {
  const fixed = new Set(record.zones.map(({ elasticIp }) => elasticIp?.address));
  const others = publicAddressesOf(record).filter((address) => !fixed.has(address));
  return record.zones.map(({ networkInterfaceId, elasticIp }, index) => [
    networkInterfaceId,
    {
      node,
      publicAddresses: [...(index === 0 ? others : []), ...(elasticIp ? [elasticIp.address] : [])],
      ...(record.groups.length === 0 ? { open: true as const } : {}),
    },
  ]);
}

/** Inside VPCs: of an internal one the private addresses, else the public ones. Source: User Guide for Application Load Balancers, "Load balancer schemes". */
function zoneOf(record: LoadBalancerRecord): ZoneState {
  const { dnsName: name, scheme } = record;
  const values = scheme === "internal" ? record.zones.map(({ privateIp }) => privateIp) : publicAddressesOf(record);
  return { name, soaTtl: 60, sets: [{ name, type: "A", ttl: 60, values }] };
}
