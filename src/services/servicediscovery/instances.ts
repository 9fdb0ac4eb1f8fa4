import type * as Sdk from "@aws-sdk/client-servicediscovery";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { InstanceRecord } from "#model/cloud-map-records.ts";
import { type Change, instancesOf, needInstance, needService, page, type Question, writeOperation } from "./context.ts";
import { errors } from "./errors.ts";
import { checkInstance, checkInstanceId } from "./rules.ts";
import { healthOf } from "./views.ts";

/** Instances. Source: AWS Cloud Map API Reference, "RegisterInstance" and its kin. */

/** An instance of that id is replaced. The service is compared: it does not go while an instance comes. */
export async function registerInstance(change: Change, input: Sdk.RegisterInstanceRequest): Promise<Sdk.RegisterInstanceResponse> {
  const { unit, scope, now } = change;
  const service = await needService(change, input.ServiceId);
  const attributes = input.Attributes!;
  const id = input.InstanceId!;
  checkInstanceId(id, service);
  checkInstance(attributes, service);
  const creatorRequestId = input.CreatorRequestId;
  if (creatorRequestId !== undefined && creatorRequestId.length > 64)
    throw errors.invalid("CreatorRequestId can have at most 64 characters.");
  const key = cloudMapKeys.instance(scope, service.id, id);
  const before = await unit.get<InstanceRecord>(key);
  const initial = attributes.AWS_INIT_HEALTH_STATUS as InstanceRecord["health"] | undefined;
  const record: InstanceRecord = {
    id,
    serviceId: service.id,
    attributes,
    health: initial ?? before?.health ?? "HEALTHY",
    ...(creatorRequestId === undefined ? {} : { creatorRequestId }),
    registeredAt: before?.registeredAt ?? now,
  };
  unit.put(key, record);
  unit.put(cloudMapKeys.instancesChanged(scope, service.id), {});
  return writeOperation(change, "REGISTER_INSTANCE", { INSTANCE: id, SERVICE: service.id });
}

export async function deregisterInstance(change: Change, input: Sdk.DeregisterInstanceRequest): Promise<Sdk.DeregisterInstanceResponse> {
  const { unit, scope } = change;
  const service = await needService(change, input.ServiceId);
  const { id } = await needInstance(change, service.id, input.InstanceId!);
  unit.delete(cloudMapKeys.instance(scope, service.id, id));
  unit.put(cloudMapKeys.instancesChanged(scope, service.id), {});
  return writeOperation(change, "DEREGISTER_INSTANCE", { INSTANCE: id, SERVICE: service.id });
}

/** Takes effect at once, where Cloud Map waits for about 30 seconds. */
export async function updateInstanceCustomHealthStatus(
  change: Change,
  input: Sdk.UpdateInstanceCustomHealthStatusRequest,
): Promise<object> {
  const { unit, scope } = change;
  const service = await needService(change, input.ServiceId);
  if (!service.customHealth) throw errors.noCustomHealth(service.id);
  const instance = await needInstance(change, service.id, input.InstanceId!);
  const health: string | undefined = input.Status;
  if (health !== "HEALTHY" && health !== "UNHEALTHY") throw errors.invalid(`Status must be HEALTHY or UNHEALTHY: ${health}`);
  if (instance.health === health) return {};
  unit.put(cloudMapKeys.instance(scope, service.id, instance.id), { ...instance, health } satisfies InstanceRecord);
  unit.put(cloudMapKeys.instancesChanged(scope, service.id), {});
  return {};
}

export async function getInstance(question: Question, input: Sdk.GetInstanceRequest): Promise<Sdk.GetInstanceResponse> {
  const service = await needService(question, input.ServiceId);
  const { id, attributes, creatorRequestId } = await needInstance(question, service.id, input.InstanceId!);
  const { account } = question.scope;
  return {
    ResourceOwner: account,
    Instance: {
      Id: id,
      ...(creatorRequestId === undefined ? {} : { CreatorRequestId: creatorRequestId }),
      Attributes: attributes,
      CreatedByAccount: account,
    },
  };
}

export async function listInstances(question: Question, input: Sdk.ListInstancesRequest): Promise<Sdk.ListInstancesResponse> {
  const service = await needService(question, input.ServiceId);
  const { account } = question.scope;
  const all = await instancesOf(question, service.id);
  const { items, NextToken } = page(question, all, ({ id }) => id, { operation: "ListInstances", asked: service.id, ...input });
  return {
    ResourceOwner: account,
    Instances: items.map(({ id, attributes }) => ({ Id: id, Attributes: attributes, CreatedByAccount: account })),
    NextToken,
  };
}

export async function getInstancesHealthStatus(
  question: Question,
  input: Sdk.GetInstancesHealthStatusRequest,
): Promise<Sdk.GetInstancesHealthStatusResponse> {
  const service = await needService(question, input.ServiceId);
  const all = await instancesOf(question, service.id);
  if (input.Instances) {
    if (input.Instances.length === 0) throw errors.invalid("Instances must name at least one instance.");
    const missing = input.Instances.find((id) => !all.some((each) => each.id === id));
    if (missing !== undefined) throw errors.noInstance(missing);
  }
  const wanted = input.Instances ? all.filter(({ id }) => input.Instances?.includes(id)) : all;
  const asked = [service.id, input.Instances];
  const { items, NextToken } = page(question, wanted, ({ id }) => id, { operation: "GetInstancesHealthStatus", asked, ...input });
  return { Status: Object.fromEntries(items.map((each) => [each.id, healthOf(service, each)])), NextToken };
}
