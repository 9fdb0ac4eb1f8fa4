import type * as Sdk from "@aws-sdk/client-sts";
import type { Principal, RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { issueSession, type SessionHolder, type SessionTerms } from "#identity/sessions.ts";
import { credentialsView } from "./assume-role.ts";
import { errors } from "./errors.ts";
import { managedPolicyExists } from "./managed.ts";
import { checkDuration, checkText, hour, packedSizeOf, sessionPoliciesOf, sessionTagsOf } from "./rules.ts";

/** GetSessionToken and GetFederationToken: temporary credentials of a user, for a user. Source: AWS STS API Reference. */

const longest = 36 * hour;
const usual = 12 * hour;

/** Only long-term credentials may ask. Throws AccessDenied. */
function checkLongTerm({ session, identity }: Principal, operation: string): void {
  if (session || (identity !== undefined && identity.kind !== "User"))
    throw errors.accessDenied(`Cannot call ${operation} with session credentials`);
}

/** The root user's last an hour at most, whatever is asked for. */
function durationOf(seconds: number | undefined, { identity }: Principal): number {
  const duration = seconds ?? (identity === undefined ? hour : usual);
  checkDuration(duration, longest);
  return identity === undefined ? Math.min(duration, hour) : duration;
}

export async function getSessionToken(
  deps: ServerDeps,
  input: Sdk.GetSessionTokenRequest,
  { principal, now }: RequestContext,
): Promise<Sdk.GetSessionTokenResponse> {
  checkLongTerm(principal, "GetSessionToken");
  if (input.SerialNumber !== undefined || input.TokenCode !== undefined)
    throw errors.accessDenied("MultiFactorAuthentication failed with invalid MFA one time pass code.");
  const { identity, userId, account } = principal;
  const holder: SessionHolder = identity?.kind === "User" ? { kind: "User", userName: identity.userName, userId } : { kind: "Root" };
  return { Credentials: credentialsView(issueSession(deps, account, holder, durationOf(input.DurationSeconds, principal), now)) };
}

export async function getFederationToken(
  deps: ServerDeps,
  input: Sdk.GetFederationTokenRequest,
  { principal, now }: RequestContext,
): Promise<Sdk.GetFederationTokenResponse> {
  const name = input.Name!;
  checkText("name", name, { min: 2, max: 32, pattern: /^[\w+=,.@-]*$/ });
  checkLongTerm(principal, "GetFederationToken");
  const { identity, account, userId } = principal;
  const tags = sessionTagsOf(input.Tags);
  const terms: SessionTerms = {
    ...(await sessionPoliciesOf(input, account, (arn) => managedPolicyExists(deps.store, arn))),
    ...(Object.keys(tags).length > 0 ? { tags } : {}),
  };
  const packed = packedSizeOf(terms);
  const holder: SessionHolder = {
    kind: "FederatedUser",
    name,
    ...(identity?.kind === "User" ? { userName: identity.userName, userId } : {}),
  };
  const credentials = issueSession(deps, account, holder, durationOf(input.DurationSeconds, principal), now, terms);
  return {
    Credentials: credentialsView(credentials),
    FederatedUser: { FederatedUserId: credentials.userId, Arn: credentials.arn },
    ...(packed === undefined ? {} : { PackedPolicySize: packed }),
  };
}
