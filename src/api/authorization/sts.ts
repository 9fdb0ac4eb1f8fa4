import { each, none, type ServiceActions, textAt } from "./table.ts";

/**
 * Roles are entered by their trust policies, which STS itself asks (src/services/sts). GetCallerIdentity and GetSessionToken need no permission, and nobody
 * has signed AssumeRoleWithWebIdentity: `unchecked`. Source: Service Authorization Reference, "AWS Security Token Service".
 */
export const sts: ServiceActions = {
  prefix: "sts",
  operations: {
    ...each("{RoleArn}", "AssumeRole AssumeRoleWithWebIdentity AssumeRoleWithSAML"),
    ...each(none, "GetCallerIdentity GetAccessKeyInfo GetSessionToken DecodeAuthorizationMessage"),
    GetFederationToken: { on: (input, { account }) => [`arn:aws:sts::${account}:federated-user/${textAt(input, "Name") ?? ""}`] },
  },
};

/** Allowed to whoever has credentials, or authorized by the handler. */
export const unchecked: ReadonlySet<string> = new Set([
  "sts:GetCallerIdentity",
  "sts:GetSessionToken",
  "sts:AssumeRole",
  "sts:AssumeRoleWithWebIdentity",
  "sts:AssumeRoleWithSAML",
]);
