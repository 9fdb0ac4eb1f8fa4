import { randomUUID } from "node:crypto";
import type {
  ContainerMetric,
  PublishHealthRequest,
  PublishMetricsRequest,
  StatsSet,
  TelemetryFromAgent,
} from "#agent-protocol/messages.ts";
import type { Clock } from "#platform/clock.ts";
import { sign } from "../aws/sigv4.ts";
import type { AwsCredentials } from "../config.ts";
import type { Sampler } from "../metadata/sampler.ts";
import type { Sample } from "../metadata/stats.ts";
import type { ServiceConnect } from "../service-connect/service-connect.ts";
import type { Engine, TaskView } from "../task/engine.ts";
import type { ContainerState } from "../task/state.ts";
import type { Socket } from "./connection.ts";

/** Sends telemetry while a connection is open: metrics and health every 20 s and at once after connecting, health also when it changes. */
export interface Telemetry {
  opened(socket: Socket, url: URL): void;
  closed(): void;
  healthChanged(): void;
}

export interface TelemetryDeps {
  readonly engine: Engine;
  readonly sampler: Sampler;
  /** Absent: no proxies. */
  readonly connect?: Pick<ServiceConnect, "metrics">;
  readonly clock: Clock;
  readonly credentials: AwsCredentials;
  readonly region: string;
  cluster(): string;
  instance(): string;
  /** Whether the runtime answers. */
  runtimeOk(): Promise<boolean>;
}

const periodMs = 20_000;
const tasksPerMessage = 10;

export function createTelemetry(deps: TelemetryDeps): Telemetry {
  const { engine, sampler, clock } = deps;
  let open: { socket: Socket; url: URL } | undefined;
  let cancel = () => {};
  let status: { value: "OK" | "IMPAIRED"; since: number } | undefined;

  const send = (frame: TelemetryFromAgent) => {
    if (!open) return;
    const body = JSON.stringify(frame);
    // Each frame is signed as a GET of the connection's URL whose payload is the frame.
    const headers = sign({
      method: "GET",
      url: open.url,
      headers: {},
      body,
      service: "ecs",
      region: deps.region,
      credentials: deps.credentials,
      now: clock.now(),
    });
    const lines = [
      `Authorization: ${headers.authorization}`,
      `Host: ${headers.host}`,
      `X-Amz-Date: ${headers["x-amz-date"]}`,
      ...(headers["x-amz-security-token"] ? [`X-Amz-Security-Token: ${headers["x-amz-security-token"]}`] : []),
    ];
    open.socket.sendText(`${lines.join("\r\n")}\r\n\r\n${body}`);
  };

  const metadata = (idle: boolean, messageId: string, fin: boolean): PublishMetricsRequest["metadata"] => ({
    cluster: deps.cluster(),
    containerInstance: deps.instance(),
    idle,
    messageId,
    fin,
  });

  const publishMetrics = async () => {
    const running = engine.tasks().filter(({ state }) => state.status === "RUNNING");
    sampler.keep(engine.tasks());
    const taskMetrics = await Promise.all(running.map((view) => taskMetric(view)));
    const messageId = randomUUID();
    const timestamp = clock.now() / 1000;
    if (taskMetrics.length === 0)
      send({ type: "PublishMetricsRequest", message: { metadata: metadata(true, messageId, true), taskMetrics: [], timestamp } });
    for (let start = 0; start < taskMetrics.length; start += tasksPerMessage) {
      const fin = start + tasksPerMessage >= taskMetrics.length;
      const part = taskMetrics.slice(start, start + tasksPerMessage);
      send({ type: "PublishMetricsRequest", message: { metadata: metadata(false, messageId, fin), taskMetrics: part, timestamp } });
    }
  };

  const taskMetric = async ({ plan, state }: TaskView) => ({
    taskArn: plan.arn,
    taskDefinitionFamily: plan.payload.family,
    taskDefinitionVersion: plan.payload.version,
    containerMetrics: (await Promise.all(state.containers.map((container) => containerMetric(container)))).filter(
      (metric) => metric !== undefined,
    ),
    ...(plan.payload.serviceConnect && deps.connect ? { serviceConnectMetricsWrapper: await deps.connect.metrics(plan) } : {}),
  });

  const containerMetric = async (container: ContainerState): Promise<ContainerMetric | undefined> => {
    const sample = await sampler.take(container);
    return sample && metricOf(container.name, sample.before, sample.now);
  };

  const publishHealth = () => {
    const tasks = healthOf(engine.tasks());
    for (let start = 0; start < tasks.length; start += tasksPerMessage) {
      const fin = start + tasksPerMessage >= tasks.length;
      send({
        type: "PublishHealthRequest",
        message: {
          metadata: metadata(false, randomUUID(), fin),
          tasks: tasks.slice(start, start + tasksPerMessage),
          timestamp: clock.now() / 1000,
        },
      });
    }
  };

  const publishStatus = async () => {
    const value = (await deps.runtimeOk()) ? "OK" : "IMPAIRED";
    if (status?.value === value) return;
    status = { value, since: clock.now() };
    const at = new Date(status.since).toISOString();
    send({
      type: "PublishInstanceStatusRequest",
      message: {
        metadata: { cluster: deps.cluster(), containerInstance: deps.instance(), requestId: randomUUID() },
        statuses: [{ type: "ContainerRuntime", status: value, lastUpdated: at, lastStatusChange: at }],
      },
    });
  };

  const tick = () => {
    cancel = clock.after(periodMs, tick);
    void publishMetrics();
    publishHealth();
    void publishStatus();
  };

  return {
    opened(socket, url) {
      open = { socket, url };
      status = undefined;
      cancel();
      tick();
    },
    closed() {
      open = undefined;
      cancel();
    },
    healthChanged: publishHealth,
  };
}

/** CPU in percent of one core over the time since the last reading, memory in MiB without the page cache. Pure. */
export function metricOf(containerName: string, before: Sample | undefined, now: Sample): ContainerMetric {
  const elapsed = before ? now.stats.readAt - before.stats.readAt : 0;
  const cpu = before && elapsed > 0 ? ((now.stats.cpuNanoseconds - before.stats.cpuNanoseconds) / (elapsed * 1e6)) * 100 : undefined;
  const memory = Math.max(0, now.stats.memoryBytes - now.stats.memoryCacheBytes) / 1048576;
  const counter = (value: number, last: number | undefined) => ({
    ...one(value),
    overflowSum: 0,
    overflowMax: 0,
    overflowMin: 0,
    sum: value - (last ?? 0),
  });
  const { network } = now;
  const previous = before?.network;
  return {
    containerName,
    cpuStatsSet: cpu === undefined ? undefined : one(cpu),
    memoryStatsSet: one(Math.round(memory)),
    networkStatsSet: network && {
      rxBytes: counter(network.rxBytes, previous?.rxBytes),
      rxDropped: counter(network.rxDropped, previous?.rxDropped),
      rxErrors: counter(network.rxErrors, previous?.rxErrors),
      rxPackets: counter(network.rxPackets, previous?.rxPackets),
      txBytes: counter(network.txBytes, previous?.txBytes),
      txDropped: counter(network.txDropped, previous?.txDropped),
      txErrors: counter(network.txErrors, previous?.txErrors),
      txPackets: counter(network.txPackets, previous?.txPackets),
    },
    storageStatsSet: { readSizeBytes: one(now.stats.readBytes), writeSizeBytes: one(now.stats.writtenBytes) },
  };
}

function one(value: number): StatsSet {
  return { min: value, max: value, sampleCount: 1, sum: value };
}

/** Tasks with health checks that run. Pure. */
export function healthOf(tasks: readonly TaskView[]): PublishHealthRequest["tasks"] {
  return tasks
    .filter(({ state }) => state.status !== "STOPPED")
    .map(({ plan, state }) => ({
      taskArn: plan.arn,
      taskDefinitionFamily: plan.payload.family,
      taskDefinitionVersion: plan.payload.version,
      containers: state.containers
        .filter(({ name, status }) => plan.containers.get(name)?.healthCheck && status === "RUNNING")
        .map((container) => ({
          containerName: container.name,
          healthStatus: container.health?.status ?? ("UNKNOWN" as const),
          statusSince: (container.health?.since ?? container.startedAt ?? 0) / 1000,
        })),
    }))
    .filter(({ containers }) => containers.length > 0);
}
