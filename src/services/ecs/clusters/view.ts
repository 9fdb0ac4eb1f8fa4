import type { Cluster, CapacityProviderStrategyItem } from "@aws-sdk/client-ecs";
import type { ClusterRecord } from "#model/ecs-records.ts";

/** A cluster as the API shows it; tags, settings, statistics and configuration only when asked for. Source: ECS API Reference, Cluster. */
export function clusterView(
  record: ClusterRecord,
  counts: { readonly registered: number; readonly running: number; readonly pending: number },
  include: readonly string[],
): Cluster {
  const wants = (what: string) => include.includes(what);
  return {
    clusterArn: record.arn,
    clusterName: record.name,
    ...(wants("CONFIGURATIONS") && record.configuration ? { configuration: record.configuration as Cluster["configuration"] } : {}),
    status: record.status,
    registeredContainerInstancesCount: counts.registered,
    runningTasksCount: counts.running,
    pendingTasksCount: counts.pending,
    activeServicesCount: 0,
    statistics: wants("STATISTICS")
      ? [
          { name: "runningEC2TasksCount", value: String(counts.running) },
          { name: "runningFargateTasksCount", value: "0" },
          { name: "pendingEC2TasksCount", value: String(counts.pending) },
          { name: "pendingFargateTasksCount", value: "0" },
          { name: "runningExternalTasksCount", value: "0" },
          { name: "pendingExternalTasksCount", value: "0" },
          { name: "activeEC2ServiceCount", value: "0" },
          { name: "activeFargateServiceCount", value: "0" },
          { name: "drainingEC2ServiceCount", value: "0" },
          { name: "drainingFargateServiceCount", value: "0" },
          { name: "activeExternalServiceCount", value: "0" },
          { name: "drainingExternalServiceCount", value: "0" },
        ]
      : [],
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
