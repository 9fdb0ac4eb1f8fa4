import { ApiError, type Question } from "#api/contract.ts";
import { issueSession } from "#identity/sessions.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";

/** Far more than the supervisor's hour, so that an agent outlives a supervisor that was killed. */
const lifetimeSeconds = 7 * 86_400;

/**
 * Credentials of the agent of one machine: `node` tells machines apart and stays the same for good, `cluster` is the one that it may register in. Who may
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
      const issued = issueSession(deps, account, { kind: "Agent", node, cluster }, lifetimeSeconds, now);
      const { accessKeyId, secretAccessKey, sessionToken, expiresAt } = issued;
      return { accessKeyId, secretAccessKey, sessionToken, expiresAt };
    },
  };
}
