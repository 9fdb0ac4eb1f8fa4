import type { TaskPlan } from "../task/plan.ts";
import type { TaskContext } from "../task/world.ts";

/** The task's own disk where it has one; made at the first call. */
export async function storageOf({ plan, world }: TaskContext): Promise<string | undefined> {
  const gib = plan.payload.ephemeralStorage;
  return gib ? world.storage.ensure(plan.id, gib) : undefined;
}

/** On that disk. */
export const containersOn = (disk: string): string => `${disk}/containers`;
export const volumesOn = (disk: string): string => `${disk}/volumes`;

export const hasStorage = ({ payload }: TaskPlan): boolean => Boolean(payload.ephemeralStorage);
