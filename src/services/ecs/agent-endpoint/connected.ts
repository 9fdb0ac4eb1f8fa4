import { ApiError, type Question } from "#api/contract.ts";
import { ecsKeys } from "#model/ecs-keys.ts";
import type { ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import { isHidden } from "#reconcilers/nodes.ts";
import type { Store } from "#store/store.ts";

/** Whether a machine of the cluster is connected: the supervisor asks it every two seconds, for good. Those that users see come first. */
export function connectedQuestion(store: Store): Question {
  return {
    path: "/_gantry/connected",
    action: "ecs:DescribeContainerInstances",
    quiet: true,
    async answer(query, { account, region }) {
      const cluster = query.get("cluster") ?? "";
      if (!/^[\w-]{1,255}$/.test(cluster)) throw new ApiError("InvalidParameterException", "cluster is not a cluster's name.");
      const scope = { account, region };
      const { entries } = await store.list<ContainerInstanceRecord>(ecsKeys.containerInstances(scope, cluster));
      const there = entries.map(({ value }) => value).filter(({ status }) => status !== "INACTIVE");
      for (const { id, arn } of there.toSorted((a, b) => Number(isHidden(a)) - Number(isHidden(b)))) {
        const connection = await store.get<ConnectionRecord>(ecsKeys.connection(scope, cluster, id));
        if (connection?.value.connected) return { registered: there.length, connected: arn };
      }
      return { registered: there.length };
    },
  };
}
