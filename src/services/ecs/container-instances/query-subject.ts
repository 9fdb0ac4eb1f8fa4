import type { ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { QuerySubject } from "#model/query-language.ts";
import type { InstanceState } from "./view.ts";

/** A container instance as the cluster query language sees it. */
export function querySubject(record: ContainerInstanceRecord, state: InstanceState): QuerySubject {
  const attributes = new Map(record.attributes.map(({ name, value }) => [name, value ?? ""]));
  const fields: Readonly<Record<string, string | number | boolean | undefined>> = {
    agentConnected: state.connection?.connected ?? false,
    agentVersion: record.versionInfo.agentVersion,
    ec2InstanceId: record.ec2InstanceId,
    registeredAt: record.registeredAt,
    runningTasksCount: state.running,
  };
  return {
    attribute: (name) => attributes.get(name),
    field: (name) => fields[name],
    groups: new Set(Object.values(state.allocation?.tasks ?? {}).map(({ group }) => group)),
  };
}
