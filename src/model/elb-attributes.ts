/**
 * The attributes of load balancers, target groups and listeners: to what they belong, their default, and what they may be. Pure.
 * Source: Elastic Load Balancing API Reference, "LoadBalancerAttribute", "TargetGroupAttribute", "ListenerAttribute".
 */
import type { ListenerRecord, LoadBalancerRecord, TargetGroupRecord } from "./elb-records.ts";

/** Undefined: good. Else what it must be, as the end of "… must be ". */
type Check = (value: string) => string | undefined;

export interface Attribute {
  readonly default: string;
  readonly check: Check;
}
export type AttributeTable = Readonly<Record<string, Attribute>>;

const oneOf =
  (...values: readonly string[]): Check =>
  (value) =>
    values.includes(value) ? undefined : `one of ${values.map((each) => `'${each}'`).join(", ")}`;
const flag = oneOf("true", "false");
const within =
  (least: number, most: number, ...also: readonly string[]): Check =>
  (value) =>
    also.includes(value) || (/^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most)
      ? undefined
      : `between ${least} and ${most}${also.map((each) => ` or '${each}'`).join("")}`;
const text =
  (most: number): Check =>
  (value) =>
    value.length <= most ? undefined : `at most ${most} characters long`;
/** A field's name or value as RFC 9110 has it: nothing that could end the line. */
const header: Check = (value) =>
  /^[\t -~\u0080-\u00ff]{0,1024}$/.test(value) ? undefined : "a header value of at most 1024 printable characters";
const headerName: Check = (value) =>
  /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,127}$/.test(value) ? undefined : "a header name of at most 127 characters";

const off = { default: "false", check: flag };
const on = { default: "true", check: flag };

const logs = (kind: string): AttributeTable => ({
  [`${kind}.s3.enabled`]: off,
  [`${kind}.s3.bucket`]: { default: "", check: text(63) },
  [`${kind}.s3.prefix`]: { default: "", check: text(1024) },
});

const application: AttributeTable = {
  ...logs("access_logs"),
  ...logs("connection_logs"),
  ...logs("health_check_logs"),
  "idle_timeout.timeout_seconds": { default: "60", check: within(1, 4000) },
  "client_keep_alive.seconds": { default: "3600", check: within(60, 604_800) },
  "deletion_protection.enabled": off,
  "load_balancing.cross_zone.enabled": { default: "true", check: oneOf("true") },
  "routing.http.desync_mitigation_mode": { default: "defensive", check: oneOf("monitor", "defensive", "strictest") },
  "routing.http.drop_invalid_header_fields.enabled": off,
  "routing.http.preserve_host_header.enabled": off,
  "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": off,
  "routing.http.xff_client_port.enabled": off,
  "routing.http.xff_header_processing.mode": { default: "append", check: oneOf("append", "preserve", "remove") },
  "routing.http2.enabled": on,
  "waf.fail_open.enabled": off,
  "zonal_shift.config.enabled": off,
};

const network: AttributeTable = {
  ...logs("access_logs"),
  "deletion_protection.enabled": off,
  "load_balancing.cross_zone.enabled": off,
  "dns_record.client_routing_policy": {
    default: "any_availability_zone",
    check: oneOf("any_availability_zone", "availability_zone_affinity", "partial_availability_zone_affinity"),
  },
  "secondary_ips.auto_assigned.per_subnet": { default: "0", check: within(0, 7) },
  "zonal_shift.config.enabled": off,
};

export function loadBalancerAttributes({ type, scheme }: Pick<LoadBalancerRecord, "type" | "scheme">): AttributeTable {
  return {
    ...(type === "application" ? application : network),
    "ipv6.deny_all_igw_traffic": { default: String(scheme === "internal"), check: flag },
  };
}

const count = within(1, 1000);
const week = 604_800;

const everyGroup: AttributeTable = {
  "deregistration_delay.timeout_seconds": { default: "300", check: within(0, 3600) },
  "stickiness.enabled": off,
  "load_balancing.cross_zone.enabled": {
    default: "use_load_balancer_configuration",
    check: oneOf("true", "false", "use_load_balancer_configuration"),
  },
  "target_group_health.dns_failover.minimum_healthy_targets.count": { default: "1", check: within(1, 1000, "off") },
  "target_group_health.dns_failover.minimum_healthy_targets.percentage": { default: "off", check: within(1, 100, "off") },
  "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": { default: "1", check: count },
  "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": { default: "off", check: within(1, 100, "off") },
};

const httpGroup: AttributeTable = {
  ...everyGroup,
  "stickiness.type": { default: "lb_cookie", check: oneOf("lb_cookie", "app_cookie") },
  "stickiness.lb_cookie.duration_seconds": { default: "86400", check: within(1, week) },
  "stickiness.app_cookie.cookie_name": {
    default: "",
    check: (value) =>
      value === "" || (/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(value) && !/^AWSALB/i.test(value))
        ? undefined
        : "the name of a cookie that does not begin with AWSALB, AWSALBAPP or AWSALBTG",
  },
  "stickiness.app_cookie.duration_seconds": { default: "86400", check: within(1, week) },
  "slow_start.duration_seconds": { default: "0", check: (value) => (value === "0" ? undefined : within(30, 900, "0")(value)) },
  "load_balancing.algorithm.type": {
    default: "round_robin",
    check: oneOf("round_robin", "least_outstanding_requests", "weighted_random"),
  },
  "load_balancing.algorithm.anomaly_mitigation": { default: "off", check: oneOf("on", "off") },
};

export function targetGroupAttributes({ protocol, targetType }: Pick<TargetGroupRecord, "protocol" | "targetType">): AttributeTable {
  if (protocol === "HTTP" || protocol === "HTTPS") return httpGroup;
  const datagrams = protocol === "UDP" || protocol === "TCP_UDP";
  return {
    ...everyGroup,
    "stickiness.type": { default: "source_ip", check: oneOf("source_ip") },
    "proxy_protocol_v2.enabled": off,
    "preserve_client_ip.enabled": {
      default: String(targetType !== "ip" || datagrams),
      check: datagrams ? oneOf("true") : flag,
    },
    "deregistration_delay.connection_termination.enabled": { default: String(datagrams), check: flag },
    "target_health_state.unhealthy.connection_termination.enabled": datagrams ? { default: "false", check: oneOf("false") } : on,
    "target_health_state.unhealthy.draining_interval_seconds": { default: "0", check: within(0, 360_000) },
  };
}

const responseHeaders = [
  "strict_transport_security",
  "access_control_allow_origin",
  "access_control_allow_methods",
  "access_control_allow_headers",
  "access_control_allow_credentials",
  "access_control_expose_headers",
  "access_control_max_age",
  "content_security_policy",
  "x_content_type_options",
  "x_frame_options",
];
/** What the load balancer tells a target of the client's certificate and connection: by attribute, the header's name unless somebody gives it another. */
const requestHeaders = {
  x_amzn_mtls_clientcert_serial_number: "X-Amzn-Mtls-Clientcert-Serial-Number",
  x_amzn_mtls_clientcert_issuer: "X-Amzn-Mtls-Clientcert-Issuer",
  x_amzn_mtls_clientcert_subject: "X-Amzn-Mtls-Clientcert-Subject",
  x_amzn_mtls_clientcert_validity: "X-Amzn-Mtls-Clientcert-Validity",
  x_amzn_mtls_clientcert_leaf: "X-Amzn-Mtls-Clientcert-Leaf",
  x_amzn_mtls_clientcert: "X-Amzn-Mtls-Clientcert",
  x_amzn_tls_version: "X-Amzn-Tls-Version",
  x_amzn_tls_cipher_suite: "X-Amzn-Tls-Cipher-Suite",
};

const httpListener: AttributeTable = {
  "routing.http.response.server.enabled": on,
  ...Object.fromEntries(responseHeaders.map((name) => [`routing.http.response.${name}.header_value`, { default: "", check: header }])),
};
const httpsListener: AttributeTable = {
  ...httpListener,
  ...Object.fromEntries(
    Object.entries(requestHeaders).map(([name, value]) => [
      `routing.http.request.${name}.header_name`,
      { default: value, check: headerName },
    ]),
  ),
};

export function listenerAttributes({ protocol }: Pick<ListenerRecord, "protocol">): AttributeTable {
  if (protocol === "HTTP") return httpListener;
  if (protocol === "HTTPS") return httpsListener;
  return protocol === "TCP" || protocol === "TCP_UDP" ? { "tcp.idle_timeout.seconds": { default: "350", check: within(60, 6000) } } : {};
}

/** The value of an attribute, or undefined where there is no such attribute. */
export const attributeOf = (table: AttributeTable, set: Readonly<Record<string, string>>, key: string): string | undefined =>
  set[key] ?? table[key]?.default;

/** How long a target of the group drains, in milliseconds. */
export const drainMs = (group: TargetGroupRecord): number =>
  Number(attributeOf(targetGroupAttributes(group), group.attributes, "deregistration_delay.timeout_seconds") ?? 300) * 1000;
