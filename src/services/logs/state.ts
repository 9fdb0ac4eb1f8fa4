import type { ServerDeps } from "#api/deps.ts";
import type { LogFiles } from "./storage/log-files.ts";

/** What the operations of CloudWatch Logs work on. */
export interface LogsState {
  readonly deps: ServerDeps;
  readonly files: LogFiles;
}
