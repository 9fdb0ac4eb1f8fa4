import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import type { StsOperations } from "#api/generated/sts.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { accountOfKey } from "#identity/ids.ts";
import { iamKeys } from "#model/iam-keys.ts";
import type { AccessKeyRecord } from "#model/iam-records.ts";
import { assumeRole } from "./assume-role.ts";
import { errors } from "./errors.ts";
import { createIssuerKeys } from "./issuer-keys.ts";
import { checkText } from "./rules.ts";
import { getFederationToken, getSessionToken } from "./tokens.ts";
import { assumeRoleWithWebIdentity } from "./web-identity.ts";

/** AWS Security Token Service: who am I, and who else may I be for a while. Source: AWS STS API Reference. */
export function createSts(deps: ServerDeps): ServerPart {
  const { config, store } = deps;
  const issuerKeys = createIssuerKeys();
  const handlers = {
    GetCallerIdentity: (_input, { principal }) => ({ UserId: principal.userId, Account: principal.account, Arn: principal.arn }),
    async GetAccessKeyInfo({ AccessKeyId = "" }, { principal }) {
      checkText("accessKeyId", AccessKeyId, { min: 16, max: 128, pattern: /^[\w]*$/ });
      if (AccessKeyId === principal.accessKeyId) return { Account: principal.account };
      const key = await store.get<AccessKeyRecord>(iamKeys.accessKey(AccessKeyId));
      // Of sessions nothing is kept: their ids say whose they are.
      const account = key?.value.account ?? (AccessKeyId.startsWith("ASIA") ? accountOfKey(AccessKeyId) : undefined);
      if (account !== undefined) return { Account: account };
      if (config.open) return { Account: config.account };
      throw errors.invalidClientToken("The security token included in the request is invalid.");
    },
    AssumeRole: (input, context) => assumeRole(deps, input, context),
    AssumeRoleWithWebIdentity: (input, context) => assumeRoleWithWebIdentity(deps, issuerKeys, input, context),
    GetSessionToken: (input, context) => getSessionToken(deps, input, context),
    GetFederationToken: (input, context) => getFederationToken(deps, input, context),
  } satisfies Handlers<StsOperations>;
  return {
    registrations: [{ service: "sts", handlers: handlers as Readonly<Record<string, Handler>>, anonymous: ["AssumeRoleWithWebIdentity"] }],
  };
}
