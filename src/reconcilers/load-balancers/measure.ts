import { parseArn } from "#model/arn.ts";
import type { LoadBalancerRecord, TargetGroupRecord } from "#model/elb-records.ts";
import type { LoadBalancerTrafficMessage } from "#agent-protocol/load-balancers.ts";
import type { Measurement } from "#platform/metric-sink.ts";

/**
 * AWS/ApplicationELB and AWS/NetworkELB, in AWS's names, units and dimensions. What is zero is not said, but for hosts and for the requests that each target had.
 * One machine serves a load balancer: it stands in the first of its zones. Pure. Source: "CloudWatch metrics for your Application Load Balancer", and for your Network
 * Load Balancer.
 */
export interface Published {
  readonly scope: { readonly account: string; readonly region: string };
  readonly namespace: string;
  readonly data: readonly Measurement[];
}

/** A target group that a load balancer routes to. */
export interface GroupPicture {
  readonly group: TargetGroupRecord;
  readonly balancer: LoadBalancerRecord;
  /** Those that are registered and neither drain nor wait for their first health check, by zone; without one of its own, a target is in the load balancer's. */
  readonly hosts: readonly { readonly zone: string | undefined; readonly healthy: boolean }[];
}

type Dimensions = Readonly<Record<string, string>>;
type Traffic = Pick<LoadBalancerTrafficMessage, "loadBalancers" | "targetGroups">;

const codes = ["2XX", "3XX", "4XX", "5XX"] as const;
const namespaceOf = ({ type }: LoadBalancerRecord) => (type === "application" ? "AWS/ApplicationELB" : "AWS/NetworkELB");

/** The last part of an ARN, as dimensions name load balancers and target groups: `app/<name>/<id>`, `targetgroup/<name>/<id>`. */
function nameOf(arn: string): string {
  const resource = arn.split(":").at(-1) ?? "";
  return resource.startsWith("loadbalancer/") ? resource.slice("loadbalancer/".length) : resource;
}

/** Without and with the zone. */
const places = (dimensions: Dimensions, zone: string | undefined): Dimensions[] => [
  dimensions,
  ...(zone === undefined ? [] : [{ ...dimensions, AvailabilityZone: zone }]),
];
const zoneOf = ({ zones }: LoadBalancerRecord) => zones[0]?.zoneName;

function published(balancer: LoadBalancerRecord, data: readonly Measurement[]): Published[] {
  const arn = parseArn(balancer.arn);
  if (!arn || data.length === 0) return [];
  return [{ scope: { account: arn.account, region: arn.region }, namespace: namespaceOf(balancer), data }];
}

export function hostsOf({ group, balancer, hosts }: GroupPicture, at: number): Published[] {
  const own = { LoadBalancer: nameOf(balancer.arn), TargetGroup: nameOf(group.arn) };
  const zones = Map.groupBy(hosts, ({ zone }) => zone ?? zoneOf(balancer));
  const sets: [Dimensions, GroupPicture["hosts"]][] = [[own, hosts]];
  for (const [zone, list] of zones) if (zone !== undefined) sets.push([{ ...own, AvailabilityZone: zone }, list]);
  const data = sets.flatMap(([dimensions, list]): Measurement[] => {
    const healthy = list.filter((each) => each.healthy).length;
    return [
      { name: "HealthyHostCount", unit: "Count", dimensions, at, values: [healthy] },
      { name: "UnHealthyHostCount", unit: "Count", dimensions, at, values: [list.length - healthy] },
    ];
  });
  return published(balancer, data);
}

/** `groups`: by ARN, those that a load balancer routes to; of others only what a load balancer still has carried to them counts. */
export function trafficOf(
  traffic: Traffic,
  balancers: Iterable<LoadBalancerRecord>,
  groups: ReadonlyMap<string, GroupPicture>,
  at: number,
): Published[] {
  const carried = new Map(traffic.loadBalancers.map((each) => [each.id, each]));
  const parts = new Map<string, Part>();
  for (const { group, balancer, hosts } of groups.values())
    parts.set(group.arn, { id: group.arn, balancer: balancer.arn, hosts, traffic: undefined });
  for (const each of traffic.targetGroups)
    parts.set(each.id, { id: each.id, balancer: each.loadBalancerId, hosts: groups.get(each.id)?.hosts ?? [], traffic: each });
  const byBalancer = Map.groupBy(parts.values(), ({ balancer }) => balancer);
  return [...balancers].flatMap((balancer) => {
    const own = carried.get(balancer.arn);
    const data =
      balancer.type === "application"
        ? applicationData(balancer, own, byBalancer.get(balancer.arn) ?? [], at)
        : networkData(balancer, own, at);
    return published(balancer, data);
  });
}

interface Part {
  readonly id: string;
  readonly balancer: string;
  readonly hosts: GroupPicture["hosts"];
  readonly traffic: Traffic["targetGroups"][number] | undefined;
}
type Own = Traffic["loadBalancers"][number] | undefined;

function applicationData(balancer: LoadBalancerRecord, own: Own, parts: readonly Part[], at: number): Measurement[] {
  const zone = zoneOf(balancer);
  const LoadBalancer = nameOf(balancer.arn);
  const data: Measurement[] = [];
  const say = (name: string, unit: string, value: number, dimensions: readonly Dimensions[]) => {
    if (value > 0) for (const each of dimensions) data.push({ name, unit, dimensions: each, at, values: [value] });
  };
  const whole = places({ LoadBalancer }, zone);
  const total = (of: (traffic: NonNullable<Part["traffic"]>) => number) =>
    parts.reduce((sum, { traffic }) => sum + (traffic ? of(traffic) : 0), 0);

  say("ActiveConnectionCount", "Count", (own?.activeConnections ?? 0) + total((each) => each.activeConnections), whole);
  say("NewConnectionCount", "Count", (own?.newConnections ?? 0) + total((each) => each.newConnections), whole);
  say("RejectedConnectionCount", "Count", own?.rejectedConnections ?? 0, whole);
  say("ProcessedBytes", "Bytes", own?.bytes ?? 0, whole);
  for (const [code, count] of Object.entries(own?.answers ?? {})) say(`HTTPCode_ELB_${code}_Count`, "Count", count, whole);
  say(
    "RequestCount",
    "Count",
    total(({ requests }) => requests),
    whole,
  );
  say(
    "TargetConnectionErrorCount",
    "Count",
    total(({ connectionErrors }) => connectionErrors),
    whole,
  );
  for (const code of codes)
    say(
      `HTTPCode_Target_${code}_Count`,
      "Count",
      total(({ answers }) => answers[code] ?? 0),
      whole,
    );
  sayTimes(
    data,
    parts.flatMap(({ traffic }) => traffic?.times ?? []),
    whole,
    at,
  );

  for (const { id, hosts, traffic } of parts) {
    const TargetGroup = nameOf(id);
    const both = places({ LoadBalancer, TargetGroup }, zone);
    const healthy = hosts.filter((each) => each.healthy).length;
    // Without a healthy one all of them get requests.
    const targets = healthy > 0 ? healthy : hosts.length;
    if (targets > 0)
      for (const dimensions of [...places({ TargetGroup }, zone), ...both])
        data.push({ name: "RequestCountPerTarget", unit: "Count", dimensions, at, values: [(traffic?.requests ?? 0) / targets] });
    if (!traffic) continue;
    say("RequestCount", "Count", traffic.requests, both);
    say("TargetConnectionErrorCount", "Count", traffic.connectionErrors, both);
    for (const code of codes) say(`HTTPCode_Target_${code}_Count`, "Count", traffic.answers[code] ?? 0, both);
    sayTimes(data, traffic.times, both, at);
  }
  return data;
}

function sayTimes(data: Measurement[], times: readonly (readonly [number, number])[], dimensions: readonly Dimensions[], at: number): void {
  if (times.length === 0) return;
  const [values, counts] = [times.map(([seconds]) => seconds), times.map(([, count]) => count)];
  for (const each of dimensions) data.push({ name: "TargetResponseTime", unit: "Seconds", dimensions: each, at, values, counts });
}

function networkData(balancer: LoadBalancerRecord, own: Own, at: number): Measurement[] {
  if (!own) return [];
  const dimensions = places({ LoadBalancer: nameOf(balancer.arn) }, zoneOf(balancer));
  const data: Measurement[] = [];
  const kinds: [string, { readonly newConnections: number; readonly activeConnections: number; readonly bytes: number }][] = [
    ["", own],
    ...Object.entries(own.protocols ?? {}).map(([protocol, counts]): [string, typeof counts] => [`_${protocol}`, counts]),
  ];
  for (const [suffix, counts] of kinds)
    for (const [name, unit, value] of [
      ["ActiveFlowCount", "Count", counts.activeConnections],
      ["NewFlowCount", "Count", counts.newConnections],
      ["ProcessedBytes", "Bytes", counts.bytes],
    ] as const)
      if (value > 0) for (const each of dimensions) data.push({ name: `${name}${suffix}`, unit, dimensions: each, at, values: [value] });
  return data;
}
