import { RegistryError } from "../images/registry.ts";
import type { Image, PullRequest } from "../runtime.ts";
import { isProxy } from "../service-connect/service-connect.ts";
import type { ContainerPlan } from "../task/plan.ts";
import type { TaskContext } from "../task/world.ts";
import { isolated } from "./sandbox.ts";
import { StepError } from "./step-error.ts";

/**
 * Makes sure that the container's image is here, by ECS_IMAGE_PULL_BEHAVIOR: `default` asks the registry and falls back on the
 * copy that an earlier task left here, `always` insists, `once` and `prefer-cached` ask only when there is no copy.
 */
export async function pull({ plan, world, log }: TaskContext, container: ContainerPlan, signal: AbortSignal): Promise<Image> {
  if (isProxy(plan, container)) return world.connect.image();
  const { pullBehavior } = world.config;
  const { image } = container.definition;
  const login = await world.secrets.registryLogin(plan, container, signal);
  const asked = login ? async () => login : world.registry.credentials(plan, container, signal);
  let refused: StepError | undefined;
  const credentials =
    asked &&
    (() =>
      asked().catch((error: unknown) => {
        if (error instanceof StepError) refused = error;
        throw error;
      }));
  const policy: PullRequest["policy"] = pullBehavior === "default" ? "always" : pullBehavior;
  try {
    const found = await world.runtime.images.ensure({ image, policy, credentials, signal });
    world.journal.imageUsed(image);
    return found;
  } catch (error) {
    if (refused) throw refused;
    // A copy that another task left here is not for whom the registry turns away; and Fargate runs no image that is gone.
    if (
      signal.aborted ||
      answers(error, 401, 403) ||
      (isolated(plan) && answers(error, 404)) ||
      pullBehavior !== "default" ||
      !world.journal.knowsImage(image)
    )
      throw error;
    try {
      const cached = await world.runtime.images.ensure({ image, policy: "prefer-cached", credentials, signal });
      log.warn({ image, err: error }, "the registry did not answer well; using the copy of this machine");
      return cached;
    } catch {
      throw error;
    }
  }
}

/** Whether the registry did answer, with one of these. */
function answers(error: unknown, ...statuses: readonly number[]): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if (cause instanceof RegistryError) return statuses.includes(cause.status);
  return false;
}
