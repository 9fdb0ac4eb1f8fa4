/**
 * Service Connect's part of a task. Ours, which standard agents ignore: AWS sends the same as a task attachment of type `serviceconnectdetail`. The proxy's container is among the task's
 * containers.
 */
export interface PayloadServiceConnect {
  /** The proxy's. */
  readonly container: string;
  readonly aliases: readonly PayloadConnectAlias[];
  /** Ports that the proxy takes in for the task's own containers (ingressPortOverride). */
  readonly ingress: readonly { readonly port: number; readonly containerPort: number; readonly protocol: ConnectProtocol }[];
}

export type ConnectProtocol = "http" | "http2" | "grpc" | "tcp";

export interface PayloadConnectAlias {
  readonly hostname: string;
  /** Of the hostname, inside the task; the proxy listens there. */
  readonly address: string;
  readonly port: number;
  readonly protocol: ConnectProtocol;
  /** Cloud Map's id: endpoints are told by it. */
  readonly service: string;
  /** Seconds; 0: none; absent: AWS's default. */
  readonly idleTimeoutSeconds?: number;
  readonly perRequestTimeoutSeconds?: number;
  /** DiscoveryName, ServiceName and ClusterName of its metrics. */
  readonly dimensions: { readonly discoveryName: string; readonly serviceName: string; readonly clusterName: string };
}

/** From the agent: Cloud Map's services whose endpoints its proxies need, whole each time. */
export interface ServiceConnectSubscription {
  readonly messageId: string;
  readonly services: readonly string[];
}

/** The endpoints of all that the agent has subscribed to, whole each time: after each subscription and each change. */
export interface ServiceConnectStateMessage {
  readonly messageId: string;
  readonly services: readonly { readonly id: string; readonly endpoints: readonly ConnectTarget[] }[];
}

/** `address`: a task's own, a machine's, or `127.0.0.1` for the agent's own machine. */
export interface ConnectTarget {
  readonly address: string;
  readonly port: number;
}

/** In telemetry, as the standard agent sends it (amazon-ecs-agent, ecstcs model, GeneralMetricsWrapper). */
export interface GeneralMetricsWrapper {
  readonly metricType: string;
  readonly dimensions: readonly { readonly key: string; readonly value: string }[];
  readonly generalMetrics: readonly {
    readonly metricName: string;
    readonly metricValues: readonly number[];
    readonly metricCounts: readonly number[];
  }[];
}
