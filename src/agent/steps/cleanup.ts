import { rm } from "node:fs/promises";
import type { TaskPlan } from "../task/plan.ts";
import type { ContainerState } from "../task/state.ts";
import { taskCgroup, taskDirectory, type World } from "../task/world.ts";
import { isolationOf } from "./sandbox.ts";
import { removeTaskVolumes } from "./volumes.ts";

/** Gives back what a stopped container held: its runtime container, namespace, address and ports. Safe to repeat. */
export async function releaseContainer(world: World, container: ContainerState): Promise<void> {
  await world.runtime.remove(container.id);
  if (container.network && !container.network.released) await world.network.detach(container.network);
}

/** When all the task's containers are released: their sandbox. Safe to repeat. */
export async function closeSandbox(world: World, plan: TaskPlan): Promise<void> {
  const { sandbox } = isolationOf(world, plan);
  if (sandbox !== undefined) await world.runtime.remove(sandbox);
}

/** Removes what the whole task held on this machine. Safe to repeat. */
export async function removeTask(world: World, plan: TaskPlan): Promise<void> {
  world.connect.close(plan);
  world.secrets.forget(plan.arn);
  await closeSandbox(world, plan);
  await world.cgroups.remove(taskCgroup(world, plan));
  await removeTaskVolumes(world, plan);
  await world.storage.remove(plan.id);
  await rm(taskDirectory(world, plan), { recursive: true, force: true });
  world.journal.forgetOffsets(`${taskDirectory(world, plan)}/`);
}
