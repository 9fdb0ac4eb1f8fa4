import type { PrincipalFacts } from "#model/policy/index.ts";
import type { Keys } from "./authorization/table.ts";
import type { Principal } from "./contract.ts";

/** What conditions may ask about a request whatever it is for. */
export interface RequestFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly region: string;
  /** Undefined: nobody from outside asks. */
  readonly sourceIp?: string;
  readonly userAgent?: string;
  readonly secure: boolean;
}

/** A principal as policies see it. */
export function factsOf({ account, arn, userId, identity }: Principal): PrincipalFacts {
  if (!identity) return { kind: "Account", account, arn, userId };
  switch (identity.kind) {
    case "Anonymous":
      return { kind: "Anonymous", account: "", arn: "anonymous", userId: "anonymous" };
    case "AssumedRole":
    case "Agent":
      return { kind: "AssumedRole", account, arn, userId, roleArn: identity.roleArn };
    case "AWSService":
      return { kind: "AWSService", account: "", arn: identity.service, userId: identity.service, service: identity.service };
    default:
      return { kind: identity.kind, account, arn, userId };
  }
}

export type Context = Record<string, readonly string[]>;

/** What conditions may ask about who asks. Source: IAM User Guide, "AWS global condition context keys". */
export function principalContext(principal: Principal): Context {
  const { identity, session } = principal;
  if (identity?.kind === "AWSService") return { "aws:PrincipalIsAWSService": ["true"], "aws:PrincipalServiceName": [identity.service] };
  if (identity?.kind === "Anonymous") return { "aws:PrincipalType": ["Anonymous"] };
  const context: Context = {
    // A session's PrincipalArn is its role's.
    "aws:PrincipalArn": [identity && "roleArn" in identity ? identity.roleArn : principal.arn],
    "aws:PrincipalAccount": [principal.account],
    "aws:PrincipalType": [identity?.kind === "Agent" ? "AssumedRole" : (identity?.kind ?? "Account")],
    "aws:PrincipalIsAWSService": ["false"],
    "aws:userid": [principal.userId],
  };
  if (identity?.kind === "User") context["aws:username"] = [identity.userName];
  for (const [key, value] of Object.entries({ ...principal.tags, ...session?.tags })) context[`aws:PrincipalTag/${key}`] = [value];
  if (session) {
    context["aws:TokenIssueTime"] = [new Date(session.issuedAt).toISOString()];
    // Long-term keys don't have this key at all; we know of no second factor.
    context["aws:MultiFactorAuthPresent"] = ["false"];
    if (session.sourceIdentity !== undefined) context["aws:SourceIdentity"] = [session.sourceIdentity];
  }
  return context;
}

/** What they may ask about how and when a request came. */
export function requestContext({ now, region, sourceIp, userAgent, secure }: RequestFacts): Context {
  const context: Context = {
    "aws:CurrentTime": [new Date(now).toISOString()],
    "aws:EpochTime": [String(Math.floor(now / 1000))],
    "aws:RequestedRegion": [region],
    "aws:SecureTransport": [String(secure)],
    "aws:ViaAWSService": ["false"],
  };
  // The IPv4 client of a socket for both families is an IPv4 client.
  if (sourceIp !== undefined) context["aws:SourceIp"] = [sourceIp.replace(/^::ffff:(?=\d+\.)/i, "")];
  if (userAgent !== undefined && userAgent !== "") context["aws:UserAgent"] = [userAgent];
  return context;
}

export const tagContext = (prefix: string, tags: Readonly<Record<string, string>>): Context =>
  Object.fromEntries(Object.entries(tags).map(([key, value]) => [`${prefix}/${key}`, [value]]));

export function addKeys(context: Context, keys: Keys): void {
  for (const [key, value] of Object.entries(keys)) {
    if (value === undefined) continue;
    context[key] = typeof value === "object" ? value : [String(value)];
  }
}

export function addResourceKeys(
  context: Context,
  prefix: string,
  account: string,
  tags: Readonly<Record<string, string>> | undefined,
): void {
  if (account !== "") context["aws:ResourceAccount"] = [account];
  const caller = context["aws:PrincipalAccount"];
  if (prefix === "kms" && caller) context["kms:CallerAccount"] = caller;
  if (tags) Object.assign(context, tagContext("aws:ResourceTag", tags), tagContext(`${prefix}:ResourceTag`, tags));
}
