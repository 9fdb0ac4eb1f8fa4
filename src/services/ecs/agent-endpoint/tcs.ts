import type { PublishHealthRequest, PublishMetricsRequest, TelemetryFromServer } from "#agent-protocol/messages.ts";
import type { GeneralMetricsWrapper } from "#agent-protocol/service-connect.ts";
import type { TaskRecord } from "#model/ecs-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Channel } from "./channel.ts";
import { ConnectTotals } from "./connect-totals.ts";
import { parseTelemetryFrame } from "./telemetry-frame.ts";

const heartbeatMs = 20_000;
const silenceMs = 120_000;

/** The last word of an agent on each task's use, in memory only. */
export interface LatestMetrics {
  readonly receivedAt: number;
  readonly task: PublishMetricsRequest["taskMetrics"][number];
}

/** More tasks than this are not remembered, the longest silent going first. */
const maxTasks = 20_000;

export interface TcsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** What one task used, as it comes. */
  readonly used?: (task: LatestMetrics["task"]) => void;
  /** What the Service Connect proxy of one task counted, as it comes. */
  readonly connected?: ((task: TaskRecord, wrappers: readonly GeneralMetricsWrapper[]) => void) | undefined;
  /** A task that is on the instance: what an agent says of others' is passed over. */
  readonly taskOn: (instance: string, taskArn: string) => Promise<TaskRecord | undefined>;
  /** Health of the containers of one task of `instance` (its key in the store), by name. */
  readonly health: (instance: string, taskArn: string, containers: ReadonlyMap<string, string>) => Promise<void>;
}

export interface Tcs {
  accept(channel: Channel, instance: string): void;
  latest(taskArn: string): LatestMetrics | undefined;
  closeAll(): void;
  forgetAll(): void;
  /** What Service Connect's proxies have counted. */
  readonly connect: ConnectTotals;
}

export function createTcs({ clock, random, log, used, connected, taskOn, health }: TcsOptions): Tcs {
  const channels = new Set<Channel>();
  const metrics = new Map<string, LatestMetrics>();
  const connect = new ConnectTotals();

  function remember(task: LatestMetrics["task"], record: TaskRecord): void {
    const wrappers = listOf(task.serviceConnectMetricsWrapper);
    connect.add(task.taskArn, wrappers, clock.now());
    if (wrappers.length > 0) connected?.(record, wrappers);
    metrics.delete(task.taskArn);
    metrics.set(task.taskArn, { receivedAt: clock.now(), task });
    used?.(task);
    if (metrics.size > maxTasks) metrics.delete(metrics.keys().next().value!);
  }

  async function receive(text: string, instance: string, send: (frame: TelemetryFromServer) => void): Promise<void> {
    const frame = parseTelemetryFrame(text);
    switch (frame?.type) {
      case "PublishMetricsRequest":
        for (const task of listOf((frame.message as Partial<PublishMetricsRequest>).taskMetrics)) {
          const record = typeof task?.taskArn === "string" ? await taskOn(instance, task.taskArn) : undefined;
          if (record) remember(task, record);
        }
        send({ type: "AckPublishMetric", message: {} });
        return;
      case "PublishHealthRequest":
        for (const task of listOf((frame.message as Partial<PublishHealthRequest>).tasks)) {
          const containers = listOf(task.containers).map(({ containerName, healthStatus }) => [containerName, healthStatus] as const);
          await health(instance, task.taskArn, new Map(containers));
        }
        send({ type: "AckPublishHealth", message: {} });
        return;
      case "PublishInstanceStatusRequest":
        send({ type: "AckPublishInstanceStatus", message: {} });
        return;
      case undefined:
        log.warn({ instance, text: text.slice(0, 200) }, "not a telemetry frame");
    }
  }

  return {
    accept(channel, instance) {
      channels.add(channel);
      let heard = clock.now();
      let cancel = () => {};
      const send = (frame: TelemetryFromServer) => channel.send(JSON.stringify(frame));
      const heartbeat = () => {
        if (clock.now() - heard > silenceMs) {
          channel.terminate();
          return;
        }
        send({ type: "HeartbeatMessage", message: { healthy: true, messageId: random.uuid() } });
        channel.ping();
        cancel = clock.after(heartbeatMs, heartbeat);
      };
      const alive = () => {
        heard = clock.now();
      };
      channel.onAlive(alive);
      channel.onMessage((text) => {
        alive();
        receive(text, instance, send).catch((error: unknown) => log.warn({ err: error, instance }, "telemetry could not be handled"));
      });
      channel.onClose(() => {
        cancel();
        channels.delete(channel);
      });
      heartbeat();
    },
    latest: (taskArn) => metrics.get(taskArn),
    closeAll() {
      for (const channel of channels) channel.close(1000);
    },
    forgetAll() {
      metrics.clear();
      connect.forget();
    },
    connect,
  };
}

function listOf<T>(value: readonly T[] | undefined): readonly T[] {
  return Array.isArray(value) ? (value as readonly T[]) : [];
}
