import type { Scope } from "./ecs-keys.ts";

/**
 * Service Connect: names of a namespace's services inside the tasks of that namespace. Source: Amazon ECS Developer Guide, "Service Connect" and its
 * components; ECS API Reference, ServiceConnectConfiguration.
 */

const root = ({ account, region }: Scope) => `/service-connect/${account}/${region}`;

export const serviceConnectKeys = {
  /** Of all accounts. */
  everything: "/service-connect/",
  services: (scope: Scope) => `${root(scope)}/service/`,
  service: (scope: Scope, cluster: string, name: string) => `${root(scope)}/service/${cluster}/${name}`,
};

export type ConnectProtocol = "http" | "http2" | "grpc" | "tcp";

/** What a client alias leads to. Seconds; 0: none; absent: AWS's defaults. */
export interface ConnectEndpoint {
  readonly discoveryName: string;
  /** Cloud Map's service: its instances are the tasks. */
  readonly cloudMapService: string;
  readonly cloudMapArn: string;
  readonly portName: string;
  readonly containerName: string;
  readonly containerPort: number;
  readonly protocol: ConnectProtocol;
  readonly ingressPort?: number;
  readonly idleTimeoutSeconds?: number;
  readonly perRequestTimeoutSeconds?: number;
  readonly aliases: readonly { readonly dnsName: string; readonly port: number }[];
}

/**
 * Key `serviceConnectKeys.service`: a service of ECS that is in a namespace, as its newest deployment has it. Writers: the service operations, in the
 * transaction of the deployment; the service reconciler deletes it when the service is INACTIVE.
 */
export interface ConnectServiceRecord {
  readonly arn: string;
  readonly cluster: string;
  readonly service: string;
  readonly namespaceId: string;
  /** None: only a client. */
  readonly endpoints: readonly ConnectEndpoint[];
  /** All of Cloud Map's services that were made for it and are not removed yet, by namespace and discovery name. */
  readonly made: Readonly<Record<string, { readonly id: string; readonly arn: string }>>;
}

/** A name inside a task, which its proxy answers for. */
export interface ConnectAlias {
  readonly dnsName: string;
  readonly port: number;
  readonly discoveryName: string;
  readonly cloudMapService: string;
  readonly protocol: ConnectProtocol;
  readonly idleTimeoutSeconds?: number;
  readonly perRequestTimeoutSeconds?: number;
  /** Whose metrics its requests count for. */
  readonly service: string;
  readonly cluster: string;
}

/** What a deployment's tasks are made with: fixed when the deployment begins, so that a replacement behaves as what it replaces. */
export interface ResolvedConnect {
  readonly namespaceId: string;
  readonly endpoints: readonly ConnectEndpoint[];
  readonly aliases: readonly ConnectAlias[];
  readonly logConfiguration?: unknown;
}

/** Of a task: its proxy container's name, and what that is to do. */
export interface TaskConnect extends ResolvedConnect {
  readonly container: string;
}

/** As the standard agent knows the image of its proxy (amazon-ecs-agent, serviceconnect manager). */
export const connectImage = "ecs-service-connect-agent:interface-v1";

/**
 * The names of a namespace, each once, in a fixed order. Of two services that claim one name and port, the first by ARN has it. Pure.
 */
export function aliasesOf(services: readonly ConnectServiceRecord[], namespaceId: string): ConnectAlias[] {
  const aliases = new Map<string, ConnectAlias>();
  const inside = services.filter((each) => each.namespaceId === namespaceId).toSorted((a, b) => (a.arn < b.arn ? -1 : 1));
  for (const { service, cluster, endpoints } of inside)
    for (const { aliases: own, discoveryName, cloudMapService, protocol, idleTimeoutSeconds, perRequestTimeoutSeconds } of endpoints)
      for (const { dnsName, port } of own) {
        const key = `${dnsName}:${port}`;
        if (aliases.has(key)) continue;
        aliases.set(key, {
          ...{ dnsName, port, discoveryName, cloudMapService, protocol, service, cluster },
          ...(idleTimeoutSeconds === undefined ? {} : { idleTimeoutSeconds }),
          ...(perRequestTimeoutSeconds === undefined ? {} : { perRequestTimeoutSeconds }),
        });
      }
  return [...aliases].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, alias]) => alias);
}

/** AWS's range of addresses for names. In mode bridge each container has a loopback of its own, so there they are addresses of the proxy's. */
const bases = { own: [127, 255, 0], bridge: [169, 254, 172] } as const;
/** Names that a task can have: as many as the smaller range has addresses. */
export const mostNames = 4 * 256 - 2;
/** What a bridge-mode container sends to its task's proxy. */
export const bridgeRange = "169.254.172.0/22";

/** An address for each name. Pure. */
export function addressesOf(names: readonly string[], mode: "own" | "bridge"): ReadonlyMap<string, string> {
  const [a, b, c] = bases[mode];
  return new Map([...new Set(names)].map((name, index) => [name, `${a}.${b}.${c + Math.floor((index + 1) / 256)}.${(index + 1) % 256}`]));
}
