import type { Tag } from "./ecs-records.ts";

/**
 * Cloud Map's records as they lie in the store (keys: cloud-map-keys.ts). Writer of each: the operations of `src/services/servicediscovery`; of
 * instances also ECS, for the tasks of services with serviceRegistries (src/reconcilers/names/instances.ts). Times are milliseconds since the
 * epoch. Source: AWS Cloud Map API Reference.
 */

/** The request that made a record: its token, and the operation that it was answered with. */
export interface CreatorRequest {
  readonly id: string;
  /** A digest of all that was asked for. */
  readonly digest: string;
}

export interface NamespaceRecord {
  /** `ns-` and 16 letters and digits. */
  readonly id: string;
  readonly arn: string;
  /** As given; names compare without case in DNS. */
  readonly name: string;
  readonly type: "HTTP" | "DNS_PRIVATE";
  readonly description?: string;
  /** What DiscoverInstances calls it: the name, unless another namespace had it before. */
  readonly httpName: string;
  /** Of a DNS_PRIVATE one. */
  readonly dns?: NamespaceDns;
  readonly createdAt: number;
  readonly creator?: CreatorRequest;
  /** The operation that made it. */
  readonly operation: string;
  readonly tags: readonly Tag[];
}

export interface NamespaceDns {
  readonly vpcId: string;
  /** `Z…`. */
  readonly hostedZoneId: string;
  /** Seconds for which a resolver may remember that a name is not there. */
  readonly soaTtl: number;
}

export type RecordType = "A" | "AAAA" | "SRV" | "CNAME";

export interface CloudMapServiceRecord {
  /** `srv-` and 16 letters and digits. */
  readonly id: string;
  readonly arn: string;
  readonly name: string;
  readonly namespaceId: string;
  readonly type: "HTTP" | "DNS_HTTP";
  readonly description?: string;
  readonly dns?: {
    readonly routingPolicy: "MULTIVALUE" | "WEIGHTED";
    readonly records: readonly { readonly type: RecordType; readonly ttl: number }[];
    /** Given in DnsConfig, where older requests name the namespace. */
    readonly named: boolean;
  };
  /** Health is what UpdateInstanceCustomHealthStatus or ECS says. Without it no instance is ever unhealthy. */
  readonly customHealth: boolean;
  readonly attributes: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly creator?: CreatorRequest;
  readonly tags: readonly Tag[];
}

export interface InstanceRecord {
  readonly id: string;
  readonly serviceId: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** Counts only where the service has a custom health check. */
  readonly health: "HEALTHY" | "UNHEALTHY";
  readonly creatorRequestId?: string;
  readonly registeredAt: number;
}

export interface OperationRecord {
  readonly id: string;
  readonly type:
    | "CREATE_NAMESPACE"
    | "DELETE_NAMESPACE"
    | "UPDATE_NAMESPACE"
    | "UPDATE_SERVICE"
    | "REGISTER_INSTANCE"
    | "DEREGISTER_INSTANCE";
  /** What is asked for is done before the answer: there is nothing between. */
  readonly status: "SUCCESS" | "FAIL";
  readonly errorCode?: string;
  readonly errorMessage?: string;
  readonly at: number;
  /** `NAMESPACE`, `SERVICE`, `INSTANCE` to the id. */
  readonly targets: Readonly<Record<string, string>>;
}
