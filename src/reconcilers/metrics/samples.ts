import type { ContainerMetric, PublishMetricsRequest, StatsSet } from "#agent-protocol/messages.ts";

/** What one container used over one report of its agent (20 seconds). Undefined: the agent did not say. */
export interface ContainerUse {
  readonly name: string;
  /** CPU units: 1024 are one core. */
  readonly cpu: number | undefined;
  /** MiB. */
  readonly memory: number | undefined;
  /** Bytes since the report before. */
  readonly received: number;
  readonly sent: number;
  /** Bytes since the container started. */
  readonly read: number;
  readonly written: number;
}

type Reported = PublishMetricsRequest["taskMetrics"][number];

/** Of an agent's message only what is well-formed; it comes from the network. */
export function usesOf(task: Reported): ContainerUse[] {
  if (!Array.isArray(task.containerMetrics)) return [];
  return (task.containerMetrics as (Partial<ContainerMetric> | null)[]).flatMap((metric) => {
    if (typeof metric?.containerName !== "string") return [];
    const network = metric.networkStatsSet ?? {};
    const storage = metric.storageStatsSet ?? {};
    const cpu = averageOf(metric.cpuStatsSet);
    return [
      {
        name: metric.containerName,
        cpu: cpu === undefined ? undefined : (cpu / 100) * 1024,
        memory: averageOf(metric.memoryStatsSet),
        received: sumOf(network.rxBytes),
        sent: sumOf(network.txBytes),
        read: maxOf(storage.readSizeBytes),
        written: maxOf(storage.writeSizeBytes),
      },
    ];
  });
}

function setOf(value: unknown): Partial<StatsSet> | undefined {
  return typeof value === "object" && value !== null ? (value as Partial<StatsSet>) : undefined;
}

function averageOf(value: unknown): number | undefined {
  const { sum, sampleCount } = setOf(value) ?? {};
  return typeof sum === "number" && typeof sampleCount === "number" && sampleCount > 0 && sum >= 0 ? sum / sampleCount : undefined;
}

function sumOf(value: unknown): number {
  const { sum } = setOf(value) ?? {};
  return typeof sum === "number" && sum > 0 ? sum : 0;
}

function maxOf(value: unknown): number {
  const { max } = setOf(value) ?? {};
  return typeof max === "number" && max > 0 ? max : 0;
}

/** A minute of one task, averaged. */
export interface TaskUse {
  readonly cpu: number | undefined;
  readonly memory: number | undefined;
  /** Bytes a second. */
  readonly received: number;
  readonly sent: number;
  readonly read: number;
  readonly written: number;
  readonly containers: readonly ContainerUse[];
}

/** Adds up a task's reports of one minute. `reports`: one list of containers for each. Pure. */
export function minuteOf(reports: readonly (readonly ContainerUse[])[], seconds = 60): TaskUse {
  const names = [...new Set(reports.flatMap((report) => report.map(({ name }) => name)))];
  const containers = names.map((name): ContainerUse => {
    const own = reports.flatMap((report) => report.filter((use) => use.name === name));
    const mean = (values: readonly (number | undefined)[]) => {
      const known = values.filter((value) => value !== undefined);
      return known.length > 0 ? known.reduce((sum, value) => sum + value, 0) / known.length : undefined;
    };
    const total = (member: "received" | "sent") => own.reduce((sum, use) => sum + use[member], 0) / seconds;
    const last = (member: "read" | "written") => own.reduce((most, use) => Math.max(most, use[member]), 0);
    return {
      name,
      cpu: mean(own.map(({ cpu }) => cpu)),
      memory: mean(own.map(({ memory }) => memory)),
      received: total("received"),
      sent: total("sent"),
      read: last("read"),
      written: last("written"),
    };
  });
  const sum = (member: "received" | "sent" | "read" | "written") => containers.reduce((all, use) => all + use[member], 0);
  // The containers of an awsvpc task share their network: each reports the same counters.
  const shared = (member: "received" | "sent") => containers.reduce((most, use) => Math.max(most, use[member]), 0);
  const known = (member: "cpu" | "memory") => {
    const values = containers.map((use) => use[member]).filter((value) => value !== undefined);
    return values.length > 0 ? values.reduce((all, value) => all + value, 0) : undefined;
  };
  return {
    cpu: known("cpu"),
    memory: known("memory"),
    received: shared("received"),
    sent: shared("sent"),
    read: sum("read"),
    written: sum("written"),
    containers,
  };
}
