import type { Credentials } from "#agent-protocol/messages.ts";
import { sleep, type Clock } from "#platform/clock.ts";
import { AwsError } from "./aws/client.ts";
import { StepError } from "./steps/step-error.ts";
import type { TaskPlan } from "./task/plan.ts";

/** What AWS says before the reason when a task cannot have what its execution role is for. */
export const resourcesPrefix =
  "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: ";

/** After a restart of the agent the credentials of its tasks' roles come with the connection: longer than one needs to come back. */
const waitMs = 60_000;

/** Those of now: they are renewed while the task lives. Undefined: the task has no execution role. Throws StepError when they do not come. */
export async function executionRole(plan: TaskPlan, clock: Clock, signal?: AbortSignal): Promise<Credentials | undefined> {
  const until = clock.now() + waitMs;
  for (;;) {
    const credentials = plan.payload.executionRoleCredentials;
    if (!credentials || credentials.secretAccessKey !== "") return credentials;
    if (clock.now() >= until) throw new StepError(`${resourcesPrefix}the credentials of the task's execution role did not come`);
    await sleep(clock, 200, signal);
  }
}

/** Turns an error into AWS's sentence about what could not be done. No secret is ever part of it. */
export function retrievalFailed(what: string, which?: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof StepError) throw error;
    const said = error instanceof AwsError ? `${error.code}: ${error.message}${statusOf(error)}` : (error as Error).message;
    const of = which === undefined ? "" : `failed to fetch secret ${which} from secrets manager: `;
    throw new StepError(`${resourcesPrefix}unable to ${what}: service call has been retried 1 time(s): ${of}${said}`);
  };
}

const statusOf = ({ status, requestId }: AwsError) => (status === 0 ? "" : ` status code: ${status}, request id: ${requestId}`);
