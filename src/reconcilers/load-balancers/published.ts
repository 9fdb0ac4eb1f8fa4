import type { LoadBalancerTrafficMessage } from "#agent-protocol/load-balancers.ts";
import type { TargetHealthRecord } from "#model/elb-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { MetricSink } from "#platform/metric-sink.ts";
import { healthOf } from "./health.ts";
import { type GroupPicture, hostsOf, type Published, trafficOf } from "./measure.ts";
import { type BalancerRecords, usersOf } from "./records.ts";

/** Publishes the metrics of load balancers: hosts each minute, whoever serves them; traffic as the machine that serves them tells. */
export interface BalancerMetrics {
  start(): void;
  stop(): void;
  take(message: LoadBalancerTrafficMessage): void;
  /** Of all load balancers together, since the server began. */
  totals(): BalancerTotals;
}

export interface BalancerTotals {
  readonly requests: number;
  /** Answers with 5xx: the targets', and the load balancers' own. */
  readonly targetErrors: number;
  readonly ownErrors: number;
  readonly bytes: number;
}

const minuteMs = 60_000;
/** Shortly before a minute ends, so that whoever looks at it when it is full sees all of it. */
export const beforeEndMs = 2_000;
/** What an agent could not tell for longer is of no use: CloudWatch takes nothing older than two weeks, alarms look at hours. */
const oldestMs = 3 * 3_600_000;

export function createBalancerMetrics(options: {
  readonly sink: MetricSink;
  readonly clock: Clock;
  /** Undefined: not read yet. */
  readonly records: () => BalancerRecords | undefined;
  readonly seen: (healthKey: string) => TargetHealthRecord | undefined;
}): BalancerMetrics {
  const { sink, clock, seen } = options;
  let cancel = () => {};
  let totals: BalancerTotals = { requests: 0, targetErrors: 0, ownErrors: 0, bytes: 0 };

  function sum({ loadBalancers, targetGroups }: LoadBalancerTrafficMessage): void {
    const all = <T>(list: readonly T[], of: (one: T) => number) => list.reduce((whole, one) => whole + of(one), 0);
    totals = {
      requests: totals.requests + all(targetGroups, ({ requests }) => requests),
      targetErrors: totals.targetErrors + all(targetGroups, ({ answers }) => answers["5XX"] ?? 0),
      ownErrors: totals.ownErrors + all(loadBalancers, ({ answers }) => answers["5XX"] ?? 0),
      bytes: totals.bytes + all(loadBalancers, ({ bytes }) => bytes),
    };
  }

  const tell = (list: readonly Published[]) => {
    for (const { scope, namespace, data } of list) sink.put(scope, namespace, data);
  };

  function pictures(records: BalancerRecords): GroupPicture[] {
    const now = clock.now();
    const byGroup = Map.groupBy(records.targets.values(), ({ group }) => group);
    return [...records.targetGroups.values()].flatMap((group) => {
      const users = usersOf(records, group.id);
      const [balancer] = users;
      if (!balancer) return [];
      const hosts = (byGroup.get(group.id) ?? []).flatMap(({ target, healthKey }) => {
        const { state } = healthOf(group, target, seen(healthKey), users, now);
        const zone = target.availabilityZone === "all" ? undefined : target.availabilityZone;
        return state === "healthy" || state === "unhealthy" ? [{ zone, healthy: state === "healthy" }] : [];
      });
      return [{ group, balancer, hosts }];
    });
  }

  function schedule(): void {
    const into = (clock.now() + beforeEndMs) % minuteMs;
    cancel = clock.after(minuteMs - into, () => {
      const records = options.records();
      const at = clock.now();
      if (records) tell(pictures(records).flatMap((picture) => hostsOf(picture, at)));
      schedule();
    });
  }

  return {
    start: schedule,
    stop: () => cancel(),
    totals: () => totals,
    take(message) {
      const records = options.records();
      const now = clock.now();
      if (!records || !(message.at > now - oldestMs)) return;
      sum(message);
      const groups = new Map(pictures(records).map((each) => [each.group.arn, each]));
      tell(trafficOf(message, records.loadBalancers.values(), groups, Math.min(message.at, now)));
    },
  };
}
