import type * as Sdk from "@aws-sdk/client-sts";
import type { RequestContext } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { type Context, tagContext } from "#identity/facts.ts";
import { findRole, mayAssume } from "#identity/roles.ts";
import { issueSession, roleHolder, type SessionTerms } from "#identity/sessions.ts";
import { iamArn, iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { OidcProviderRecord } from "#model/iam-records.ts";
import { checkRoleArn, checkSessionLength, credentialsView, surroundingsOf, twelveHours } from "./assume-role.ts";
import { errors } from "./errors.ts";
import type { IssuerKeys } from "./issuer-keys.ts";
import { keysFor, knownAlgorithm, parseToken, signedBy, type Token } from "./jwt.ts";
import { managedPolicyExists } from "./managed.ts";
import { checkDuration, checkSessionName, checkText, hour, packedSizeOf, sessionPoliciesOf, sessionTagsOf } from "./rules.ts";

/**
 * AssumeRoleWithWebIdentity: nobody signs, the token proves who asks. Its issuer must be a provider of the role's account or of the configuration.
 * Source: AWS STS API Reference, "AssumeRoleWithWebIdentity"; IAM User Guide, "Available keys for AWS OIDC federation".
 */

const skewMs = 5 * 60_000;

type Issuer = Pick<OidcProviderRecord, "url" | "clientIds">;

const text = (value: unknown) => (typeof value === "string" ? value : undefined);
const texts = (value: unknown) =>
  typeof value === "string" ? [value] : Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];

async function issuerOf({ store, config }: ServerDeps, account: string, url: string): Promise<Issuer | undefined> {
  const name = url.replace(/^https?:\/\//, "");
  const record = (await store.get<OidcProviderRecord>(iamKeys.oidcProvider(account, name)))?.value;
  const found: Issuer | undefined =
    record ?? (account === config.account ? config.oidcIssuers.find((each) => each.url === url) : undefined);
  return found?.url === url ? found : undefined;
}

/** Throws InvalidIdentityToken, IDPCommunicationError. */
async function verify(keys: IssuerKeys, url: string, token: Token, now: number): Promise<void> {
  if (!knownAlgorithm(token.algorithm)) throw errors.invalidIdentityToken("Token signature algorithm must be RS256 or ES256.");
  const ask = async (fresh: boolean) => {
    try {
      return keysFor(token, await keys.of(url, now, fresh));
    } catch (error) {
      throw errors.idpCommunication(`Couldn't retrieve verification key from your identity provider, ${url}: ${(error as Error).message}`);
    }
  };
  const known = await ask(false);
  const fitting = known.length > 0 ? known : await ask(true);
  if (fitting.length === 0) throw errors.invalidIdentityToken("Couldn't find a key of your identity provider that signed the token.");
  if (!fitting.some((key) => signedBy(token, key))) throw errors.invalidIdentityToken("Token signature invalid.");
}

/** What the token says once it is known to be the issuer's. Throws InvalidIdentityToken, ExpiredTokenException. */
function claimsOf({ claims }: Token, issuer: Issuer, now: number) {
  const expires = Number(claims.exp) * 1000;
  if (!Number.isFinite(expires)) throw errors.invalidIdentityToken("Missing a required claim: exp");
  if (expires <= now)
    throw errors.expiredToken(
      `Token expired: current date/time ${Math.floor(now / 1000)} must be before the expiration date/time ${Math.floor(expires / 1000)}`,
    );
  if (Number(claims.nbf) * 1000 > now + skewMs) throw errors.invalidIdentityToken("Token is not yet valid: nbf is in the future.");
  if (!Number.isFinite(Number(claims.iat))) throw errors.invalidIdentityToken("Missing a required claim: iat");
  if (Number(claims.iat) * 1000 > now + skewMs) throw errors.invalidIdentityToken("Token is not yet valid: iat is in the future.");
  const subject = text(claims.sub);
  if (!subject) throw errors.invalidIdentityToken("Missing a required claim: sub");
  const audiences = texts(claims.aud);
  if (audiences.length === 0) throw errors.invalidIdentityToken("Missing a required claim: aud");
  // Of several audiences azp says for whom the token is.
  const audience = text(claims.azp) ?? audiences.find((each) => issuer.clientIds.includes(each));
  if (audience === undefined || !issuer.clientIds.includes(audience)) throw errors.invalidIdentityToken("Incorrect token audience");
  return { subject, audience, audiences };
}

interface TagClaim {
  readonly principal_tags?: Readonly<Record<string, unknown>>;
  readonly transitive_tag_keys?: unknown;
}

/** Session tags that the issuer gives. Source: IAM User Guide, "Passing session tags using AssumeRoleWithWebIdentity". */
function tagsOf(claims: Token["claims"]): Pick<SessionTerms, "tags" | "transitiveTagKeys"> {
  const claim = claims["https://aws.amazon.com/tags"] as TagClaim | undefined;
  if (typeof claim !== "object" || claim === null) return {};
  const given = Object.entries(claim.principal_tags ?? {}).map(([Key, value]) => ({ Key, Value: texts(value)[0] ?? "" }));
  const tags = sessionTagsOf(given);
  return given.length === 0 ? {} : { tags, transitiveTagKeys: texts(claim.transitive_tag_keys).filter((key) => Object.hasOwn(tags, key)) };
}

export async function assumeRoleWithWebIdentity(
  deps: ServerDeps,
  keys: IssuerKeys,
  input: Sdk.AssumeRoleWithWebIdentityRequest,
  request: RequestContext,
): Promise<Sdk.AssumeRoleWithWebIdentityResponse> {
  const { now } = request;
  const roleArn = input.RoleArn!;
  const sessionName = input.RoleSessionName!;
  checkRoleArn(roleArn);
  checkSessionName(sessionName);
  checkText("webIdentityToken", input.WebIdentityToken!, { min: 4, max: 20_000 });
  const duration = input.DurationSeconds ?? hour;
  checkDuration(duration, twelveHours);
  const { account } = parseIamArn(roleArn)!;
  const token = parseToken(input.WebIdentityToken!);
  if (!token)
    throw errors.invalidIdentityToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)");
  const url = (text(token.claims.iss) ?? "").replace(/\/$/, "");
  const issuer = await issuerOf(deps, account, url);
  if (!issuer) throw errors.invalidIdentityToken(`No OpenIDConnect provider found in your account for ${url}`);
  await verify(keys, url, token, now);
  const { subject, audience, audiences } = claimsOf(token, issuer, now);

  const name = url.replace(/^https?:\/\//, "");
  const provider = iamArn(account, `oidc-provider/${name}`);
  const given = tagsOf(token.claims);
  const sourceIdentity = text(token.claims["https://aws.amazon.com/source_identity"]);
  const limits = await sessionPoliciesOf(input, account, (arn) => managedPolicyExists(deps.store, arn));
  const found = await findRole(deps.store, roleArn);
  const context: Context = {
    ...surroundingsOf(request),
    "aws:FederatedProvider": [provider],
    "sts:RoleSessionName": [sessionName],
    [`${name}:aud`]: [audience],
    [`${name}:sub`]: [subject],
    [`${name}:amr`]: texts(token.claims.amr),
    // With azp, which then is `aud`, the audiences are to be asked for as `oaud`.
    [`${name}:oaud`]: token.claims.azp === undefined ? [] : audiences,
    [`${name}:email`]: texts(token.claims.email),
    ...(sourceIdentity === undefined ? {} : { "sts:SourceIdentity": [sourceIdentity] }),
    ...(given.tags ? { "aws:TagKeys": Object.keys(given.tags), ...tagContext("aws:RequestTag", given.tags) } : {}),
  };
  const who = { kind: "WebIdentity", account, arn: "", userId: "", provider } as const;
  const actions = [
    "sts:AssumeRoleWithWebIdentity",
    ...(given.tags ? ["sts:TagSession"] : []),
    ...(sourceIdentity === undefined ? [] : ["sts:SetSourceIdentity"]),
  ];
  for (const action of actions)
    if (!found || mayAssume(found, who, action, context, { identity: [] }).decision.outcome !== "allowed")
      throw errors.accessDenied(`Not authorized to perform ${action}`);
  checkSessionLength(found!, duration);

  const terms: SessionTerms = { ...limits, ...given, ...(sourceIdentity === undefined ? {} : { sourceIdentity }) };
  const packed = packedSizeOf(terms);
  const credentials = issueSession(deps, account, roleHolder(found!.role, sessionName), duration, now, terms);
  return {
    Credentials: credentialsView(credentials),
    SubjectFromWebIdentityToken: subject,
    AssumedRoleUser: { AssumedRoleId: credentials.userId, Arn: credentials.arn },
    Provider: provider,
    Audience: audience,
    ...(packed === undefined ? {} : { PackedPolicySize: packed }),
    ...(sourceIdentity === undefined ? {} : { SourceIdentity: sourceIdentity }),
  };
}
