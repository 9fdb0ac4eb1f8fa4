import type { Cluster, CapacityProviderStrategyItem } from "@aws-sdk/client-ecs";
import type { ClusterRecord } from "#model/ecs-records.ts";

/** Services that are ACTIVE and DRAINING, by launch type. */
export interface ServiceCounts {
  readonly active: number;
  readonly draining: number;
}

export interface TaskCounts {
  readonly running: number;
  readonly pending: number;
}

const launchTypes = [
  ["EC2", "EC2"],
  ["FARGATE", "Fargate"],
  ["EXTERNAL", "External"],
] as const;

/** A cluster as the API shows it; tags, settings, statistics and configuration only when asked for. Source: ECS API Reference, Cluster. */
export function clusterView(
  record: ClusterRecord,
  counts: {
    readonly registered: number;
    readonly tasks: Readonly<Record<string, TaskCounts>>;
    readonly services: Readonly<Record<string, ServiceCounts>>;
  },
  include: readonly string[],
): Cluster {
  const sum = (which: keyof TaskCounts) => Object.values(counts.tasks).reduce((total, each) => total + each[which], 0);
  const wants = (what: string) => include.includes(what);
  return {
    clusterArn: record.arn,
    clusterName: record.name,
    ...(wants("CONFIGURATIONS") && record.configuration ? { configuration: record.configuration as Cluster["configuration"] } : {}),
    status: record.status,
    registeredContainerInstancesCount: counts.registered,
    runningTasksCount: sum("running"),
    pendingTasksCount: sum("pending"),
    activeServicesCount: Object.values(counts.services).reduce((total, { active }) => total + active, 0),
    statistics: wants("STATISTICS") ? statistics(counts.tasks, counts.services) : [],
    tags: wants("TAGS") ? record.tags.map(({ key, value }) => ({ key, value })) : [],
    settings: wants("SETTINGS") ? (record.settings.map(({ name, value }) => ({ name, value })) as Cluster["settings"]) : [],
    capacityProviders: [...record.capacityProviders],
    defaultCapacityProviderStrategy: record.defaultCapacityProviderStrategy as CapacityProviderStrategyItem[],
    ...(wants("ATTACHMENTS") ? { attachments: [] } : {}),
    ...(record.serviceConnectDefaults
      ? { serviceConnectDefaults: record.serviceConnectDefaults as Cluster["serviceConnectDefaults"] }
      : {}),
  };
}

/** Names as AWS answers them. */
function statistics(
  tasks: Readonly<Record<string, TaskCounts>>,
  services: Readonly<Record<string, ServiceCounts>>,
): { name: string; value: string }[] {
  return launchTypes.flatMap(([type, name]) =>
    Object.entries({
      [`running${name}TasksCount`]: tasks[type]?.running ?? 0,
      [`pending${name}TasksCount`]: tasks[type]?.pending ?? 0,
      [`active${name}ServiceCount`]: services[type]?.active ?? 0,
      [`draining${name}ServiceCount`]: services[type]?.draining ?? 0,
    }).map(([each, value]) => ({ name: each, value: String(value) })),
  );
}
