import { ecsKeys, observedKeyOf, parseEcsKey, type NodePlace } from "#model/ecs-keys.ts";
import type { AllocationRecord, TaskObservation, TaskRecord } from "#model/ecs-records.ts";
import { obstacleOn } from "#scheduler/place.ts";
import type { Node, PlacementRequest } from "#scheduler/types.ts";
import type { Unit } from "#store/unit.ts";
import { forgetAllocation, writeStop } from "./task-writes.ts";

/**
 * FARGATE_SPOT: tasks that leave when others need their room. They get SIGTERM at once and have two minutes.
 * Source: ECS Developer Guide, "Amazon ECS clusters for Fargate", "Fargate Spot termination notices".
 */
export const spotNoticeSeconds = 120;

/** How long a machine whose Spot tasks were asked to leave takes no new ones: the two minutes, and some for who asked to come back. */
const barredMs = (spotNoticeSeconds + 60) * 1000;

export const spotStop = { code: "SpotInterruption", reason: "Your Spot Task was interrupted." };

/** Of a machine: what its Spot tasks that still may stay, and those that are leaving, hold. */
interface SpotTask {
  readonly key: string;
  readonly cpu: number;
  readonly memory: number;
  readonly leaving: boolean;
  readonly createdAt: number;
}

/**
 * Asks as many Spot tasks to leave as `count` further tasks need room for, the youngest first, counting on the room of those that are leaving already. Returns
 * for how many of them there will be room.
 */
export async function reclaimSpot(
  unit: Unit,
  nodes: readonly { readonly node: Node; readonly place: NodePlace }[],
  request: PlacementRequest,
  count: number,
  now: number,
): Promise<number> {
  let coming = 0;
  for (const { node, place } of nodes) {
    if (coming === count) break;
    const obstacle = obstacleOn(node, request);
    if (obstacle && !obstacle.reason.startsWith("RESOURCE:")) continue;
    const key = ecsKeys.allocation(place, place.cluster, node.id);
    const allocation = await unit.get<AllocationRecord>(key);
    const tasks = await spotTasks(unit, allocation);
    if (!allocation || tasks.length === 0) continue;
    const free = { cpu: node.capacity.cpu - node.usage.cpu, memory: node.capacity.memory - node.usage.memory };
    for (const { cpu, memory } of tasks.filter(({ leaving }) => leaving)) add(free, cpu, memory);
    const staying = tasks.filter(({ leaving }) => !leaving).toSorted((a, b) => b.createdAt - a.createdAt);
    const { cpu, memory } = request.resources;
    let asked = 0;
    while (coming < count) {
      let taken = 0;
      const after = { ...free };
      while ((after.cpu < cpu || after.memory < memory) && asked + taken < staying.length) {
        const task = staying[asked + taken++]!;
        add(after, task.cpu, task.memory);
      }
      if (after.cpu < cpu || after.memory < memory) break;
      for (const task of staying.slice(asked, asked + taken)) await interrupt(unit, task.key, now);
      asked += taken;
      free.cpu = after.cpu - cpu;
      free.memory = after.memory - memory;
      coming++;
    }
    if (asked > 0) unit.put(key, { ...allocation, reclaimedAt: now } satisfies AllocationRecord);
  }
  return coming;
}

function add(room: { cpu: number; memory: number }, cpu: number, memory: number): void {
  room.cpu += cpu;
  room.memory += memory;
}

async function spotTasks(unit: Unit, allocation: AllocationRecord | undefined): Promise<SpotTask[]> {
  const tasks: SpotTask[] = [];
  for (const { key, spot, cpu, memory } of Object.values(allocation?.tasks ?? {})) {
    if (!spot || key === undefined) continue;
    const task = await unit.get<TaskRecord>(key);
    if (task) tasks.push({ key, cpu, memory, leaving: task.desiredStatus === "STOPPED", createdAt: task.createdAt });
  }
  return tasks;
}

async function interrupt(unit: Unit, key: string, now: number): Promise<void> {
  const task = await unit.get<TaskRecord>(key);
  if (!task || task.desiredStatus === "STOPPED") return;
  const observation = await unit.get<TaskObservation>(observedKeyOf(key));
  await writeStop(unit, parseEcsKey(key)!.scope, task, observation, { at: now, ...spotStop });
}

/** Whether new Spot tasks may come to a machine again, whose last ones had to leave. */
export function isBarred(allocation: AllocationRecord | undefined, now: number): boolean {
  return allocation?.reclaimedAt !== undefined && now < allocation.reclaimedAt + barredMs;
}

/** Lets Spot tasks come again where the time is over. */
export async function reopenForSpot(
  unit: Unit,
  places: Iterable<{ readonly place: NodePlace; readonly id: string }>,
  now: number,
): Promise<void> {
  for (const { place, id } of places) {
    const key = ecsKeys.allocation(place, place.cluster, id);
    const allocation = await unit.get<AllocationRecord>(key);
    if (allocation?.reclaimedAt === undefined || isBarred(allocation, now)) continue;
    const { reclaimedAt: _, ...rest } = allocation;
    if (Object.keys(rest.tasks).length === 0) await forgetAllocation(unit, key, ecsKeys.containerInstance(place, place.cluster, id), rest);
    else unit.put(key, rest satisfies AllocationRecord);
  }
}
