import type { Principal } from "#api/contract.ts";
import { iamKeys, parseIamArn } from "#model/iam-keys.ts";
import type { RoleRecord } from "#model/iam-records.ts";
import {
  type AuthorizationRequest,
  type Decision,
  evaluate,
  type NamedPolicy,
  parsePolicy,
  type PrincipalFacts,
} from "#model/policy/index.ts";
import type { Random } from "#platform/random.ts";
import type { Sealer } from "#platform/sealer.ts";
import type { Store } from "#store/store.ts";
import { sessionPolicies } from "#api/session-policies.ts";
import { type Context, factsOf, principalContext, requestContext, tagContext } from "#api/authorize-context.ts";
import { type PoliciesOfPrincipal, policySource } from "./policies-of.ts";
import { issueSession, roleHolder, type SessionCredentials } from "./sessions.ts";

/** Roles and who may become one: what their trust policies say. */

export interface FoundRole {
  readonly account: string;
  readonly arn: string;
  readonly role: RoleRecord;
}

/** By ARN, in whatever account; names in ARNs are told apart by case. */
export async function findRole(store: Store, arn: string): Promise<FoundRole | undefined> {
  const parsed = parseIamArn(arn);
  if (parsed?.kind !== "role") return undefined;
  const role = (await store.get<RoleRecord>(iamKeys.entity(parsed.account, "role", parsed.name)))?.value;
  return role?.name === parsed.name && role.path === parsed.path ? { account: parsed.account, arn, role } : undefined;
}

const trusts = new WeakMap<RoleRecord, NamedPolicy>();

/** A role's trust policy, parsed once. */
export function trustOf(role: RoleRecord): NamedPolicy {
  let policy = trusts.get(role);
  if (!policy) {
    const { document, problem } = parsePolicy(role.trust, "trust");
    if (problem !== undefined) throw new Error(`the trust policy of role ${role.name} cannot be read: ${problem}`);
    policy = { name: role.name, document };
    trusts.set(role, policy);
  }
  return policy;
}

/** Whether `principal` may do `action` (`sts:AssumeRole`, `sts:TagSession` …) to a role: its trust policy must say so, and in another account the asker's policies too. */
export function mayAssume(
  { account, arn, role }: FoundRole,
  principal: PrincipalFacts,
  action: string,
  context: Context,
  policies: PoliciesOfPrincipal & { readonly session?: readonly NamedPolicy[] },
): { readonly request: AuthorizationRequest; readonly decision: Decision } {
  const tags = Object.fromEntries(role.tags.map(({ key, value }) => [key, value]));
  const request: AuthorizationRequest = {
    principal,
    action,
    resource: arn,
    resourceAccount: account,
    context: {
      ...context,
      "aws:ResourceAccount": [account],
      ...tagContext("aws:ResourceTag", tags),
      ...tagContext("iam:ResourceTag", tags),
    },
    resourcePolicyRequired: true,
  };
  return { request, decision: evaluate(request, { ...policies, resource: [trustOf(role)] }) };
}

/** All that decides for who asks. */
export const policiesFor = async (store: Store, principal: Principal) => ({
  ...(await policySource(store).policiesOf(principal)),
  ...sessionPolicies(principal),
});

export interface ServiceAsk {
  /** Who becomes the role, e.g. `ecs-tasks.amazonaws.com`. */
  readonly service: string;
  /** 2 to 64 of `\w+=,.@-`, e.g. a task's id. */
  readonly sessionName: string;
  /** Milliseconds. */
  readonly now: number;
  readonly region: string;
  /** For whom the service asks: aws:SourceArn and aws:SourceAccount. */
  readonly source?: { readonly arn: string; readonly account: string };
}

export interface ServiceRequest extends ServiceAsk {
  readonly roleArn: string;
  readonly durationSeconds: number;
}

/** Whether the role's trust policy lets one of AWS's services become it. */
export function serviceMayAssume(found: FoundRole, { service, sessionName, now, region, source }: ServiceAsk): boolean {
  const principal: Principal = { account: "", arn: "", userId: "", accessKeyId: "", identity: { kind: "AWSService", service } };
  const context: Context = {
    ...principalContext(principal),
    ...requestContext({ now, region, secure: true }),
    "sts:RoleSessionName": [sessionName],
    ...(source ? { "aws:SourceArn": [source.arn], "aws:SourceAccount": [source.account] } : {}),
  };
  return mayAssume(found, factsOf(principal), "sts:AssumeRole", context, { identity: [] }).decision.outcome === "allowed";
}

/** Credentials of a role for one of AWS's services: the role of a task, of an instance. Needs no network and no credentials, only the role's trust. */
export async function assumeRoleForService(
  deps: { readonly store: Store; readonly sealer: Sealer; readonly random: Random },
  request: ServiceRequest,
): Promise<{ readonly credentials: SessionCredentials } | { readonly problem: "NoSuchRole" | "NotTrusted" }> {
  const found = await findRole(deps.store, request.roleArn);
  if (!found) return { problem: "NoSuchRole" };
  if (!serviceMayAssume(found, request)) return { problem: "NotTrusted" };
  const { sessionName, durationSeconds, now } = request;
  return { credentials: issueSession(deps, found.account, roleHolder(found.role, sessionName), durationSeconds, now) };
}
