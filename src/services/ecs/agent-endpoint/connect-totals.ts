import type { Question } from "#api/contract.ts";
import type { GeneralMetricsWrapper } from "#agent-protocol/service-connect.ts";
import { parseArn } from "#model/arn.ts";
import type { Measurement } from "#platform/metric-sink.ts";

/** What Service Connect's proxies have counted for one discovery name since this server started, in CloudWatch's names. */
export interface ConnectMetrics {
  readonly ClusterName: string;
  readonly ServiceName: string;
  readonly DiscoveryName: string;
  /** Sums; ActiveConnectionCount is what it is now, TargetResponseTime the mean in milliseconds. */
  readonly metrics: Readonly<Record<string, number>>;
}

interface Total {
  readonly dimensions: Omit<ConnectMetrics, "metrics">;
  readonly sums: Map<string, number>;
  /** Connections of each task's proxy when it last told, and when that was. */
  readonly active: Map<string, { readonly value: number; readonly at: number }>;
  answered: number;
}

/** A proxy that has not told for so long has gone. */
const silentMs = 60_000;
/** Names without end would fill the memory; the longest silent goes first. */
const mostTotals = 10_000;

/** In memory until CloudWatch keeps them. */
export class ConnectTotals {
  readonly #totals = new Map<string, Total>();

  add(taskArn: string, wrappers: readonly GeneralMetricsWrapper[], now: number): void {
    const arn = parseArn(taskArn);
    if (!arn) return;
    for (const { dimensions = [], generalMetrics = [] } of wrappers) {
      const value = (name: string) => dimensions.find(({ key }) => key === name)?.value ?? "";
      const named = { ClusterName: value("ClusterName"), ServiceName: value("ServiceName"), DiscoveryName: value("DiscoveryName") };
      const key = JSON.stringify([arn.account, arn.region, named]);
      const total = this.#totals.get(key) ?? { dimensions: named, sums: new Map(), active: new Map(), answered: 0 };
      this.#totals.delete(key);
      this.#totals.set(key, total);
      if (this.#totals.size > mostTotals) this.#totals.delete(this.#totals.keys().next().value!);
      let active = 0;
      for (const { metricName, metricValues: [first = 0] = [], metricCounts: [count = 1] = [] } of generalMetrics) {
        if (metricName === "ActiveConnectionCount") active = first;
        else total.sums.set(metricName, (total.sums.get(metricName) ?? 0) + first * count);
        if (metricName === "TargetResponseTime") total.answered += count;
      }
      total.active.set(taskArn, { value: active, at: now });
    }
  }

  of(account: string, region: string, now: number): ConnectMetrics[] {
    const found: ConnectMetrics[] = [];
    for (const [key, { dimensions, sums, active, answered }] of this.#totals) {
      const [ofAccount, ofRegion] = JSON.parse(key) as [string, string];
      if (ofAccount !== account || ofRegion !== region) continue;
      let connections = 0;
      for (const [task, { value, at }] of active)
        if (now - at > silentMs) active.delete(task);
        else connections += value;
      const metrics: Record<string, number> = { ActiveConnectionCount: connections, ...Object.fromEntries(sums) };
      if (answered > 0) metrics.TargetResponseTime = metrics.TargetResponseTime! / answered;
      found.push({ ...dimensions, metrics });
    }
    return found.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }

  forget(): void {
    this.#totals.clear();
  }
}

/** Those that the target's side has in AWS: the applications' answers and how long they took. */
const ofTargets = /^(HTTPCode_Target_|TargetResponseTime$|RequestCountPerTarget$|TargetProcessedBytes$|TargetTLS)/;
const units: Readonly<Record<string, string>> = {
  ProcessedBytes: "Bytes",
  TargetProcessedBytes: "Bytes",
  TargetResponseTime: "Milliseconds",
};

/** The service whose tasks ask. */
export interface Asking {
  readonly ServiceName: string;
  readonly ClusterName: string;
}

/**
 * What one proxy reported, for CloudWatch: by the discovery name alone, and with cluster and service. Those of `DiscoveryName` are the service that is asked, and count what comes to it; those of
 * `TargetDiscoveryName` the one whose tasks ask, and count what comes from it. Of an agent's message only what is well-formed; it comes from the network. Pure. Source: ECS Developer Guide,
 * "Amazon ECS CloudWatch metrics".
 */
export function connectMeasurements(wrappers: readonly GeneralMetricsWrapper[], from: Asking, at: number): Measurement[] {
  return wrappers.flatMap(({ dimensions, generalMetrics }) => {
    if (!Array.isArray(dimensions) || !Array.isArray(generalMetrics)) return [];
    const value = (name: string) => (dimensions as GeneralMetricsWrapper["dimensions"]).find(({ key }) => key === name)?.value;
    const [ClusterName, ServiceName, name] = [value("ClusterName"), value("ServiceName"), value("DiscoveryName")];
    if (!ClusterName || !ServiceName || !name) return [];
    return (generalMetrics as GeneralMetricsWrapper["generalMetrics"]).flatMap(
      ({ metricName, metricValues, metricCounts }): Measurement[] => {
        const known = Array.isArray(metricValues) && metricValues.length > 0 && metricValues.every((each) => Number.isFinite(each));
        if (typeof metricName !== "string" || !known) return [];
        const [own, service]: [Record<string, string>, Asking] = ofTargets.test(metricName)
          ? [{ TargetDiscoveryName: name }, from]
          : [{ DiscoveryName: name }, { ServiceName, ClusterName }];
        const counts = metricValues.map((_, index) => Math.max(1, Math.floor(metricCounts?.[index] ?? 1) || 1));
        const unit = units[metricName] ?? "Count";
        return [own, { ...own, ...service }].map((each) => ({
          name: metricName,
          unit,
          dimensions: each,
          at,
          values: metricValues,
          counts,
        }));
      },
    );
  });
}

/** `GET /_gantry/service-connect`: `{ metrics: ConnectMetrics[] }`. */
export function connectQuestion(totals: ConnectTotals): Question {
  return {
    path: "/_gantry/service-connect",
    action: "cloudwatch:GetMetricData",
    async answer(_query, { account, region, now }) {
      return { metrics: totals.of(account, region, now) };
    },
  };
}
