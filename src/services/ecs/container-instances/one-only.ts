import { ApiError, type Principal } from "#api/contract.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import type { Store } from "#store/store.ts";
import { ownerOf } from "./owner.ts";

/**
 * A local EC2 instance is one container instance at a time: while its agent is connected, whoever else has its credentials cannot make a second one with them, in whatever cluster.
 * An agent that registers anew, its journal lost or its cluster changed, has left the connection of before.
 */
export async function checkOnlyOne(store: Store, scope: Scope, principal: Principal, own: string | undefined): Promise<void> {
  const { identity } = principal;
  if (identity?.kind !== "Agent" || identity.instanceRegion === undefined) return;
  const { entries } = await store.list<ContainerInstanceRecord>(`${ecsKeys.root(scope)}/container-instance/`);
  for (const { value } of entries) {
    if (value.status === "INACTIVE" || value.arn === own || value.owner !== ownerOf(principal)) continue;
    const connection = (await store.get<ConnectionRecord>(ecsKeys.connection(scope, value.cluster, value.id)))?.value;
    if (!connection?.connected) continue;
    throw new ApiError(
      "AccessDeniedException",
      `User: ${principal.arn} is not authorized to perform: ecs:RegisterContainerInstance because its instance is registered already and connected`,
      400,
    );
  }
}
