import { alarmKeys } from "#model/alarms/keys.ts";
import type { AlarmStateRecord } from "#model/alarms/records.ts";
import { ApiError, type Handler, type RequestContext, type ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ConnectionRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { readConfig } from "#platform/config.ts";
import type { Clock } from "#platform/clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom, type Random } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import type { Channel } from "#services/ecs/agent-endpoint/channel.ts";
import { admit } from "#services/ecs/agent-endpoint/doors.ts";
import type { CallHook } from "#reconcilers/services/hooks.ts";
import { createEcs } from "#services/ecs/index.ts";
import { StoreError, type WatchBatch } from "#store/store.ts";
import { ScriptedAgent, type Health, type ServerDoor, type StateChange } from "./agent.ts";
import { type Balanced, Balancers } from "./balancers.ts";
import { checkTasks } from "./checks.ts";
import { QuickClock } from "./clock.ts";
import { Picture } from "./picture.ts";
import { checkServices, type ServiceCounts } from "./services-checks.ts";
import { traceOf } from "./trace.ts";
import { MemoryDisk, openSession, type Session } from "./memory-store.ts";
import { clusterRecord, definitionWrites, hex, instanceRecord, scope } from "./records.ts";

const cluster = "sim";

type Part = ReturnType<typeof createEcs>;

interface Server {
  readonly part: Part;
  readonly beside: readonly ServerPart[];
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly session: Session;
  alive: boolean;
  readonly channels: Set<() => void>;
  /** Resolves when it dies. */
  readonly died: Promise<undefined>;
  readonly die: () => void;
}

export interface WorldOptions {
  readonly instances: number;
  /** 0: agents that never err. 1: everything that can go wrong does so often. */
  readonly chaos: number;
  /** The machines are Fargate's too. */
  readonly fargate?: boolean;
  /** By family: its revisions. */
  readonly definitions?: Readonly<Record<string, readonly Record<string, unknown>[]>>;
  /** What lifecycle hooks are answered: any Lambda function `hook`. */
  readonly callHook?: CallHook;
  /** Services that get a load balancer: by their names. */
  readonly balanced?: readonly string[];
  /** Parts of the server beside ECS; their operations are called `<service>:<operation>`. */
  readonly beside?: (deps: ServerDeps, ecs: Part) => readonly ServerPart[];
  /** Each server that has started. */
  readonly started?: (part: Part) => void;
  /** Each write, before it is in the picture. Throws where it must not be. */
  readonly check?: (batch: WatchBatch, picture: Picture) => void;
}

const container = (name: string, more: object) => ({ name, image: "busybox", essential: true, ...more });

const taskDefinitions = {
  web: [{ containerDefinitions: [container("web", { cpu: 256, memory: 512, portMappings: [{ containerPort: 80, hostPort: 8080 }] })] }],
  "batch-job": [
    { containerDefinitions: [container("job", { cpu: 512, memory: 256 }), container("side", { cpu: 0, memory: 64, essential: false })] },
  ],
  big: [{ cpu: "1024", memory: "2048", containerDefinitions: [container("big", {})] }],
};

/** What happens at a write: the server is killed just before or just behind it, or the changes from there on are lost to it, and it reads everything again. */
export const fates = ["killed before", "killed behind", "changes lost at"] as const;
export type Fate = (typeof fates)[number];

/** API handlers, store and reconcilers of one server in this process, scripted agents around it, and nothing left to chance but the seed. */
export class World {
  readonly clock = new QuickClock();
  readonly random: Random;
  readonly disk = new MemoryDisk();
  readonly agents: ScriptedAgent[] = [];
  /** What lies on the disk. */
  readonly picture = new Picture();
  readonly counts: ServiceCounts = { starts: 0, stops: 0, healthyStops: 0, rollbacks: 0 };
  /** Payload frames that reached an agent. */
  payloads = 0;
  /** No write is taken. */
  diskFull = false;
  /** What the checks after each write found. */
  readonly violations: Error[] = [];
  #server: Server | undefined;
  /** Writes until the server dies; undefined: it lives. */
  #fuse: number | undefined;
  #fuseAfter = false;
  /** Writes until the server's watches lose changes. */
  #losesIn: number | undefined;

  readonly balancers = new Balancers(this);
  readonly balanced = new Map<string, Balanced>();
  readonly #fargate: boolean;
  readonly #callHook: CallHook;
  readonly #options: WorldOptions;

  constructor(seed: number, options: WorldOptions) {
    this.#options = options;
    this.#fargate = options.fargate ?? false;
    this.#callHook = options.callHook ?? (async () => ({ hookStatus: "SUCCEEDED" }));
    this.random = seededRandom(seed);
    this.disk.onWrite = (batch) => this.#check(batch);
    const capacityProviders = this.#fargate ? ["FARGATE", "FARGATE_SPOT"] : [];
    this.#put(ecsKeys.cluster(scope, cluster), { ...clusterRecord(cluster), capacityProviders });
    for (const [family, revisions] of Object.entries(options.definitions ?? taskDefinitions))
      for (const write of definitionWrites(family, ...revisions)) this.#put(write.put, write.value);
    for (const name of options.balanced ?? []) this.balanced.set(name, this.balancers.add(name));
    for (let i = 0; i < options.instances; i++) this.addInstance(seed * 1000 + i, options.chaos);
  }

  /** A machine that has registered and whose agent has not connected yet. `ec2InstanceId`: of a local instance. */
  addInstance(seed: number, chaos = 0, ec2InstanceId?: string): ScriptedAgent {
    const number = this.agents.length;
    const id = hex(number + 1);
    this.#put(ecsKeys.containerInstance(scope, cluster, id), {
      ...instanceRecord(cluster, id, {
        zone: number % 2 ? "us-east-1b" : "us-east-1a",
        ...(this.#fargate ? { attributes: { "gantry.fargate": "true" } } : {}),
      }),
      ...(ec2InstanceId === undefined ? {} : { ec2InstanceId }),
    });
    if (this.#fargate) this.#put(ecsKeys.fargateNode(scope, cluster, id), { ...scope, cluster, id });
    const agent = new ScriptedAgent({ instance: id, cluster, clock: this.clock, random: seededRandom(seed), door: this.#door, chaos });
    this.agents.push(agent);
    return agent;
  }

  /** What CloudWatch writes: an alarm that needs a minute to notice, and its state from now on. */
  setAlarm(name: string, value: AlarmStateRecord["value"]): void {
    const metric = { dimensions: [], period: 60, evaluationPeriods: 1, threshold: 1, comparisonOperator: "GreaterThanThreshold" };
    this.#put(alarmKeys.alarm(scope, name), { name, ...scope, metric });
    const now = this.clock.now();
    this.#put(alarmKeys.state(scope, name), { value, reason: "", updated: now, transitioned: now } satisfies AlarmStateRecord);
  }

  #put(key: string, value: unknown): void {
    this.disk.apply({ writes: [{ put: key, value }] });
  }

  async startServer(): Promise<void> {
    if (this.#server?.alive) return;
    const { promise: died, resolve } = Promise.withResolvers<undefined>();
    const die = () => resolve(undefined);
    const server: Server = {
      part: undefined as unknown as Part,
      beside: [],
      handlers: {},
      session: undefined as unknown as Session,
      alive: true,
      channels: new Set(),
      died,
      die,
    };
    const session = openSession(this.disk, () => {
      if (this.diskFull) return "full";
      if (this.#losesIn !== undefined && this.#losesIn-- <= 0) {
        this.#losesIn = undefined;
        session.compact();
      }
      if (this.#fuse === undefined || this.#fuse-- > 0) return "go";
      this.#fuse = undefined;
      const after = this.#fuseAfter;
      // The process dies with this write; what it held open closes a moment later.
      server.alive = false;
      void Promise.resolve().then(() => this.#bury(server));
      return after ? "after" : "before";
    });
    let timers = 0;
    const clock: Clock = {
      now: () => this.clock.now(),
      // Node's come up to a millisecond early: every other one here.
      after: (ms, action) => this.clock.after(ms > 1 && timers++ % 2 === 0 ? ms - 1 : ms, () => server.alive && action()),
    };
    const deps: ServerDeps = {
      store: session.store,
      clock,
      random: this.random,
      vault: createVault([new Uint8Array(32)]),
      sealer: createSealer(new Uint8Array(32)),
      config: readConfig({ GANTRY_LIFECYCLE_HOOKS: '{"hook":"http://127.0.0.1:9/"}' }),
      log: silentLogger,
    };
    const part = createEcs({ ...deps, callHook: this.#callHook });
    const beside = this.#options.beside?.(deps, part) ?? [];
    const handlers: Record<string, Handler> = {};
    for (const registration of part.registrations ?? []) Object.assign(handlers, registration.handlers);
    for (const { service, handlers: of } of beside.flatMap(({ registrations }) => registrations ?? []))
      for (const [operation, handler] of Object.entries(of)) handlers[`${service}:${operation}`] = handler;
    Object.assign(server, { part, beside, handlers, session });
    this.#server = server;
    for (const each of [...beside, part]) await Promise.race([each.start?.(), server.died]);
    if (server.alive) this.#options.started?.(part);
  }

  /** Dies at the write with this number from now: just before it or just behind it. */
  killAtWrite(number: number, after: boolean): void {
    this.#fuse = number;
    this.#fuseAfter = after;
  }

  async stopServer(): Promise<void> {
    const server = this.#server;
    if (!server?.alive) return;
    const stopped = Promise.all([...server.beside, server.part].map(async (each) => each.stop?.()));
    await Promise.race([stopped, this.clock.advance(50)]);
    server.alive = false;
    this.#bury(server);
  }

  /** At the write with this number from now. */
  happen(fate: Fate, number: number): void {
    if (fate === "changes lost at") this.loseChangesAtWrite(number);
    else this.killAtWrite(number, fate === "killed behind");
  }

  /** At the write with this number from now the server's watches lag too far behind: it has to read everything again. */
  loseChangesAtWrite(number: number): void {
    this.#losesIn = number;
  }

  killServer(): void {
    const server = this.#server;
    if (!server) return;
    server.alive = false;
    this.#bury(server);
  }

  get serverAlive(): boolean {
    return this.#server?.alive ?? false;
  }

  /** Keeps the server up whatever happens from here on. */
  disarm(): void {
    this.#fuse = undefined;
  }

  #bury(server: Server): void {
    server.session.kill();
    server.die();
    for (const close of server.channels) close();
    server.channels.clear();
    if (this.#server === server) this.#server = undefined;
  }

  /** Calls an operation; undefined when the server dies before it answers. Errors of the API are returned. */
  async call<T>(operation: string, input: object): Promise<T | ApiError | undefined> {
    const server = this.#server;
    if (!server?.alive) return undefined;
    const handler = server.handlers[operation];
    if (!handler) throw new Error(`there is no operation ${operation}`);
    const answer = Promise.resolve()
      .then(() => handler(input as never, this.#context()))
      .catch((error: unknown) => {
        if (error instanceof ApiError) return error;
        if (error instanceof StoreError && error.code === "Full") return undefined;
        throw error;
      }) as Promise<T | ApiError | undefined>;
    const result = await Promise.race([answer, server.died]);
    return server.alive ? result : undefined;
  }

  #context(): RequestContext {
    const accessKeyId = "test";
    return {
      requestId: "request",
      ...scope,
      principal: { account: scope.account, arn: "arn:aws:iam::000000000000:root", userId: scope.account, accessKeyId },
      now: this.clock.now(),
      endpoint: "http://localhost:4566",
      sourceIp: "127.0.0.1",
      userAgent: "simulation",
      signal: new AbortController().signal,
      log: silentLogger,
    };
  }

  readonly #door: ServerDoor = {
    connect: async (agent) => {
      const server = this.#server;
      if (!server?.alive) return undefined;
      const admission = await Promise.race([admit(server.session.store, scope, cluster, agent.instance, undefined), server.died]);
      if (!admission || !server.alive) return undefined;
      if ("error" in admission) {
        if (admission.error === "InactiveInstanceException") agent.dismissed = true;
        throw new Error(admission.error);
      }
      return this.#join(server, agent, admission.instance);
    },
    submit: async (change: StateChange) => {
      const result = await this.call("SubmitTaskStateChange", change);
      if (result === undefined) throw new Error("no answer");
      if (result instanceof ApiError) throw result;
    },
    health: async (agent, health) => {
      const server = this.#server;
      if (!server?.alive) throw new Error("no answer");
      await Promise.race([this.#tell(server, agent, health), server.died]);
      if (!server.alive) throw new Error("no answer");
    },
  };

  /** Over a telemetry connection of its own, which ends with the answer. */
  #tell(server: Server, agent: ScriptedAgent, tasks: readonly Health[]): Promise<void> {
    return new Promise((resolve) => {
      let onMessage = (_text: string) => {};
      let onClose = () => {};
      const end = () => onClose();
      server.part.tcs.accept(
        {
          send(text) {
            if (!text.startsWith('{"type":"AckPublishHealth"')) return;
            end();
            resolve();
          },
          ping: () => {},
          close: end,
          terminate: end,
          onMessage: (listener) => (onMessage = listener),
          onAlive: () => {},
          onClose: (listener) => (onClose = listener),
        },
        ecsKeys.containerInstance(scope, cluster, agent.instance),
      );
      const message = {
        tasks: tasks.map(({ task, containers, status }) => ({
          taskArn: task,
          containers: containers.map((containerName) => ({ containerName, healthStatus: status })),
        })),
      };
      onMessage(JSON.stringify({ type: "PublishHealthRequest", message }));
    });
  }

  #join(server: Server, agent: ScriptedAgent, instance: string): Channel {
    let open = true;
    let onMessage = (_text: string) => {};
    let onAlive = () => {};
    let onClose = () => {};
    const end = () => {
      if (!open) return;
      open = false;
      server.channels.delete(end);
      if (server.alive) onClose();
      agent.closed(channel);
    };
    const later = (action: () => void) => void this.clock.after(1, () => open && action());
    const channel: Channel = {
      send: (text) => {
        // Most frames are heartbeats: what comes of them is known without a journey.
        if (text.startsWith('{"type":"HeartbeatMessage"')) return;
        later(() => {
          if (text.startsWith('{"type":"PayloadMessage"')) this.payloads++;
          agent.receive(channel, text, (answer) => later(() => server.alive && onMessage(answer)));
        });
      },
      ping: () => queueMicrotask(() => open && server.alive && agent.responsive && onAlive()),
      close: () => later(end),
      terminate: end,
      onMessage: (listener) => (onMessage = listener),
      onAlive: (listener) => (onAlive = listener),
      onClose: (listener) => (onClose = listener),
    };
    server.channels.add(end);
    queueMicrotask(() => server.alive && server.part.acs.accept(channel, instance, "http://localhost:4566"));
    return channel;
  }

  records<T>(prefix: string): T[] {
    return this.disk.list(prefix).map(({ value }) => value as T);
  }

  tasks(): { task: TaskRecord; observation: TaskObservation | undefined }[] {
    return this.records<TaskRecord>(ecsKeys.tasks(scope, cluster)).map((task) => ({
      task,
      observation: this.disk.entries.get(ecsKeys.taskObserved(scope, cluster, task.id))?.value as TaskObservation | undefined,
    }));
  }

  setInstanceStatus(id: string, status: ContainerInstanceRecord["status"]): void {
    const key = ecsKeys.containerInstance(scope, cluster, id);
    const record = this.disk.entries.get(key)!.value as ContainerInstanceRecord;
    this.disk.apply({ writes: [{ put: key, value: { ...record, status, version: record.version + 1 } }] });
  }

  connection(id: string): boolean {
    return (this.disk.entries.get(ecsKeys.connection(scope, cluster, id))?.value as ConnectionRecord | undefined)?.connected ?? false;
  }

  /** The invariants, at each write. */
  #check(batch: WatchBatch): void {
    if (process.env.TRACE !== undefined) console.log(traceOf(batch, this.clock.now()));
    try {
      this.#options.check?.(batch, this.picture);
      const after = [
        checkTasks(this.picture, batch),
        checkServices(this.picture, batch, this.clock.now(), this.counts),
        this.balancers.check(batch),
      ];
      this.picture.apply(batch, this.clock.now());
      for (const check of after) check();
      this.balancers.follow(batch);
    } catch (error) {
      this.violations.push(error as Error);
    }
  }
}
