import type { Scope } from "./ecs-keys.ts";

export const execKeys = {
  root: () => "/exec/",
  sessions: ({ account, region }: Scope) => `/exec/${account}/${region}/session/`,
  session: ({ account, region }: Scope, id: string) => `/exec/${account}/${region}/session/${id}`,
};

/** Key `/exec/<account>/<region>/session/<id>`: a session of ECS Exec. Writer: its hub. Kept for 30 days after its end, as Session Manager's history is. */
export interface ExecSessionRecord {
  /** `ecs-execute-command-<17 hex digits or letters>`. */
  readonly id: string;
  readonly account: string;
  readonly region: string;
  /** ARN of who asked. */
  readonly owner: string;
  /** `ecs:<cluster>_<task>_<runtime id>`. */
  readonly target: string;
  readonly taskArn: string;
  readonly container: string;
  /** Key of the container instance that the task is on. */
  readonly instance: string;
  readonly command: string;
  readonly startedAt: number;
  readonly logGroup?: string;
  readonly bucket?: string;
  readonly endedAt?: number;
  /** Set with `endedAt`: what the client was told; empty for an ordinary end. */
  readonly output?: string;
  /** It never began: the agent did not come. */
  readonly failed?: boolean;
}
