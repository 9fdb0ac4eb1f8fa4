import { mkdir } from "node:fs/promises";
import type { ContainerPlan } from "../task/plan.ts";
import { containerDirectory, taskCgroup, type TaskContext } from "../task/world.ts";
import { isolated, openSandbox, pidsOf } from "./sandbox.ts";
import { openProxy } from "./service-connect.ts";
import { storageOf } from "./storage.ts";
import { reasonOf, StepError } from "./step-error.ts";

/** Everything that a container needs and that does not need its image: done while the image is pulled. Safe to repeat. */
export async function prepare(context: TaskContext, container: ContainerPlan, signal: AbortSignal): Promise<void> {
  const { plan, world } = context;
  const directory = containerDirectory(world, plan, container.name);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const attachment = context.state().containers.find(({ name }) => name === container.name)?.network;
  const { memory } = plan.payload;
  const limits = {
    memoryMiB: memory || undefined,
    pids: isolated(plan) ? pidsOf(memory) : undefined,
  };
  const placed = Promise.all([
    world.cgroups.ensure(taskCgroup(world, plan), limits).catch((error: unknown) => {
      throw new StepError(reasonOf(error, "CannotCreate"));
    }),
    attachment &&
      world.network.attach(attachment, signal).catch((error: unknown) => {
        if (error instanceof StepError || signal.aborted) throw error;
        throw new StepError(`CannotStartContainerError: network set-up failed: ${(error as Error).message}`);
      }),
  ]);
  await Promise.all([
    placed.then(() => openSandbox(context, attachment?.namespace)),
    openProxy(context, container),
    storageOf(context).catch((error: unknown) => {
      throw new StepError(`ResourceInitializationError: ${(error as Error).message}`);
    }),
    secretsOf(context, container, signal).then(({ logOptions }) =>
      world.logs.open(context, container, logOptions, signal).catch((error: unknown) => {
        throw new StepError(reasonOf(error, "CannotStart"));
      }),
    ),
  ]);
}

/** A secret that cannot be had is the end of the whole task, so every container waits for those of all. */
async function secretsOf({ plan, world }: TaskContext, container: ContainerPlan, signal: AbortSignal) {
  const all = await Promise.all(
    [...plan.containers.values()].map(async (each) => [each, await world.secrets.of(plan, each, signal)] as const),
  );
  return all.find(([each]) => each === container)![1];
}
