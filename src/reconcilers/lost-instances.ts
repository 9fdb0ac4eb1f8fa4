import { allocatedTaskKeys, ecsKeys, observedKeyOf, parseEcsKey } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { abandon } from "#model/task-state.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Writer } from "#store/unit.ts";
import { stoppedTaskRetentionMs } from "./limits.ts";
import type { Links } from "./links.ts";
import { createKeyQueue, type KeyQueue } from "./queue.ts";
import { clusterQueue, writeObservation } from "./task-writes.ts";

const tasksAtOnce = 100;

interface Why {
  readonly code: string;
  readonly reason: string;
}

/** Why the tasks of an instance that is gone ended. Source: ECS Developer Guide, "Stopped tasks error messages". */
const deregistered: Why = { code: "UserInitiated", reason: "Container instance deregistration forced by user" };

/** Undefined: its tasks may run. */
function whyAbandoned(instance: ContainerInstanceRecord | undefined, connection: ConnectionRecord | undefined): Why | undefined {
  if (!instance) return deregistered;
  if (instance.status === "INACTIVE")
    return instance.statusReason ? { code: "TerminationNotice", reason: instance.statusReason } : deregistered;
  if (!connection?.gone || connection.connected) return undefined;
  return { code: "TerminationNotice", reason: `Host EC2 (instance ${instance.ec2InstanceId}) stopped.` };
}

/**
 * By an instance's key: tasks of a deregistered instance are STOPPED, since nobody will ever report on them, and those of one whose machine has stopped, since nothing runs there. A merely
 * disconnected agent changes nothing for its tasks: they run on and are reported when it comes back.
 */
export function createLostInstances({ writer, clock, log }: { writer: Writer; clock: Clock; log: Logger }): KeyQueue {
  async function handle(key: string): Promise<void> {
    const parsed = parseEcsKey(key);
    const [cluster, id] = parsed?.names ?? [];
    if (!parsed || !cluster || !id) return;
    const { scope } = parsed;
    const abandonSome = () =>
      writer.run(clusterQueue(scope, cluster), async (unit) => {
        const instance = await unit.get<ContainerInstanceRecord>(key);
        const why = whyAbandoned(instance, await unit.get<ConnectionRecord>(ecsKeys.connection(scope, cluster, id)));
        if (!why) return 0;
        const allocation = await unit.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, id));
        const now = clock.now();
        const keys = allocatedTaskKeys({ ...scope, cluster }, allocation?.tasks ?? {}).slice(0, tasksAtOnce);
        for (const taskKey of keys) {
          const task = await unit.get<TaskRecord>(taskKey);
          const previous = await unit.get<TaskObservation>(observedKeyOf(taskKey));
          const next = task && abandon(task, previous, why, now);
          if (task && next) await writeObservation(unit, parseEcsKey(taskKey)!.scope, task, previous, next, now + stoppedTaskRetentionMs);
        }
        return keys.length;
      });
    let total = 0;
    for (;;) {
      const count = await abandonSome();
      total += count;
      if (count < tasksAtOnce) break;
    }
    if (total > 0) log.info({ instance: id, cluster, tasks: total }, "tasks of an instance that is no more are stopped");
  }
  return createKeyQueue({ clock, log, name: "lost-instances", concurrency: 4, handle });
}

/**
 * By an instance's key: its connection record says what this process sees. `inGrace`: the server has just started, and the agents that
 * were connected before have not had the time to come back.
 */
export function createConnectionRecords(options: {
  readonly writer: Writer;
  readonly clock: Clock;
  readonly log: Logger;
  readonly links: Links;
  readonly inGrace: () => boolean;
}): KeyQueue {
  const { writer, clock, log, links, inGrace } = options;
  return createKeyQueue({
    clock,
    log,
    name: "connections",
    async handle(key) {
      const parsed = parseEcsKey(key);
      const [cluster, id] = parsed?.names ?? [];
      if (!parsed || !cluster || !id) return;
      const { scope } = parsed;
      await writer.run(clusterQueue(scope, cluster), async (unit) => {
        const recordKey = ecsKeys.connection(scope, cluster, id);
        const record = await unit.get<ConnectionRecord>(recordKey);
        const instance = await unit.get<ContainerInstanceRecord>(key);
        const connected = links.get(key) !== undefined;
        if (!instance || instance.status === "INACTIVE") {
          if (!record) return;
          unit.delete(recordKey);
          const version = (instance?.version ?? 0) + (record.changes ?? 0) + 1;
          if (instance) unit.put(key, { ...instance, version } satisfies ContainerInstanceRecord);
          return;
        }
        const gone = !connected && links.isGone(key);
        const known = connected === (record?.connected ?? false) && (!gone || record?.gone === true);
        if (known || (!connected && !gone && inGrace() && !links.seen(key))) return;
        const away = record?.connected === false ? record.since : links.lastSign(key);
        const since = (connected ? undefined : away) ?? clock.now();
        const changes = (record?.changes ?? 0) + (connected === (record?.connected ?? false) ? 0 : 1);
        unit.put(recordKey, { connected, since, ...(gone ? { gone } : {}), changes } satisfies ConnectionRecord);
      });
    },
  });
}
