import { operators } from "./operators.ts";
import type { Condition, PolicyDocument, PolicyKind, PrincipalEntry, Selection, Statement } from "./document.ts";
import { actionProblem, resourceProblem } from "./parse-names.ts";
import { principalProblem, principalTypes } from "./parse-principals.ts";

class Malformed extends Error {}

const syntax = "Syntax errors in policy.";

/**
 * Reads a policy. `problem` is IAM's sentence for MalformedPolicyDocument; services with resource policies have their own code for it.
 * Source: IAM User Guide, "Grammar of the IAM JSON policy language".
 */
export function parsePolicy(
  text: string,
  kind: PolicyKind,
): { readonly document: PolicyDocument; readonly problem?: undefined } | { readonly problem: string; readonly document?: undefined } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { problem: kind === "trust" ? "This policy contains invalid Json" : syntax };
  }
  try {
    return { document: readDocument(value, text, kind) };
  } catch (error) {
    if (error instanceof Malformed) return { problem: error.message };
    throw error;
  }
}

function readDocument(value: unknown, text: string, kind: PolicyKind): PolicyDocument {
  const members = membersOf(value, ["Version", "Id", "Statement"]);
  const version = members["Version"] ?? "2008-10-17";
  if (version !== "2008-10-17" && version !== "2012-10-17") fail(syntax);
  const id = members["Id"];
  if (id !== undefined && typeof id !== "string") fail(syntax);
  const list = Array.isArray(members["Statement"]) ? (members["Statement"] as unknown[]) : [members["Statement"]];
  if (list.length === 0) fail(syntax);
  // What is wrong with the form of any statement comes before what is wrong with the sense of the first.
  const drafts = list.map((each) => readStatement(each));
  const sids = drafts.flatMap(({ sid }) => (sid === undefined || sid === "" ? [] : [sid]));
  if (new Set(sids).size < sids.length) fail("Statement IDs (SID) in a single policy must be unique.");
  for (const sid of sids)
    if (kind !== "resource" && !/^[0-9A-Za-z]*$/.test(sid))
      fail("Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*");
  const statements = drafts.map((draft) => checkStatement(draft, kind));
  return { version: version as PolicyDocument["version"], ...(id === undefined ? {} : { id: id as string }), statements, text };
}

type Draft = Omit<Statement, "action"> & { readonly action?: Selection };

function readStatement(value: unknown): Draft {
  const members = membersOf(value, [
    "Sid",
    "Effect",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "NotPrincipal",
    "Condition",
  ]);
  const { Sid: sid, Effect: effect } = members;
  if (sid !== undefined && typeof sid !== "string") fail(syntax);
  if (effect !== "Allow" && effect !== "Deny") fail(syntax);
  const action = selection(members, "Action");
  const resource = selection(members, "Resource");
  const principal = readPrincipal(members);
  return {
    ...(sid === undefined ? {} : { sid: sid as string }),
    effect: effect as Statement["effect"],
    ...(action && { action }),
    ...(resource && { resource }),
    ...(principal && { principal }),
    conditions: readConditions(members["Condition"]),
  };
}

/** The rules that differ by where the policy hangs. */
function checkStatement(draft: Draft, kind: PolicyKind): Statement {
  const { action, resource, principal, effect } = draft;
  if (kind === "identity" && principal) fail("Policy document should not specify a principal.");
  if (kind === "trust" && resource) fail(`Has prohibited field ${resource.not ? "NotResource" : "Resource"}`);
  if (kind !== "identity" && !principal) fail("Missing required field Principal");
  if (!action || action.patterns.length === 0) fail("Policy statement must contain actions.");
  if (kind === "identity" && (!resource || resource.patterns.length === 0)) fail("Policy statement must contain resources.");
  for (const pattern of action!.patterns) check(actionProblem(pattern));
  if (kind === "trust" && (action!.not || action!.patterns.some((each) => !/^(sts:.*|\*)$/is.test(each))))
    fail("AssumeRole policy may only specify STS AssumeRole actions.");
  for (const pattern of resource?.patterns ?? []) check(kind === "identity" ? resourceProblem(pattern) : undefined);
  for (const entry of principal?.entries ?? []) check(principalProblem(entry));
  if (principal?.not && effect === "Allow" && kind === "trust") fail("Allow with NotPrincipal is not allowed.");
  return { ...draft, action: action! };
}

function readPrincipal(members: Readonly<Record<string, unknown>>): Statement["principal"] {
  const name = either(members, "Principal");
  if (name === undefined) return undefined;
  const value = members[name];
  const not = name === "NotPrincipal";
  if (value === "*") return { not, entries: [{ type: "*", value: "*" }] };
  if (typeof value === "string") fail(`Invalid principal in policy.`);
  const entries = Object.entries(membersOf(value, principalTypes)).flatMap(([type, given]) =>
    strings(given).map((each): PrincipalEntry =>
      // An AWS principal `*` is anybody as well: it does not ask who signed.
      type === "AWS" && each === "*" ? { type: "*", value: "*" } : { type: type as PrincipalEntry["type"], value: each },
    ),
  );
  if (entries.length === 0) fail("Invalid principal in policy.");
  return { not, entries };
}

function readConditions(value: unknown): readonly Condition[] {
  if (value === undefined) return [];
  return Object.entries(membersOf(value)).flatMap(([name, block]) => {
    const keys = Object.entries(membersOf(block));
    const { set, operator, ifExists } = splitOperator(name);
    if (!operators.has(operator)) {
      if (keys.length === 0) return [];
      fail(`Invalid Condition type : ${name}`);
    }
    if (operator === "Null" && ifExists) fail(`Invalid Condition type : ${name}`);
    return keys.map(([key, given]): Condition => {
      if (!/^[^:]+:./s.test(key)) fail("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.");
      return { operator, ...(set && { set }), ifExists, key, values: scalars(given) };
    });
  });
}

function splitOperator(name: string): Pick<Condition, "operator" | "set" | "ifExists"> {
  const match = /^(?:(ForAnyValue|ForAllValues):)?(.*?)(IfExists)?$/s.exec(name)!;
  const set = match[1] as Condition["set"];
  return { ...(set && { set }), operator: match[2]!, ifExists: match[3] !== undefined };
}

function selection(members: Readonly<Record<string, unknown>>, name: string): Selection | undefined {
  const given = either(members, name);
  return given === undefined ? undefined : { not: given !== name, patterns: strings(members[given]) };
}

/** Which of `name` and `Not<name>` is there: not both. */
function either(members: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const both = [name, `Not${name}`].filter((each) => members[each] !== undefined);
  if (both.length === 2) fail(syntax);
  return both[0];
}

function membersOf(value: unknown, allowed?: readonly string[]): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) fail(syntax);
  const members = value as Record<string, unknown>;
  if (allowed && Object.keys(members).some((name) => !allowed.includes(name))) fail(syntax);
  return members;
}

function strings(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.some((each) => typeof each !== "string")) fail(syntax);
  return list as string[];
}

/** Conditions may be written with numbers and booleans. */
function scalars(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.some((each) => !["string", "number", "boolean"].includes(typeof each))) fail(syntax);
  return list.map(String);
}

function check(problem: string | undefined): void {
  if (problem !== undefined) fail(problem);
}

function fail(problem: string): never {
  throw new Malformed(problem);
}
