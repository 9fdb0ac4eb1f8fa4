import type { Credentials } from "#agent-protocol/messages.ts";
import { assumeRoleForService } from "#identity/roles.ts";
import { parseArn } from "#model/arn.ts";
import type { TaskDefinitionRecord, TaskRecord } from "#model/ecs-records.ts";
import type { Clock } from "#platform/clock.ts";
import type { Logger } from "#platform/log.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";

export type TaskRole = "TaskApplication" | "TaskExecution";

/** Makes the credentials with which a task, or the agent for it, acts as the task's roles. */
export interface TaskCredentials {
  /** Undefined: the task has no such role, it is not there, or it does not trust ecs-tasks.amazonaws.com. */
  issue(task: TaskRecord, definition: TaskDefinitionRecord, role: TaskRole): Promise<Credentials | undefined>;
}

/** As long as ECS's. */
const lifeSeconds = 6 * 60 * 60;
/** Agents are sent new ones this often, in the middle of the old ones' life. */
export const renewalMs = (lifeSeconds * 1000) / 2;

/** Sessions of STS, as AssumeRole's: nothing of them is kept. */
export function createTaskCredentials(deps: {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
}): TaskCredentials {
  return {
    async issue(task, { definition }, role) {
      const { account = "", region = "" } = parseArn(task.arn) ?? {};
      const name = role === "TaskExecution" ? "executionRoleArn" : "taskRoleArn";
      const given = (task.overrides[name] ?? definition[name]) as string | undefined;
      if (!given) return undefined;
      const roleArn = given.startsWith("arn:") ? given : `arn:aws:iam::${account}:role/${given}`;
      const assumed = await assumeRoleForService(deps, {
        roleArn,
        service: "ecs-tasks.amazonaws.com",
        sessionName: task.id,
        durationSeconds: lifeSeconds,
        now: deps.clock.now(),
        region,
        source: { arn: task.arn, account },
      });
      if ("problem" in assumed) {
        deps.log.warn({ task: task.arn, roleArn, problem: assumed.problem }, "a task's role cannot be assumed");
        return undefined;
      }
      const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = assumed.credentials;
      return {
        credentialsId: deps.random.uuid(),
        roleArn,
        accessKeyId,
        secretAccessKey,
        sessionToken,
        expiration: new Date(expiresAt).toISOString(),
      };
    },
  };
}
