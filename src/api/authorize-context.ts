import type { PrincipalFacts } from "#model/policy/index.ts";
import type { Keys } from "./authorization/table.ts";
import type { Principal } from "./contract.ts";

/** What conditions may ask about a request whatever it is for. */
export interface RequestFacts {
  /** Milliseconds since the epoch. */
  readonly now: number;
  readonly sourceIp: string;
  readonly userAgent: string;
  readonly region: string;
  readonly secure: boolean;
}

export function factsOf({ account, arn, userId, identity }: Principal): PrincipalFacts {
  const common = { account, arn, userId };
  if (!identity) return { ...common, kind: "Account" };
  switch (identity.kind) {
    case "Anonymous":
      return { kind: "Anonymous", account: "", arn: "anonymous", userId: "anonymous" };
    case "AssumedRole":
      return { ...common, kind: "AssumedRole", roleArn: identity.roleArn };
    case "AWSService":
      return { ...common, kind: "AWSService", service: identity.service };
    default:
      return { ...common, kind: identity.kind };
  }
}

/** The global condition keys. Source: IAM User Guide, "AWS global condition context keys". */
export function requestContext(principal: Principal, request: RequestFacts): Record<string, readonly string[]> {
  const { identity, session } = principal;
  const context: Record<string, readonly string[]> = {
    "aws:SourceIp": [plain(request.sourceIp)],
    "aws:CurrentTime": [new Date(request.now).toISOString()],
    "aws:EpochTime": [String(Math.floor(request.now / 1000))],
    "aws:SecureTransport": [String(request.secure)],
    "aws:RequestedRegion": [request.region],
    "aws:PrincipalIsAWSService": [String(identity?.kind === "AWSService")],
    "aws:ViaAWSService": ["false"],
  };
  if (request.userAgent !== "") context["aws:UserAgent"] = [request.userAgent];
  if (identity?.kind === "AWSService") {
    context["aws:PrincipalServiceName"] = [identity.service];
    return context;
  }
  context["aws:PrincipalType"] = [identity?.kind ?? "Account"];
  if (identity?.kind === "Anonymous") return context;
  context["aws:PrincipalAccount"] = [principal.account];
  context["aws:userid"] = [principal.userId];
  // A session's PrincipalArn is its role's.
  context["aws:PrincipalArn"] = [identity?.kind === "AssumedRole" ? identity.roleArn : principal.arn];
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

/** The IPv4 client of a socket for both families. */
const plain = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, "");

export function addKeys(context: Record<string, readonly string[]>, keys: Keys): void {
  for (const [key, value] of Object.entries(keys)) {
    if (value === undefined) continue;
    context[key] = typeof value === "object" ? value : [String(value)];
  }
}

export function addResourceKeys(
  context: Record<string, readonly string[]>,
  prefix: string,
  account: string,
  tags: Readonly<Record<string, string>> | undefined,
): void {
  if (account !== "") context["aws:ResourceAccount"] = [account];
  for (const [key, value] of Object.entries(tags ?? {})) {
    context[`aws:ResourceTag/${key}`] = [value];
    context[`${prefix}:ResourceTag/${key}`] = [value];
  }
}
