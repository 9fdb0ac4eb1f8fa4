import { join } from "node:path";
import type { Config } from "#platform/config.ts";

/** Where the command line keeps its files in the home of one Gantry. */
export interface Places {
  readonly home: string;
  readonly logs: string;
  /** What the supervisor runs: see SupervisorState. */
  readonly state: string;
  /** Held by the one supervisor of this home: see src/platform/file-lock.ts. */
  readonly lock: string;
}

export function placesOf({ home }: Pick<Config, "home">): Places {
  return { home, logs: join(home, "log"), state: join(home, "supervisor.json"), lock: join(home, "supervisor.lock") };
}
