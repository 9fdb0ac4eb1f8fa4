import { eachEntry } from "#store/each-entry.ts";
import type { Question } from "#api/contract.ts";
import { ecsKeys, parseEcsKey } from "#model/ecs-keys.ts";
import type { AllocationRecord, ConnectionRecord, ContainerInstanceRecord } from "#model/ecs-records.ts";
import { isFargateNode, isHidden } from "#reconcilers/nodes.ts";
import type { Store } from "#store/store.ts";

/** What `./gantry nodes` shows: the operator's view of the machines, which Fargate's users never have. CPU in units, memory in MiB. */
export interface NodeAnswer {
  readonly id: string;
  readonly instance: string;
  /** What a machine that joined by a token is called (`m-…`). */
  readonly machine?: string;
  /** Where its agent is registered. */
  readonly account: string;
  readonly region: string;
  readonly cluster: string;
  readonly zone: string;
  readonly status: string;
  readonly connected: boolean;
  /** Whose tasks it takes. */
  readonly serves: readonly ("EC2" | "FARGATE")[];
  readonly cpu: { readonly total: number; readonly free: number };
  readonly memory: { readonly total: number; readonly free: number };
  readonly tasks: { readonly ec2: number; readonly fargate: number; readonly spot: number };
}

export function nodesQuestion(store: Store): Question {
  return {
    path: "/_gantry/nodes",
    action: "ecs:DescribeContainerInstances",
    async answer(): Promise<{ nodes: NodeAnswer[] }> {
      const nodes: NodeAnswer[] = [];
      await eachEntry<ContainerInstanceRecord>(store, "/ecs/", async (key, value) => {
        const parsed = parseEcsKey(key);
        if (parsed?.kind === "container-instance" && value.status !== "INACTIVE") nodes.push(await answerOf(store, parsed.scope, value));
      });
      return { nodes };
    },
  };
}

async function answerOf(
  store: Store,
  scope: { readonly account: string; readonly region: string },
  instance: ContainerInstanceRecord,
): Promise<NodeAnswer> {
  const { cluster, id, registeredResources: total } = instance;
  const allocation = (await store.get<AllocationRecord>(ecsKeys.allocation(scope, cluster, id)))?.value;
  const connection = (await store.get<ConnectionRecord>(ecsKeys.connection(scope, cluster, id)))?.value;
  const machine = /^GantryAgent:(m-[0-9a-f]+)$/.exec(instance.owner ?? "")?.[1];
  const tasks = Object.values(allocation?.tasks ?? {});
  const sum = (of: "cpu" | "memory") => tasks.reduce((all, task) => all + task[of], 0);
  const fargate = tasks.filter(({ key }) => key !== undefined);
  return {
    id,
    instance: instance.ec2InstanceId,
    ...(machine === undefined ? {} : { machine }),
    ...scope,
    cluster,
    zone: instance.attributes.find(({ name }) => name === "ecs.availability-zone")?.value ?? "",
    status: instance.status,
    connected: connection?.connected ?? false,
    serves: [...(isHidden(instance) ? [] : ["EC2" as const]), ...(isFargateNode(instance) ? ["FARGATE" as const] : [])],
    cpu: { total: total.cpu, free: total.cpu - sum("cpu") },
    memory: { total: total.memory, free: total.memory - sum("memory") },
    tasks: {
      ec2: tasks.length - fargate.length,
      fargate: fargate.filter(({ spot }) => !spot).length,
      spot: fargate.filter(({ spot }) => spot).length,
    },
  };
}
