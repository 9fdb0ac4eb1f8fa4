import { capacityKeys } from "#model/capacity-records.ts";
import { ecsKeys, type Scope } from "#model/ecs-keys.ts";
import type { ContainerInstanceRecord, TaskDefinitionRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import { place } from "#scheduler/place.ts";
import type { Node, PlacementRequest } from "#scheduler/types.ts";
import type { Store } from "#store/store.ts";
import type { Unit, Writer } from "#store/unit.ts";
import { nodesOf } from "../nodes.ts";
import { clusterQueue, writeNewTask, writeStop } from "../task-writes.ts";
import { VpcError } from "../vpc/errors.ts";

export interface PlacerOptions {
  readonly store: Store;
  readonly writer: Writer;
  readonly clock: Clock;
  readonly random: Random;
  readonly publicPool: string;
  /** What a waiting task needs of an instance. */
  readonly requestOf: (task: TaskRecord, definition: TaskDefinitionRecord) => PlacementRequest;
}

/** A task that finds no room for so long is stopped. Source: ECS Developer Guide, "Amazon ECS capacity providers for EC2 workloads": "10 to 30 minutes". */
const patienceMs = 30 * 60_000;
const atOnce = 100;

/** Finds instances for the tasks of a cluster that wait for their capacity provider, the oldest first. */
export function createPlacer(options: PlacerOptions): { place(scope: Scope, cluster: string): Promise<void> } {
  const { store, writer, clock, random, publicPool } = options;

  async function placeSome(unit: Unit, scope: Scope, cluster: string): Promise<void> {
    const now = clock.now();
    const prefix = capacityKeys.waitingOf(scope, cluster);
    const tasks: TaskRecord[] = [];
    for (const key of (await unit.list(prefix)).keys()) {
      const task = await unit.get<TaskRecord>(ecsKeys.task(scope, cluster, key.slice(prefix.length)));
      if (task?.waiting && task.desiredStatus === "RUNNING") tasks.push(task);
      else unit.delete(key);
    }
    tasks.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1));
    let nodes: Node[] | undefined;
    /** Of one kind, where one found no place the next will not. */
    const hopeless = new Set<string>();
    let placed = 0;
    for (const task of tasks) {
      if (placed >= atOnce) return;
      const kind = `${task.taskDefinitionArn} ${task.group} ${task.capacityProviderName} ${JSON.stringify(task.overrides)}`;
      if (hopeless.has(kind)) {
        await giveUp(unit, scope, task, now);
        continue;
      }
      nodes ??= await nodesOf(unit, scope, cluster);
      if (await placeOne(unit, scope, task, nodes, now)) {
        placed++;
        nodes = undefined;
      } else {
        hopeless.add(kind);
        await giveUp(unit, scope, task, now);
      }
    }
  }

  async function placeOne(unit: Unit, scope: Scope, task: TaskRecord, nodes: readonly Node[], now: number): Promise<boolean> {
    const match = /task-definition\/(.+):(\d+)$/.exec(task.taskDefinitionArn);
    const definition = match && (await unit.get<TaskDefinitionRecord>(ecsKeys.taskDefinition(scope, match[1]!, Number(match[2]))));
    if (!definition) return false;
    const [id] = place(nodes, options.requestOf(task, definition), () => random.next()).assignments;
    if (id === undefined) return false;
    // Read with `get`, so that it is still what it was when this is committed.
    const instance = await unit.get<ContainerInstanceRecord>(ecsKeys.containerInstance(scope, task.cluster, id));
    if (!instance) return false;
    const attribute = (name: string) => instance.attributes.find((each) => each.name === name)?.value;
    const hostAddress = attribute("gantry.address");
    const { waiting, ...rest } = task;
    const there: TaskRecord = {
      ...rest,
      containerInstanceId: instance.id,
      availabilityZone: attribute("ecs.availability-zone"),
      cpuArchitecture: attribute("ecs.cpu-architecture"),
      ...(task.loadBalancers?.length || task.serviceConnect ? { ec2InstanceId: instance.ec2InstanceId } : {}),
      ...((task.serviceConnect || task.serviceRegistries?.length) && hostAddress !== undefined ? { hostAddress } : {}),
    };
    const network = waiting?.network && { wish: waiting.network, zones: new Map<string, number>(), random, now, publicPool };
    try {
      await writeNewTask(unit, scope, there, network);
    } catch (error) {
      if (!(error instanceof VpcError)) throw error;
      return false;
    }
    unit.delete(capacityKeys.waiting(scope, task.cluster, task.id));
    return true;
  }

  async function giveUp(unit: Unit, scope: Scope, task: TaskRecord, now: number): Promise<void> {
    if (now - (task.waiting?.since ?? now) < patienceMs) return;
    const seen = await unit.get<TaskObservation>(ecsKeys.taskObserved(scope, task.cluster, task.id));
    const reason = `The capacity provider ${task.capacityProviderName ?? ""} had no room for the task within 30 minutes.`;
    await writeStop(unit, scope, task, seen, { at: now, code: "TaskFailedToStart", reason });
  }

  return {
    async place(scope, cluster) {
      if ((await store.list(capacityKeys.waitingOf(scope, cluster), { limit: 1 })).entries.length === 0) return;
      await writer.run(clusterQueue(scope, cluster), (unit) => placeSome(unit, scope, cluster));
    },
  };
}
