import { formatArn } from "#model/arn.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, InstanceRecord, NamespaceRecord, OperationRecord } from "#model/cloud-map-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { Random } from "#platform/random.ts";
import type { Unit } from "#store/unit.ts";
import { newNamespaceId, newNameSuffix, newOperationId, newServiceId } from "./ids.ts";

/** What ECS makes in Cloud Map by itself, for Service Connect: HTTP namespaces, and API-only services in any namespace. */

/** By its ARN, or by its name: an HTTP one before a private one. Pure. */
export function findNamespace(namespaces: Iterable<NamespaceRecord>, nameOrArn: string): NamespaceRecord | undefined {
  const found = [...namespaces].filter(({ name, arn }) => (nameOrArn.startsWith("arn:") ? arn === nameOrArn : name === nameOrArn));
  return found.toSorted((a, b) => Number(b.type === "HTTP") - Number(a.type === "HTTP") || a.createdAt - b.createdAt)[0];
}

/** The namespace, still there when the unit is committed. */
export async function needNamespace(unit: Unit, scope: Scope, nameOrArn: string): Promise<NamespaceRecord | undefined> {
  const found = findNamespace((await unit.list<NamespaceRecord>(cloudMapKeys.namespaces(scope))).values(), nameOrArn);
  return found && (await unit.get<NamespaceRecord>(cloudMapKeys.namespace(scope, found.id)));
}

export async function makeHttpNamespace(
  unit: Unit,
  scope: Scope,
  name: string,
  { random, now }: { readonly random: Random; readonly now: number },
): Promise<NamespaceRecord> {
  // Compared and put: whoever else gives this name away at the same moment is tried again.
  await unit.get(cloudMapKeys.namespacesChanged(scope));
  const all = [...(await unit.list<NamespaceRecord>(cloudMapKeys.namespaces(scope))).values()];
  const id = newNamespaceId(random);
  const operation: OperationRecord = {
    id: newOperationId(random),
    type: "CREATE_NAMESPACE",
    status: "SUCCESS",
    at: now,
    targets: { NAMESPACE: id },
  };
  const record: NamespaceRecord = {
    id,
    arn: formatArn({ service: "servicediscovery", ...scope, resource: `namespace/${id}` }),
    name,
    type: "HTTP",
    httpName: all.some(({ httpName }) => httpName === name) ? `${name}-${newNameSuffix(random)}` : name,
    createdAt: now,
    operation: operation.id,
    tags: [{ key: "AmazonECSManaged", value: "true" }],
  };
  unit.put(cloudMapKeys.operation(scope, operation.id), operation);
  unit.put(cloudMapKeys.namespace(scope, id), record);
  unit.put(cloudMapKeys.namespacesChanged(scope), {});
  return record;
}

/** An API-only service of the namespace; undefined: there is one of that name. */
export async function makeHttpService(
  unit: Unit,
  scope: Scope,
  namespaceId: string,
  name: string,
  { random, now }: { readonly random: Random; readonly now: number },
): Promise<CloudMapServiceRecord | undefined> {
  await unit.get(cloudMapKeys.servicesChanged(scope, namespaceId));
  for (const each of (await unit.list<CloudMapServiceRecord>(cloudMapKeys.services(scope))).values())
    if (each.namespaceId === namespaceId && each.name === name) return undefined;
  const id = newServiceId(random);
  const record: CloudMapServiceRecord = {
    id,
    arn: formatArn({ service: "servicediscovery", ...scope, resource: `service/${id}` }),
    name,
    namespaceId,
    type: "HTTP",
    description: "Managed by Amazon ECS for Service Connect",
    customHealth: true,
    attributes: {},
    createdAt: now,
    tags: [{ key: "AmazonECSManaged", value: "true" }],
  };
  unit.put(cloudMapKeys.service(scope, id), record);
  unit.put(cloudMapKeys.servicesChanged(scope, namespaceId), {});
  return record;
}

/** False while it has instances. */
export async function removeHttpService(unit: Unit, scope: Scope, id: string): Promise<boolean> {
  const record = await unit.get<CloudMapServiceRecord>(cloudMapKeys.service(scope, id));
  if (!record) return true;
  const changed = cloudMapKeys.instancesChanged(scope, id);
  // Compared: no instance comes between.
  await unit.get(changed);
  if ((await unit.list<InstanceRecord>(cloudMapKeys.instances(scope, id))).size > 0) return false;
  unit.delete(cloudMapKeys.service(scope, id));
  unit.delete(changed);
  unit.put(cloudMapKeys.servicesChanged(scope, record.namespaceId), {});
  return true;
}
