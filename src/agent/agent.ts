import type { Clock } from "#platform/clock.ts";
import { sleep } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import { createAwsClient } from "./aws/client.ts";
import { sign } from "./aws/sigv4.ts";
import type { AgentConfig } from "./config.ts";
import { createAcsHandler } from "./control/acs.ts";
import { runConnection } from "./control/connection.ts";
import { agentHash, agentVersion, register } from "./control/registration.ts";
import { createReporter } from "./control/reporter.ts";
import { createTelemetry } from "./control/tcs.ts";
import { openJournal } from "./journal.ts";
import { createExecSessions } from "./exec/sessions.ts";
import { createLogDrivers } from "./logs/drivers.ts";
import { createForward } from "./metadata/forward.ts";
import { createSampler } from "./metadata/sampler.ts";
import { createInstanceMetadata } from "./metadata/instance-metadata.ts";
import { createMetadataServer } from "./metadata/server.ts";
import { metadataVariables } from "./metadata/variables.ts";
import { createLoadBalancing, type LoadBalancing } from "./load-balancing/load-balancing.ts";
import { createInstances } from "./instances/instances.ts";
import { choosePort } from "./network/choose-port.ts";
import { createNetwork, type Network, type NetworkOptions } from "./network/network.ts";
import { createRegistryLogins } from "./registry-logins.ts";
import type { Runtime } from "./runtime.ts";
import { createServiceConnect } from "./service-connect/service-connect.ts";
import { createTaskSecrets } from "./secrets/fetch.ts";
import { createTaskStorage, type TaskStorage } from "./storage/storage.ts";
import { createEngine, removeAll, type Engine } from "./task/engine.ts";
import type { TaskCgroups, World } from "./task/world.ts";

export interface AgentDeps {
  readonly config: AgentConfig;
  readonly runtime: Runtime;
  readonly cgroups: TaskCgroups;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The journal can't be written any more: the process must end and begin again. Default: an uncaught exception. */
  readonly fatal?: (error: unknown) => void;
  /** Others than the kernel's, for tests. */
  readonly storage?: TaskStorage;
  readonly network?: (options: NetworkOptions) => Network;
  readonly loadBalancing?: LoadBalancing;
}

export interface Agent {
  readonly engine: Engine;
  /** Leaves without touching any task. */
  stop(): Promise<void>;
  /** Stops all tasks and removes what this Gantry made on the machine; returns what remains. */
  tearDown(): Promise<readonly string[]>;
}

/** Takes up the journaled tasks, then connects to the control plane and stays connected. Resolves as soon as tasks are in hand; registration goes on behind. */
export async function startAgent(deps: AgentDeps): Promise<Agent> {
  const { config, runtime, cgroups, clock, random, log } = deps;
  const journal = openJournal(config.dataDir, () => clock.now());
  const over = new AbortController();
  const { signal } = over;
  let instanceArn = journal.get("containerInstanceArn") ?? "";
  // In ARNs and labels the cluster is the whole ARN once it is known.
  const cluster = () => config.cluster;
  const instance = () => instanceArn;

  const keptPort = async (name: string) => {
    const port = await choosePort(Number(journal.get(name) ?? 0));
    journal.set(name, String(port));
    return port;
  };
  const metadataPort = await keptPort("metadataPort");
  const instancePort = config.instanceRole === undefined ? undefined : await keptPort("instanceMetadataPort");
  const bridged = config.metadataHopLimit >= 2;
  const network = (deps.network ?? createNetwork)({
    instance: config.instance,
    dynamicPorts: config.dynamicPorts,
    metadataPort: () => metadataPort,
    instanceMetadataPort: bridged ? instancePort : undefined,
    isInstance: config.ec2Instance !== undefined,
    memory: journal,
    random,
    clock,
    log,
  });
  const storage = deps.storage ?? createTaskStorage({ home: config.home, clock, log });
  const { home, dataDir } = config;
  const balancing = deps.loadBalancing ?? createLoadBalancing({ home, dataDir, instance: config.instance, network, clock, random, log });
  const connect = createServiceConnect({ home, images: runtime.images, network, clock, random, log });
  const instances = createInstances({ config, network, clock, random, log });
  const logs = createLogDrivers({ config, clock, random, log, journal });
  const world: World = {
    config,
    clock,
    random,
    log,
    runtime,
    cgroups,
    storage,
    network,
    logs,
    journal,
    registry: createRegistryLogins({ config, clock, random }),
    connect,
    secrets: createTaskSecrets({ config, clock, random }),
    metadataVariables: (plan, task, container) => metadataVariables(plan, task, container, metadataPort, instancePort),
    cluster,
  };
  const ecs = createAwsClient({
    service: "ecs",
    endpoint: config.endpoint,
    region: config.region,
    credentials: config.credentials,
    clock,
    random,
  });
  const reporter = createReporter({ journal, ecs, clock, log, cluster });
  const sampler = createSampler(world);
  const engine = createEngine(world, {
    reported: (arn) => reporter.poke(arn),
    health: () => telemetry.healthChanged(),
    fatal: deps.fatal ?? rethrow,
  });
  const telemetry = createTelemetry({
    engine,
    connect,
    sampler,
    clock,
    credentials: config.credentials,
    region: config.region,
    cluster,
    instance,
    runtimeOk: () =>
      runtime.version().then(
        () => true,
        () => false,
      ),
  });
  const version = await untilReady(runtime, clock, log, signal);
  const exec = createExecSessions({ config, runtime, engine, clock, random, log, target, cluster, instance });
  instances.adopt();
  await exec.recover();
  await engine.recover();
  await instances.start();
  balancing.start();
  const forward = createForward(config.endpoint);
  const metadata = createMetadataServer({ world, engine, sampler, forward, tags: (view) => tagsOf(view.plan.arn) });
  await metadata.listen("127.0.0.1", metadataPort);
  if (network.gateway) await metadata.listen(network.gateway, metadataPort);
  const instanceMetadata =
    config.instanceRole === undefined
      ? undefined
      : createInstanceMetadata(config.instanceRole, { config, engine, journal, clock, random, log, instance });
  for (const address of ["127.0.0.1", ...(bridged && network.gateway ? [network.gateway] : [])])
    await instanceMetadata?.listen(address, instancePort!);

  const tagsOf = async (taskArn: string) => {
    const list = async (resourceArn: string) => {
      const { tags } = await ecs.call<{ tags?: { key: string; value: string }[] }>("ListTagsForResource", { resourceArn }, { attempts: 2 });
      return Object.fromEntries((tags ?? []).map(({ key, value }) => [key, value]));
    };
    const [task, own] = await Promise.all([list(taskArn).catch(() => ({})), list(instanceArn).catch(() => ({}))]);
    return { ContainerInstanceTags: own, TaskTags: task };
  };

  const connected = (async () => {
    while (!signal.aborted) {
      const registration = await register({ config, ecs, journal, clock, random, log, runtimeVersion: version }, signal);
      instanceArn = registration.containerInstanceArn;
      if (registration.anew)
        engine.stopAll("The container instance was registered anew; the control plane does not know this task any more");
      reporter.pokeAll();
      const session = new AbortController();
      const both = AbortSignal.any([signal, session.signal]);
      await Promise.all([acs(both, session), tcs(both)]);
      reporter.hold();
    }
  })().catch((error: unknown) => {
    if (!signal.aborted) log.fatal({ err: error }, "the connection to the control plane ended");
  });

  /** Where to connect, asked once an instance and then every 12 hours, as the standard agent does. */
  let endpoints: { at: number; instance: string; endpoint: string; telemetryEndpoint: string } | undefined;
  async function discover(): Promise<{ endpoint: string; telemetryEndpoint: string }> {
    if (endpoints && endpoints.instance === instanceArn && clock.now() - endpoints.at < 43_200_000) return endpoints;
    const answer = await ecs.send<{ endpoint?: string; telemetryEndpoint?: string }>(
      "DiscoverPollEndpoint",
      { cluster: config.cluster, containerInstance: instanceArn },
      signal,
    );
    endpoints = {
      at: clock.now(),
      instance: instanceArn,
      endpoint: answer.endpoint ?? config.endpoint,
      telemetryEndpoint: answer.telemetryEndpoint ?? config.endpoint,
    };
    return endpoints;
  }

  function target(base: string, query: Record<string, string>): { url: URL; headers: Record<string, string> } {
    const url = new URL(`${base.replace(/\/+$/, "")}/ws`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    // A form's "+" for a space is a plus sign to SigV4.
    url.search = url.search.replaceAll("+", "%20");
    const { host: _host, ...headers } = sign({
      method: "GET",
      url,
      headers: {},
      body: "",
      service: "ecs",
      region: config.region,
      credentials: config.credentials,
      now: clock.now(),
    });
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    return { url, headers };
  }

  async function acs(aborted: AbortSignal, session: AbortController): Promise<void> {
    const handler = createAcsHandler({
      engine,
      log,
      vpcs: (states) => network.updateVpcs(states),
      loadBalancers: (message) => balancing.update(message),
      serviceConnect: (message) => connect.update(message),
      exec: (message) => exec.start(message),
      instances: (list) => instances.update(list),
      instanceCredentials: (list) => instances.identify(list),
      cluster,
      instance,
    });
    let sendCredentials = true;
    await runConnection(
      {
        name: "ACS",
        clock,
        random,
        log,
        target: async () => {
          const { endpoint } = await discover();
          return target(endpoint, {
            agentHash,
            agentVersion,
            clusterArn: config.cluster,
            containerInstanceArn: instanceArn,
            dockerVersion: version,
            protocolVersion: "2",
            sendCredentials: String(sendCredentials),
            seqNum: "1",
          });
        },
        opened: (socket) => {
          balancing.connected((frame) => socket.send(frame));
          connect.connected((message) => socket.send({ type: "ServiceConnectSubscription", message }));
          // An instance has none within it.
          if (!config.ec2Instance) instances.connected((message) => socket.send({ type: "InstanceReportMessage", message }));
          sendCredentials = false;
          exec.connected();
          reporter.pokeAll();
        },
        frame: (type, message, socket) => handler.frame(type, message, socket),
        closed: () => {
          balancing.disconnected();
          connect.disconnected();
          instances.disconnected();
        },
        refused: (text) => forgotten(text),
      },
      aborted,
    );
    session.abort();
  }

  async function tcs(aborted: AbortSignal): Promise<void> {
    let url: URL | undefined;
    await runConnection(
      {
        name: "TCS",
        clock,
        random,
        log,
        target: async () => {
          const { telemetryEndpoint } = await discover();
          const next = target(telemetryEndpoint, {
            agentHash,
            agentVersion,
            cluster: config.cluster,
            containerInstance: instanceArn,
            dockerVersion: version,
          });
          url = new URL(next.url);
          url.protocol = url.protocol === "wss:" ? "https:" : "http:";
          return next;
        },
        opened: (socket) => telemetry.opened(socket, url as URL),
        frame: () => {},
        closed: () => telemetry.closed(),
        refused: () => false,
      },
      aborted,
    );
  }

  /** The control plane knows neither this instance nor, perhaps, its cluster any more: register again. The standard agent would wait for an hour. */
  function forgotten(text: string): boolean {
    const gone = /InactiveInstance|InvalidInstance|InvalidCluster|ClusterNotFound|InstanceNotFound|not registered/i.test(text);
    if (gone) {
      log.warn({ answer: text.slice(0, 300) }, "the control plane does not know this instance any more, registering again");
      endpoints = undefined;
    }
    return gone;
  }

  const cancelPrune = every(clock, config.imageCleanup?.intervalMs, async () => {
    const removed = await runtime.images.prune(clock.now() - (config.imageCleanup?.minimumAgeMs ?? 0));
    if (removed.length > 0) log.info({ removed }, "images that nobody used were removed");
  });

  const cancelRefresh = every(clock, 60_000, () => network.refresh());

  const stop = async () => {
    cancelPrune();
    cancelRefresh();
    await exec.close();
    over.abort();
    await metadata.close();
    forward.close();
    await instanceMetadata?.close();
    await connected;
    await reporter.drained(2_000);
    reporter.close();
    engine.close();
    logs.close();
    await balancing.close();
    await instances.close();
    await network.close();
    journal.close();
  };

  return {
    engine,
    stop,
    async tearDown() {
      await instances.tearDown();
      engine.stopAll("The agent of this machine was taken down");
      await Promise.race([engine.idle(), sleep(clock, 15_000)]);
      await reporter.drained(2_000);
      engine.close();
      await removeAll(world);
      await storage.tearDown();
      await balancing.tearDown();
      await network.tearDown();
      await cgroups.remove(`/gantry-${config.instance}`);
      for (const { plan } of engine.tasks()) journal.forget(plan.arn);
      const remaining = (await runtime.list()).map(({ id }) => `container ${id}`);
      await stop();
      return remaining;
    },
  };
}

function rethrow(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

async function untilReady(runtime: Runtime, clock: Clock, log: Logger, signal: AbortSignal): Promise<string> {
  for (let failures = 0; ; failures++) {
    try {
      const { name, version } = await runtime.version();
      return `${name} ${version}`;
    } catch (error) {
      signal.throwIfAborted();
      if (failures === 0 || failures === 20) log.warn({ err: error }, "the container runtime does not answer yet");
      await sleep(clock, Math.min(2_000, 100 * (failures + 1)), signal);
    }
  }
}

function every(clock: Clock, ms: number | undefined, action: () => Promise<void>): () => void {
  if (ms === undefined) return () => {};
  let cancel = () => {};
  const next = () => {
    cancel = clock.after(ms, () => {
      next();
      action().catch(() => {});
    });
  };
  next();
  return () => cancel();
}
