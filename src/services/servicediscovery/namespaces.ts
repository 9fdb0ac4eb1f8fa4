import type * as Sdk from "@aws-sdk/client-servicediscovery";
import { formatArn } from "#model/arn.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, NamespaceDns, NamespaceRecord } from "#model/cloud-map-records.ts";
import { vpcKeys } from "#model/vpc-keys.ts";
import { newHostedZoneId, newNameSuffix, newNamespaceId } from "#reconcilers/names/ids.ts";
import { type Change, creatorOf, needNamespace, page, type Question, sameCreator, servicesOf, writeOperation } from "./context.ts";
import { errors } from "./errors.ts";
import { filtered } from "./filters.ts";
import { checkDescription, checkNamespaceName, checkTtl, mergedTags } from "./rules.ts";
import { namespaceSummary, namespaceView } from "./views.ts";

/** Namespaces. Source: AWS Cloud Map API Reference, "CreateHttpNamespace" and its kin. */

const usualSoaTtl = 15;

type Kind = Pick<NamespaceRecord, "type"> & { readonly dns?: Omit<NamespaceDns, "hostedZoneId"> };

async function create(change: Change, input: Sdk.CreateHttpNamespaceRequest, kind: Kind): Promise<{ OperationId: string }> {
  const { unit, scope, random, now } = change;
  const name = input.Name!;
  checkNamespaceName(name, kind.dns !== undefined);
  checkDescription(input.Description);
  const creator = creatorOf(input);
  // Compared and put: whoever else gives this name away at the same moment is tried again.
  await unit.get(cloudMapKeys.namespacesChanged(scope));
  const all = await change.list<NamespaceRecord>(cloudMapKeys.namespaces(scope));
  const earlier = all.find((each) => each.type === kind.type && each.name === name && sameCreator(each.creator, creator));
  if (earlier) return { OperationId: earlier.operation };
  const same = all.find(
    (each) =>
      each.type === kind.type &&
      (kind.dns ? each.name.toLowerCase() === name.toLowerCase() && each.dns?.vpcId === kind.dns.vpcId : each.name === name),
  );
  if (same) throw errors.namespaceExists(same.id, same.creator?.id);
  const id = newNamespaceId(random);
  if (kind.dns && (await unit.get(vpcKeys.one(scope, "vpc", kind.dns.vpcId))) === undefined)
    return writeOperation(
      change,
      "CREATE_NAMESPACE",
      {},
      {
        code: "CANNOT_CREATE_HOSTED_ZONE",
        message: `The VPC that you chose, ${kind.dns.vpcId} in region ${scope.region}, does not exist or you are not authorized to make the association.`,
      },
    );
  const operation = writeOperation(change, "CREATE_NAMESPACE", { NAMESPACE: id });
  const record: NamespaceRecord = {
    id,
    arn: formatArn({ service: "servicediscovery", ...scope, resource: `namespace/${id}` }),
    name,
    type: kind.type,
    ...(input.Description === undefined ? {} : { description: input.Description }),
    httpName: all.some(({ httpName }) => httpName === name) ? `${name}-${newNameSuffix(random)}` : name,
    ...(kind.dns ? { dns: { ...kind.dns, hostedZoneId: newHostedZoneId(random) } } : {}),
    createdAt: now,
    ...(creator ? { creator } : {}),
    operation: operation.OperationId,
    tags: mergedTags(id, [], input.Tags),
  };
  unit.put(cloudMapKeys.namespace(scope, id), record);
  unit.put(cloudMapKeys.namespacesChanged(scope), {});
  return operation;
}

export function createHttpNamespace(change: Change, input: Sdk.CreateHttpNamespaceRequest): Promise<Sdk.CreateHttpNamespaceResponse> {
  return create(change, input, { type: "HTTP" });
}

export function createPrivateDnsNamespace(
  change: Change,
  input: Sdk.CreatePrivateDnsNamespaceRequest,
): Promise<Sdk.CreatePrivateDnsNamespaceResponse> {
  const soa = input.Properties?.DnsProperties?.SOA;
  const soaTtl = soa ? checkTtl(soa.TTL, "The TTL of the SOA") : usualSoaTtl;
  return create(change, input, { type: "DNS_PRIVATE", dns: { vpcId: input.Vpc!, soaTtl } });
}

export async function deleteNamespace(change: Change, { Id }: Sdk.DeleteNamespaceRequest): Promise<Sdk.DeleteNamespaceResponse> {
  const { id } = await needNamespace(change, Id);
  const changed = cloudMapKeys.servicesChanged(change.scope, id);
  // Compared: no service comes between.
  await change.unit.get(changed);
  if ((await servicesOf(change, id)).length > 0)
    throw errors.inUse(`The namespace ${id} contains one or more services and can't be deleted: delete its services first.`);
  change.unit.delete(cloudMapKeys.namespace(change.scope, id));
  change.unit.delete(changed);
  return writeOperation(change, "DELETE_NAMESPACE", { NAMESPACE: id });
}

async function update(
  change: Change,
  id: string | undefined,
  type: NamespaceRecord["type"],
  altered: (record: NamespaceRecord) => NamespaceRecord,
): Promise<{ OperationId: string }> {
  const record = await needNamespace(change, id);
  if (record.type !== type) throw errors.invalid(`Namespace ${record.id} is of type ${record.type}, not ${type}.`);
  change.unit.put(cloudMapKeys.namespace(change.scope, record.id), altered(record));
  return writeOperation(change, "UPDATE_NAMESPACE", { NAMESPACE: record.id });
}

export function updateHttpNamespace(change: Change, input: Sdk.UpdateHttpNamespaceRequest): Promise<Sdk.UpdateHttpNamespaceResponse> {
  const description = input.Namespace?.Description;
  checkDescription(description);
  return update(change, input.Id, "HTTP", (record) => ({ ...record, description }));
}

export function updatePrivateDnsNamespace(
  change: Change,
  input: Sdk.UpdatePrivateDnsNamespaceRequest,
): Promise<Sdk.UpdatePrivateDnsNamespaceResponse> {
  const description = input.Namespace?.Description;
  checkDescription(description);
  const soa = input.Namespace?.Properties?.DnsProperties?.SOA;
  const soaTtl = soa && checkTtl(soa.TTL, "The TTL of the SOA");
  return update(change, input.Id, "DNS_PRIVATE", (record) => ({
    ...record,
    ...(description === undefined ? {} : { description }),
    ...(soaTtl === undefined || !record.dns ? {} : { dns: { ...record.dns, soaTtl } }),
  }));
}

export async function getNamespace(question: Question, { Id }: Sdk.GetNamespaceRequest): Promise<Sdk.GetNamespaceResponse> {
  const record = await needNamespace(question, Id);
  return { Namespace: namespaceView(question.scope, record, (await servicesOf(question, record.id)).length) };
}

export async function listNamespaces(question: Question, input: Sdk.ListNamespacesRequest): Promise<Sdk.ListNamespacesResponse> {
  const { scope } = question;
  const all = await question.list<NamespaceRecord>(cloudMapKeys.namespaces(scope));
  const found = filtered(all, input.Filters, {
    TYPE: { conditions: ["EQ", "BEGINS_WITH"], value: ({ type }) => type, only: ["HTTP", "DNS_PUBLIC", "DNS_PRIVATE"] },
    NAME: { conditions: ["EQ", "BEGINS_WITH"], value: ({ name }) => name },
    HTTP_NAME: { conditions: ["EQ", "BEGINS_WITH"], value: ({ httpName }) => httpName },
    RESOURCE_OWNER: { conditions: ["EQ"], value: () => "SELF", only: ["SELF", "OTHER_ACCOUNTS"] },
  });
  const counts = new Map<string, number>();
  for (const { namespaceId } of await question.list<CloudMapServiceRecord>(cloudMapKeys.services(scope)))
    counts.set(namespaceId, (counts.get(namespaceId) ?? 0) + 1);
  const { items, NextToken } = page(question, found, ({ id }) => id, { operation: "ListNamespaces", asked: input.Filters, ...input });
  return { Namespaces: items.map((record) => namespaceSummary(scope, record, counts.get(record.id) ?? 0)), NextToken };
}
