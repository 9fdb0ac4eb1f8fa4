import type { AuthorizationRequest, Decision, PolicySource } from "./evaluate.ts";

const kinds: Readonly<Record<PolicySource, string>> = {
  identity: "identity-based policy",
  resource: "resource-based policy",
  boundary: "permissions boundary",
  session: "session policy",
};

/** AWS's sentence for a request that was not allowed. Source: IAM User Guide, "Troubleshoot access denied error messages". */
export function denialMessage({ principal, action, resource }: AuthorizationRequest, { outcome, by }: Decision): string {
  const kind = kinds[by];
  const because =
    outcome === "explicitDeny"
      ? `with an explicit deny in ${kind.startsWith("i") ? "an" : "a"} ${kind}`
      : `because no ${kind} allows the ${action} action`;
  // Actions on no resource name `*`, as AWS does.
  return `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${because}`;
}
