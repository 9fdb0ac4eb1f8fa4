import type { Resource } from "@aws-sdk/client-ecs";
import { ecsKeys, parseEcsKey, type Scope } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { DraftEvent } from "#reconcilers/events/deliveries.ts";
import type { EventSource, Reading } from "#reconcilers/events/publishing.ts";
import { instanceView } from "../container-instances/view.ts";
import { ecsArn } from "../tasks/identifiers.ts";

const detailType = "ECS Container Instance State Change";

/** When an instance, its agent's connection or what its tasks take of it changes. Source: ECS Developer Guide, "Amazon ECS container instance state change events". */
export const instanceEvents: EventSource = {
  concerns: (key) => /^\/ecs\/[^/]+\/[^/]+\/(container-instance|connection|allocation)\//.test(key),
  async eventsOf(reading) {
    const instances = new Map<string, { readonly scope: Scope; readonly cluster: string; readonly id: string }>();
    for (const key of reading.keys) {
      const { scope, names } = parseEcsKey(key)!;
      const [cluster = "", id = ""] = names;
      // Tasks that wait for a place take nothing of any.
      if (id !== "") instances.set(`${cluster}/${id}`, { scope, cluster, id });
    }
    const events: DraftEvent[] = [];
    for (const { scope, cluster, id } of instances.values()) {
      if (!reading.wanted(scope, "aws.ecs", detailType)) continue;
      const before = await detailOf(scope, cluster, id, reading.before);
      const after = await detailOf(scope, cluster, id, reading.after);
      if (!after || JSON.stringify(before) === JSON.stringify(after)) continue;
      const detail = { ...after, updatedAt: new Date(reading.now) };
      events.push({ ...scope, source: "aws.ecs", detailType, resources: [after.containerInstanceArn!], detail });
    }
    return events;
  },
};

async function detailOf(scope: Scope, cluster: string, id: string, read: Reading["before"]) {
  const record = await read<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, cluster, id));
  if (!record) return undefined;
  const allocation = await read<AllocationRecord>(ecsKeys.allocation(scope, cluster, id));
  const connection = await read<ConnectionRecord>(ecsKeys.connection(scope, cluster, id));
  const view = instanceView(record, { allocation, connection, running: 0, pending: 0 }, []);
  const { agentConnected, attributes, containerInstanceArn, ec2InstanceId, status, version, versionInfo, registeredAt } = view;
  return {
    agentConnected,
    attributes,
    clusterArn: ecsArn.cluster(scope, cluster),
    containerInstanceArn,
    ec2InstanceId,
    registeredAt,
    registeredResources: resourcesOf(view.registeredResources),
    remainingResources: resourcesOf(view.remainingResources),
    status,
    version,
    versionInfo,
  };
}

/** Without the numbers that DescribeContainerInstances shows as 0. */
const resourcesOf = (resources: readonly Resource[] = []) =>
  resources.map(({ name, type, integerValue, stringSetValue }) =>
    type === "INTEGER" ? { name, type, integerValue } : { name, type, stringSetValue },
  );
