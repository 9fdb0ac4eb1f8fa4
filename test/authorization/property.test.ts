/**
 * The evaluator against one that was written the other way round: straight over the JSON, with regular expressions, without any index, following the
 * flow chart of IAM's user guide step by step. `SEED=n` repeats a run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { evaluate, parsePolicy, type PolicyKind, type PrincipalFacts } from "#model/policy/index.ts";

const home = "111111111111";
const away = "222222222222";

interface Raw {
  Effect: "Allow" | "Deny";
  Action?: string[];
  NotAction?: string[];
  Resource?: string[];
  NotResource?: string[];
  Principal?: "*" | Record<string, string[]>;
  Condition?: Record<string, Record<string, string[]>>;
}
interface World {
  who: PrincipalFacts;
  action: string;
  resource: string;
  owner: string;
  required: boolean;
  context: Record<string, string[]>;
  identity: Raw[][];
  boundary: Raw[] | undefined;
  session: Raw[][] | undefined;
  resourcePolicies: Raw[][];
}

const user: PrincipalFacts = { kind: "User", account: home, arn: `arn:aws:iam::${home}:user/ann`, userId: "AIDAANNANNANNANN" };
const role: PrincipalFacts = {
  kind: "AssumedRole",
  account: home,
  arn: `arn:aws:sts::${home}:assumed-role/ops/s1`,
  userId: "AROAOPSOPSOPSOPS:s1",
  roleArn: `arn:aws:iam::${home}:role/ops`,
};
const root: PrincipalFacts = { kind: "Account", account: home, arn: `arn:aws:iam::${home}:root`, userId: home };
const service: PrincipalFacts = {
  kind: "AWSService",
  account: "",
  arn: "ecs.amazonaws.com",
  userId: "ecs.amazonaws.com",
  service: "ecs.amazonaws.com",
};

// ---- the naive evaluator

const escape = (text: string) => text.replaceAll(/[.+^${}()|[\]\\]/g, String.raw`\$&`);
const like = (pattern: string, text: string, flags = "s") =>
  new RegExp(`^${escape(pattern).replaceAll("*", ".*").replaceAll("?", ".")}$`, flags).test(text);

/** Variables by hand: the pattern as a regular expression, or undefined when a value is missing. */
function withVariables(pattern: string, context: Record<string, string[]>, wild: boolean): RegExp | undefined {
  let out = "";
  for (let rest = pattern; rest !== "";) {
    const variable = /^\$\{([^}]+)\}/.exec(rest);
    if (variable) {
      rest = rest.slice(variable[0].length);
      const [name = "", fallback] = variable[1]!.split(/\s*,\s*/);
      const values = Object.entries(context).find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1] ?? [];
      const value = "*?$".includes(name) ? name : values.length === 1 ? values[0]! : fallback?.slice(1, -1);
      if (value === undefined) return undefined;
      out += escape(value)
        .replaceAll("*", String.raw`\*`)
        .replaceAll("?", String.raw`\?`);
      continue;
    }
    const char = rest[0]!;
    rest = rest.slice(1);
    out +=
      wild && char === "*"
        ? ".*"
        : wild && char === "?"
          ? "."
          : escape(char)
              .replaceAll("*", String.raw`\*`)
              .replaceAll("?", String.raw`\?`);
  }
  return new RegExp(`^${out}$`, "s");
}

function compare(operator: string, wanted: string, value: string, context: Record<string, string[]>): boolean {
  switch (operator.replace("Not", "")) {
    case "StringEquals":
      return withVariables(wanted, context, false)?.test(value) ?? false;
    case "StringLike":
      return withVariables(wanted, context, true)?.test(value) ?? false;
    case "NumericLessThan":
      return Number(value) < Number(wanted);
    case "Bool":
      return value === wanted;
    case "IpAddress": {
      const bits = (text: string) =>
        text
          .split(".")
          .map((part) => Number(part).toString(2).padStart(8, "0"))
          .join("");
      const [base = "", size = "32"] = wanted.split("/");
      return bits(value).slice(0, Number(size)) === bits(base).slice(0, Number(size));
    }
    default:
      throw new Error(operator);
  }
}

function conditionHolds(name: string, key: string, values: string[], context: Record<string, string[]>): boolean {
  const given = Object.entries(context).find(([each]) => each.toLowerCase() === key.toLowerCase())?.[1];
  if (name === "Null") return values.includes(String(given === undefined));
  const set = name.includes(":") ? name.split(":")[0] : undefined;
  const optional = name.endsWith("IfExists");
  const operator = name.replace(/^.*:/, "").replace(/IfExists$/, "");
  const negative = operator.includes("Not");
  if (given === undefined) {
    if (optional) return true;
    if (set === "ForAllValues") return true;
    if (set === "ForAnyValue") return false;
    return negative;
  }
  const fits = (value: string) => values.some((wanted) => compare(operator, wanted, value, context));
  if (set === "ForAllValues") return given.every((value) => (negative ? !fits(value) : fits(value)));
  if (set === "ForAnyValue") return given.some((value) => (negative ? !fits(value) : fits(value)));
  return negative ? !given.some(fits) : given.some(fits);
}

type Naming = "nobody" | "account" | "role" | "me";

function naming(principal: Raw["Principal"], who: PrincipalFacts): Naming {
  if (principal === "*" || principal?.["AWS"]?.includes("*")) return "me";
  const aws = principal?.["AWS"] ?? [];
  if (who.kind === "AWSService") return principal?.["Service"]?.includes(who.service!) ? "me" : "nobody";
  if (aws.includes(who.arn)) return "me";
  if (who.roleArn && aws.includes(who.roleArn)) return "role";
  if (aws.includes(home) || aws.includes(`arn:aws:iam::${home}:root`)) return who.kind === "Account" ? "me" : "account";
  return "nobody";
}

function applies(raw: Raw, world: World, onResource: boolean): boolean {
  const { action, resource, context } = world;
  const hits = (patterns: string[]) => patterns.some((pattern) => like(pattern, action, "si"));
  if (raw.Action ? !hits(raw.Action) : hits(raw.NotAction!)) return false;
  const covers = (patterns: string[]) => patterns.some((pattern) => withVariables(pattern, context, true)?.test(resource));
  if (raw.Resource && !covers(raw.Resource)) return false;
  if (raw.NotResource && covers(raw.NotResource)) return false;
  if (onResource && naming(raw.Principal, world.who) === "nobody") return false;
  return Object.entries(raw.Condition ?? {}).every(([name, block]) =>
    Object.entries(block).every(([key, values]) => conditionHolds(name, key, values, context)),
  );
}

function naive(world: World): "allowed" | "explicitDeny" | "implicitDeny" {
  const { who, owner, required, identity, boundary, session, resourcePolicies } = world;
  const effects = (policies: Raw[][], onResource = false) => policies.flat().filter((raw) => applies(raw, world, onResource));
  const all = [...effects(identity), ...effects(boundary ? [boundary] : []), ...effects(session ?? []), ...effects(resourcePolicies, true)];
  if (all.some(({ Effect }) => Effect === "Deny")) return "explicitDeny";
  const allows = (policies: Raw[][]) => effects(policies).some(({ Effect }) => Effect === "Allow");
  const named = new Set(effects(resourcePolicies, true).map(({ Principal }) => naming(Principal, who)));
  const verdict = (ok: boolean) => (ok ? "allowed" : "implicitDeny");
  if (who.kind === "AWSService") return verdict(named.size > 0);
  const own = who.kind === "Account" || allows(identity);
  const within = (who.kind === "Account" || !boundary || allows([boundary])) && (!session || allows(session));
  if (owner !== home) return verdict(own && within && named.size > 0);
  if (named.has("me")) return "allowed";
  if (named.has("role")) return verdict(within);
  if (required) return verdict(named.has("account") && own && within);
  return verdict(own && within);
}

// ---- worlds

const actions = ["ecs:RunTask", "ecs:DescribeTasks", "ecr:PutImage", "ecr:BatchGetImage", "iam:PassRole"];
const resources = [home, away]
  .flatMap((each) => [`arn:aws:ecs:us-east-1:${each}:task/a/1`, `arn:aws:ecr:us-east-1:${each}:repository/team-a/app`])
  .concat("*");
const actionPattern = fc.constantFrom(
  "*",
  "*:*",
  "ecs:*",
  "ECS:run*",
  "ecs:???Task",
  "ecr:PutImage",
  "ecr:Batch*Image",
  "ecs:*Task*",
  "iam:PassRole",
  "*:P*",
);
const resourcePattern = fc.constantFrom(
  "*",
  "arn:aws:ecs:*:*:task/a/*",
  `arn:aws:ecs:us-east-1:${home}:task/a/1`,
  `arn:aws:ecr:us-east-1:${home}:repository/team-a/app`,
  "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team}/*",
  "arn:aws:ecr:*:*:repository/${aws:PrincipalTag/team, 'team-a'}/app",
  "arn:aws:ecs:us-east-?:*",
  "arn:aws:ecs:us-east-1:*:task/${*}/1",
);
const value = fc.constantFrom("a", "ab", "team-a", "b", "*", "a*", "${aws:username}");
const condition = fc.oneof(
  fc.tuple(
    fc.constantFrom(
      ...["StringEquals", "StringNotEquals", "StringLike", "StringNotLike"].flatMap((name) => [
        name,
        `${name}IfExists`,
        `ForAnyValue:${name}`,
        `ForAllValues:${name}`,
      ]),
    ),
    fc.constantFrom("aws:PrincipalTag/team", "aws:TagKeys", "AWS:UserName", "ecs:cluster"),
    fc.array(value, { minLength: 1, maxLength: 2 }),
  ),
  fc.tuple(
    fc.constantFrom("NumericLessThan", "NumericLessThanIfExists"),
    fc.constant("ecs:task-cpu"),
    fc.array(fc.constantFrom("10", "20"), { minLength: 1, maxLength: 2 }),
  ),
  fc.tuple(
    fc.constant("Bool"),
    fc.constant("aws:SecureTransport"),
    fc.array(fc.constantFrom("true", "false"), { minLength: 1, maxLength: 1 }),
  ),
  fc.tuple(
    fc.constantFrom("IpAddress", "NotIpAddress"),
    fc.constant("aws:SourceIp"),
    fc.array(fc.constantFrom("10.0.0.0/8", "10.1.2.3", "192.168.0.0/16", "10.1.2.0/31"), { minLength: 1, maxLength: 2 }),
  ),
  fc.tuple(
    fc.constant("Null"),
    fc.constantFrom("aws:TagKeys", "ecs:cluster"),
    fc.array(fc.constantFrom("true", "false"), { minLength: 1, maxLength: 1 }),
  ),
);
const few = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 3 });
const common = fc.record({
  Effect: fc.constantFrom("Allow" as const, "Allow" as const, "Allow" as const, "Deny" as const),
  acts: fc.tuple(fc.boolean(), few(actionPattern)),
  on: fc.tuple(fc.nat(4), few(resourcePattern)),
  conditions: fc.array(condition, { maxLength: 2 }),
});

function rawOf({ Effect, acts, on, conditions }: typeof common extends fc.Arbitrary<infer T> ? T : never, bare = false): Raw {
  const Condition: Record<string, Record<string, string[]>> = {};
  for (const [name, key, values] of conditions) (Condition[name] ??= {})[key] = values;
  return {
    Effect,
    ...(acts[0] || acts[1].includes("*") ? { Action: acts[1] } : { NotAction: acts[1] }),
    ...(on[0] === 0 ? { NotResource: on[1] } : bare && on[0] === 1 ? {} : { Resource: on[1] }),
    ...(conditions.length > 0 ? { Condition } : {}),
  };
}

const statement = common.map((each) => rawOf(each));
const policy = fc.array(statement, { minLength: 1, maxLength: 3 });
const principal = fc.oneof(
  fc.constant("*" as const),
  few(fc.constantFrom(home, `arn:aws:iam::${home}:root`, user.arn, role.arn, role.roleArn!, away)).map((AWS) => ({ AWS })),
  fc.constant<Record<string, string[]>>({ Service: ["ecs.amazonaws.com"] }),
);
const resourcePolicy = fc.array(
  fc.tuple(common, principal).map(([each, Principal]): Raw => ({ ...rawOf(each, true), Principal })),
  { minLength: 1, maxLength: 3 },
);

const world: fc.Arbitrary<World> = fc
  .record({
    who: fc.constantFrom(user, user, role, role, role, root, service),
    action: fc.constantFrom(...actions),
    resource: fc.constantFrom(...resources),
    required: fc.boolean(),
    context: fc.record(
      {
        "aws:PrincipalTag/team": fc.constantFrom(["team-a"], ["a"], ["*"]),
        "aws:TagKeys": fc.uniqueArray(fc.constantFrom("a", "ab", "b"), { minLength: 1 }),
        "aws:username": fc.constantFrom(["a"], ["ab"]),
        "ecs:cluster": fc.constantFrom(["a"], ["team-a"]),
        "ecs:task-cpu": fc.constantFrom(["5"], ["15"]),
        "aws:SecureTransport": fc.constantFrom(["true"], ["false"]),
        "aws:SourceIp": fc.constantFrom(["10.1.2.3"], ["192.168.1.1"], ["8.8.8.8"]),
      },
      { requiredKeys: [] },
    ),
    // Many policies are indexed together, few each by itself.
    identity: fc.oneof(
      { weight: 5, arbitrary: fc.array(policy, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.array(policy, { minLength: 9, maxLength: 12 }) },
    ),
    boundary: fc.option(policy, { nil: undefined }),
    session: fc.option(fc.array(policy, { minLength: 1, maxLength: 2 }), { nil: undefined }),
    resourcePolicies: fc.array(resourcePolicy, { maxLength: 2 }),
  })
  .map((each) => ({ ...each, context: each.context as Record<string, string[]>, owner: /:(\d{12}):/.exec(each.resource)?.[1] ?? home }));

function named(kind: PolicyKind, statements: Raw[]) {
  const { document, problem } = parsePolicy(JSON.stringify({ Version: "2012-10-17", Statement: statements }), kind);
  if (!document) throw new Error(`${problem}: ${JSON.stringify(statements)}`);
  return { name: kind, document };
}

function ours(each: World) {
  const { who, action, resource, owner, required, context, identity, boundary, session, resourcePolicies } = each;
  return evaluate(
    { principal: who, action, resource, resourceAccount: owner, context, resourcePolicyRequired: required },
    {
      identity: identity.map((raw) => named("identity", raw)),
      ...(boundary && { boundary: named("identity", boundary) }),
      ...(session && { session: session.map((raw) => named("identity", raw)) }),
      resource: resourcePolicies.map((raw) => named("resource", raw)),
    },
  ).outcome;
}

const seed = process.env["SEED"] === undefined ? undefined : Number(process.env["SEED"]);

test("both evaluators decide alike", () => {
  const seen = { allowed: 0, explicitDeny: 0, implicitDeny: 0 };
  fc.assert(
    fc.property(world, (each) => {
      const expected = naive(each);
      seen[expected]++;
      assert.equal(ours(each), expected);
    }),
    { numRuns: 5000, ...(seed === undefined ? {} : { seed }) },
  );
  // A test that only ever sees denials proves little.
  for (const count of Object.values(seen)) assert.ok(count > 300, JSON.stringify(seen));
});

test("nothing that is added as a denial allows more, and nothing that is taken away as a permission", () => {
  fc.assert(
    fc.property(world, policy, (each, more) => {
      const denials = more.map((raw) => ({ ...raw, Effect: "Deny" as const }));
      if (ours(each) !== "allowed") assert.notEqual(ours({ ...each, identity: [...each.identity, denials] }), "allowed");
      const without = { ...each, identity: each.identity.slice(1), session: [[...denials]] };
      if (ours({ ...without, session: undefined, boundary: undefined }) === "implicitDeny") assert.notEqual(ours(without), "allowed");
    }),
    { numRuns: 1000, ...(seed === undefined ? {} : { seed }) },
  );
});

test("wildcards match as regular expressions do", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", ":", "/", "😀"), maxLength: 12 });
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", ":", "/", "*", "?", "😀"), minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(text, pattern, (asked, given) => {
      const world: World = {
        who: user,
        action: "a:b",
        resource: `arn:aws:s3:::${asked}`,
        owner: home,
        required: false,
        context: {},
        identity: [[{ Effect: "Allow", Action: ["*"], Resource: [`arn:aws:s3:::${given}`] }]],
        boundary: undefined,
        session: undefined,
        resourcePolicies: [],
      };
      assert.equal(ours(world) === "allowed", like(`arn:aws:s3:::${given}`, world.resource, "su"));
    }),
    { numRuns: 3000, ...(seed === undefined ? {} : { seed }) },
  );
});

test("no pattern holds the door up", () => {
  const resource = `arn:aws:s3:::${"a".repeat(2000)}`;
  // The processor's time, not the clock's: others may have the machine meanwhile.
  const began = process.cpuUsage();
  const { document } = named("identity", [{ Effect: "Allow", Action: ["*"], Resource: [`arn:aws:s3:::${"*a".repeat(200)}*b`] }]);
  evaluate({ principal: user, action: "a:b", resource, resourceAccount: home, context: {} }, { identity: [{ name: "p", document }] });
  const { user: took } = process.cpuUsage(began);
  assert.ok(took < 500_000, `${took} µs`);
});
