import type {
  DescribeServicesRequest,
  DescribeServicesResponse,
  ListServicesByNamespaceRequest,
  ListServicesByNamespaceResponse,
  ListServicesRequest,
  ListServicesResponse,
  Service,
} from "@aws-sdk/client-ecs";
import type { RequestContext } from "#api/contract.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { NamespaceRecord } from "#model/cloud-map-records.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { DeploymentRecord, ServiceRecord, ServiceRevisionRecord } from "#model/service-records.ts";
import { type ConnectServiceRecord, serviceConnectKeys } from "#model/service-connect.ts";
import { findNamespace } from "#reconcilers/names/namespaces.ts";
import { scopeOf, textPage } from "../context.ts";
import { ecsErrors } from "../errors.ts";
import { clusterOf } from "../tasks/lookup.ts";
import type { ServiceDeps } from "./context.ts";
import { serviceArns, serviceName } from "./names.ts";
import { namespaceNotFound } from "./service-connect.ts";
import { describeService } from "./view.ts";

export async function describeServices(
  deps: ServiceDeps,
  input: DescribeServicesRequest,
  context: RequestContext,
): Promise<DescribeServicesResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const asked = input.services ?? [];
  if (asked.length === 0) throw ecsErrors.invalid("Services cannot be empty.");
  if (asked.length > 10) throw ecsErrors.invalid("Services cannot have more than 10 elements.");
  const services: Service[] = [];
  const failures: DescribeServicesResponse["failures"] = [];
  for (const text of asked) {
    const name = serviceName(scope, cluster.name, text);
    const record =
      name === undefined ? undefined : (await deps.store.get<ServiceRecord>(ecsKeys.service(scope, cluster.name, name)))?.value;
    if (record) services.push(await describeService(deps, scope, record, input.include ?? []));
    else failures.push({ arn: text.startsWith("arn:") ? text : serviceArns.service(scope, cluster.name, text), reason: "MISSING" });
  }
  return { services, failures };
}

/** ARNs of services that are not INACTIVE, in the order of their names. */
export async function listServices(deps: ServiceDeps, input: ListServicesRequest, context: RequestContext): Promise<ListServicesResponse> {
  const scope = scopeOf(context);
  const cluster = await clusterOf(deps.store, scope, input.cluster);
  const { entries } = await deps.store.list<ServiceRecord>(ecsKeys.services(scope, cluster.name));
  const arns: string[] = [];
  for (const { value } of entries) {
    if (value.status === "INACTIVE") continue;
    if (input.schedulingStrategy && value.schedulingStrategy !== input.schedulingStrategy) continue;
    if (input.resourceManagementType && input.resourceManagementType !== "CUSTOMER") continue;
    if (input.launchType && (await launchTypeOf(deps, scope, value)) !== input.launchType) continue;
    arns.push(value.arn);
  }
  const filters = [input.launchType, input.schedulingStrategy, input.resourceManagementType].join("/");
  const page = textPage(deps, `ListServices/${ecsKeys.root(scope)}/${cluster.name}/${filters}`, arns, {
    ...input,
    maxResults: input.maxResults ?? 10,
  });
  return { serviceArns: [...page.items], nextToken: page.nextToken };
}

async function launchTypeOf(deps: ServiceDeps, scope: ReturnType<typeof scopeOf>, service: ServiceRecord): Promise<string | undefined> {
  if (service.deployment === undefined) return undefined;
  const deployment = await deps.store.get<DeploymentRecord>(ecsKeys.deployment(scope, service.cluster, service.name, service.deployment));
  if (!deployment) return undefined;
  const key = ecsKeys.serviceRevision(scope, service.cluster, service.name, deployment.value.revision);
  return (await deps.store.get<ServiceRevisionRecord>(key))?.value.launchType;
}

/** Services of all clusters that are in a namespace by Service Connect. */
export async function listServicesByNamespace(
  deps: ServiceDeps,
  input: ListServicesByNamespaceRequest,
  context: RequestContext,
): Promise<ListServicesByNamespaceResponse> {
  const scope = scopeOf(context);
  const { namespace = "" } = input;
  if (namespace === "") throw ecsErrors.invalid("Namespace cannot be empty.");
  const namespaces = await deps.store.list<NamespaceRecord>(cloudMapKeys.namespaces(scope));
  const found = findNamespace(
    namespaces.entries.map(({ value }) => value),
    namespace,
  );
  if (!found) throw namespaceNotFound(namespace);
  const { entries } = await deps.store.list<ConnectServiceRecord>(serviceConnectKeys.services(scope));
  const arns = entries.flatMap(({ value }) => (value.namespaceId === found.id ? [value.arn] : []));
  const page = textPage(deps, `ListServicesByNamespace/${ecsKeys.root(scope)}/${found.id}`, arns.toSorted(), {
    ...input,
    maxResults: input.maxResults ?? 10,
  });
  return { serviceArns: [...page.items], nextToken: page.nextToken };
}
