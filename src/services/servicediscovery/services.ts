import type * as Sdk from "@aws-sdk/client-servicediscovery";
import { formatArn } from "#model/arn.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, NamespaceRecord } from "#model/cloud-map-records.ts";
import { newServiceId } from "#reconcilers/names/ids.ts";
import {
  type Change,
  creatorOf,
  instancesOf,
  needNamespace,
  needService,
  page,
  type Question,
  sameCreator,
  servicesOf,
  writeOperation,
} from "./context.ts";
import { errors } from "./errors.ts";
import { filtered } from "./filters.ts";
import { checkAttributes, checkDescription, checkServiceName, dnsConfigOf, dnsRecordsOf, mergedTags } from "./rules.ts";
import { serviceSummary, serviceView } from "./views.ts";

/** Services. Source: AWS Cloud Map API Reference, "CreateService" and its kin. */

export async function createService(change: Change, input: Sdk.CreateServiceRequest): Promise<Sdk.CreateServiceResponse> {
  const { unit, scope, random, now } = change;
  const namespaceGiven = input.NamespaceId ?? input.DnsConfig?.NamespaceId;
  if (namespaceGiven === undefined) throw errors.invalid("NamespaceId is required.");
  if (input.NamespaceId !== undefined && input.DnsConfig?.NamespaceId !== undefined && input.NamespaceId !== input.DnsConfig.NamespaceId)
    throw errors.invalid("NamespaceId and DnsConfig.NamespaceId name different namespaces.");
  const namespace = await needNamespace(change, namespaceGiven);
  const dns = input.DnsConfig && dnsOf(namespace, input);
  checkServiceName(input.Name!, namespace.name, dns !== undefined);
  checkDescription(input.Description);
  checkHealth(namespace, input);
  const creator = creatorOf(input);
  const changed = cloudMapKeys.servicesChanged(scope, namespace.id);
  // Compared and put, as with the names of namespaces.
  await unit.get(changed);
  const name = input.Name!;
  const sameName = (each: CloudMapServiceRecord) =>
    each.name === name || (dns !== undefined && each.dns !== undefined && each.name.toLowerCase() === name.toLowerCase());
  const same = (await servicesOf(change, namespace.id)).find(sameName);
  if (same && sameCreator(same.creator, creator)) return { Service: serviceView(scope, same, (await instancesOf(change, same.id)).length) };
  if (same) throw errors.serviceExists(same.id, same.arn, same.creator?.id);
  const id = newServiceId(random);
  const record: CloudMapServiceRecord = {
    id,
    arn: formatArn({ service: "servicediscovery", ...scope, resource: `service/${id}` }),
    name,
    namespaceId: namespace.id,
    type: dns ? "DNS_HTTP" : "HTTP",
    ...(input.Description === undefined ? {} : { description: input.Description }),
    ...(dns ? { dns: { ...dns, named: input.DnsConfig?.NamespaceId !== undefined } } : {}),
    customHealth: input.HealthCheckCustomConfig !== undefined,
    attributes: {},
    createdAt: now,
    ...(creator ? { creator } : {}),
    tags: mergedTags(id, [], input.Tags),
  };
  unit.put(cloudMapKeys.service(scope, id), record);
  unit.put(changed, {});
  return { Service: serviceView(scope, record, 0) };
}

function dnsOf(namespace: NamespaceRecord, { DnsConfig, Type }: Sdk.CreateServiceRequest) {
  if (namespace.type === "HTTP") throw errors.invalid("DnsConfig can't be specified for a service in an HTTP namespace.");
  if (Type === "HTTP") throw errors.invalid("DnsConfig can't be specified for a service of type HTTP.");
  return dnsConfigOf(DnsConfig!);
}

function checkHealth(namespace: NamespaceRecord, { HealthCheckConfig, HealthCheckCustomConfig, Type }: Sdk.CreateServiceRequest): void {
  if (Type !== undefined && Type !== "HTTP") throw errors.invalid(`Type must be HTTP: ${String(Type)}`);
  if (!HealthCheckConfig) return;
  if (HealthCheckCustomConfig) throw errors.invalid("Specify HealthCheckConfig or HealthCheckCustomConfig, not both.");
  if (namespace.type === "DNS_PRIVATE")
    throw errors.invalid("HealthCheckConfig can't be specified for a service in a private DNS namespace: use HealthCheckCustomConfig.");
  throw errors.notYet("Route 53 health checks (HealthCheckConfig); use HealthCheckCustomConfig");
}

/** Its records may get another TTL, or be left out; their types never change. What DnsConfig does not name is deleted; without a DnsConfig all stays. */
export async function updateService(change: Change, input: Sdk.UpdateServiceRequest): Promise<Sdk.UpdateServiceResponse> {
  const record = await needService(change, input.Id);
  const { Description, DnsConfig, HealthCheckConfig } = input.Service!;
  checkDescription(Description);
  if (HealthCheckConfig) throw errors.notYet("Route 53 health checks (HealthCheckConfig); use HealthCheckCustomConfig");
  let { dns } = record;
  if (DnsConfig) {
    if (!dns) throw errors.invalid(`Service ${record.id} has no DNS records, and a service's record types can't be changed.`);
    const records = dnsRecordsOf(DnsConfig.DnsRecords);
    const strange = records.find(({ type }) => !record.dns?.records.some((each) => each.type === type));
    if (strange) throw errors.invalid(`The type of a DNS record can't be changed: service ${record.id} has no ${strange.type} records.`);
    dns = { ...dns, records };
  }
  change.unit.put(cloudMapKeys.service(change.scope, record.id), {
    ...record,
    ...(Description === undefined ? {} : { description: Description }),
    ...(dns ? { dns } : {}),
  } satisfies CloudMapServiceRecord);
  return writeOperation(change, "UPDATE_SERVICE", { SERVICE: record.id });
}

export async function deleteService(change: Change, { Id }: Sdk.DeleteServiceRequest): Promise<Sdk.DeleteServiceResponse> {
  const { id, namespaceId } = await needService(change, Id);
  const { unit, scope } = change;
  const changed = cloudMapKeys.instancesChanged(scope, id);
  // Compared: no instance comes between.
  await unit.get(changed);
  if ((await instancesOf(change, id)).length > 0)
    throw errors.inUse(`The service ${id} contains registered instances and can't be deleted: deregister its instances first.`);
  unit.delete(cloudMapKeys.service(scope, id));
  unit.delete(changed);
  unit.put(cloudMapKeys.servicesChanged(scope, namespaceId), {});
  return {};
}

export async function getService(question: Question, { Id }: Sdk.GetServiceRequest): Promise<Sdk.GetServiceResponse> {
  const record = await needService(question, Id);
  return { Service: serviceView(question.scope, record, (await instancesOf(question, record.id)).length) };
}

export async function listServices(question: Question, input: Sdk.ListServicesRequest): Promise<Sdk.ListServicesResponse> {
  const { scope } = question;
  const all = await question.list<CloudMapServiceRecord>(cloudMapKeys.services(scope));
  // A namespace's ARN is as good as its id.
  const filters = input.Filters?.map((filter) =>
    filter.Name === "NAMESPACE_ID"
      ? { ...filter, Values: filter.Values?.map((value) => value.replace(/^arn:.*:namespace\//, "")) }
      : filter,
  );
  const found = filtered(all, filters, {
    NAMESPACE_ID: { conditions: ["EQ"], value: ({ namespaceId }) => namespaceId },
    RESOURCE_OWNER: { conditions: ["EQ"], value: () => "SELF", only: ["SELF", "OTHER_ACCOUNTS"] },
  });
  const { items, NextToken } = page(question, found, ({ id }) => id, { operation: "ListServices", asked: input.Filters, ...input });
  const Services: Sdk.ServiceSummary[] = [];
  for (const record of items) Services.push(serviceSummary(scope, record, (await instancesOf(question, record.id)).length));
  return { Services, NextToken };
}

export async function getServiceAttributes(
  question: Question,
  { ServiceId }: Sdk.GetServiceAttributesRequest,
): Promise<Sdk.GetServiceAttributesResponse> {
  const { arn, attributes } = await needService(question, ServiceId);
  return { ServiceAttributes: { ServiceArn: arn, ResourceOwner: question.scope.account, Attributes: attributes } };
}

export async function updateServiceAttributes(
  change: Change,
  input: Sdk.UpdateServiceAttributesRequest,
): Promise<Sdk.UpdateServiceAttributesResponse> {
  const record = await needService(change, input.ServiceId);
  const attributes = { ...record.attributes, ...input.Attributes };
  checkAttributes(attributes, errors.tooManyAttributes);
  change.unit.put(cloudMapKeys.service(change.scope, record.id), { ...record, attributes });
  return {};
}

export async function deleteServiceAttributes(
  change: Change,
  input: Sdk.DeleteServiceAttributesRequest,
): Promise<Sdk.DeleteServiceAttributesResponse> {
  const record = await needService(change, input.ServiceId);
  const attributes = Object.fromEntries(Object.entries(record.attributes).filter(([name]) => !input.Attributes?.includes(name)));
  change.unit.put(cloudMapKeys.service(change.scope, record.id), { ...record, attributes });
  return {};
}
