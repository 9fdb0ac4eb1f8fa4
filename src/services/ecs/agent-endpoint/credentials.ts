import { ApiError, type Question } from "#api/contract.ts";
import { issueSession } from "#identity/sessions.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";

/** Far more than the supervisor's hour, so that an agent outlives a supervisor that was killed. */
const lifetimeSeconds = 7 * 86_400;

/**
 * Credentials of the agent of one machine: `node` tells machines apart and stays the same for good, `cluster` is the one that it may register in, `role` the one
 * that it may become for its machine's tasks. Who may
 * ask for these can speak for any machine: it takes an action of its own, which only the root user and policies for `*` have.
 */
export function agentCredentialsQuestion(deps: { readonly sealer: Sealer; readonly random: Random }): Question {
  return {
    path: "/_gantry/agent-credentials",
    action: "gantry:IssueAgentCredentials",
    async answer(query, { account, now }) {
      const node = query.get("node") ?? "";
      const cluster = query.get("cluster") ?? "";
      if (!/^[\w.-]{2,64}$/.test(node))
        throw new ApiError("InvalidParameterException", "node is not a name of 2 to 64 letters and digits.");
      if (!/^[\w-]{1,255}$/.test(cluster)) throw new ApiError("InvalidParameterException", "cluster is not a cluster's name.");
      const role = query.get("role") ?? "";
      if (!/^(|[\w+=,.@-]{1,64}|arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+)$/.test(role))
        throw new ApiError("InvalidParameterException", "role is neither the name nor the ARN of a role.");
      const instanceRole = role === "" || role.startsWith("arn:") ? role : `arn:aws:iam::${account}:role/${role}`;
      const agent = { kind: "Agent" as const, node, cluster, ...(instanceRole === "" ? {} : { instanceRole }) };
      const issued = issueSession(deps, account, agent, lifetimeSeconds, now);
      const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = issued;
      return { accessKeyId, secretAccessKey, sessionToken, expiresAt };
    },
  };
}
