import { rm } from "node:fs/promises";
import type { TaskPlan } from "../task/plan.ts";
import type { ContainerState } from "../task/state.ts";
import { taskCgroup, taskDirectory, type World } from "../task/world.ts";
import { removeTaskVolumes } from "./volumes.ts";

/** Gives back what a stopped container held: its runtime container, namespace, address and ports. Safe to repeat. */
export async function releaseContainer(world: World, container: ContainerState): Promise<void> {
  await world.runtime.remove(container.id);
  if (container.network && !container.network.released) await world.network.detach(container.network);
}

/** Removes what the whole task held on this machine. Safe to repeat. */
export async function removeTask(world: World, plan: TaskPlan): Promise<void> {
  await world.cgroups.remove(taskCgroup(world, plan));
  await removeTaskVolumes(world, plan);
  await rm(taskDirectory(world, plan), { recursive: true, force: true });
  world.journal.forgetOffsets(`${taskDirectory(world, plan)}/`);
}
