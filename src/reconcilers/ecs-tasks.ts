import { ecsKeys, parseEcsKey } from "#model/ecs-keys.ts";
import type { ConnectionRecord, ContainerInstanceRecord, TaskObservation } from "#model/ecs-records.ts";
import { isStopped } from "#model/task-state.ts";
import { fullPassMs, reconnectGraceMs } from "./limits.ts";
import { createDispatcher, type DispatchOptions } from "./dispatch.ts";
import { startExpiry } from "./expiry.ts";
import { followChanges, valueOf } from "./feed.ts";
import { createConnectionRecords, createLostInstances } from "./lost-instances.ts";
import { eachEntry } from "#store/each-entry.ts";

export interface TaskReconcilers {
  start(): void;
  stop(): Promise<void>;
  /** An agent has connected or gone: `instance` is its key in the store. */
  connectionChanged(instance: string): void;
  /** Everything was emptied: tells every agent what is left to run. */
  startOver(): Promise<void>;
  /** Resolves when no reconciler has anything to do. */
  idle(): Promise<void>;
}

export interface TaskReconcilerOptions extends DispatchOptions {
  /** Called with the key of an instance that was deregistered: its agent is to be sent away. */
  readonly deregistered: (instance: string) => void;
}

/** All that happens to tasks by itself: watches what changes, and looks at everything now and then. */
export function createTaskReconcilers(options: TaskReconcilerOptions): TaskReconcilers {
  const { store, clock, log, links } = options;
  const abort = new AbortController();
  let startedAt = clock.now();
  const inGrace = () => clock.now() - startedAt < reconnectGraceMs;
  const dispatcher = createDispatcher(options);
  const lost = createLostInstances(options);
  const connections = createConnectionRecords({ ...options, inGrace });
  const queues = [dispatcher.tasks, dispatcher.agents, dispatcher.credentials, lost, connections];
  const cancels: (() => void)[] = [];

  /** One key that is or was there. The value decides only whether it is worth a look. */
  function look(key: string, value: unknown): void {
    const parsed = parseEcsKey(key);
    if (!parsed) return;
    const { scope, kind, names } = parsed;
    const [cluster, id] = names;
    if (!cluster || !id) return;
    if (kind === "task") {
      if (value !== undefined) dispatcher.tasks.add(key);
    } else if (kind === "task-observed") {
      if (isStopped(value as TaskObservation | undefined)) dispatcher.tasks.add(ecsKeys.task(scope, cluster, id));
    } else if (kind === "connection") {
      const instance = ecsKeys.containerInstance(scope, cluster, id);
      connections.add(instance);
      if ((value as ConnectionRecord | undefined)?.gone) lost.add(instance);
    } else if (kind === "container-instance") {
      const status = (value as ContainerInstanceRecord | undefined)?.status;
      if (status !== undefined && status !== "INACTIVE") return;
      lost.add(key);
      connections.add(key);
      // A record that is gone altogether is no deregistration: a reset lets its agents end their tasks first.
      if (status === "INACTIVE" && links.get(key)) options.deregistered(key);
    }
  }

  async function lookAtAll(): Promise<number> {
    const revision = await eachEntry(store, "/ecs/", look, abort.signal);
    for (const instance of links.instances()) connections.add(instance);
    return revision;
  }

  function periodically(ms: number): void {
    cancels[0] = clock.after(ms, () => {
      lookAtAll()
        .catch((error: unknown) => {
          if (!abort.signal.aborted) log.warn({ err: error }, "the full pass failed, it is tried again");
        })
        .finally(() => {
          if (!abort.signal.aborted) periodically(fullPassMs);
        });
    });
  }

  function renewCredentials(): void {
    cancels[2] = clock.after(options.credentials.renewalMs, () => {
      for (const instance of links.instances()) dispatcher.credentials.add(instance);
      renewCredentials();
    });
  }

  let following: Promise<void> = Promise.resolve();
  return {
    start() {
      startedAt = clock.now();
      following = followChanges({
        store,
        clock,
        log,
        prefix: "/ecs/",
        signal: abort.signal,
        behind: lookAtAll,
        changed: (event) => look(event.key, valueOf(event)),
      });
      // The first full pass is the one that ends the grace.
      periodically(reconnectGraceMs);
      cancels[1] = startExpiry({ store, clock, log });
      renewCredentials();
    },
    async stop() {
      abort.abort();
      for (const cancel of cancels) cancel();
      await Promise.all(queues.map((queue) => queue.stop()));
      await following;
    },
    connectionChanged(instance) {
      connections.add(instance);
      if (links.get(instance)) dispatcher.agents.add(instance);
    },
    async startOver() {
      links.forgetAll();
      for (const instance of links.instances()) {
        connections.add(instance);
        dispatcher.agents.add(instance);
      }
      await dispatcher.agents.idle();
    },
    async idle() {
      for (const queue of queues) await queue.idle();
    },
  };
}
