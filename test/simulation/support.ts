import type { FromServer } from "#agent-protocol/messages.ts";
import type { RequestContext } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { FamilyRecord, TaskDefinitionRecord } from "#model/ecs-records.ts";
import { readConfig } from "#platform/config.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { seededRandom } from "#platform/random.ts";
import { createSealer } from "#platform/sealer.ts";
import { createVault } from "#platform/vault.ts";
import type { Channel } from "#services/ecs/agent-endpoint/channel.ts";
import { createEcsTasks, type EcsTasks } from "#services/ecs/tasks/index.ts";
import { MemoryDisk, openSession } from "./memory-store.ts";
import { clusterRecord, definitionRecord, hex, instanceRecord, scope } from "./records.ts";

/** One server over a store in memory, on a clock that the test moves. */
export class SmallWorld {
  readonly clock = new FakeClock();
  readonly disk = new MemoryDisk();
  readonly part: EcsTasks;
  /** The newest ACTIVE revision by family. */
  readonly #active = new Map<string, number>();

  constructor() {
    this.put(ecsKeys.cluster(scope, "default"), clusterRecord("default"));
    this.define("app", { containerDefinitions: [{ name: "app", image: "busybox", essential: true, cpu: 100, memory: 100 }] });
    this.part = createEcsTasks({
      store: openSession(this.disk).store,
      clock: this.clock,
      random: seededRandom(7),
      vault: createVault([new Uint8Array(32)]),
      sealer: createSealer(new Uint8Array(32)),
      config: readConfig({}),
      log: silentLogger,
    });
  }

  put(key: string, value: unknown): void {
    this.disk.apply({ writes: [{ put: key, value }] });
  }

  define(family: string, definition: Record<string, unknown>, more: object = {}, revision = 1): void {
    const record: TaskDefinitionRecord = { ...definitionRecord(family, revision, definition), ...more };
    this.put(ecsKeys.taskDefinition(scope, family, revision), record);
    const active = record.status === "ACTIVE" ? revision : this.#active.get(family);
    if (active !== undefined) this.#active.set(family, active);
    this.put(ecsKeys.family(scope, family), {
      revision,
      kept: revision,
      ...(active === undefined ? {} : { active }),
    } satisfies FamilyRecord);
  }

  /** A registered instance whose agent is connected as far as the records say. */
  addInstance(n: number, options: Parameters<typeof instanceRecord>[2] = {}, connected = true): string {
    const id = hex(n);
    this.put(ecsKeys.containerInstance(scope, "default", id), instanceRecord("default", id, options));
    if (connected) this.put(ecsKeys.connection(scope, "default", id), { connected: true, since: 0 });
    return id;
  }

  async call<T>(operation: string, input: object, from = scope): Promise<T> {
    const principal = { account: from.account, arn: "arn:aws:iam::000000000000:root", userId: scope.account, accessKeyId: "test" };
    const context: RequestContext = {
      requestId: "r",
      ...from,
      principal,
      now: this.clock.now(),
      endpoint: "http://localhost:4566",
      sourceIp: "127.0.0.1",
      userAgent: "test",
      signal: new AbortController().signal,
      log: silentLogger,
    };
    return (await this.part.registrations![0]!.handlers[operation]!(input as never, context)) as T;
  }

  /** Connects an agent that only listens. */
  connect(instance: string, key = ecsKeys.containerInstance(scope, "default", instance)): SilentAgent {
    const agent = new SilentAgent();
    this.part.acs.accept(agent.channel, key, "http://localhost:4566");
    return agent;
  }
}

export class SilentAgent {
  readonly frames: FromServer[] = [];
  open = true;
  /** Whether it answers pings, as websockets do by themselves. */
  answers = true;
  #say = (_text: string) => {};
  #alive = () => {};
  #end = () => {};

  readonly channel: Channel = {
    send: (text) => void (this.open && this.frames.push(JSON.parse(text) as FromServer)),
    ping: () => queueMicrotask(() => this.open && this.answers && this.#alive()),
    close: () => this.drop(),
    terminate: () => this.drop(),
    onMessage: (listener) => (this.#say = listener),
    onAlive: (listener) => (this.#alive = listener),
    onClose: (listener) => (this.#end = listener),
  };

  drop(): void {
    if (!this.open) return;
    this.open = false;
    this.#end();
  }

  alive(): void {
    this.#alive();
  }

  say(type: string, message: object): void {
    this.#say(JSON.stringify({ type, message }));
  }

  get payloads() {
    return this.frames.flatMap((frame) => (frame.type === "PayloadMessage" ? [frame.message] : []));
  }
}
