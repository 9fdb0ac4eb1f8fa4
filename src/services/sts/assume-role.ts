import type * as Sdk from "@aws-sdk/client-sts";
import type { Principal, RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { type Context, factsOf, principalContext, requestContext, tagContext } from "#identity/facts.ts";
import { type FoundRole, findRole, mayAssume, policiesFor } from "#identity/roles.ts";
import { issueSession, roleHolder, type SessionCredentials, type SessionTerms } from "#identity/sessions.ts";
import { parseIamArn } from "#model/iam-keys.ts";
import { errors } from "./errors.ts";
import { managedPolicyExists } from "./managed.ts";
import { checkDuration, checkSessionName, checkText, hour, packedSizeOf, sessionPoliciesOf, sessionTagsOf } from "./rules.ts";

/** AssumeRole. Source: AWS STS API Reference, "AssumeRole"; IAM User Guide, "Pass session tags in AWS STS". */

export const twelveHours = 12 * hour;

export const credentialsView = ({ accessKeyId, secretAccessKey, sessionToken, expiresAt }: SessionCredentials): Sdk.Credentials => ({
  AccessKeyId: accessKeyId,
  SecretAccessKey: secretAccessKey,
  SessionToken: sessionToken,
  Expiration: new Date(expiresAt),
});

export function checkRoleArn(arn: string): void {
  checkText("roleArn", arn, { min: 20, max: 2048 });
  if (parseIamArn(arn)?.kind !== "role") throw errors.validation(`${arn} is invalid`);
}

/** Where the request comes from, as conditions see it. */
export const surroundingsOf = ({ now, region, sourceIp, userAgent }: RequestContext): Context =>
  requestContext({ now, region, sourceIp, userAgent, secure: false });

/** A denial says no more of a role than that it is not to be had, as AWS does: not even whether there is one. */
const denied = ({ arn }: Principal, action: string, roleArn: string) =>
  errors.accessDenied(`User: ${arn} is not authorized to perform: ${action} on resource: ${roleArn}`);

/** The tags of a session that is made from another: those that pass on, and those that are asked for. Throws InvalidParameterValue. */
function chained(principal: Principal, asked: Readonly<Record<string, string>>, transitive: readonly string[]) {
  const { session } = principal;
  const passedOn = session?.transitiveTagKeys ?? [];
  for (const key of Object.keys(asked))
    if (passedOn.some((each) => each.toLowerCase() === key.toLowerCase()))
      throw errors.invalidParameter(
        "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
      );
  for (const key of transitive)
    if (!Object.hasOwn(asked, key))
      throw errors.invalidParameter("The specified transitive tag key must be included in the requested tags.");
  const inherited = Object.fromEntries(passedOn.flatMap((key) => (session?.tags[key] === undefined ? [] : [[key, session.tags[key]]])));
  return { tags: { ...inherited, ...asked }, transitiveTagKeys: [...passedOn, ...transitive] };
}

export async function assumeRole(deps: ServerDeps, input: Sdk.AssumeRoleRequest, context: RequestContext): Promise<Sdk.AssumeRoleResponse> {
  const { principal, now } = context;
  const roleArn = input.RoleArn!;
  const sessionName = input.RoleSessionName!;
  checkRoleArn(roleArn);
  checkSessionName(sessionName);
  const duration = input.DurationSeconds ?? hour;
  checkDuration(duration, twelveHours);
  if (input.ExternalId !== undefined) checkText("externalId", input.ExternalId, { min: 2, max: 1224, pattern: /^[\w+=,.@:/-]*$/ });
  const asked = sessionTagsOf(input.Tags);
  const { tags, transitiveTagKeys } = chained(principal, asked, input.TransitiveTagKeys ?? []);
  const sourceIdentity = sourceIdentityOf(principal, input.SourceIdentity);
  const { account } = parseIamArn(roleArn)!;
  const limits = await sessionPoliciesOf(input, account, (arn) => managedPolicyExists(deps.store, arn));

  const found = await findRole(deps.store, roleArn);
  if (!found) throw denied(principal, "sts:AssumeRole", roleArn);
  if (!deps.config.open) await authorize(deps, found, context, input, asked);
  checkSessionLength(found, duration, principal);

  const terms: SessionTerms = {
    ...limits,
    ...(Object.keys(tags).length > 0 ? { tags, transitiveTagKeys } : {}),
    ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
  };
  const packed = packedSizeOf(terms);
  const credentials = issueSession(deps, account, roleHolder(found.role, sessionName), duration, now, terms);
  return {
    Credentials: credentialsView(credentials),
    AssumedRoleUser: { AssumedRoleId: credentials.userId, Arn: credentials.arn },
    ...(packed === undefined ? {} : { PackedPolicySize: packed }),
    ...(sourceIdentity === undefined ? {} : { SourceIdentity: sourceIdentity }),
  };
}

/** Once set, a source identity stays through all sessions that follow. */
function sourceIdentityOf({ session }: Principal, given: string | undefined): string | undefined {
  const before = session?.sourceIdentity;
  if (given === undefined) return before;
  checkText("sourceIdentity", given, { min: 2, max: 64, pattern: /^[\w+=,.@-]*$/ });
  if (before !== undefined && before !== given)
    throw errors.accessDenied("The source identity cannot be changed: it was set by the calling session.");
  return given;
}

export function checkSessionLength({ role }: FoundRole, duration: number, principal?: Principal): void {
  if (principal?.identity?.kind === "AssumedRole" && duration > hour)
    throw errors.validation("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.");
  if (duration > role.maxSessionDuration)
    throw errors.validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.");
}

/** Each thing that is done is its own action: assuming, tagging, naming the source. Throws AccessDenied. */
async function authorize(
  { store }: ServerDeps,
  found: FoundRole,
  request: RequestContext,
  input: Sdk.AssumeRoleRequest,
  tags: Readonly<Record<string, string>>,
): Promise<void> {
  const { principal } = request;
  const keys = Object.keys(tags);
  const context: Context = {
    ...surroundingsOf(request),
    ...principalContext(principal),
    "sts:RoleSessionName": [input.RoleSessionName!],
    ...(input.ExternalId === undefined ? {} : { "sts:ExternalId": [input.ExternalId] }),
    ...(input.SourceIdentity === undefined ? {} : { "sts:SourceIdentity": [input.SourceIdentity] }),
    ...(keys.length === 0 ? {} : { "aws:TagKeys": keys, ...tagContext("aws:RequestTag", tags) }),
    ...(input.TransitiveTagKeys?.length ? { "sts:TransitiveTagKeys": input.TransitiveTagKeys } : {}),
  };
  const policies = await policiesFor(store, principal);
  const actions = [
    "sts:AssumeRole",
    ...(keys.length > 0 || (principal.session?.transitiveTagKeys.length ?? 0) > 0 ? ["sts:TagSession"] : []),
    ...(input.SourceIdentity !== undefined || principal.session?.sourceIdentity !== undefined ? ["sts:SetSourceIdentity"] : []),
  ];
  for (const action of actions)
    if (mayAssume(found, factsOf(principal), action, context, policies).decision.outcome !== "allowed")
      throw denied(principal, action, found.arn);
}
