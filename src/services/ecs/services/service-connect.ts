import type { ServiceConnectConfiguration, ServiceConnectService, TaskDefinition } from "@aws-sdk/client-ecs";
import { ApiError } from "#api/contract.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { NamespaceRecord } from "#model/cloud-map-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { ClusterRecord } from "#model/ecs-records.ts";
import type { RevisionSpec, ServiceRecord } from "#model/service-records.ts";
import { type ConnectEndpoint, type ConnectProtocol, mostNames, type ResolvedConnect } from "#model/service-connect.ts";
import { findNamespace, needNamespace } from "#reconcilers/names/namespaces.ts";
import { removeConnect, writeConnect } from "#reconcilers/service-connect/records.ts";
import type { Random } from "#platform/random.ts";
import type { Store } from "#store/store.ts";
import type { Unit } from "#store/unit.ts";
import { ecsErrors } from "../errors.ts";

const { invalid, notYet } = ecsErrors;

export const namespaceNotFound = (namespace: string) =>
  new ApiError("NamespaceNotFoundException", `The specified namespace wasn't found: ${namespace}`);

/** The configuration with the namespace that it is for: its own, or the cluster's. Undefined: no Service Connect. Throws InvalidParameterException. */
export function withNamespace(
  given: ServiceConnectConfiguration | undefined,
  cluster: ClusterRecord,
): ServiceConnectConfiguration | undefined {
  if (!given?.enabled) return given;
  const namespace = given.namespace || (cluster.serviceConnectDefaults as { namespace?: string } | undefined)?.namespace;
  if (!namespace)
    throw invalid(
      "Service Connect namespace was not specified. Specify a namespace in the service, or set serviceConnectDefaults of the cluster.",
    );
  return { ...given, namespace };
}

/** What the configuration demands of the task definition. Pure. Source: ECS API Reference, ServiceConnectConfiguration and its parts. */
export function checkServiceConnect(
  given: ServiceConnectConfiguration | undefined,
  definition: TaskDefinition | undefined,
  external: boolean,
): void {
  if (!given) return;
  if (!given.enabled) {
    if (given.services?.length) throw invalid("Service Connect services can't be specified while Service Connect is not enabled.");
    return;
  }
  if (external) throw invalid("Service Connect is not supported with the EXTERNAL deployment controller.");
  if (given.accessLogConfiguration) throw notYet("accessLogConfiguration of Service Connect");
  if (given.containerConfigurations?.length) throw notYet("containerConfigurations of Service Connect");
  if (!definition) return;
  const mode = definition.networkMode ?? "bridge";
  if (mode !== "awsvpc" && mode !== "bridge")
    throw invalid(`Service Connect is not supported with network mode ${mode}: use awsvpc or bridge.`);
  const endpoints = (given.services ?? []).map((each) => endpointOf(each, definition, ""));
  unique(
    endpoints.map(({ discoveryName }) => discoveryName),
    (name) => `Service Connect discoveryName ${name} is used more than once.`,
  );
  unique(
    endpoints.flatMap(({ aliases }) => aliases.map(({ dnsName, port }) => `${dnsName}:${port}`)),
    (alias) => `Service Connect clientAlias ${alias} is used more than once.`,
  );
  unique(
    endpoints.flatMap(({ ingressPort }) => (ingressPort === undefined ? [] : [String(ingressPort)])),
    (port) => `Service Connect ingressPortOverride ${port} is used more than once.`,
  );
}

function unique(names: readonly string[], message: (name: string) => string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw invalid(message(name));
    seen.add(name);
  }
}

const isPort = (port: number | undefined) => port !== undefined && Number.isInteger(port) && port >= 1 && port <= 65535;

/** One of its services, with the port of the task definition that it names. Throws InvalidParameterException. */
function endpointOf(
  given: ServiceConnectService,
  definition: TaskDefinition,
  namespace: string,
): Omit<ConnectEndpoint, "cloudMapService" | "cloudMapArn"> {
  const { portName = "", discoveryName = portName, clientAliases = [], ingressPortOverride, timeout, tls } = given;
  const found = (definition.containerDefinitions ?? []).flatMap(({ name = "", portMappings = [] }) =>
    portMappings.filter((mapping) => mapping.name === portName).map((mapping) => ({ container: name, mapping })),
  )[0];
  if (portName === "" || !found)
    throw invalid(`Service Connect portName ${portName} was not found in the port mappings of the task definition.`);
  const { mapping, container } = found;
  if (mapping.containerPort === undefined) throw invalid(`Service Connect portName ${portName} names a range of ports.`);
  if (mapping.protocol === "udp") throw invalid(`Service Connect portName ${portName} names a port of protocol udp.`);
  if (tls) throw notYet("TLS of Service Connect");
  if (!/^[a-z0-9_][a-z0-9_-]{0,63}$/.test(discoveryName))
    throw invalid(
      `Service Connect discoveryName ${discoveryName} can have up to 64 lowercase letters, numbers, underscores and hyphens, and can't start with a hyphen.`,
    );
  if (clientAliases.length > 1) throw invalid("A Service Connect service can have at most 1 clientAlias.");
  const protocol: ConnectProtocol = mapping.appProtocol ?? "tcp";
  const aliases = clientAliases.map(({ port, dnsName = `${discoveryName}.${namespace}`, testTrafficRules }) => {
    if (!isPort(port)) throw invalid("The port of a Service Connect clientAlias must be between 1 and 65535.");
    if (testTrafficRules) throw notYet("testTrafficRules of a Service Connect clientAlias");
    if (!/^[a-z0-9_.][a-z0-9_.-]{0,126}$/.test(dnsName))
      throw invalid(
        `Service Connect dnsName ${dnsName} can have up to 127 lowercase letters, numbers, underscores, hyphens and periods, and can't start with a hyphen.`,
      );
    return { dnsName, port: port! };
  });
  if (ingressPortOverride !== undefined) {
    if (!isPort(ingressPortOverride)) throw invalid("ingressPortOverride must be between 1 and 65535.");
    if (definition.networkMode !== "awsvpc") throw notYet("ingressPortOverride in network mode bridge");
    if (portsOf(definition).has(ingressPortOverride))
      throw invalid(`ingressPortOverride ${ingressPortOverride} is a container port of the task definition.`);
  }
  const { idleTimeoutSeconds, perRequestTimeoutSeconds } = timeout ?? {};
  for (const [name, seconds] of Object.entries({ idleTimeoutSeconds, perRequestTimeoutSeconds }))
    if (seconds !== undefined && (!Number.isInteger(seconds) || seconds < 0 || seconds > 2_147_483))
      throw invalid(`Service Connect ${name} must be between 0 and 2147483.`);
  if (perRequestTimeoutSeconds !== undefined && protocol === "tcp")
    throw invalid(`Service Connect perRequestTimeoutSeconds can't be set for portName ${portName}: its appProtocol is tcp.`);
  return {
    ...{ discoveryName, portName, protocol, aliases },
    containerName: container,
    containerPort: mapping.containerPort,
    ...(ingressPortOverride === undefined ? {} : { ingressPort: ingressPortOverride }),
    ...(idleTimeoutSeconds === undefined ? {} : { idleTimeoutSeconds }),
    ...(perRequestTimeoutSeconds === undefined ? {} : { perRequestTimeoutSeconds }),
  };
}

function portsOf({ containerDefinitions = [] }: TaskDefinition): ReadonlySet<number | undefined> {
  return new Set(containerDefinitions.flatMap(({ portMappings = [] }) => portMappings.map(({ containerPort }) => containerPort)));
}

/** That the namespace is there. Throws NamespaceNotFoundException. */
export async function checkNamespace(store: Store, scope: Scope, given: ServiceConnectConfiguration | undefined): Promise<void> {
  if (!given?.enabled) return;
  const { entries } = await store.list<NamespaceRecord>(cloudMapKeys.namespaces(scope));
  const all = entries.map(({ value }) => value);
  if (!findNamespace(all, given.namespace ?? "")) throw namespaceNotFound(given.namespace ?? "");
}

/** In the transaction of a deployment: Cloud Map's services and the record of what the service offers; what the deployment's tasks are made with. */
export async function resolveConnect(
  unit: Unit,
  scope: Scope,
  service: Pick<ServiceRecord, "arn" | "cluster" | "name">,
  spec: RevisionSpec,
  definition: TaskDefinition,
  { random, now }: { readonly random: Random; readonly now: number },
): Promise<ResolvedConnect | undefined> {
  const given = spec.serviceConnectConfiguration as ServiceConnectConfiguration | undefined;
  if (!given?.enabled) {
    await removeConnect(unit, scope, service.cluster, service.name);
    return undefined;
  }
  const namespace = await needNamespace(unit, scope, given.namespace ?? "");
  if (!namespace) throw namespaceNotFound(given.namespace ?? "");
  const endpoints = (given.services ?? []).map((each) => endpointOf(each, definition, namespace.name));
  const taken = (what: string, name: string) =>
    invalid(`The Service Connect ${what} ${name} is already in use in the namespace ${namespace.name}.`);
  const { logConfiguration } = given;
  const resolved = await writeConnect(
    unit,
    scope,
    service,
    { namespaceId: namespace.id, endpoints, ...(logConfiguration ? { logConfiguration } : {}) },
    { random, now, taken },
  );
  if (new Set(resolved.aliases.map(({ dnsName }) => dnsName)).size > mostNames)
    throw invalid(`The namespace ${namespace.name} has more than ${mostNames} Service Connect names.`);
  return resolved;
}
