/**
 * What the data plane is told: one value that holds all load balancers of this machine. Ids are the caller's own (ARNs do); they come back in health,
 * events and access logs. Whatever is left out has AWS's default. Source: Elastic Load Balancing's guides for Application and Network Load Balancers,
 * as of the v2 API of 2015-12-01.
 */
export interface Snapshot {
  readonly loadBalancers: readonly LoadBalancer[];
  /** Those that no listener refers to are known too: their targets are `unused`. */
  readonly targetGroups: readonly TargetGroup[];
}

export interface LoadBalancer {
  readonly id: string;
  /** Written into the access log as AWS does: `app/<name>/<id>`. */
  readonly name: string;
  readonly kind: "application" | "network";
  /** IPv4 addresses that the listeners bind; those that this machine does not have are put on the data plane's own link. */
  readonly addresses: readonly string[];
  /** How targets are reached; left out: as this machine reaches them. */
  readonly network?: Network;
  /** Seconds, default 60 for an application, 350 for a network load balancer. */
  readonly idleTimeout?: number;
  /** Seconds without a request after which an HTTP client's connection closes; default 3600 as AWS has it, never above the idle timeout in effect. */
  readonly clientKeepAlive?: number;
  readonly attributes?: LoadBalancerAttributes;
  /** Whether requests are reported to `onAccess`. */
  readonly accessLog?: { readonly bucket: string; readonly prefix: string };
  readonly listeners: readonly Listener[];
}

/** A VPC's network namespace below /run/netns, and the load balancer's own address in it, which targets see and security groups judge. */
export interface Network {
  readonly namespace: string;
  readonly source?: string;
  /** Bound in that namespace too, which must have them: clients in the VPC come here. */
  readonly addresses?: readonly string[];
}

export interface LoadBalancerAttributes {
  /** `routing.http2.enabled`, default true. */
  readonly http2?: boolean;
  /** `routing.http.drop_invalid_header_fields.enabled`, default false. */
  readonly dropInvalidHeaderFields?: boolean;
  /** `routing.http.xff_header_processing.mode`, default `append`. */
  readonly xffMode?: "append" | "preserve" | "remove";
  /** `routing.http.xff_client_port.enabled`, default false. */
  readonly xffClientPort?: boolean;
  /** `routing.http.x_amzn_tls_version_and_cipher_suite.enabled`, default false. */
  readonly tlsHeaders?: boolean;
}

/** UDP, TCP_UDP, QUIC and GENEVE are AWS's too; HAProxy cannot carry them, `problems` says so. */
export type ListenerProtocol = "HTTP" | "HTTPS" | "TCP" | "TLS" | "UDP" | "TCP_UDP";

export interface Listener {
  readonly id: string;
  readonly port: number;
  readonly protocol: ListenerProtocol;
  /** For HTTPS and TLS, the default first. The names come from the certificates themselves. */
  readonly certificates?: readonly Certificate[];
  /** `ELBSecurityPolicy-…`: decides the oldest version of TLS; default 1.2. */
  readonly sslPolicy?: string;
  /** For TLS: the protocols offered by ALPN, in order of preference. */
  readonly alpn?: readonly string[];
  readonly defaultAction: Action;
  /** In any order: the lowest priority that matches decides. Only HTTP and HTTPS have rules. */
  readonly rules?: readonly Rule[];
}

export interface Certificate {
  readonly id: string;
  /** Certificate, its chain, and the private key without a passphrase, as PEM blocks. */
  readonly pem: string;
}

export interface Rule {
  readonly id: string;
  /** 1–50000, unique in its listener. */
  readonly priority: number;
  /** All of them must hold; within one, any value. */
  readonly conditions: readonly Condition[];
  readonly action: Action;
}

/** `*` stands for any characters or none, `?` for exactly one. Host names, methods' names and header names compare as AWS compares them. */
export type Condition =
  /** Case-insensitive. */
  | { readonly field: "host-header"; readonly values: readonly string[] }
  /** Case-sensitive, without the query. */
  | { readonly field: "path-pattern"; readonly values: readonly string[] }
  /** Case-insensitive value; the name has no wildcards. */
  | { readonly field: "http-header"; readonly name: string; readonly values: readonly string[] }
  /** Exact, no wildcards. */
  | { readonly field: "http-request-method"; readonly values: readonly string[] }
  /** Case-insensitive; without a key, any key's value. */
  | { readonly field: "query-string"; readonly values: readonly { readonly key?: string; readonly value: string }[] }
  /** CIDR blocks; the peer's address, never X-Forwarded-For. */
  | { readonly field: "source-ip"; readonly values: readonly string[] };

export type Action =
  | {
      readonly type: "forward";
      /** One to five. Weights 0–999, default 1; a group of weight 0 gets nothing. */
      readonly targetGroups: readonly { readonly id: string; readonly weight?: number }[];
      /** Group stickiness by the cookie AWSALBTG, in seconds. */
      readonly stickinessSeconds?: number;
    }
  | {
      readonly type: "redirect";
      readonly statusCode: 301 | 302;
      /** Defaults `#{protocol}`, `#{host}`, `#{port}`, `/#{path}`, `#{query}`. */
      readonly protocol?: string;
      readonly host?: string;
      readonly port?: string;
      readonly path?: string;
      readonly query?: string;
    }
  | { readonly type: "fixed-response"; readonly statusCode: number; readonly contentType?: string; readonly body?: string };

export interface TargetGroup {
  readonly id: string;
  readonly protocol: "HTTP" | "HTTPS" | "TCP" | "TLS" | "UDP" | "TCP_UDP";
  /** For HTTP and HTTPS; default HTTP1. HTTP2 and GRPC speak HTTP/2 to the targets, without TLS by prior knowledge. */
  readonly protocolVersion?: "HTTP1" | "HTTP2" | "GRPC";
  /** Default round_robin. */
  readonly algorithm?: "round_robin" | "least_outstanding_requests" | "weighted_random";
  /** Seconds, 0 (off, the default) or 30–900. */
  readonly slowStart?: number;
  readonly stickiness?: Stickiness;
  readonly healthCheck: HealthCheck;
  /** Seconds, default 300. */
  readonly deregistrationDelay?: number;
  /** For network load balancers: PROXY protocol version 2 to the targets. */
  readonly proxyProtocolV2?: boolean;
  readonly targets: readonly Target[];
}

export type Stickiness =
  | { readonly type: "lb_cookie"; readonly seconds: number }
  | { readonly type: "app_cookie"; readonly cookieName: string; readonly seconds: number }
  | { readonly type: "source_ip" };

export interface HealthCheck {
  /** Default the group's own, or HTTP. */
  readonly protocol?: "HTTP" | "HTTPS" | "TCP";
  /** Default the target's own (`traffic-port`). */
  readonly port?: number;
  /** For HTTP and HTTPS; default `/`, for GRPC `/AWS.ALB/healthcheck`. */
  readonly path?: string;
  /** Seconds; default 30. */
  readonly interval?: number;
  /** Seconds; default 5. */
  readonly timeout?: number;
  /** Checks in a row; default 5. A newly registered target needs one only. */
  readonly healthyThreshold?: number;
  /** Checks in a row; default 2. */
  readonly unhealthyThreshold?: number;
  /** `200`, `200,202` or `200-299`; GRPC codes for a group of that version. Default 200, for GRPC 12. */
  readonly matcher?: string;
  /** Health checks switched off: a target counts as healthy from the start. */
  readonly disabled?: boolean;
}

export interface Target {
  readonly address: string;
  readonly port: number;
  /** 1–256, default 100: shares among the group's targets. */
  readonly weight?: number;
  /**
   * `registered` is the default. A target that is gone from the snapshot is drained as a deregistered one is, for the group's deregistration delay: the
   * caller may leave it in as `deregistered` (same effect) or just take it out.
   */
  readonly wanted?: "registered" | "deregistered";
}

/** AWS's states and reasons (API: TargetHealth). */
export type TargetState = "initial" | "healthy" | "unhealthy" | "draining" | "unused";
export type TargetReason =
  | "Elb.RegistrationInProgress"
  | "Elb.InitialHealthChecking"
  | "Target.ResponseCodeMismatch"
  | "Target.Timeout"
  | "Target.FailedHealthChecks"
  | "Target.NotRegistered"
  | "Target.NotInUse"
  | "Target.DeregistrationInProgress"
  | "Target.HealthCheckDisabled"
  | "Elb.InternalError";

export interface TargetHealth {
  readonly targetGroupId: string;
  readonly address: string;
  readonly port: number;
  readonly state: TargetState;
  /** Left out when healthy, as AWS does. */
  readonly reason?: TargetReason;
  readonly description?: string;
}
