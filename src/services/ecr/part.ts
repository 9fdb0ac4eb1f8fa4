import type { ServerDeps } from "#api/deps.ts";
import type { Registry } from "#registry/registry.ts";

/** What ECR's operations work with. */
export interface EcrPart extends Pick<ServerDeps, "config" | "sealer" | "random" | "clock" | "store"> {
  readonly registry: Registry;
}
