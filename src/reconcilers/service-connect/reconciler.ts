import type { ConnectTarget, ServiceConnectStateMessage, ServiceConnectSubscription } from "#agent-protocol/service-connect.ts";
import { thisMachine } from "#agent-protocol/load-balancers.ts";
import { cloudMapKeys, parseCloudMapKey } from "#model/cloud-map-keys.ts";
import type { InstanceRecord } from "#model/cloud-map-records.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import { followView } from "../feed.ts";
import type { Link, Links } from "../links.ts";

/**
 * Tells each agent the endpoints of the services that its tasks' proxies lead to: those that it has subscribed to, whole, after each subscription and each change.
 * Keeps Cloud Map's instances in memory by the change feed.
 */
export interface ConnectReconciler {
  start(): void;
  stop(): Promise<void>;
  subscribed(instance: string, link: Link, message: ServiceConnectSubscription): void;
}

/** Changes that follow each other this closely are told together. */
const coalesceMs = 20;

interface Subscriber {
  readonly link: Link;
  readonly services: readonly string[];
  /** The machine's own address, as instances on it give it. */
  readonly address: string | undefined;
  told?: string;
}

export function createConnectReconciler(options: {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly links: Links;
}): ConnectReconciler {
  const { store, clock, random, log, links } = options;
  const abort = new AbortController();
  /** By Cloud Map's service and its key. */
  let instances = new Map<string, Map<string, InstanceRecord>>();
  let read = false;
  /** By the key of the container instance. */
  const subscribers = new Map<string, Subscriber>();
  const dirty = new Set<string>();
  let cancel: (() => void) | undefined;
  let toldAt = 0;

  function put(all: typeof instances, key: string, value: unknown): string | undefined {
    const place = parseCloudMapKey(key);
    if (place?.kind !== "instance") return undefined;
    const own = all.get(place.id) ?? new Map<string, InstanceRecord>();
    if (value === undefined) own.delete(key);
    else own.set(key, value as InstanceRecord);
    if (own.size > 0) all.set(place.id, own);
    else all.delete(place.id);
    return place.id;
  }

  function wake(): void {
    if (abort.signal.aborted || !read || dirty.size === 0) return;
    cancel ??= clock.after(Math.max(1, toldAt + coalesceMs - clock.now()), () => {
      cancel = undefined;
      toldAt = clock.now();
      for (const instance of dirty) tell(instance);
      dirty.clear();
    });
  }

  function tell(instance: string): void {
    const subscriber = subscribers.get(instance);
    if (!subscriber) return;
    if (links.get(instance) !== subscriber.link) {
      subscribers.delete(instance);
      return;
    }
    const services: ServiceConnectStateMessage["services"] = subscriber.services.map((id) => ({
      id,
      endpoints: endpointsOf(instances.get(id)?.values() ?? [], subscriber.address),
    }));
    const text = JSON.stringify(services);
    if (subscriber.told === text) return;
    subscriber.told = text;
    subscriber.link.send({ type: "ServiceConnectStateMessage", message: { messageId: random.uuid(), services } });
  }

  async function subscribe(instance: string, link: Link, services: readonly string[]): Promise<void> {
    const record = (await store.get<ContainerInstanceRecord>(instance))?.value;
    if (links.get(instance) !== link) return;
    const address = record?.attributes.find(({ name }) => name === "gantry.address")?.value;
    subscribers.set(instance, { link, services: services.toSorted(), address });
    dirty.add(instance);
    wake();
  }

  let following: Promise<void> = Promise.resolve();
  return {
    start() {
      following = followView({
        ...{ store, clock, log, signal: abort.signal },
        prefix: cloudMapKeys.everything,
        empty: (): typeof instances => new Map(),
        put: (next, key, value) => void put(next, key, value),
        whole(next) {
          instances = next;
          read = true;
          for (const instance of subscribers.keys()) dirty.add(instance);
          wake();
        },
        changed(key, value) {
          const service = put(instances, key, value);
          if (service === undefined) return;
          for (const [instance, { services }] of subscribers) if (services.includes(service)) dirty.add(instance);
          wake();
        },
      });
    },
    async stop() {
      abort.abort();
      cancel?.();
      cancel = undefined;
      await following;
    },
    subscribed(instance, link, { services }) {
      if (links.get(instance) !== link || !Array.isArray(services)) return;
      subscribe(instance, link, services.map(String)).catch((error: unknown) => {
        log.error({ err: error, instance }, "the agent's subscription could not be taken");
        // It comes back and asks again.
        link.close();
      });
    },
  };
}

/** Of the healthy ones, in a fixed order. `own`: an address of the machine that is told. Pure. */
export function endpointsOf(instances: Iterable<InstanceRecord>, own: string | undefined): ConnectTarget[] {
  return [...instances]
    .filter(({ health }) => health === "HEALTHY")
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .flatMap(({ attributes: { AWS_INSTANCE_IPV4: address, AWS_INSTANCE_PORT: port } }) =>
      address === undefined || port === undefined ? [] : [{ address: address === own ? thisMachine : address, port: Number(port) }],
    );
}
