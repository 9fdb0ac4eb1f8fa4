import { availableParallelism } from "node:os";
import type { Counters } from "../network/network.ts";
import type { ContainerStats } from "../runtime.ts";

export interface Sample {
  readonly stats: ContainerStats;
  readonly network: Counters | undefined;
}

/** Docker's stats document (Engine API, GET /containers/{id}/stats, one shot) with the rates that version 4 adds. Pure. */
export function dockerStats(
  names: { readonly id: string; readonly name: string },
  before: Sample | undefined,
  now: Sample,
): Record<string, unknown> {
  const { stats, network } = now;
  const seconds = before ? (stats.readAt - before.stats.readAt) / 1000 : 0;
  const rate = (key: "rxBytes" | "txBytes") =>
    before?.network && network && seconds > 0 ? (network[key] - before.network[key]) / seconds : 0;
  return {
    read: new Date(stats.readAt).toISOString(),
    preread: before ? new Date(before.stats.readAt).toISOString() : "0001-01-01T00:00:00Z",
    name: names.name,
    id: names.id,
    num_procs: 0,
    pids_stats: { current: stats.pids },
    networks: network && {
      eth0: {
        rx_bytes: network.rxBytes,
        rx_packets: network.rxPackets,
        rx_errors: network.rxErrors,
        rx_dropped: network.rxDropped,
        tx_bytes: network.txBytes,
        tx_packets: network.txPackets,
        tx_errors: network.txErrors,
        tx_dropped: network.txDropped,
      },
    },
    memory_stats: {
      usage: stats.memoryBytes,
      max_usage: stats.memoryBytes,
      limit: stats.memoryLimitBytes,
      stats: { cache: stats.memoryCacheBytes, inactive_file: stats.memoryCacheBytes, total_inactive_file: stats.memoryCacheBytes },
    },
    blkio_stats: {
      io_service_bytes_recursive: [
        { major: 0, minor: 0, op: "Read", value: stats.readBytes },
        { major: 0, minor: 0, op: "Write", value: stats.writtenBytes },
      ],
    },
    cpu_stats: cpu(stats),
    precpu_stats: before ? cpu(before.stats) : { cpu_usage: { total_usage: 0 }, throttling_data: {} },
    storage_stats: {},
    network_rate_stats: network && { rx_bytes_per_sec: rate("rxBytes"), tx_bytes_per_sec: rate("txBytes") },
  };
}

function cpu({ cpuNanoseconds, readAt }: ContainerStats): Record<string, unknown> {
  const cores = availableParallelism();
  return {
    cpu_usage: { total_usage: cpuNanoseconds, usage_in_kernelmode: 0, usage_in_usermode: cpuNanoseconds },
    // Docker gives the whole machine's time here; clients use only its growth, which is that of the clock times the cores.
    system_cpu_usage: readAt * 1e6 * cores,
    online_cpus: cores,
    throttling_data: { periods: 0, throttled_periods: 0, throttled_time: 0 },
  };
}
