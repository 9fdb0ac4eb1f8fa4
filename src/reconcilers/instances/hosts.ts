import { instancesAttribute } from "#agent-protocol/instances.ts";
import { agentRole } from "#identity/agents.ts";
import type { ContainerInstanceRecord } from "#model/ecs-records.ts";

/** Agents of local instances, and of machines that joined. */
const others = new RegExp(`^${agentRole}:[im]-`);

/**
 * Whether local instances can run on the machine of this container instance: its agent says so when it registers. Their credentials go there: it counts only of the server's own machine, whose
 * agent has its credentials from the root user, or is the root user. Anybody may say it with PutAttributes. Pure.
 */
export const runsInstances = ({ attributes, owner, arn }: Pick<ContainerInstanceRecord, "attributes" | "owner" | "arn">): boolean =>
  (owner === undefined || owner === arn.split(":")[4] || (owner.startsWith(`${agentRole}:`) && !others.test(owner))) &&
  attributes.some(({ name, value }) => name === instancesAttribute && value === "true");
