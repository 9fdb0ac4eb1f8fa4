import { isIPv4 } from "node:net";
import { parseArn } from "#model/arn.ts";
import { cloudMapKeys } from "#model/cloud-map-keys.ts";
import type { CloudMapServiceRecord, InstanceRecord } from "#model/cloud-map-records.ts";
import type { Scope } from "#model/ecs-keys.ts";
import type { TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { taskHealth } from "#model/task-state.ts";
import type { Unit } from "#store/unit.ts";

/**
 * Tasks of services with serviceRegistries as Cloud Map's instances, written inside the transaction that writes what is known of the task. A task's
 * instances say what the task is: whoever repeats a call changes nothing. Source: Amazon ECS Developer Guide, "Service discovery".
 */

/** One of a service revision's `serviceRegistries`. */
export interface ServiceRegistry {
  /** Of a Cloud Map service. */
  readonly registryArn?: string;
  readonly port?: number;
  readonly containerName?: string;
  readonly containerPort?: number;
}

export interface TaskRegistration {
  readonly task: TaskRecord;
  readonly observed: TaskObservation;
  readonly registries: readonly ServiceRegistry[];
  /** Of the task's machine, for tasks without an address of their own (network modes bridge and host). */
  readonly hostAddress?: string;
  readonly now: number;
}

/**
 * Registers the task, or brings the health of its instances up to date. For tasks that are RUNNING and are to be: before, nobody answers. Returns why it
 * could not be registered, one sentence for each registry, in words for the service's events.
 */
export async function registerTask(unit: Unit, scope: Scope, registration: TaskRegistration): Promise<readonly string[]> {
  const { task, registries } = registration;
  const registered: string[] = [];
  const problems: string[] = [];
  for (const registry of registries) {
    const id = serviceIdOf(scope, registry.registryArn);
    // Compared: the service does not go while an instance comes.
    const service = id === undefined ? undefined : await unit.get<CloudMapServiceRecord>(cloudMapKeys.service(scope, id));
    if (!service) {
      problems.push(`the service registry ${registry.registryArn} does not exist`);
      continue;
    }
    const attributes = taskAttributes(scope, service, registry, registration);
    if (typeof attributes === "string") {
      problems.push(`it can't be registered in the service registry ${registry.registryArn}: ${attributes}`);
      continue;
    }
    registered.push(service.id);
    await putInstance(unit, scope, service, registration, attributes);
  }
  const key = cloudMapKeys.task(scope, task.id);
  const before = await unit.get<{ services: readonly string[] }>(key);
  const services = [...new Set([...(before?.services ?? []), ...registered])];
  if (services.length > (before?.services.length ?? 0)) unit.put(key, { services });
  return problems;
}

/** Takes the task out of every registry that it is in. Before its SIGTERM, so that nobody new finds it; needs no more than its id. */
export async function deregisterTask(unit: Unit, scope: Scope, taskId: string): Promise<void> {
  const key = cloudMapKeys.task(scope, taskId);
  const registered = await unit.get<{ services: readonly string[] }>(key);
  if (!registered) return;
  for (const service of registered.services) {
    const instance = cloudMapKeys.instance(scope, service, taskId);
    if ((await unit.get(instance)) === undefined) continue;
    unit.delete(instance);
    unit.put(cloudMapKeys.instancesChanged(scope, service), {});
  }
  unit.delete(key);
}

async function putInstance(
  unit: Unit,
  scope: Scope,
  service: CloudMapServiceRecord,
  { task, observed, now }: TaskRegistration,
  attributes: Readonly<Record<string, string>>,
): Promise<void> {
  const key = cloudMapKeys.instance(scope, service.id, task.id);
  const before = await unit.get<InstanceRecord>(key);
  const next: InstanceRecord = {
    id: task.id,
    serviceId: service.id,
    attributes: before?.attributes.AWS_INIT_HEALTH_STATUS
      ? { ...attributes, AWS_INIT_HEALTH_STATUS: before.attributes.AWS_INIT_HEALTH_STATUS }
      : attributes,
    health: healthOf(task, observed),
    registeredAt: before?.registeredAt ?? now,
  };
  if (JSON.stringify(before) === JSON.stringify(next)) return;
  unit.put(key, next);
  unit.put(cloudMapKeys.instancesChanged(scope, service.id), {});
}

/** A task without health checks is healthy while it runs; one with them once they say so. */
function healthOf(task: TaskRecord, observed: TaskObservation): "HEALTHY" | "UNHEALTHY" {
  const checked = task.containers.some(({ essential, healthCheck }) => essential && healthCheck);
  return !checked || taskHealth(task, observed) === "HEALTHY" ? "HEALTHY" : "UNHEALTHY";
}

/** As ECS sets them; a text where the service's records need what the task does not have. Pure. */
export function taskAttributes(
  { region }: Scope,
  service: CloudMapServiceRecord,
  registry: ServiceRegistry,
  { task, observed, hostAddress }: Omit<TaskRegistration, "registries" | "now">,
): Readonly<Record<string, string>> | string {
  const address = task.network?.privateIp ?? hostAddress;
  const ipv6 = task.network?.ipv6;
  const port = portOf(registry, task, observed);
  const has = (type: string) => service.dns?.records.some((record) => record.type === type) ?? false;
  if (has("CNAME")) return "its records are of type CNAME";
  if (address === undefined || !isIPv4(address)) return "the task has no address";
  if (has("AAAA") && ipv6 === undefined) return "its records are of type AAAA, and the task has no IPv6 address";
  if (has("SRV") && port === undefined) return "its records are of type SRV, and the task has no such port";
  const health = healthOf(task, observed);
  return {
    ...(task.availabilityZone === undefined ? {} : { AVAILABILITY_ZONE: task.availabilityZone }),
    ...(service.customHealth ? { AWS_INIT_HEALTH_STATUS: health } : {}),
    AWS_INSTANCE_IPV4: address,
    ...(ipv6 === undefined ? {} : { AWS_INSTANCE_IPV6: ipv6 }),
    ...(port === undefined ? {} : { AWS_INSTANCE_PORT: String(port) }),
    ECS_CLUSTER_NAME: task.cluster,
    ...(task.group.startsWith("service:") ? { ECS_SERVICE_NAME: task.group.slice("service:".length) } : {}),
    ECS_TASK_DEFINITION_FAMILY: /task-definition\/([^/:]+):\d+$/.exec(task.taskDefinitionArn)?.[1] ?? "",
    REGION: region,
  };
}

/** The container's port where the task has an address of its own; else the host's port that leads to it. */
function portOf({ port, containerName, containerPort }: ServiceRegistry, task: TaskRecord, observed: TaskObservation): number | undefined {
  if (port !== undefined) return port;
  if (task.network || containerPort === undefined) return containerPort;
  const bindings = observed.containers.find(({ name }) => name === containerName)?.networkBindings ?? [];
  return bindings.find((binding) => binding.containerPort === containerPort)?.hostPort;
}

function serviceIdOf({ account, region }: Scope, registryArn: string | undefined): string | undefined {
  const arn = parseArn(registryArn ?? "");
  if (arn?.service !== "servicediscovery" || arn.account !== account || arn.region !== region) return undefined;
  return /^service\/([^/]+)$/.exec(arn.resource)?.[1];
}

/**
 * What CreateService and UpdateService accept as serviceRegistries: undefined, or the message of ECS's InvalidParameterException. `read` is `unit.get`, or
 * `async (key) => (await store.get(key))?.value`. `ports`: the containers of the task definition and their ports.
 */
export async function checkRegistries(
  read: <T>(key: string) => Promise<T | undefined>,
  scope: Scope,
  registries: readonly ServiceRegistry[],
  definition: { readonly networkMode?: string; readonly ports: Readonly<Record<string, readonly number[]>> },
): Promise<string | undefined> {
  if (registries.length > 1) return "Only one service registry can be associated with a service.";
  for (const { registryArn, port, containerName, containerPort } of registries) {
    if (registryArn === undefined) return "The registryArn of a service registry can not be blank.";
    const id = serviceIdOf(scope, registryArn);
    const service = id === undefined ? undefined : await read<CloudMapServiceRecord>(cloudMapKeys.service(scope, id));
    if (!service) return `Unable to find the service registry ${registryArn}.`;
    if ((containerName === undefined) !== (containerPort === undefined))
      return "When specifying containerName or containerPort of a service registry, specify both.";
    if (port !== undefined && containerName !== undefined)
      return "Specify port or containerName and containerPort of a service registry, not both.";
    if (containerName !== undefined && !Object.hasOwn(definition.ports, containerName))
      return `The container ${containerName} does not exist in the task definition.`;
    if (containerName !== undefined && !definition.ports[containerName]?.includes(containerPort!))
      return `The container ${containerName} did not have a container port ${containerPort} defined.`;
    const has = (type: string) => service.dns?.records.some((record) => record.type === type) ?? false;
    if (has("CNAME")) return `The service registry ${registryArn} has CNAME records: ECS registers addresses.`;
    if (definition.networkMode !== "awsvpc") {
      if (containerName === undefined)
        return "When specifying 'host' or 'bridge' for networkMode, values for 'containerName' and 'containerPort' must be specified from the task definition.";
      if (service.dns && !has("SRV"))
        return `With networkMode '${definition.networkMode ?? "bridge"}' the service registry needs SRV records.`;
    } else if (has("SRV") && port === undefined && containerName === undefined) {
      return "A service registry with SRV records needs port, or containerName and containerPort.";
    }
  }
  return undefined;
}
