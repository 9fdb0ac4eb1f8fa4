import { type CompiledStatement, compile } from "./compile.ts";
import { type Context, contextOf } from "./context.ts";
import type { NamedPolicy, Statement } from "./document.ts";
import { type Grant, grantOf, type PrincipalFacts, stronger } from "./principals.ts";

/** One question: may this principal do this to that? */
export interface AuthorizationRequest {
  readonly principal: PrincipalFacts;
  /** e.g. `ecs:RunTask`. */
  readonly action: string;
  /** An ARN, or `*` for actions that are on no resource. */
  readonly resource: string;
  /** Whose resource it is: 12 digits, or empty when it is nobody's. */
  readonly resourceAccount: string;
  /** Condition keys and their values, whatever their case. */
  readonly context: Readonly<Record<string, readonly string[]>>;
  /** For roles and KMS keys: nobody gets in without their own policy saying so, not even in their account. */
  readonly resourcePolicyRequired?: boolean;
}

export interface PolicySet {
  readonly identity: readonly NamedPolicy[];
  readonly boundary?: NamedPolicy;
  /** Absent: no session, or one without policies. All of them together are one limit. */
  readonly session?: readonly NamedPolicy[];
  /** Those of the resource. */
  readonly resource?: readonly NamedPolicy[];
}

export type PolicySource = "identity" | "boundary" | "session" | "resource";

export interface MatchedStatement {
  readonly source: PolicySource;
  readonly policy: NamedPolicy;
  readonly statement: Statement;
  /** Its place in the document, from 0. */
  readonly index: number;
}

export interface Decision {
  readonly outcome: "allowed" | "explicitDeny" | "implicitDeny";
  /** Which kind of policy allowed or denied, or is missing one that allows. */
  readonly by: PolicySource;
  /** What spoke for the outcome: of an explicit denial the statements that deny, else those that allow. */
  readonly matched: readonly MatchedStatement[];
  /** What each kind of policy said by itself; the simulator shows it. */
  readonly allowedBy: { readonly identity: boolean; readonly boundary: boolean; readonly session: boolean; readonly resource: boolean };
}

/**
 * AWS's evaluation logic. An explicit deny anywhere ends it. In the resource's own account either the identity's policies (within boundary and session) or
 * the resource's allow; for another account's resource both must. A resource policy that names the account leaves it to the account's own
 * policies; one that names a role is limited by boundary and session; one that names the user or session itself, or everybody, is not.
 * Source: IAM User Guide, "Policy evaluation logic" and "Permissions boundaries for IAM entities".
 */
export function evaluate(request: AuthorizationRequest, policies: PolicySet): Decision {
  const question: Question = {
    who: request.principal,
    action: request.action.toLowerCase(),
    resource: request.resource,
    context: contextOf(request.context),
  };
  const identity = policies.identity;
  const boundary = policies.boundary && [policies.boundary];
  const { session, resource = [] } = policies;

  const nothing = { identity: false, boundary: false, session: false, resource: false };
  const sources = [
    ["identity", identity],
    ["resource", resource],
    ["boundary", boundary ?? []],
    ["session", session ?? []],
  ] as const;
  for (const [source, list] of sources) {
    const denies = matching(question, list, source, "Deny");
    if (denies.length > 0) return { outcome: "explicitDeny", by: source, matched: denies, allowedBy: nothing };
  }

  const all = rootAllows(request.principal);
  const byIdentity = matching(question, identity, "identity", "Allow");
  const byResource = matching(question, resource, "resource", "Allow");
  const grant = byResource.reduce<Grant>(
    (found, { statement }) => stronger(found, statement.principal ? grantOf(statement.principal, request.principal) : "none"),
    "none",
  );
  const allowedBy = {
    identity: all || byIdentity.length > 0,
    boundary: all || !boundary || matching(question, boundary, "boundary", "Allow").length > 0,
    session: !session || matching(question, session, "session", "Allow").length > 0,
    resource: grant !== "none",
  };
  const own = { ...allowedBy, matched: [...byIdentity, ...byResource] };
  const missing = missingOf(request, grant, allowedBy);
  if (missing) return { outcome: "implicitDeny", by: missing, matched: own.matched, allowedBy };
  return { outcome: "allowed", by: allowedBy.identity ? "identity" : "resource", matched: own.matched, allowedBy };
}

/** Which kind of policy would have had to allow and did not; undefined when all is well. */
function missingOf(request: AuthorizationRequest, grant: Grant, allowedBy: Decision["allowedBy"]): PolicySource | undefined {
  const { principal, resourceAccount, resourcePolicyRequired: required } = request;
  // Neither services nor strangers have policies of their own.
  if (principal.account === "" || principal.kind === "WebIdentity") return grant === "none" ? "resource" : undefined;
  const foreign = resourceAccount !== "" && resourceAccount !== principal.account;
  if (!foreign && grant === "self") return undefined;
  const limit = !allowedBy.boundary ? "boundary" : !allowedBy.session ? "session" : undefined;
  if (!foreign && grant === "role") return limit;
  if (!allowedBy.identity) return "identity";
  return limit ?? ((foreign || required) && grant === "none" ? "resource" : undefined);
}

const rootAllows = ({ kind }: PrincipalFacts) => kind === "Account";

interface Question {
  readonly who: PrincipalFacts;
  readonly action: string;
  readonly resource: string;
  readonly context: Context;
}

function matching(
  question: Question,
  policies: readonly NamedPolicy[],
  source: PolicySource,
  effect: Statement["effect"],
): readonly MatchedStatement[] {
  const matched: MatchedStatement[] = [];
  for (const policy of policies) {
    const { named, others } = compile(policy.document).relevant(question.action, effect);
    if (named.size > 0) add(matched, question, policy, source, named.get(question.resource));
    if (others.length > 0) add(matched, question, policy, source, others);
  }
  return matched;
}

function add(
  matched: MatchedStatement[],
  question: Question,
  policy: NamedPolicy,
  source: PolicySource,
  candidates: readonly CompiledStatement[] | undefined,
): void {
  for (const candidate of candidates ?? []) {
    const { statement, index } = candidate;
    if (source === "resource" && (!statement.principal || grantOf(statement.principal, question.who) === "none")) continue;
    if (candidate.matchesResource(question.resource, question.context) && candidate.holds(question.context))
      matched.push({ source, policy, statement, index });
  }
}
