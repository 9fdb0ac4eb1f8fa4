import type { Principal } from "#api/contract.ts";
import type { PrincipalFacts } from "#model/policy/index.ts";

/** A principal as policies see it. */
export function factsOf({ account, arn, userId, identity }: Principal): PrincipalFacts {
  if (identity === undefined) return { kind: "Account", account, arn, userId };
  switch (identity.kind) {
    case "AssumedRole":
      return { kind: "AssumedRole", account, arn, userId, roleArn: identity.roleArn };
    case "AWSService":
      return { kind: "AWSService", account: "", arn: "", userId: "", service: identity.service };
    case "Anonymous":
      return { kind: "Anonymous", account: "", arn: "", userId: "" };
    default:
      return { kind: identity.kind, account, arn, userId };
  }
}

export type Context = Record<string, readonly string[]>;

/** What conditions may ask of who asks. Source: IAM User Guide, "AWS global condition context keys". */
export function principalContext(principal: Principal): Context {
  const { identity, session } = principal;
  if (identity?.kind === "AWSService") return { "aws:PrincipalIsAWSService": ["true"], "aws:PrincipalServiceName": [identity.service] };
  if (identity?.kind === "Anonymous") return { "aws:PrincipalType": ["Anonymous"] };
  return {
    "aws:PrincipalArn": [identity?.kind === "AssumedRole" ? identity.roleArn : principal.arn],
    "aws:PrincipalAccount": [principal.account],
    "aws:PrincipalType": [identity?.kind ?? "Account"],
    "aws:PrincipalIsAWSService": ["false"],
    "aws:userid": [principal.userId],
    ...(identity?.kind === "User" ? { "aws:username": [identity.userName] } : {}),
    ...(session
      ? {
          "aws:TokenIssueTime": [new Date(session.issuedAt).toISOString()],
          "aws:MultiFactorAuthPresent": ["false"],
          ...(session.sourceIdentity === undefined ? {} : { "aws:SourceIdentity": [session.sourceIdentity] }),
        }
      : {}),
    ...Object.fromEntries(Object.entries(principal.tags ?? {}).map(([key, value]) => [`aws:PrincipalTag/${key}`, [value]])),
  };
}

export interface Surroundings {
  /** Milliseconds. */
  readonly now: number;
  readonly region: string;
  readonly sourceIp?: string;
  readonly userAgent?: string;
  readonly secure: boolean;
}

export function requestContext({ now, region, sourceIp, userAgent, secure }: Surroundings): Context {
  return {
    "aws:CurrentTime": [new Date(now).toISOString()],
    "aws:EpochTime": [String(Math.floor(now / 1000))],
    "aws:RequestedRegion": [region],
    "aws:SecureTransport": [String(secure)],
    ...(sourceIp === undefined ? {} : { "aws:SourceIp": [sourceIp] }),
    ...(userAgent === undefined ? {} : { "aws:UserAgent": [userAgent] }),
  };
}

export const tagContext = (prefix: string, tags: Readonly<Record<string, string>>): Context =>
  Object.fromEntries(Object.entries(tags).map(([key, value]) => [`${prefix}/${key}`, [value]]));
