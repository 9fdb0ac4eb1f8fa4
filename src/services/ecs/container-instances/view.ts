import type { ContainerInstance, Resource } from "@aws-sdk/client-ecs";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord, Resources, TaskObservation } from "#model/ecs-records.ts";
import { capacityProviderOf, versionOf } from "#reconcilers/nodes.ts";
import type { Store } from "#store/store.ts";

/** What other writers know of an instance. */
export interface InstanceState {
  readonly allocation: AllocationRecord | undefined;
  readonly connection: ConnectionRecord | undefined;
  readonly running: number;
  readonly pending: number;
}

export async function readInstanceState(store: Store, scope: Scope, { cluster, id }: ContainerInstanceRecord): Promise<InstanceState> {
  const [allocation, connection] = await Promise.all([
    store.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, id)),
    store.get<ConnectionRecord>(ecsKeys.connection(scope, cluster, id)),
  ]);
  const tasks = Object.entries(allocation?.value.tasks ?? {}).flatMap(([task, { key }]) => (key === undefined ? [task] : []));
  const observed = await Promise.all(tasks.map((task) => store.get<TaskObservation>(ecsKeys.taskObserved(scope, cluster, task))));
  const running = observed.filter((entry) => entry?.value.lastStatus === "RUNNING").length;
  return {
    allocation: allocation?.value,
    connection: connection?.value,
    running,
    pending: observed.filter((entry) => ["PENDING", "PROVISIONING", "ACTIVATING", undefined].includes(entry?.value.lastStatus)).length,
  };
}

/** Source: ECS API Reference, ContainerInstance. */
export function instanceView(record: ContainerInstanceRecord, state: InstanceState, include: readonly string[]): ContainerInstance {
  const used = Object.values(state.allocation?.tasks ?? {});
  const total = record.registeredResources;
  const provider = capacityProviderOf(record);
  const remaining: Resources = {
    cpu: total.cpu - used.reduce((sum, { cpu }) => sum + cpu, 0),
    memory: total.memory - used.reduce((sum, { memory }) => sum + memory, 0),
    portsTcp: [...total.portsTcp, ...used.flatMap(({ portsTcp }) => portsTcp)],
    portsUdp: [...total.portsUdp, ...used.flatMap(({ portsUdp }) => portsUdp)],
    ...(total.gpus ? { gpus: total.gpus.filter((gpu) => !used.some(({ gpus }) => gpus?.includes(gpu))) } : {}),
  };
  return {
    containerInstanceArn: record.arn,
    ec2InstanceId: record.ec2InstanceId,
    ...(provider ? { capacityProviderName: provider } : {}),
    version: versionOf(record, state),
    versionInfo: { ...record.versionInfo },
    remainingResources: resourceList(remaining),
    registeredResources: resourceList(total),
    status: record.status,
    ...(record.statusReason ? { statusReason: record.statusReason } : {}),
    agentConnected: state.connection?.connected ?? false,
    runningTasksCount: state.running,
    pendingTasksCount: state.pending,
    attributes: record.attributes.map((attribute) => ({ ...attribute })),
    registeredAt: new Date(record.registeredAt),
    attachments: [],
    tags: include.includes("TAGS") ? record.tags.map(({ key, value }) => ({ key, value })) : [],
    // No health check of an instance is kept, so there is nothing that its health could be told from.
    ...(include.includes("CONTAINER_INSTANCE_HEALTH") ? { healthStatus: { overallStatus: "INSUFFICIENT_DATA", details: [] } } : {}),
  };
}

/** AWS names under PORTS the ports that are taken, for what remains as for what was registered; under GPU those that are there. */
function resourceList({ cpu, memory, portsTcp, portsUdp, gpus }: Resources): Resource[] {
  const integer = (name: string, integerValue: number): Resource => ({ name, type: "INTEGER", doubleValue: 0, longValue: 0, integerValue });
  const set = (name: string, values: readonly (number | string)[]): Resource => ({
    name,
    type: "STRINGSET",
    doubleValue: 0,
    longValue: 0,
    integerValue: 0,
    stringSetValue: values.map(String),
  });
  const always = [integer("CPU", cpu), integer("MEMORY", memory), set("PORTS", portsTcp), set("PORTS_UDP", portsUdp)];
  return gpus ? [...always, set("GPU", gpus)] : always;
}
