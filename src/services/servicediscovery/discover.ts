import type * as Sdk from "@aws-sdk/client-servicediscovery";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, InstanceRecord, NamespaceRecord } from "#model/cloud-map-records.ts";
import { instancesOf, type Question, servicesOf } from "./context.ts";
import { errors } from "./errors.ts";
import { limitOf } from "./rules.ts";
import { healthOf } from "./views.ts";

/** What clients ask at run time, by names. Source: AWS Cloud Map API Reference, "DiscoverInstances", "DiscoverInstancesRevision". */

interface Named {
  readonly NamespaceName?: string;
  readonly ServiceName?: string;
  readonly OwnerAccount?: string;
}

async function find(question: Question, { NamespaceName, ServiceName, OwnerAccount }: Named) {
  const { scope } = question;
  const own = OwnerAccount === undefined || OwnerAccount === scope.account;
  const all = await question.list<NamespaceRecord>(cloudMapKeys.namespaces(scope));
  const namespace = own ? all.find(({ httpName }) => httpName === NamespaceName) : undefined;
  if (!namespace) throw errors.noNamespace(NamespaceName ?? "");
  const service = (await servicesOf(question, namespace.id)).find(({ name }) => name === ServiceName);
  if (!service) throw errors.noService(ServiceName ?? "");
  return { namespace, service };
}

/** The store's revision at which the service's instances were last changed: it grows with each change. */
async function revisionOf({ deps, scope }: Question, service: CloudMapServiceRecord): Promise<number> {
  const changed = await deps.store.get(cloudMapKeys.instancesChanged(scope, service.id));
  return changed?.revision ?? (await deps.store.get(cloudMapKeys.service(scope, service.id)))?.created ?? 1;
}

const matches = ({ attributes }: InstanceRecord, wanted: Readonly<Record<string, string>> | undefined) =>
  Object.entries(wanted ?? {}).every(([name, value]) => Object.hasOwn(attributes, name) && attributes[name] === value);

const healthFilters = ["HEALTHY", "UNHEALTHY", "ALL", "HEALTHY_OR_ELSE_ALL"];

function ofHealth(service: CloudMapServiceRecord, instances: readonly InstanceRecord[], filter: string): readonly InstanceRecord[] {
  if (!healthFilters.includes(filter)) throw errors.invalid(`HealthStatus must be one of [${healthFilters.join(", ")}]: ${filter}`);
  if (!service.customHealth || filter === "ALL") return instances;
  const found = instances.filter(({ health }) => health === (filter === "UNHEALTHY" ? "UNHEALTHY" : "HEALTHY"));
  return found.length === 0 && filter === "HEALTHY_OR_ELSE_ALL" ? instances : found;
}

/** In random order, so that whoever takes the first spreads its load. */
export async function discoverInstances(question: Question, input: Sdk.DiscoverInstancesRequest): Promise<Sdk.DiscoverInstancesResponse> {
  const limit = limitOf(input.MaxResults, 1000, 100);
  const { namespace, service } = await find(question, input);
  // Before the reading: an older number makes a client ask once more, a newer one would let it miss a change.
  const InstancesRevision = await revisionOf(question, service);
  const asked = (await instancesOf(question, service.id)).filter((each) => matches(each, input.QueryParameters));
  const preferred = asked.filter((each) => matches(each, input.OptionalParameters));
  const healthy = ofHealth(service, preferred.length > 0 ? preferred : asked, input.HealthStatus ?? "HEALTHY_OR_ELSE_ALL");
  const random = healthy.map((each) => [question.deps.random.next(), each] as const).toSorted(([a], [b]) => a - b);
  return {
    Instances: random.slice(0, limit).map(([, each]) => ({
      InstanceId: each.id,
      NamespaceName: namespace.httpName,
      ServiceName: service.name,
      HealthStatus: healthOf(service, each),
      Attributes: each.attributes,
    })),
    InstancesRevision,
  };
}

export async function discoverInstancesRevision(
  question: Question,
  input: Sdk.DiscoverInstancesRevisionRequest,
): Promise<Sdk.DiscoverInstancesRevisionResponse> {
  const { service } = await find(question, input);
  return { InstancesRevision: await revisionOf(question, service) };
}
