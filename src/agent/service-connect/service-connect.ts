import { readFile, mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { thisMachine } from "#agent-protocol/load-balancers.ts";
import type {
  ConnectTarget,
  GeneralMetricsWrapper,
  PayloadServiceConnect,
  ServiceConnectStateMessage,
  ServiceConnectSubscription,
} from "#agent-protocol/service-connect.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Image, Images } from "../runtime.ts";
import type { ContainerPlan, TaskPlan } from "../task/plan.ts";
import { endpointsText, proxyConfiguration } from "./configuration.ts";
import { metricsBetween, parseCounters, type Counters } from "./metrics.ts";
import { packProxy } from "./proxy-image.ts";

/**
 * The proxies of this machine's tasks. Each is a container of its task whose directory the agent shares: the agent writes the configuration once, before the
 * proxy starts, and the endpoints whenever they change; the proxy writes what it counts. Which endpoints it needs the agent tells the control plane.
 */
export interface ServiceConnect {
  /** What proxies are made of. */
  image(): Promise<Image>;
  /** The proxy's directory with its configuration in it, and its endpoints as far as they are known: nothing waits for the control plane for long. */
  open(plan: TaskPlan, directory: string, place: ProxyPlace): Promise<void>;
  /** Resolves when the proxy serves, or after some seconds all the same. */
  ready(plan: TaskPlan): Promise<void>;
  /** A task of the journal. */
  adopt(plan: TaskPlan, directory: string): void;
  close(plan: TaskPlan): void;
  update(message: ServiceConnectStateMessage): void;
  /** A connection to the control plane, until the next one. */
  connected(subscribe: (message: ServiceConnectSubscription) => void): void;
  disconnected(): void;
  /** What the task's proxy has counted since the last call. */
  metrics(plan: TaskPlan): Promise<readonly GeneralMetricsWrapper[]>;
}

/** Where a proxy listens: at its aliases' own addresses, or at ports that they are redirected to since a program of the task may have theirs. */
export type ProxyPlace = "aliases" | "redirected";

/** Inside the proxy's container. */
export const proxyDirectory = "/connect";
/** Above the range of ports that Linux gives to clients. */
const firstRedirected = 61_001;
const smallestPool = 16;
const largestPool = 256;
const answerMs = 3_000;
const readyMs = 15_000;

export const isProxy = ({ payload }: TaskPlan, { name }: Pick<ContainerPlan, "name">): boolean =>
  payload.serviceConnect?.container === name;

/** What is sent to an alias, and the port where the proxy has it. */
export function redirectsOf({
  aliases,
}: PayloadServiceConnect): { readonly address: string; readonly port: number; readonly to: number }[] {
  return aliases.map(({ address, port }, index) => ({ address, port, to: firstRedirected + index }));
}

interface Proxy {
  readonly plan: TaskPlan;
  readonly connect: PayloadServiceConnect;
  readonly directory: string;
  written?: string;
  /** What has been told; undefined: the file says, of an agent's life before this one. */
  counted: ReadonlyMap<number, Counters> | undefined;
}

export function createServiceConnect(options: {
  readonly home: string;
  readonly images: Pick<Images, "make">;
  readonly network: { readonly gateway: string | undefined };
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}): ServiceConnect {
  const { clock, random, network } = options;
  const log = options.log.child({ part: "service-connect" });
  const script = new URL("proxy.lua", import.meta.url);
  const proxies = new Map<string, Proxy>();
  let known = new Map<string, readonly ConnectTarget[]>();
  let subscribe: ((message: ServiceConnectSubscription) => void) | undefined;
  let subscribed = "";
  let image: Promise<Image> | undefined;
  let writing: Promise<void> = Promise.resolve();
  let waiters: (() => void)[] = [];

  const wanted = () =>
    [...new Set([...proxies.values()].flatMap(({ connect }) => connect.aliases.map(({ service }) => service)))].toSorted();

  function tell(): void {
    const services = wanted();
    const text = services.join(" ");
    if (!subscribe || text === subscribed) return;
    subscribed = text;
    subscribe({ messageId: random.uuid(), services });
  }

  const targetsOf = (service: string) =>
    (known.get(service) ?? []).map(({ address, port }) => ({
      address: address === thisMachine ? (network.gateway ?? address) : address,
      port,
    }));

  /** One write after the other, each with what is known then. */
  function write(proxy: Proxy): Promise<void> {
    writing = writing.then(async () => {
      const text = endpointsText(proxy.connect.aliases, targetsOf);
      if (proxy.written === text) return;
      await replace(join(proxy.directory, "endpoints"), text).then(
        () => (proxy.written = text),
        (error: unknown) => log.warn({ err: error, task: proxy.plan.id }, "the proxy's endpoints could not be written"),
      );
    });
    return writing;
  }

  const isKnown = ({ aliases }: PayloadServiceConnect) => aliases.every(({ service }) => known.has(service));

  async function answered(connect: PayloadServiceConnect): Promise<void> {
    const end = clock.now() + answerMs;
    while (!isKnown(connect) && clock.now() < end) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiters.push(resolve);
      const cancel = clock.after(Math.max(1, end - clock.now()), resolve);
      await promise;
      cancel();
    }
  }

  const remember = (plan: TaskPlan, directory: string): Proxy | undefined => {
    const connect = plan.payload.serviceConnect;
    if (!connect) return undefined;
    const proxy: Proxy = { plan, connect, directory, counted: undefined };
    proxies.set(plan.id, proxy);
    return proxy;
  };

  return {
    image() {
      image ??= packProxy(join(options.home, "service-connect"))
        .then((layer) =>
          options.images.make("localhost/ecs-service-connect-agent:interface-v1", {
            layer,
            config: { entrypoint: ["/haproxy", "-db", "-f", `${proxyDirectory}/haproxy.cfg`], stopSignal: "SIGUSR1" },
          }),
        )
        .catch((error: unknown) => {
          image = undefined;
          throw error;
        });
      return image;
    },
    async open(plan, directory, place) {
      const proxy = remember(plan, directory);
      if (!proxy) return;
      tell();
      const { connect } = proxy;
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { recursive: true, mode: 0o700 });
      await answered(connect);
      const text = proxyConfiguration(connect, {
        directory: proxyDirectory,
        bind: ({ address, port }, index) => (place === "aliases" ? `${address}:${port}` : `127.0.0.1:${firstRedirected + index}`),
        slots: ({ service }) =>
          Math.min(largestPool, Math.max(smallestPool, 2 ** Math.ceil(Math.log2(2 * (targetsOf(service).length + 1))))),
      });
      await writeFile(join(directory, "haproxy.cfg"), text, { mode: 0o600 });
      await writeFile(join(directory, "proxy.lua"), await readFile(script), { mode: 0o600 });
      proxy.written = undefined;
      await write(proxy);
    },
    async ready(plan) {
      const proxy = proxies.get(plan.id);
      if (!proxy) return;
      const end = clock.now() + readyMs;
      for (;;) {
        if (await stat(join(proxy.directory, "ready")).catch(() => undefined)) return;
        if (clock.now() >= end) break;
        await sleep(clock, 10);
      }
      log.warn({ task: plan.id }, "the proxy does not say that it serves");
    },
    adopt(plan, directory) {
      if (remember(plan, directory)) tell();
    },
    close(plan) {
      if (proxies.delete(plan.id)) tell();
    },
    update({ services }) {
      known = new Map(services.map(({ id, endpoints }) => [id, endpoints]));
      for (const proxy of proxies.values()) if (isKnown(proxy.connect)) void write(proxy);
      for (const resolve of waiters.splice(0)) resolve();
    },
    connected(next) {
      subscribe = next;
      subscribed = "";
      tell();
    },
    disconnected() {
      subscribe = undefined;
    },
    async metrics(plan) {
      const proxy = proxies.get(plan.id);
      if (!proxy) return [];
      const text = await readFile(join(proxy.directory, "counters"), "utf8").catch(() => "");
      const now = parseCounters(text);
      const told = join(proxy.directory, "told");
      proxy.counted ??= parseCounters(await readFile(told, "utf8").catch(() => ""));
      const between = metricsBetween(proxy.connect.aliases, proxy.counted, now);
      proxy.counted = now;
      // An agent that begins anew must not tell it all again. Between this and the sending it may be lost, which is better than twice.
      if (between.length > 0) await replace(told, text);
      return between;
    },
  };
}

/** Whole or not at all: the proxy reads it at any moment. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
