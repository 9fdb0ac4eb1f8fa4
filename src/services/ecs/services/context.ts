import type { ServiceIndex } from "#reconcilers/services/index.ts";
import type { EcsDeps } from "../context.ts";

/** What the service operations share. */
export interface ServiceDeps extends EcsDeps {
  /** The joined picture that the reconciler keeps; counts are read from it. */
  readonly index: ServiceIndex;
}
