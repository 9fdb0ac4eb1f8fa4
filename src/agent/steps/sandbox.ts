import { sandboxOf, type RuntimeClass } from "../runtime.ts";
import type { TaskPlan } from "../task/plan.ts";
import { taskCgroup, type TaskContext, type World } from "../task/world.ts";
import { reasonOf, StepError } from "./step-error.ts";

export const isolated = ({ payload }: TaskPlan): boolean => payload.isolation === "FARGATE";

/**
 * How many processes of this machine a Fargate task may be: enough for any program, too few for a fork bomb to hurt others. gVisor's ptrace takes one for each process and thread
 * inside. AWS names no number; more memory is more room, as there.
 */
export const pidsOf = (memoryMiB: number | undefined): number => Math.max(1024, Math.min(32768, 2 * (memoryMiB ?? 512)));

/**
 * The task's CPU limit. It is set when the task's own code is about to run: at a quarter of a CPU, what starts a container (a whole kernel, under gVisor) would take three times as long.
 * Containers that share a sandbox start inside it, so there it is set a moment after the first of them.
 */
export async function limitCpu({ world, plan }: Pick<TaskContext, "world" | "plan">): Promise<void> {
  const { cpu } = plan.payload;
  if (!cpu) return;
  await world.cgroups.ensure(taskCgroup(world, plan), { cpus: cpu }).catch((error: unknown) => {
    throw new StepError(reasonOf(error, "CannotStart"));
  });
}

/** The runtime of a task's containers, and the sandbox that they share where it has one. */
export function isolationOf({ config }: World, plan: TaskPlan): { readonly runtime: RuntimeClass; readonly sandbox?: string } {
  if (!isolated(plan)) return { runtime: config.runtime };
  // What the operator has chosen knowingly: containers as on an instance.
  if (config.fargateRuntime === "runc") return { runtime: { name: "runc" } };
  const runtime = { name: config.fargateRuntime };
  // The only container of its task is as good a first one as any, and starts in half the time; unless it is started again, which needs the same sandbox with its network.
  const alone = runtime.name === "runsc" && plan.rules.length === 1 && plan.rules[0]?.restart === undefined;
  return alone ? { runtime } : { runtime, sandbox: sandboxOf(plan.id) };
}

/** Opens the task's sandbox in a namespace that is ready: with its addresses, in its cgroup. Safe to repeat, and for each of the task's containers at the same time. */
export async function openSandbox(context: TaskContext, namespace: string | undefined): Promise<void> {
  const { world, plan } = context;
  const { runtime, sandbox } = isolationOf(world, plan);
  if (sandbox === undefined) return;
  if (namespace === undefined) throw new StepError("ResourceInitializationError: a Fargate task needs a network of its own: awsvpc");
  const started = world.clock.now();
  await world.runtime
    .openSandbox({
      id: sandbox,
      labels: { "com.amazonaws.ecs.task-arn": plan.arn },
      cgroupParent: taskCgroup(world, plan),
      hostname: hostnameOf(plan),
      memoryMiB: plan.payload.memory || undefined,
      network: { namespace: world.network.path(namespace) },
      group: plan.id,
      runtime,
    })
    .catch((error: unknown) => {
      context.log.error({ err: error }, "the task's sandbox could not be opened");
      throw new StepError(reasonOf(error, "CannotCreate").replace(/^CannotCreateContainerError/, "ResourceInitializationError"));
    });
  context.log.debug({ ms: world.clock.now() - started }, "sandbox open");
}

/** As on Fargate: from the interface's private DNS name, else from the task. */
function hostnameOf(plan: TaskPlan): string {
  const name = plan.payload.elasticNetworkInterfaces?.[0]?.privateDnsName?.split(".")[0];
  return name || plan.id.slice(0, 12);
}
