import type { GeneralMetricsWrapper, PayloadConnectAlias } from "#agent-protocol/service-connect.ts";
import { isTcp } from "./configuration.ts";

/** What one backend of a proxy has counted since it started. */
export interface Counters {
  readonly connections: number;
  readonly total: number;
  readonly bytes: number;
  readonly requests: number;
  readonly codes: readonly [success: number, redirect: number, client: number, server: number];
  /** Of the last 1,024 requests, milliseconds to the answer; of connections their whole time. */
  readonly responseMs: number;
}

/** proxy.lua's file, by the alias's index. Pure. */
export function parseCounters(text: string): ReadonlyMap<number, Counters> {
  const found = new Map<number, Counters>();
  for (const line of text.split("\n")) {
    const [name = "", ...values] = line.split(" ");
    const index = Number(/^b(\d+)$/.exec(name)?.[1] ?? Number.NaN);
    const [scur = 0, stot = 0, bin = 0, bout = 0, requests = 0, h2 = 0, h3 = 0, h4 = 0, h5 = 0, rtime = 0] = values.map(
      (value) => Number(value) || 0,
    );
    if (Number.isNaN(index)) continue;
    found.set(index, { connections: scur, total: stot, bytes: bin + bout, requests, codes: [h2, h3, h4, h5], responseMs: rtime });
  }
  return found;
}

const none: Counters = { connections: 0, total: 0, bytes: 0, requests: 0, codes: [0, 0, 0, 0], responseMs: 0 };

/**
 * What has been counted between two readings, in AWS's names, for each of the task's aliases where anything was. Pure. Source: ECS Developer Guide,
 * "Amazon ECS CloudWatch metrics". A proxy that started anew counts from nothing.
 */
export function metricsBetween(
  aliases: readonly PayloadConnectAlias[],
  before: ReadonlyMap<number, Counters>,
  now: ReadonlyMap<number, Counters>,
): GeneralMetricsWrapper[] {
  return aliases.flatMap((alias, index): GeneralMetricsWrapper[] => {
    const current = now.get(index);
    if (!current) return [];
    const known = before.get(index) ?? none;
    const last = known.total > current.total ? none : known;
    const requests = current.requests - last.requests;
    const connections = current.total - last.total;
    const codes = current.codes.map((value, at) => value - last.codes[at]!);
    const answered = codes.reduce((sum, value) => sum + value, 0);
    const metrics: [string, number, number][] = [
      ["ActiveConnectionCount", current.connections, 1],
      ["NewConnectionCount", connections, 1],
      ["ProcessedBytes", current.bytes - last.bytes, 1],
      ...(isTcp(alias)
        ? []
        : ([[alias.protocol === "grpc" ? "GrpcRequestCount" : "RequestCount", requests, 1]] as [string, number, number][])),
      ...["2XX", "3XX", "4XX", "5XX"].map((code, at): [string, number, number] => [`HTTPCode_Target_${code}_Count`, codes[at]!, 1]),
      ...(!isTcp(alias) && answered > 0 ? ([["TargetResponseTime", current.responseMs, answered]] as [string, number, number][]) : []),
    ];
    const generalMetrics = metrics
      .filter(([, value, count]) => value > 0 || count > 1)
      .map(([metricName, value, count]) => ({ metricName, metricValues: [value], metricCounts: [count] }));
    if (generalMetrics.length === 0) return [];
    const { discoveryName, serviceName, clusterName } = alias.dimensions;
    const dimensions = [
      { key: "ClusterName", value: clusterName },
      { key: "ServiceName", value: serviceName },
      { key: "DiscoveryName", value: discoveryName },
    ];
    return [{ metricType: "2", dimensions, generalMetrics }];
  });
}
