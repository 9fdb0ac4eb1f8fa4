import type { ContextEntry, EvaluationResult, SimulateCustomPolicyRequest, SimulatePolicyResponse } from "@aws-sdk/client-iam";
import { ApiError, type RequestContext } from "#api/contract.ts";
import type { IamOperations } from "#api/generated/iam.types.ts";
import type { Handlers } from "#api/handlers.ts";
import {
  contextKeysOf,
  type Decision,
  evaluate,
  type MatchedStatement,
  type NamedPolicy,
  parsePolicy,
  type PolicySet,
  type PrincipalFacts,
  statementSpans,
} from "#model/policy/index.ts";

/** What hangs on a user (with its groups), group or role; undefined: there is none of that ARN. */
export type PoliciesOfEntity = (
  arn: string,
) => Promise<{ readonly identity: readonly NamedPolicy[]; readonly boundary?: NamedPolicy } | undefined>;

type Asked = Omit<SimulateCustomPolicyRequest, "PolicyInputList"> & { readonly PolicyInputList?: readonly string[] };

/** The policy simulator: the evaluator itself, asked by hand. Source: IAM API Reference, SimulateCustomPolicy and SimulatePrincipalPolicy. */
export function simulationHandlers(policiesOf: PoliciesOfEntity) {
  const known = async (arn: string) => {
    if (!/^arn:aws:iam::\d{12}:(user|group|role)\//.test(arn))
      throw invalid(`Invalid Entity Arn: ${arn} does not clearly define entity type and name.`);
    const found = await policiesOf(arn);
    if (found) return found;
    const [kind, name] = [arn.split(":")[5]!.split("/")[0]!, arn.split("/").at(-1)!];
    throw new ApiError("NoSuchEntity", `The ${kind} with name ${name} cannot be found.`, 404);
  };

  return {
    SimulateCustomPolicy: (input, context) =>
      simulate(input, read(input.PolicyInputList, "PolicyInputList"), undefined, undefined, context),

    async SimulatePrincipalPolicy(input, context) {
      const { PolicySourceArn: arn = "" } = input;
      const { identity, boundary } = await known(arn);
      return simulate(input, [...identity, ...read(input.PolicyInputList, "PolicyInputList")], boundary, arn, context);
    },

    GetContextKeysForCustomPolicy: ({ PolicyInputList }) => ({ ContextKeyNames: keysOf(read(PolicyInputList, "PolicyInputList")) }),

    async GetContextKeysForPrincipalPolicy({ PolicySourceArn = "", PolicyInputList }) {
      const { identity } = await known(PolicySourceArn);
      return { ContextKeyNames: keysOf([...identity, ...read(PolicyInputList, "PolicyInputList")]) };
    },
  } satisfies Handlers<IamOperations>;
}

function simulate(
  input: Asked,
  identity: readonly NamedPolicy[],
  ownBoundary: NamedPolicy | undefined,
  source: string | undefined,
  context: RequestContext,
): SimulatePolicyResponse {
  const { ActionNames = [], ResourceArns = ["*"], ContextEntries = [] } = input;
  if (ActionNames.length === 0) throw invalid("ActionNames must have at least one action.");
  const bad = ActionNames.find((action) => !/^[a-z0-9-]+:[A-Za-z0-9*?]+$/i.test(action));
  if (bad !== undefined) throw invalid(`Invalid action name: ${bad}`);
  const [boundary] = [
    ...read(input.PermissionsBoundaryPolicyInputList, "PermissionsBoundaryPolicyInputList"),
    ...(ownBoundary ? [ownBoundary] : []),
  ];
  const resource = input.ResourcePolicy === undefined ? undefined : read([input.ResourcePolicy], "ResourcePolicy", "resource");
  const who = callerOf(
    input.CallerArn ?? source ?? `arn:aws:iam::${context.account}:user/simulated`,
    resource !== undefined && input.CallerArn === undefined,
  );
  const owner = /^arn:aws:iam::(\d{12}):/.exec(input.ResourceOwner ?? "")?.[1] ?? who.account;
  const given = { ...defaultsOf(who), ...entriesOf(ContextEntries) };
  const set: PolicySet = { identity, ...(boundary && { boundary }), ...(resource && { resource }) };
  const wanted = keysOf([...identity, ...(boundary ? [boundary] : []), ...(resource ?? [])]);
  const has = new Set(Object.keys(given).map((key) => key.toLowerCase()));
  const missing = wanted.filter((key) => !has.has(key.toLowerCase()));

  const results = ActionNames.flatMap((action) =>
    ResourceArns.map((arn): EvaluationResult => {
      const decision = evaluate({ principal: who, action, resource: arn, resourceAccount: owner, context: given }, set, { all: true });
      return {
        EvalActionName: action,
        EvalResourceName: arn,
        EvalDecision: decision.outcome,
        MatchedStatements: decision.matched.map((each) => statementOf(each, source)),
        MissingContextValues: [...missing],
        ...(boundary && { PermissionsBoundaryDecisionDetail: { AllowedByPermissionsBoundary: decision.allowedBy.boundary } }),
        ...(resource && owner !== who.account && { EvalDecisionDetails: detailsOf(decision) }),
      };
    }),
  );
  return page(results, input.MaxItems ?? 100, input.Marker);
}

/** What each side of a cross-account request said. */
function detailsOf({ outcome, allowedBy }: Decision): EvaluationResult["EvalDecisionDetails"] {
  if (outcome === "explicitDeny") return undefined;
  return {
    "IAM Policy": allowedBy.identity ? "allowed" : "implicitDeny",
    "Resource Policy": allowedBy.resource ? "allowed" : "implicitDeny",
  };
}

function statementOf({ policy, source, index }: MatchedStatement, principal: string | undefined) {
  const span = statementSpans(policy.document.text)[index];
  const kind = principal?.split(":")[5]?.split("/")[0];
  const type =
    source === "resource"
      ? "resource"
      : policy.arn?.startsWith("arn:aws:iam::aws:")
        ? "aws-managed"
        : policy.arn !== undefined
          ? "user-managed"
          : kind === undefined || policy.name.includes("InputList.")
            ? "none"
            : kind;
  return {
    SourcePolicyId: policy.name,
    SourcePolicyType: type as "user",
    ...(span && { StartPosition: span.start, EndPosition: span.end }),
  };
}

/** Throws InvalidInput. A simulated caller is a user, unless a role is simulated: then a session of it. */
function callerOf(arn: string, needed: boolean): PrincipalFacts {
  const match = /^arn:aws:iam::(\d{12}):(user|group|role)\/(?:.*\/)?([^/]+)$/.exec(arn);
  if (!match || (needed && match[2] !== "user")) throw invalid("CallerArn must be the ARN of an IAM user.");
  const [, account = "", kind, name = ""] = match;
  if (kind !== "role") return { kind: "User", account, arn, userId: "AIDASIMULATED" };
  return {
    kind: "AssumedRole",
    account,
    arn: `arn:aws:sts::${account}:assumed-role/${name}/simulated`,
    userId: "AROASIMULATED:simulated",
    roleArn: arn,
  };
}

/** What the simulator fills in by itself. */
function defaultsOf({ kind, account, arn, userId, roleArn }: PrincipalFacts): Record<string, readonly string[]> {
  return {
    "aws:PrincipalArn": [roleArn ?? arn],
    "aws:PrincipalAccount": [account],
    "aws:PrincipalType": [kind],
    "aws:userid": [userId],
    ...(kind === "User" ? { "aws:username": [arn.split("/").at(-1)!] } : {}),
  };
}

function entriesOf(entries: readonly ContextEntry[]): Record<string, readonly string[]> {
  return Object.fromEntries(
    entries.map(({ ContextKeyName: name, ContextKeyValues: values = [] }) => {
      if (!name) throw invalid("A context entry has no ContextKeyName.");
      return [name, values] as const;
    }),
  );
}

/** Throws InvalidInput. */
function read(texts: readonly string[] | undefined, name: string, kind: "identity" | "resource" = "identity"): readonly NamedPolicy[] {
  return (texts ?? []).map((text, index) => {
    const { document, problem } = parsePolicy(text, kind);
    if (!document) throw invalid(`Invalid Input Policy: ${problem}`);
    return { name: kind === "resource" ? name : `${name}.${index + 1}`, document };
  });
}

function keysOf(policies: readonly NamedPolicy[]): string[] {
  const keys = new Map(policies.flatMap(({ document }) => contextKeysOf(document)).map((key) => [key.toLowerCase(), key]));
  return [...keys.values()];
}

function page(results: EvaluationResult[], most: number, marker: string | undefined): SimulatePolicyResponse {
  const text = marker === undefined ? "0" : Buffer.from(marker, "base64url").toString();
  if (!/^\d{1,9}$/.test(text)) throw invalid("Invalid Marker.");
  const from = Number(text);
  const items = results.slice(from, from + most);
  const next = from + items.length;
  if (next >= results.length) return { EvaluationResults: items, IsTruncated: false };
  return { EvaluationResults: items, IsTruncated: true, Marker: Buffer.from(String(next)).toString("base64url") };
}

const invalid = (message: string) => new ApiError("InvalidInput", message, 400);
