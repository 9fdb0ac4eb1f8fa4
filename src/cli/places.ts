import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Config } from "#platform/config.ts";

/** Where the files of one Gantry lie. Everything is under its home, but for sockets, whose paths may be 107 bytes long at most. */
export interface Places {
  readonly home: string;
  readonly logs: string;
  /** What the supervisor runs: see SupervisorState. */
  readonly state: string;
  /** Abstract Unix socket: held by the one supervisor of this home, gone with it however it ends. */
  readonly control: string;
}

export function placesOf({ home }: Pick<Config, "home">): Places {
  const id = createHash("sha256").update(home).digest("hex").slice(0, 16);
  return { home, logs: join(home, "log"), state: join(home, "supervisor.json"), control: `\0gantry-${id}` };
}
