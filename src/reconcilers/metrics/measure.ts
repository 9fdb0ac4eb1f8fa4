import type { AllocationRecord, ClusterRecord, ContainerInstanceRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { DeploymentRecord, MonitoringRecord, ServiceRecord, TaskSetRecord } from "#model/service-records.ts";
import type { Measurement } from "#platform/metric-sink.ts";
import type { TaskUse } from "./samples.ts";

/** What a cluster looks like at the end of a minute. */
export interface ClusterPicture {
  readonly cluster: ClusterRecord;
  readonly tasks: readonly {
    readonly task: TaskRecord;
    readonly observed: TaskObservation | undefined;
    readonly use: TaskUse | undefined;
  }[];
  readonly instances: readonly {
    readonly instance: ContainerInstanceRecord;
    readonly allocation: AllocationRecord | undefined;
    /** What all tasks on it used, whatever cluster they are of. */
    readonly cpu: number;
    readonly memory: number;
  }[];
  readonly services: readonly {
    readonly service: ServiceRecord;
    readonly deployments: readonly DeploymentRecord[];
    readonly taskSets: readonly TaskSetRecord[];
  }[];
}

const percent = (part: number, whole: number) => (whole > 0 ? (part / whole) * 100 : undefined);
const serviceOf = ({ group }: TaskRecord) => (group.startsWith("service:") ? group.slice("service:".length) : undefined);
const familyOf = ({ taskDefinitionArn }: TaskRecord) => /task-definition\/(.+):\d+$/.exec(taskDefinitionArn)?.[1] ?? taskDefinitionArn;

function one(name: string, unit: string, value: number | undefined, dimensions: Record<string, string>, at: number): Measurement[] {
  return value === undefined ? [] : [{ name, unit, dimensions, at, values: [value] }];
}

/**
 * AWS/ECS of a cluster: what its instances' tasks use and reserve of what they registered. Fargate's machines are nobody's own, so tasks there do not count.
 * `at`: the beginning of the minute, milliseconds. Pure. Source: "Amazon ECS utilization metrics".
 */
export function utilizationOf({ cluster, instances }: ClusterPicture, at: number): Measurement[] {
  const active = instances.filter(({ instance: { status } }) => status === "ACTIVE" || status === "DRAINING");
  const total = (of: (one: ClusterPicture["instances"][number]) => number) => active.reduce((sum, each) => sum + of(each), 0);
  const reserved = (member: "cpu" | "memory") =>
    total(({ allocation }) => Object.values(allocation?.tasks ?? {}).reduce((sum, task) => sum + task[member], 0));
  const [cpu, memory] = [
    total(({ instance }) => instance.registeredResources.cpu),
    total(({ instance }) => instance.registeredResources.memory),
  ];
  const dimensions = { ClusterName: cluster.name };
  return [
    ...one("CPUReservation", "Percent", percent(reserved("cpu"), cpu), dimensions, at),
    ...one("MemoryReservation", "Percent", percent(reserved("memory"), memory), dimensions, at),
    ...one(
      "CPUUtilization",
      "Percent",
      percent(
        total((each) => each.cpu),
        cpu,
      ),
      dimensions,
      at,
    ),
    ...one(
      "MemoryUtilization",
      "Percent",
      percent(
        total((each) => each.memory),
        memory,
      ),
      dimensions,
      at,
    ),
  ];
}

/** AWS/ECS of a service, by one task's report: at its minute, or at the 20 seconds that the service asks for. Pure. */
export function serviceUtilizationOf(
  task: TaskRecord,
  use: Pick<TaskUse, "cpu" | "memory">,
  at: number,
  monitoring?: MonitoringRecord,
): Measurement[] {
  const service = serviceOf(task);
  if (service === undefined) return [];
  const dimensions = { ClusterName: task.cluster, ServiceName: service };
  const { resources } = task;
  const of = (name: string, used: number | undefined, whole: number) => {
    const seconds = monitoring?.metricConfigurations.find(({ metricNames }) => metricNames.includes(name))?.resolutionSeconds ?? 60;
    const fine = seconds < 60;
    const measured = one(
      name,
      "Percent",
      used === undefined ? undefined : percent(used, whole),
      dimensions,
      fine ? at - (at % (seconds * 1000)) : at,
    );
    return fine ? measured.map((each) => ({ ...each, resolution: 1 as const })) : measured;
  };
  return [...of("CPUUtilization", use.cpu, resources.cpu), ...of("MemoryUtilization", use.memory, resources.memory)];
}

/** ECS/ContainerInsights. Pure. Source: "Amazon ECS Container Insights metrics", and with `enhanced` those of tasks and containers. */
export function insightsOf(picture: ClusterPicture, at: number): Measurement[] {
  const { cluster, tasks, instances, services } = picture;
  const enhanced = cluster.settings.some(({ name, value }) => name === "containerInsights" && value === "enhanced");
  const ClusterName = cluster.name;
  const alive = tasks.filter(({ task }) => task.desiredStatus === "RUNNING");
  const of = (name: string, count: number, dimensions: Record<string, string>) => one(name, "Count", count, dimensions, at);
  const all: Measurement[] = [
    ...of("TaskCount", tasks.filter(({ observed }) => observed?.lastStatus === "RUNNING").length, { ClusterName }),
    ...of("ServiceCount", services.filter(({ service }) => service.status === "ACTIVE").length, { ClusterName }),
    ...of("ContainerInstanceCount", instances.filter(({ instance }) => instance.status === "ACTIVE").length, { ClusterName }),
  ];
  for (const { service, deployments, taskSets } of services) {
    if (service.status !== "ACTIVE") continue;
    const dimensions = { ClusterName, ServiceName: service.name };
    const own = alive.filter(({ task }) => serviceOf(task) === service.name);
    const running = own.filter(({ observed }) => observed?.lastStatus === "RUNNING").length;
    all.push(
      ...of("DesiredTaskCount", service.desiredCount, dimensions),
      ...of("RunningTaskCount", running, dimensions),
      ...of("PendingTaskCount", own.length - running, dimensions),
      ...of("DeploymentCount", deployments.filter(({ status }) => status !== "INACTIVE").length, dimensions),
      ...of("TaskSetCount", taskSets.length, dimensions),
    );
  }
  for (const { task, use } of tasks) if (use) all.push(...insightsOfTask(task, use, ClusterName, enhanced, at));
  for (const { instance, allocation, cpu, memory } of instances) {
    if (instance.status !== "ACTIVE" && instance.status !== "DRAINING") continue;
    const places: Record<string, string>[] = [
      { ClusterName },
      { ClusterName, ContainerInstanceId: instance.id, InstanceId: instance.ec2InstanceId },
    ];
    const held = Object.values(allocation?.tasks ?? {});
    const { registeredResources: has } = instance;
    const reserved = (member: "cpu" | "memory") => held.reduce((sum, each) => sum + each[member], 0);
    for (const dimensions of places)
      all.push(
        ...one("instance_cpu_utilization", "Percent", percent(cpu, has.cpu), dimensions, at),
        ...one("instance_memory_utilization", "Percent", percent(memory, has.memory), dimensions, at),
        ...one("instance_cpu_reserved_capacity", "Percent", percent(reserved("cpu"), has.cpu), dimensions, at),
        ...one("instance_memory_reserved_capacity", "Percent", percent(reserved("memory"), has.memory), dimensions, at),
        ...one("instance_number_of_running_tasks", "Count", held.length, dimensions, at),
      );
  }
  return all;
}

function insightsOfTask(task: TaskRecord, use: TaskUse, ClusterName: string, enhanced: boolean, at: number): Measurement[] {
  const service = serviceOf(task);
  const ServiceName: Record<string, string> = service === undefined ? {} : { ServiceName: service };
  const family = { ClusterName, TaskDefinitionFamily: familyOf(task) };
  const places: Record<string, string>[] = [
    { ClusterName },
    family,
    ...(service === undefined ? [] : [{ ClusterName, ServiceName: service }]),
  ];
  if (enhanced) places.push({ ...family, ...ServiceName, TaskId: task.id });
  const { resources } = task;
  const all = places.flatMap((dimensions) => [
    ...one("CpuUtilized", "None", use.cpu, dimensions, at),
    ...one("CpuReserved", "None", resources.cpu, dimensions, at),
    ...one("MemoryUtilized", "Megabytes", use.memory, dimensions, at),
    ...one("MemoryReserved", "Megabytes", resources.memory, dimensions, at),
    ...one("NetworkRxBytes", "Bytes/Second", use.received, dimensions, at),
    ...one("NetworkTxBytes", "Bytes/Second", use.sent, dimensions, at),
    ...one("StorageReadBytes", "Bytes", use.read, dimensions, at),
    ...one("StorageWriteBytes", "Bytes", use.written, dimensions, at),
    ...one("EphemeralStorageReserved", "Gigabytes", task.ephemeralStorageGiB, dimensions, at),
  ]);
  if (!enhanced) return all;
  for (const { name, cpu, memory, received, sent, read, written } of use.containers) {
    const dimensions = { ...family, ...ServiceName, TaskId: task.id, ContainerName: name };
    const container = task.containers.find((each) => each.name === name);
    const reservedCpu = Number(container?.cpu ?? 0) || undefined;
    const reservedMemory = Number(container?.memory ?? container?.memoryReservation ?? 0) || undefined;
    all.push(
      ...one("ContainerCpuUtilized", "None", cpu, dimensions, at),
      ...one("ContainerCpuReserved", "None", reservedCpu, dimensions, at),
      ...one(
        "ContainerCpuUtilization",
        "Percent",
        cpu === undefined ? undefined : percent(cpu, reservedCpu ?? resources.cpu),
        dimensions,
        at,
      ),
      ...one("ContainerMemoryUtilized", "Megabytes", memory, dimensions, at),
      ...one("ContainerMemoryReserved", "Megabytes", reservedMemory, dimensions, at),
      ...one(
        "ContainerMemoryUtilization",
        "Percent",
        memory === undefined ? undefined : percent(memory, reservedMemory ?? resources.memory),
        dimensions,
        at,
      ),
      ...one("ContainerNetworkRxBytes", "Bytes/Second", received, dimensions, at),
      ...one("ContainerNetworkTxBytes", "Bytes/Second", sent, dimensions, at),
      ...one("ContainerStorageReadBytes", "Bytes", read, dimensions, at),
      ...one("ContainerStorageWriteBytes", "Bytes", written, dimensions, at),
    );
  }
  const dimensions = { ...family, ...ServiceName, TaskId: task.id };
  return [
    ...all,
    ...one("TaskCpuUtilization", "Percent", use.cpu === undefined ? undefined : percent(use.cpu, resources.cpu), dimensions, at),
    ...one(
      "TaskMemoryUtilization",
      "Percent",
      use.memory === undefined ? undefined : percent(use.memory, resources.memory),
      dimensions,
      at,
    ),
  ];
}
