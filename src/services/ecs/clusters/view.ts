import type { Cluster, CapacityProviderStrategyItem } from "@aws-sdk/client-ecs";
import type { ClusterRecord } from "#model/ecs-records.ts";

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
  counts: { readonly registered: number; readonly tasks: Readonly<Record<string, TaskCounts>> },
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
    activeServicesCount: 0,
    statistics: wants("STATISTICS") ? statistics(counts.tasks) : [],
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

/** Names as AWS answers them. There are no services yet, so all of theirs are 0. */
function statistics(tasks: Readonly<Record<string, TaskCounts>>): { name: string; value: string }[] {
  return launchTypes.flatMap(([type, name]) =>
    Object.entries({
      [`running${name}TasksCount`]: tasks[type]?.running ?? 0,
      [`pending${name}TasksCount`]: tasks[type]?.pending ?? 0,
      [`active${name}ServiceCount`]: 0,
      [`draining${name}ServiceCount`]: 0,
    }).map(([each, value]) => ({ name: each, value: String(value) })),
  );
}
