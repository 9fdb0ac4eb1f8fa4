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
  /** Undefined: the task has no such role, or in open mode one that is not there or does not trust ecs-tasks.amazonaws.com. Throws RoleProblem for such a one otherwise. */
  issue(task: TaskRecord, definition: TaskDefinitionRecord, role: TaskRole): Promise<Credentials | undefined>;
  /** Agents are sent new ones this often, in the middle of the old ones' life. */
  readonly renewalMs: number;
}

/** A role that ECS's tasks cannot become. The message is AWS's. */
export class RoleProblem extends Error {}

export const cannotAssume = (roleArn: string) =>
  `ECS was unable to assume the role '${roleArn}' that was provided for this task. Please verify that the role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass this role.`;

/** Who becomes the roles of tasks. */
export const tasksService = "ecs-tasks.amazonaws.com";

/** Sessions of STS, as AssumeRole's: nothing of them is kept. */
export function createTaskCredentials(deps: {
  readonly store: Store;
  readonly sealer: Sealer;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly config: { readonly open: boolean; readonly taskCredentialsSeconds: number };
}): TaskCredentials {
  const { open, taskCredentialsSeconds: lifeSeconds } = deps.config;
  return {
    renewalMs: (lifeSeconds * 1000) / 2,
    async issue(task, { definition }, role) {
      const { account = "", region = "" } = parseArn(task.arn) ?? {};
      const name = role === "TaskExecution" ? "executionRoleArn" : "taskRoleArn";
      const given = (task.overrides[name] ?? definition[name]) as string | undefined;
      if (!given) return undefined;
      const roleArn = given.startsWith("arn:") ? given : `arn:aws:iam::${account}:role/${given}`;
      const assumed = await assumeRoleForService(deps, {
        roleArn,
        service: tasksService,
        sessionName: task.id,
        durationSeconds: lifeSeconds,
        now: deps.clock.now(),
        region,
        source: { arn: task.arn, account },
      });
      if ("problem" in assumed) {
        deps.log.warn({ task: task.arn, roleArn, problem: assumed.problem }, "a task's role cannot be assumed");
        if (!open) throw new RoleProblem(cannotAssume(roleArn));
        return undefined;
      }
      const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = assumed.credentials;
      return {
        // The same each time: containers know it by the variable that they were started with.
        credentialsId: uuidOf(deps.sealer.nameOf("task-credentials", `${role} ${task.arn}`)),
        roleArn,
        accessKeyId,
        secretAccessKey,
        sessionToken,
        expiration: new Date(expiresAt).toISOString(),
      };
    },
  };
}

const uuidOf = (hex: string) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, "$1-$2-$3-$4-$5");
