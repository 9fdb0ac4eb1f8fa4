import { instancesAttribute } from "#agent-protocol/instances.ts";
import { ecsKeys, parseEcsKey } from "#model/ecs-keys.ts";
import type { AllocationRecord, ClusterRecord, ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import { fargateNodeWrite, isFargateNode, versionOf } from "#reconcilers/nodes.ts";
import type { Store, Write } from "#store/store.ts";
import { newCluster } from "./clusters/clusters.ts";

/** What describes machines: container instances whose agents are connected, as freshly registered, and their clusters, as freshly made. */
export async function survivingMachines(store: Store, now: number): Promise<readonly Write[]> {
  const writes: Write[] = [];
  const { entries } = await store.list<ContainerInstanceRecord>("/ecs/");
  for (const { key, value } of entries) {
    const parsed = parseEcsKey(key);
    if (parsed?.kind !== "container-instance" || value.status === "INACTIVE") continue;
    // Local instances go with their EC2 records.
    if (value.attributes.some(({ name, value: says }) => name === instancesAttribute && says === "false")) continue;
    const connection = await store.get<ConnectionRecord>(ecsKeys.connection(parsed.scope, value.cluster, value.id));
    if (!connection?.value.connected) continue;
    const cluster = await store.get<ClusterRecord>(ecsKeys.cluster(parsed.scope, value.cluster));
    if (!writes.some((write) => "put" in write && write.put === cluster?.key) && cluster)
      writes.push({ put: cluster.key, value: newCluster(parsed.scope, value.cluster, now) });
    if (isFargateNode(value)) writes.push(fargateNodeWrite(parsed.scope, value));
    const allocation = await store.get<AllocationRecord>(ecsKeys.allocation(parsed.scope, value.cluster, value.id));
    const version = versionOf(value, { allocation: allocation?.value, connection: connection.value }) + 1;
    writes.push({ put: key, value: { ...value, status: "ACTIVE", version } satisfies ContainerInstanceRecord });
  }
  return writes;
}
