/**
 * Elastic Load Balancing's records as they lie in the store (keys: ./elb-keys.ts). Writer of each: the operations of `src/services/elbv2`, unless it
 * says otherwise. An `id` is the 16 hexadecimal digits that end an ARN. Times are milliseconds since the epoch, durations seconds as in the API.
 * Source: Elastic Load Balancing API Reference, version 2015-12-01.
 */
import type { Tag } from "./ecs-records.ts";

export interface LoadBalancerRecord {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly type: "application" | "network";
  readonly scheme: "internet-facing" | "internal";
  readonly ipAddressType: "ipv4" | "dualstack";
  readonly vpcId: string;
  /** By the name of the zone; one subnet a zone. */
  readonly zones: readonly LoadBalancerZone[];
  /** Empty only for a network load balancer that was made without: then it never gets any. */
  readonly groups: readonly string[];
  readonly dnsName: string;
  /** Out of the installation's pool: it is this load balancer's alone, so every port of it is free for its listeners. `dnsName` leads here. */
  readonly address: string;
  readonly createdAt: number;
  /** Those that somebody set; defaults in ./elb-attributes.ts. */
  readonly attributes: Readonly<Record<string, string>>;
  /** With groups, and network only. */
  readonly enforceGroupsOnPrivateLink?: "on" | "off";
  readonly tags: readonly Tag[];
}

export interface LoadBalancerZone {
  readonly zoneName: string;
  readonly subnetId: string;
  /** The load balancer's interface in the subnet, with its private addresses: members of its security groups. */
  readonly networkInterfaceId: string;
  readonly privateIp: string;
  readonly ipv6?: string;
  /** That its owner chose the private address, which the API then shows. */
  readonly fixedPrivateIp?: boolean;
  /** Its owner's Elastic IP: a further address of the load balancer. */
  readonly elasticIp?: { readonly allocationId: string; readonly address: string };
}

export interface ListenerRecord {
  readonly id: string;
  readonly arn: string;
  readonly loadBalancerId: string;
  readonly protocol: ListenerProtocol;
  readonly port: number;
  /** HTTPS and TLS. */
  readonly sslPolicy?: string;
  /** HTTPS and TLS: ARNs; the first is the default one, the others are chosen by SNI. */
  readonly certificates: readonly string[];
  /** TLS. */
  readonly alpnPolicy?: AlpnPolicy;
  /** What the default rule does: the last in the order of the rules. */
  readonly defaultActions: readonly RuleAction[];
  readonly defaultRule: { readonly id: string; readonly arn: string; readonly tags: readonly Tag[] };
  readonly attributes: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly tags: readonly Tag[];
}

export type ListenerProtocol = "HTTP" | "HTTPS" | "TCP" | "TLS" | "UDP" | "TCP_UDP";
export type AlpnPolicy = "HTTP1Only" | "HTTP2Only" | "HTTP2Optional" | "HTTP2Preferred" | "None";

/** A rule of an application load balancer's listener, beside the default one. */
export interface RuleRecord {
  readonly id: string;
  readonly arn: string;
  readonly loadBalancerId: string;
  readonly listenerId: string;
  /** 1 to 50,000, of its listener's rules the only one: the lowest is asked first. */
  readonly priority: number;
  /** All must hold; each holds when one of its values does. */
  readonly conditions: readonly RuleCondition[];
  readonly actions: readonly RuleAction[];
  readonly tags: readonly Tag[];
}

/** `*` is any text, `?` any character. */
export type RuleCondition =
  /** Without regard to case. */
  | { readonly field: "host-header"; readonly values: readonly string[] }
  | { readonly field: "path-pattern"; readonly values: readonly string[] }
  /** Name and values without regard to case. */
  | { readonly field: "http-header"; readonly name: string; readonly values: readonly string[] }
  | { readonly field: "http-request-method"; readonly values: readonly string[] }
  /** Without regard to case; a backslash takes the next character as it is. Without `key`: any key. */
  | { readonly field: "query-string"; readonly values: readonly { readonly key?: string; readonly value: string }[] }
  /** Blocks of addresses. */
  | { readonly field: "source-ip"; readonly values: readonly string[] };

/** In the order in which they are done; the last one answers or routes. `order` is what the request said. */
export type RuleAction =
  | {
      readonly type: "forward";
      readonly order?: number;
      /** `id`: the target group's. Weights 0 to 999; all 0: nobody answers. */
      readonly groups: readonly { readonly id: string; readonly arn: string; readonly weight: number }[];
      readonly stickiness?: { readonly enabled: boolean; readonly durationSeconds?: number };
    }
  /** Each part may hold `#{protocol}`, `#{host}`, `#{port}`, `#{path}` (without its leading slash) and `#{query}`. */
  | {
      readonly type: "redirect";
      readonly order?: number;
      readonly protocol: string;
      readonly host: string;
      readonly port: string;
      readonly path: string;
      readonly query: string;
      readonly statusCode: "HTTP_301" | "HTTP_302";
    }
  | {
      readonly type: "fixed-response";
      readonly order?: number;
      readonly statusCode: string;
      readonly contentType?: string;
      readonly messageBody?: string;
    };

export interface TargetGroupRecord {
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly protocol: ListenerProtocol;
  /** HTTP and HTTPS. */
  readonly protocolVersion?: "HTTP1" | "HTTP2" | "GRPC";
  readonly port: number;
  readonly vpcId: string;
  readonly targetType: "instance" | "ip" | "alb";
  readonly ipAddressType: "ipv4" | "ipv6";
  readonly healthCheck: HealthCheck;
  readonly attributes: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly tags: readonly Tag[];
}

export interface HealthCheck {
  readonly protocol: "HTTP" | "HTTPS" | "TCP";
  /** `traffic-port` or a number. */
  readonly port: string;
  /** HTTP and HTTPS. */
  readonly path?: string;
  readonly intervalSeconds: number;
  readonly timeoutSeconds: number;
  readonly healthyThreshold: number;
  readonly unhealthyThreshold: number;
  /** HTTP and HTTPS: `200`, `200,202`, `200-299`; for gRPC its own codes. */
  readonly matcher?: { readonly httpCode: string } | { readonly grpcCode: string };
}

/**
 * A registration. Writers: the operations, and whoever registers tasks (src/reconcilers/load-balancers/targets.ts), in their owner's transaction;
 * the sweeper beside it deletes what has drained.
 */
export interface TargetRecord {
  readonly id: string;
  readonly port: number;
  /** A zone's name or `all`, where the registration said one, or the VPC's subnets tell. */
  readonly availabilityZone?: string;
  readonly registeredAt: number;
  /** From here on it drains: no new requests, those in flight have until `deregistration_delay.timeout_seconds`. */
  readonly deregisteringAt?: number;
}

/** What the data plane saw of a target. Key `/elb-health/…/<group>/<id>:<port>`. Writer: the data plane's reconciler, which also deletes it. */
export interface TargetHealthRecord {
  /** Of the registration that was looked at: the health of an earlier one says nothing of this. */
  readonly registeredAt: number;
  /** `draining`, `unused` and what has not been looked at yet follow from the registration: ./../reconcilers/load-balancers/health.ts. */
  readonly state: "initial" | "healthy" | "unhealthy";
  readonly reason?: TargetHealthReason;
  readonly description?: string;
  readonly changedAt: number;
}

export type TargetHealthReason =
  | "Elb.RegistrationInProgress"
  | "Elb.InitialHealthChecking"
  | "Elb.InternalError"
  | "Target.ResponseCodeMismatch"
  | "Target.Timeout"
  | "Target.FailedHealthChecks"
  | "Target.NotRegistered"
  | "Target.NotInUse"
  | "Target.DeregistrationInProgress"
  | "Target.InvalidState"
  | "Target.IpUnusable"
  | "Target.HealthCheckDisabled";
