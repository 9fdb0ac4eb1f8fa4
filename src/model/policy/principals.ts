import type { PrincipalEntry, Statement } from "./document.ts";

/** Who asks, as far as policies can tell them apart. */
export interface PrincipalFacts {
  /** `Account`: the root user. `WebIdentity`: somebody with a token of an OIDC provider. `Anonymous`: nobody signed. */
  readonly kind: "Account" | "User" | "AssumedRole" | "FederatedUser" | "AWSService" | "WebIdentity" | "Anonymous";
  /** 12 digits; empty for services and the anonymous. */
  readonly account: string;
  readonly arn: string;
  readonly userId: string;
  /** Of an assumed role. */
  readonly roleArn?: string;
  /** Of a service, e.g. `ecs-tasks.amazonaws.com`. */
  readonly service?: string;
  /** Of a web identity: the provider's ARN or its well-known name. */
  readonly provider?: string;
}

/**
 * How a resource policy names who asks, from the widest: their account (which then decides by its own policies), the role that they are a session of (whose
 * boundary and session policies still limit them), or themselves.
 */
export type Grant = "none" | "account" | "role" | "self";

const ranks: Readonly<Record<Grant, number>> = { none: 0, account: 1, role: 2, self: 3 };

export const stronger = (one: Grant, other: Grant): Grant => (ranks[one] >= ranks[other] ? one : other);

/** How a statement's Principal or NotPrincipal names `who`. */
export function grantOf(principal: NonNullable<Statement["principal"]>, who: PrincipalFacts): Grant {
  if (!principal.not) return principal.entries.reduce<Grant>((found, entry) => stronger(found, grantOfEntry(entry, who)), "none");
  // Excepted is only who is named whole: a session by account, role and session, a user by account and user.
  const named = new Set(principal.entries.map((entry) => grantOfEntry(entry, who)));
  if (named.has("self") && principal.entries.some((entry) => entry.type === "*")) return "none";
  const needed: readonly Grant[] =
    who.kind === "AssumedRole" ? ["account", "role", "self"] : isOfAccount(who) ? ["account", "self"] : ["self"];
  return needed.every((grant) => named.has(grant)) ? "none" : "self";
}

const isOfAccount = ({ kind }: PrincipalFacts) => kind === "User" || kind === "FederatedUser";

function grantOfEntry({ type, value }: PrincipalEntry, who: PrincipalFacts): Grant {
  switch (type) {
    case "*":
      return "self";
    case "Service":
      return who.kind === "AWSService" && who.service === value ? "self" : "none";
    case "Federated":
      return who.kind === "WebIdentity" && who.provider === value ? "self" : "none";
    case "CanonicalUser":
      return "none";
    case "AWS":
      return grantOfAws(value, who);
  }
}

function grantOfAws(value: string, who: PrincipalFacts): Grant {
  if (who.account === "" || who.kind === "WebIdentity") return "none";
  if (value === who.account || value === `arn:aws:iam::${who.account}:root`) return who.kind === "Account" ? "self" : "account";
  if (value === who.arn) return "self";
  if (who.kind === "AssumedRole" && (value === who.roleArn || value === who.userId.split(":", 1)[0])) return "role";
  return who.kind === "User" && value === who.userId ? "self" : "none";
}
