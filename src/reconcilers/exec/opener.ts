import type { RequestContext } from "#api/contract.ts";
import type { ExecSessionRecord } from "#model/exec-records.ts";
import type { ExecHub } from "./hub.ts";

/** What a client's plugin is started with. */
export interface OpenedSession {
  readonly sessionId: string;
  readonly streamUrl: string;
  readonly tokenValue: string;
}

/** What Systems Manager's operations need of ECS's sessions. */
export interface ExecOpener {
  readonly hub: ExecHub;
  /** By Session Manager's target `ecs:<cluster>_<task>_<runtime id>`; `command` is run in a terminal. Throws as ExecuteCommand does. */
  startOn(target: string, command: string, context: RequestContext): Promise<OpenedSession>;
  /** Of a session that has not ended: what its client comes back with. */
  again(session: ExecSessionRecord, context: RequestContext): OpenedSession;
}
