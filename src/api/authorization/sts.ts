import { each, type Input, type Keys, none, type ServiceActions, textAt } from "./table.ts";

const session = (input: Input): Keys => ({
  "sts:ExternalId": textAt(input, "ExternalId"),
  "sts:RoleSessionName": textAt(input, "RoleSessionName"),
  "sts:SourceIdentity": textAt(input, "SourceIdentity"),
  "sts:TransitiveTagKeys": input["TransitiveTagKeys"] as readonly string[] | undefined,
});

/**
 * Roles are entered by their trust policies, which name what may be done to them. GetCallerIdentity and GetSessionToken need no permission, and nobody
 * has signed AssumeRoleWithWebIdentity: `unchecked`. AssumeRole asks the evaluator itself, because tagging and naming a source are further actions and
 * even the root user needs the role's trust. Source: Service Authorization Reference, "AWS Security Token Service".
 */
export const sts: ServiceActions = {
  prefix: "sts",
  operations: {
    AssumeRole: { on: "{RoleArn}", keys: session, tagging: { action: "TagSession", on: "{RoleArn}" } },
    ...each("{RoleArn}", "AssumeRoleWithWebIdentity AssumeRoleWithSAML"),
    ...each(none, "GetCallerIdentity GetAccessKeyInfo GetSessionToken DecodeAuthorizationMessage"),
    GetFederationToken: { on: (input, { account }) => [`arn:aws:sts::${account}:federated-user/${textAt(input, "Name") ?? ""}`] },
  },
};

/** Allowed to whoever has credentials, or is proving their own to the handler. */
export const unchecked: ReadonlySet<string> = new Set([
  "sts:GetCallerIdentity",
  "sts:GetSessionToken",
  "sts:AssumeRole",
  "sts:AssumeRoleWithWebIdentity",
  "sts:AssumeRoleWithSAML",
]);
