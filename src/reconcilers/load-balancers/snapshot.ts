import type * as Plane from "#load-balancer/config.ts";
import { attributeOf, drainMs, listenerAttributes, loadBalancerAttributes, targetGroupAttributes } from "#model/elb-attributes.ts";
import type {
  AlpnPolicy,
  ListenerRecord,
  LoadBalancerRecord,
  RuleAction,
  RuleRecord,
  TargetGroupRecord,
  TargetRecord,
} from "#model/elb-records.ts";
import { healthOf } from "./health.ts";
import { usageOf } from "./usage.ts";

/** What the data plane must do, from the records. Pure: `load.ts` reads them. */
export interface ElbRecords {
  readonly loadBalancers: readonly LoadBalancerRecord[];
  readonly listeners: readonly ListenerRecord[];
  readonly rules: readonly RuleRecord[];
  readonly targetGroups: readonly TargetGroupRecord[];
  /** By the id of their group. */
  readonly targets: ReadonlyMap<string, readonly TargetRecord[]>;
  /** By ARN: certificate, chain and private key, as PEM blocks. */
  readonly certificates: ReadonlyMap<string, string>;
}

/** What no record of load balancing says. */
export interface Surroundings {
  /** How the load balancer reaches its targets; undefined: as the data plane's machine does. */
  network(balancer: LoadBalancerRecord): Plane.Network | undefined;
  /** The address of an instance, by its id; undefined: not known, so its targets are left out. */
  instance(id: string): string | undefined;
}

/** Whose health the data plane tells of. */
export interface PlacedTarget {
  readonly group: TargetGroupRecord;
  readonly target: TargetRecord;
}

export interface Translation {
  readonly snapshot: Plane.Snapshot;
  /** By `placeOf` of what the data plane reports: the target of the records. */
  readonly placed: ReadonlyMap<string, PlacedTarget>;
}

export const placeOf = ({ targetGroupId, address, port }: Pick<Plane.TargetHealth, "targetGroupId" | "address" | "port">): string =>
  `${targetGroupId} ${address} ${port}`;

/** Ids are ARNs. Groups that nothing routes to are left out, and so are targets that get nothing: drained ones, and those of zones that no load balancer is in. */
export function translate(records: ElbRecords, surroundings: Surroundings, now: number): Translation {
  const balancers = new Map(records.loadBalancers.map((each) => [each.id, each]));
  const usage = usageOf(records.listeners, records.rules);
  const listeners = grouped(records.listeners, ({ loadBalancerId }) => loadBalancerId);
  const rules = grouped(records.rules, ({ listenerId }) => listenerId);
  const placed = new Map<string, PlacedTarget>();
  const addressOf = (group: TargetGroupRecord, { id }: TargetRecord) => {
    if (group.targetType === "ip") return id;
    return group.targetType === "instance" ? surroundings.instance(id) : records.loadBalancers.find(({ arn }) => arn === id)?.address;
  };
  const targetsOf = (group: TargetGroupRecord, users: readonly LoadBalancerRecord[]): Plane.Target[] =>
    (records.targets.get(group.id) ?? []).flatMap((target) => {
      const address = addressOf(group, target);
      if (address === undefined || healthOf(group, target, undefined, users, now).state === "unused") return [];
      const { port, deregisteringAt } = target;
      placed.set(placeOf({ targetGroupId: group.arn, address, port }), { group, target });
      return [{ address, port, ...(deregisteringAt === undefined ? {} : { wanted: "deregistered" as const }) }];
    });
  return {
    snapshot: {
      loadBalancers: records.loadBalancers.map((balancer) =>
        balancerOf(balancer, listeners.get(balancer.id) ?? [], surroundings.network(balancer), (listener) =>
          listenerOf(listener, rules.get(listener.id) ?? [], records.certificates),
        ),
      ),
      targetGroups: records.targetGroups.flatMap((group) => {
        const users = [...(usage.get(group.id) ?? [])].flatMap((id) => balancers.get(id) ?? []);
        return users.length === 0 ? [] : [groupOf(group, targetsOf(group, users))];
      }),
    },
    placed,
  };
}

function balancerOf(
  balancer: LoadBalancerRecord,
  listeners: readonly ListenerRecord[],
  network: Plane.Network | undefined,
  view: (listener: ListenerRecord) => Plane.Listener,
): Plane.LoadBalancer {
  const table = loadBalancerAttributes(balancer);
  const of = (key: string) => attributeOf(table, balancer.attributes, key);
  const application = balancer.type === "application";
  const idle = listeners.map((each) => Number(attributeOf(listenerAttributes(each), each.attributes, "tcp.idle_timeout.seconds") ?? 0));
  return {
    id: balancer.arn,
    name: `${application ? "app" : "net"}/${balancer.name}/${balancer.id}`,
    kind: balancer.type,
    addresses: [balancer.address, ...balancer.zones.flatMap(({ elasticIp }) => elasticIp?.address ?? [])],
    ...(network ? { network } : {}),
    // The data plane has one for all listeners: the longest, so that no connection ends before its time.
    idleTimeout: application ? Number(of("idle_timeout.timeout_seconds")) : Math.max(...idle, 0) || 350,
    ...(application
      ? {
          clientKeepAlive: Number(of("client_keep_alive.seconds")),
          attributes: {
            http2: of("routing.http2.enabled") === "true",
            dropInvalidHeaderFields: of("routing.http.drop_invalid_header_fields.enabled") === "true",
            xffMode: of("routing.http.xff_header_processing.mode") as "append" | "preserve" | "remove",
            xffClientPort: of("routing.http.xff_client_port.enabled") === "true",
            tlsHeaders: of("routing.http.x_amzn_tls_version_and_cipher_suite.enabled") === "true",
          },
        }
      : {}),
    accessLog: of("access_logs.s3.enabled") === "true",
    listeners: listeners.map(view),
  };
}

/** Source: User Guide for Network Load Balancers, "ALPN policies". */
const alpn: Readonly<Record<Exclude<AlpnPolicy, "None">, readonly string[]>> = {
  HTTP1Only: ["http/1.1", "http/1.0"],
  HTTP2Only: ["h2"],
  HTTP2Optional: ["http/1.1", "http/1.0", "h2"],
  HTTP2Preferred: ["h2", "http/1.1", "http/1.0"],
};

function listenerOf(listener: ListenerRecord, rules: readonly RuleRecord[], certificates: ElbRecords["certificates"]): Plane.Listener {
  const { arn, port, protocol, sslPolicy, alpnPolicy } = listener;
  const pems = listener.certificates.flatMap((id) => {
    const pem = certificates.get(id);
    return pem === undefined ? [] : [{ id, pem }];
  });
  return {
    id: arn,
    port,
    protocol,
    ...(listener.certificates.length > 0 ? { certificates: pems } : {}),
    ...(sslPolicy === undefined ? {} : { sslPolicy }),
    ...(alpnPolicy === undefined || alpnPolicy === "None" ? {} : { alpn: alpn[alpnPolicy] }),
    defaultAction: actionOf(listener.defaultActions),
    ...(rules.length > 0 ? { rules: rules.toSorted((a, b) => a.priority - b.priority).map(ruleOf) } : {}),
  };
}

const ruleOf = ({ arn, priority, conditions, actions }: RuleRecord): Plane.Rule => ({
  id: arn,
  priority,
  conditions,
  action: actionOf(actions),
});

/** The last one routes or answers; there are no others yet. */
function actionOf(actions: readonly RuleAction[]): Plane.Action {
  const action = actions.at(-1)!;
  if (action.type === "redirect") {
    const { type, protocol, host, port, path, query, statusCode } = action;
    return { type, statusCode: statusCode === "HTTP_301" ? 301 : 302, protocol, host, port, path, query };
  }
  if (action.type === "fixed-response") {
    const { type, statusCode, contentType, messageBody } = action;
    return {
      type,
      statusCode: Number(statusCode),
      ...(contentType === undefined ? {} : { contentType }),
      ...(messageBody === undefined ? {} : { body: messageBody }),
    };
  }
  const { groups, stickiness } = action;
  return {
    type: "forward",
    targetGroups: groups.map(({ arn, weight }) => ({ id: arn, weight })),
    ...(stickiness?.enabled && stickiness.durationSeconds !== undefined ? { stickinessSeconds: stickiness.durationSeconds } : {}),
  };
}

function groupOf(group: TargetGroupRecord, targets: readonly Plane.Target[]): Plane.TargetGroup {
  const table = targetGroupAttributes(group);
  const of = (key: string) => attributeOf(table, group.attributes, key);
  const { healthCheck: check, protocol, protocolVersion } = group;
  const algorithm = of("load_balancing.algorithm.type") as Plane.TargetGroup["algorithm"];
  const stickiness = stickinessOf(of);
  return {
    id: group.arn,
    protocol,
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
    ...(algorithm === undefined ? {} : { algorithm, slowStart: Number(of("slow_start.duration_seconds")) }),
    ...(stickiness ? { stickiness } : {}),
    healthCheck: {
      protocol: check.protocol,
      ...(check.port === "traffic-port" ? {} : { port: Number(check.port) }),
      ...(check.path === undefined ? {} : { path: check.path }),
      interval: check.intervalSeconds,
      timeout: check.timeoutSeconds,
      healthyThreshold: check.healthyThreshold,
      unhealthyThreshold: check.unhealthyThreshold,
      ...(check.matcher ? { matcher: "grpcCode" in check.matcher ? check.matcher.grpcCode : check.matcher.httpCode } : {}),
    },
    deregistrationDelay: drainMs(group) / 1000,
    ...(of("proxy_protocol_v2.enabled") === "true" ? { proxyProtocolV2: true } : {}),
    targets,
  };
}

function stickinessOf(of: (key: string) => string | undefined): Plane.Stickiness | undefined {
  if (of("stickiness.enabled") !== "true") return undefined;
  const type = of("stickiness.type");
  if (type === "source_ip") return { type };
  if (type !== "app_cookie") return { type: "lb_cookie", seconds: Number(of("stickiness.lb_cookie.duration_seconds")) };
  const cookieName = of("stickiness.app_cookie.cookie_name") ?? "";
  return { type, cookieName, seconds: Number(of("stickiness.app_cookie.duration_seconds")) };
}

function grouped<T>(items: readonly T[], key: (item: T) => string): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
