import { thisMachine } from "#agent-protocol/load-balancers.ts";
import type { LoadBalancerStateMessage } from "#agent-protocol/load-balancers.ts";
import { attributeOf, listenerAttributes, loadBalancerAttributes, targetGroupAttributes } from "#model/elb-attributes.ts";
import type { ListenerRecord, LoadBalancerRecord, RuleAction, RuleRecord, TargetGroupRecord, TargetRecord } from "#model/elb-records.ts";
import { type BalancerRecords, pathOf, usersOf } from "./records.ts";

/** The records as the driver's snapshot. Pure. What HAProxy cannot carry (UDP) is left out: the rest is served. */
type Snapshot = LoadBalancerStateMessage["snapshot"];
type Balancer = Snapshot["loadBalancers"][number];
type Listener = Balancer["listeners"][number];
type Action = Listener["defaultAction"];
type Group = Snapshot["targetGroups"][number];
type Target = Group["targets"][number];

/** What the records alone don't say. */
export interface Surroundings {
  /** The machine that serves them, by the id of its instance. */
  readonly instance: string;
  /** Of another instance, of EC2's, its address in the VPC. */
  readonly privateAddress?: ((instanceId: string) => string | undefined) | undefined;
  /** Certificate, chain and key of an ARN. */
  pemOf(arn: string): string | undefined;
}

const datagrams = (protocol: string) => protocol === "UDP" || protocol === "TCP_UDP";
const byId = <T extends { readonly id: string }>(all: ReadonlyMap<string, T>) =>
  [...all.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));

export function snapshotOf(records: BalancerRecords, surroundings: Surroundings): Snapshot {
  const targetGroups = byId(records.targetGroups).flatMap((group) => groupOf(records, group, surroundings) ?? []);
  const known = new Set(targetGroups.map(({ id }) => id));
  const parts: Parts = {
    known,
    listeners: Map.groupBy(byId(records.listeners), ({ loadBalancerId }) => loadBalancerId),
    rules: Map.groupBy(byId(records.rules), ({ listenerId }) => listenerId),
    surroundings,
  };
  const loadBalancers = byId(records.loadBalancers).map((balancer) => balancerOf(balancer, parts));
  return { loadBalancers, targetGroups };
}

interface Parts {
  /** Target groups that are served. */
  readonly known: ReadonlySet<string>;
  readonly listeners: ReadonlyMap<string, readonly ListenerRecord[]>;
  readonly rules: ReadonlyMap<string, readonly RuleRecord[]>;
  readonly surroundings: Surroundings;
}

function balancerOf(record: LoadBalancerRecord, parts: Parts): Balancer {
  const table = loadBalancerAttributes(record);
  const attribute = (key: string) => attributeOf(table, record.attributes, key);
  const flag = (key: string) => attribute(key) === "true";
  const listeners = parts.listeners.get(record.id) ?? [];
  const keepAlive = attribute("client_keep_alive.seconds");
  return {
    id: record.arn,
    name: pathOf(record.arn),
    kind: record.type,
    addresses: publicAddressesOf(record),
    network: {
      namespace: record.vpcId,
      source: record.zones[0]!.privateIp,
      addresses: record.zones.map(({ privateIp }) => privateIp),
    },
    idleTimeout: record.type === "application" ? Number(attribute("idle_timeout.timeout_seconds")) : longestIdle(listeners),
    ...(keepAlive === undefined ? {} : { clientKeepAlive: Number(keepAlive) }),
    ...(record.type === "application"
      ? {
          attributes: {
            http2: flag("routing.http2.enabled"),
            dropInvalidHeaderFields: flag("routing.http.drop_invalid_header_fields.enabled"),
            xffMode: attribute("routing.http.xff_header_processing.mode") as "append" | "preserve" | "remove",
            xffClientPort: flag("routing.http.xff_client_port.enabled"),
            tlsHeaders: flag("routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
          },
        }
      : {}),
    ...(flag("access_logs.s3.enabled")
      ? { accessLog: { bucket: attribute("access_logs.s3.bucket") ?? "", prefix: attribute("access_logs.s3.prefix") ?? "" } }
      : {}),
    listeners: listeners.flatMap((listener) => listenerOf(listener, record.type, parts)),
  };
}

/** HAProxy has one for all listeners of a load balancer: the longest, so that no connection ends before its time. */
function longestIdle(listeners: readonly ListenerRecord[]): number {
  const of = (each: ListenerRecord) => Number(attributeOf(listenerAttributes(each), each.attributes, "tcp.idle_timeout.seconds") ?? 0);
  return Math.max(...listeners.map(of), 0) || 350;
}

/** Without those inside the VPC. */
export const publicAddressesOf = ({ address, zones }: LoadBalancerRecord): readonly string[] => [
  ...new Set([address, ...zones.flatMap(({ elasticIp }) => (elasticIp ? [elasticIp.address] : []))]),
];

const alpn: Readonly<Record<string, readonly string[]>> = {
  HTTP1Only: ["http/1.1", "http/1.0"],
  HTTP2Only: ["h2"],
  HTTP2Optional: ["http/1.1", "http/1.0", "h2"],
  HTTP2Preferred: ["h2", "http/1.1", "http/1.0"],
};

/** None where it cannot be served: UDP, a certificate that is gone, a network load balancer's without a group that can be. */
function listenerOf(record: ListenerRecord, type: LoadBalancerRecord["type"], parts: Parts): Listener[] {
  const { known, surroundings } = parts;
  if (datagrams(record.protocol)) return [];
  const certificates = record.certificates.flatMap((id) => {
    const pem = surroundings.pemOf(id);
    return pem === undefined ? [] : [{ id, pem }];
  });
  if ((record.protocol === "HTTPS" || record.protocol === "TLS") && certificates.length === 0) return [];
  const defaultAction = actionOf(record.defaultActions, known);
  if (type === "network" && defaultAction.type !== "forward") return [];
  const rules = (parts.rules.get(record.id) ?? []).map((rule) => ruleOf(rule, known));
  const offered = alpn[record.alpnPolicy ?? "None"];
  return [
    {
      id: record.arn,
      port: record.port,
      protocol: record.protocol,
      ...(certificates.length > 0 ? { certificates } : {}),
      ...(record.sslPolicy === undefined ? {} : { sslPolicy: record.sslPolicy }),
      ...(offered ? { alpn: offered } : {}),
      defaultAction,
      ...(rules.length > 0 ? { rules } : {}),
    },
  ];
}

const ruleOf = ({ arn, priority, conditions, actions }: RuleRecord, known: ReadonlySet<string>) => ({
  id: arn,
  priority,
  conditions,
  action: actionOf(actions, known),
});

/** The last one answers or routes. Where no group can be reached, nobody answers: AWS's 503. */
function actionOf(actions: readonly RuleAction[], known: ReadonlySet<string>): Action {
  const nobody: Action = { type: "fixed-response", statusCode: 503 };
  const action = actions.at(-1);
  switch (action?.type) {
    case undefined:
      return nobody;
    case "redirect": {
      const { protocol, host, port, path, query, statusCode } = action;
      return { type: "redirect", statusCode: statusCode === "HTTP_301" ? 301 : 302, protocol, host, port, path, query };
    }
    case "fixed-response": {
      const { statusCode, contentType, messageBody: body } = action;
      return {
        type: "fixed-response",
        statusCode: Number(statusCode),
        ...(contentType === undefined ? {} : { contentType }),
        ...(body === undefined ? {} : { body }),
      };
    }
    case "forward": {
      const targetGroups = action.groups.flatMap(({ arn, weight }) => (known.has(arn) ? [{ id: arn, weight }] : []));
      const seconds = action.stickiness?.enabled ? action.stickiness.durationSeconds : undefined;
      if (targetGroups.length === 0) return nobody;
      return { type: "forward", targetGroups, ...(seconds === undefined ? {} : { stickinessSeconds: seconds }) };
    }
  }
}

function groupOf(records: BalancerRecords, record: TargetGroupRecord, surroundings: Surroundings): Group | undefined {
  const { protocol, protocolVersion, healthCheck: check } = record;
  if (datagrams(protocol)) return undefined;
  const table = targetGroupAttributes(record);
  const attribute = (key: string) => attributeOf(table, record.attributes, key);
  const algorithm = attribute("load_balancing.algorithm.type");
  const slowStart = Number(attribute("slow_start.duration_seconds") ?? 0);
  const matcher = check.matcher && ("httpCode" in check.matcher ? check.matcher.httpCode : check.matcher.grpcCode);
  return {
    id: record.arn,
    protocol,
    ...(protocolVersion === undefined ? {} : { protocolVersion }),
    ...(algorithm === undefined ? {} : { algorithm: algorithm as NonNullable<Group["algorithm"]> }),
    ...(slowStart > 0 ? { slowStart } : {}),
    ...stickinessOf(attribute),
    healthCheck: {
      protocol: check.protocol,
      ...(check.port === "traffic-port" ? {} : { port: Number(check.port) }),
      ...(check.path === undefined ? {} : { path: check.path }),
      interval: check.intervalSeconds,
      timeout: check.timeoutSeconds,
      healthyThreshold: check.healthyThreshold,
      unhealthyThreshold: check.unhealthyThreshold,
      ...(matcher === undefined ? {} : { matcher }),
    },
    deregistrationDelay: Number(attribute("deregistration_delay.timeout_seconds") ?? 300),
    ...(attribute("proxy_protocol_v2.enabled") === "true" ? { proxyProtocolV2: true } : {}),
    targets: records.targetsOf(record.id).flatMap((target) => targetOf(records, record, target, surroundings)),
  };
}

function stickinessOf(attribute: (key: string) => string | undefined): Pick<Group, "stickiness"> {
  if (attribute("stickiness.enabled") !== "true") return {};
  const seconds = (kind: string) => Number(attribute(`stickiness.${kind}.duration_seconds`) ?? 86_400);
  switch (attribute("stickiness.type")) {
    case "app_cookie":
      return {
        stickiness: {
          type: "app_cookie",
          cookieName: attribute("stickiness.app_cookie.cookie_name") ?? "",
          seconds: seconds("app_cookie"),
        },
      };
    case "source_ip":
      return { stickiness: { type: "source_ip" } };
    default:
      return { stickiness: { type: "lb_cookie", seconds: seconds("lb_cookie") } };
  }
}

function targetOf(records: BalancerRecords, group: TargetGroupRecord, target: TargetRecord, surroundings: Surroundings): Target[] {
  const address = addressOf(records, group, target, surroundings);
  if (address === undefined || !inZones(records, group, target)) return [];
  return [{ address, port: target.port, ...(target.deregisteringAt === undefined ? {} : { wanted: "deregistered" as const }) }];
}

/** Where the target answers; undefined: this machine cannot reach it. */
export function addressOf(
  records: BalancerRecords,
  { targetType }: TargetGroupRecord,
  { id }: TargetRecord,
  { instance, privateAddress }: Pick<Surroundings, "instance" | "privateAddress">,
): string | undefined {
  if (targetType === "ip") return id;
  if (targetType === "instance") return id === instance ? thisMachine : privateAddress?.(id);
  // The balancer's own address in the VPC, where this one is too.
  for (const each of records.loadBalancers.values()) if (each.arn === id) return each.zones[0]?.privateIp;
  return undefined;
}

/** Who lies in a zone that no load balancer of the group has gets nothing: `unused`. */
function inZones(records: BalancerRecords, group: TargetGroupRecord, { availabilityZone: zone }: TargetRecord): boolean {
  if (zone === undefined || zone === "all") return true;
  const users = usersOf(records, group.id);
  return users.length === 0 || users.some(({ zones }) => zones.some(({ zoneName }) => zoneName === zone));
}
