import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { contextKeysOf, denialMessage, evaluate, parsePolicy, type PolicyKind, type PolicySet } from "./index.ts";

const account = "111122223333";
const user = { kind: "User", account, arn: `arn:aws:iam::${account}:user/u`, userId: "AIDAUUUUUUUUUUUUUUUU" } as const;
const session = {
  kind: "AssumedRole",
  account,
  arn: `arn:aws:sts::${account}:assumed-role/r/s`,
  userId: "AROARRRRRRRRRRRRRRRR:s",
  roleArn: `arn:aws:iam::${account}:role/r`,
} as const;

function parsed(kind: PolicyKind, statements: unknown, version = "2012-10-17") {
  const { document, problem } = parsePolicy(JSON.stringify({ Version: version, Statement: statements }), kind);
  if (!document) throw new Error(problem);
  return { name: kind, document };
}

function request(more: Partial<Parameters<typeof evaluate>[0]> = {}): Parameters<typeof evaluate>[0] {
  return {
    principal: user,
    action: "ecs:RunTask",
    resource: "arn:aws:ecs:us-east-1:111122223333:task-definition/app:1",
    resourceAccount: account,
    context: {},
    ...more,
  };
}

describe("MalformedPolicyDocument", () => {
  const good = { Effect: "Allow", Action: "s3:GetObject", Resource: "*" };
  const document = (statement: unknown, more = {}) => JSON.stringify({ Version: "2012-10-17", Statement: statement, ...more });
  const cases: readonly (readonly [PolicyKind, string, string | undefined])[] = [
    ["identity", document(good), undefined],
    ["identity", document([good, { ...good, Sid: "b" }]), undefined],
    ["identity", "{", "Syntax errors in policy."],
    ["trust", "{", "This policy contains invalid Json"],
    ["identity", "[]", "Syntax errors in policy."],
    ["identity", document(good, { Extra: 1 }), "Syntax errors in policy."],
    ["identity", JSON.stringify({ Version: "2013-01-01", Statement: good }), "Syntax errors in policy."],
    ["identity", document([]), "Syntax errors in policy."],
    ["identity", document({ ...good, Effect: "allow" }), "Syntax errors in policy."],
    ["identity", document({ ...good, NotAction: "a:b" }), "Syntax errors in policy."],
    ["identity", document({ ...good, Other: 1 }), "Syntax errors in policy."],
    ["identity", document({ ...good, Action: undefined }), "Policy statement must contain actions."],
    ["identity", document({ ...good, Resource: undefined }), "Policy statement must contain resources."],
    ["identity", document({ ...good, Resource: [] }), "Policy statement must contain resources."],
    ["identity", document({ ...good, Principal: "*" }), "Policy document should not specify a principal."],
    ["identity", document({ ...good, Action: "RunTask" }), "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."],
    ["identity", document({ ...good, Action: "a:b:c" }), "Actions/Condition can contain only one colon."],
    ["identity", document({ ...good, Action: "a_b:c" }), "Vendor a_b is not valid"],
    ["identity", document({ ...good, Resource: "bucket" }), 'Resource bucket must be in ARN format or "*".'],
    ["identity", document({ ...good, Resource: "arn:x:s3:::b" }), 'Partition "x" is not valid for resource "arn:x:s3:::b".'],
    [
      "identity",
      document({ ...good, Resource: "arn:aws:iam:us-east-1:1:role/a" }),
      "IAM resource arn:aws:iam:us-east-1:1:role/a cannot contain region information.",
    ],
    ["identity", document({ ...good, Resource: "arn:aws:s*:::b" }), "Resource vendor must be fully qualified and cannot contain regexes."],
    [
      "identity",
      document([
        { ...good, Sid: "a" },
        { ...good, Sid: "a" },
      ]),
      "Statement IDs (SID) in a single policy must be unique.",
    ],
    ["identity", document({ ...good, Condition: { StringEqual: { "aws:x": "1" } } }), "Invalid Condition type : StringEqual"],
    ["identity", document({ ...good, Condition: { Bool: { "aws:SecureTransport": true } } }), undefined],
    ["trust", document({ Effect: "Allow", Action: "sts:AssumeRole", Principal: { Service: "ecs-tasks.amazonaws.com" } }), undefined],
    ["trust", document({ Effect: "Allow", Action: "sts:AssumeRole", Principal: { AWS: account } }), undefined],
    ["trust", document({ ...good, Principal: "*" }), "Has prohibited field Resource"],
    ["trust", document({ Effect: "Allow", Action: "sts:AssumeRole" }), "Missing required field Principal"],
    [
      "trust",
      document({ Effect: "Allow", Action: "s3:GetObject", Principal: "*" }),
      "AssumeRole policy may only specify STS AssumeRole actions.",
    ],
    [
      "trust",
      document({ Effect: "Allow", Action: "sts:AssumeRole", Principal: { AWS: "bob" } }),
      'Invalid principal in policy: "AWS":"bob"',
    ],
    ["resource", document({ Effect: "Allow", Action: "ecr:*", Principal: "*" }), undefined],
    ["resource", document({ Effect: "Allow", Action: "ecr:*" }), "Missing required field Principal"],
  ];
  for (const [kind, text, problem] of cases) test(`${kind}: ${text}`, () => assert.equal(parsePolicy(text, kind).problem, problem));
});

describe("condition operators", () => {
  type Case = readonly [operator: string, value: unknown, given: readonly string[] | undefined, holds: boolean];
  const cases: readonly Case[] = [
    ["StringEquals", "a", ["a"], true],
    ["StringEquals", "a", ["A"], false],
    ["StringEquals", ["b", "a"], ["a"], true],
    ["StringEquals", "a*", ["ab"], false],
    ["StringEquals", "a", undefined, false],
    ["StringEqualsIfExists", "a", undefined, true],
    ["StringEqualsIfExists", "a", ["b"], false],
    ["StringNotEquals", ["a", "b"], ["c"], true],
    ["StringNotEquals", ["a", "b"], ["b"], false],
    ["StringNotEquals", "a", undefined, true],
    ["StringEqualsIgnoreCase", "AbC", ["aBc"], true],
    ["StringNotEqualsIgnoreCase", "AbC", ["aBc"], false],
    ["StringLike", "a*c?e", ["abbcde"], true],
    ["StringLike", "a*c?e", ["abbce"], false],
    ["StringNotLike", "a*", ["ba"], true],
    ["NumericEquals", 5, ["5.0"], true],
    ["NumericNotEquals", "5", ["6"], true],
    ["NumericLessThan", "10", ["9"], true],
    ["NumericLessThanEquals", "10", ["10"], true],
    ["NumericGreaterThan", "10", ["9"], false],
    ["NumericGreaterThanEquals", "10", ["10"], true],
    ["NumericEquals", "x", ["x"], false],
    ["DateEquals", "2026-01-01T00:00:00Z", ["2026-01-01T01:00:00+01:00"], true],
    ["DateLessThan", "2026-01-01", ["2025-12-31T23:59:59Z"], true],
    ["DateGreaterThan", "1700000000", ["2026-01-01T00:00:00Z"], true],
    ["DateGreaterThanEquals", "2026-01-01T00:00:00Z", ["2026-01-01T00:00:00.000Z"], true],
    ["DateNotEquals", "2026-01-01T00:00:00Z", ["2026-01-02T00:00:00Z"], true],
    ["DateLessThanEquals", "nonsense", ["2026-01-02T00:00:00Z"], false],
    ["Bool", "true", ["TRUE"], true],
    ["Bool", "false", ["true"], false],
    ["Bool", "true", undefined, false],
    ["BoolIfExists", "true", undefined, true],
    ["BinaryEquals", "QUJD", ["QUJD"], true],
    ["BinaryEquals", "QUJD", ["QUJE"], false],
    ["IpAddress", "10.0.0.0/8", ["10.255.0.1"], true],
    ["IpAddress", "10.0.0.1", ["10.0.0.2"], false],
    ["IpAddress", "2001:db8::/32", ["2001:db8:1::1"], true],
    ["IpAddress", "10.0.0.0/8", ["::ffff:10.1.1.1"], true],
    ["NotIpAddress", ["10.0.0.0/8", "2001:db8::/32"], ["192.168.0.1"], true],
    ["NotIpAddress", "10.0.0.0/8", undefined, true],
    ["ArnEquals", "arn:aws:ecs:*:111122223333:cluster/*", ["arn:aws:ecs:us-east-1:111122223333:cluster/a/b"], true],
    ["ArnLike", "arn:aws:ecs:*:cluster/a", ["arn:aws:ecs:us-east-1:111122223333:cluster/a"], false],
    ["ArnLike", "arn:aws:*:*:*:cluster/?", ["arn:aws:ecs:us-east-1:111122223333:cluster/a"], true],
    ["ArnNotLike", "arn:aws:ecs:*:*:cluster/a", ["arn:aws:ecs:us-east-1:111122223333:cluster/b"], true],
    ["ArnNotEquals", "arn:aws:ecs:*:*:cluster/a", ["arn:aws:ecs:us-east-1:111122223333:cluster/a"], false],
    ["Null", "true", undefined, true],
    ["Null", "true", ["a"], false],
    ["Null", "false", ["a"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a"], true],
    ["ForAllValues:StringEquals", ["a", "b"], ["a", "c"], false],
    ["ForAllValues:StringEquals", ["a", "b"], undefined, true],
    ["ForAnyValue:StringEquals", ["a", "b"], ["c", "a"], true],
    ["ForAnyValue:StringEquals", ["a", "b"], undefined, false],
    ["ForAnyValue:StringEqualsIfExists", ["a"], undefined, true],
    ["ForAllValues:StringNotEquals", ["a"], ["b", "c"], true],
    ["ForAllValues:StringNotEquals", ["a"], ["b", "a"], false],
    ["ForAnyValue:StringNotEquals", ["a"], ["b", "a"], true],
    ["ForAnyValue:StringNotLike", ["a*"], ["ab", "a"], false],
  ];
  for (const [operator, value, given, holds] of cases)
    test(`${operator} ${JSON.stringify(value)} of ${JSON.stringify(given)}: ${holds}`, () => {
      const identity = [
        parsed("identity", { Effect: "Allow", Action: "*", Resource: "*", Condition: { [operator]: { "Aws:Key": value } } }),
      ];
      const context: Record<string, readonly string[]> = given ? { "aws:kEY": given } : {};
      assert.equal(evaluate(request({ context }), { identity }).outcome === "allowed", holds);
    });
});

describe("variables", () => {
  const allows = (
    resource: string,
    asked: string,
    context: Record<string, readonly string[]>,
    version = "2012-10-17",
    member = "Resource",
  ) =>
    evaluate(request({ resource: asked, context }), {
      identity: [parsed("identity", { Effect: "Allow", Action: "*", [member]: resource }, version)],
    }).outcome === "allowed";
  const name = { "aws:username": ["a*"] };

  test("stand for their values, whose stars are no wildcards", () => {
    assert.ok(allows("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/a*/x", name));
    assert.ok(!allows("arn:aws:s3:::b/${aws:username}/*", "arn:aws:s3:::b/ab/x", name));
  });
  test("match nothing when there is no value, or many", () => {
    assert.ok(!allows("arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/", {}));
    assert.ok(!allows("arn:aws:s3:::b/${aws:TagKeys}", "arn:aws:s3:::b/a", { "aws:TagKeys": ["a", "b"] }));
    assert.ok(allows("arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/", {}, "2012-10-17", "NotResource"));
  });
  test("have defaults", () => {
    assert.ok(allows("arn:aws:s3:::${aws:PrincipalTag/Team, 'company-wide'}", "arn:aws:s3:::company-wide", {}));
    assert.ok(allows("arn:aws:s3:::${aws:PrincipalTag/Team, 'x'}", "arn:aws:s3:::y", { "aws:principaltag/team": ["y"] }));
  });
  test("escape wildcards", () => {
    assert.ok(allows("arn:aws:s3:::a${*}${?}${$}", "arn:aws:s3:::a*?$", {}));
    assert.ok(!allows("arn:aws:s3:::a${*}", "arn:aws:s3:::ab", {}));
  });
  test("are text in the old version", () => {
    assert.ok(allows("arn:aws:s3:::${aws:username}", "arn:aws:s3:::${aws:username}", name, "2008-10-17"));
  });
});

describe("the evaluation logic", () => {
  const statement = (effect: string, more = {}) => ({ Effect: effect, Action: "ecs:*", Resource: "*", ...more });
  const yes = parsed("identity", statement("Allow"));
  const no = parsed("identity", statement("Deny"));
  const other = parsed("identity", { Effect: "Allow", Action: "ecr:*", Resource: "*" });
  const onResource = (principal: unknown, effect = "Allow") =>
    parsed("resource", { Effect: effect, Action: "ecs:*", Principal: principal });
  const foreign = "444455556666";

  type Case = readonly [name: string, set: PolicySet, more: Parameters<typeof request>[0], outcome: string, by: string];
  const cases: readonly Case[] = [
    ["nothing", { identity: [] }, {}, "implicitDeny", "identity"],
    ["identity", { identity: [yes] }, {}, "allowed", "identity"],
    ["deny wins", { identity: [yes, no] }, {}, "explicitDeny", "identity"],
    ["boundary missing", { identity: [yes], boundary: other }, {}, "implicitDeny", "boundary"],
    ["boundary denies", { identity: [yes], boundary: no }, {}, "explicitDeny", "boundary"],
    ["session missing", { identity: [yes], session: [other] }, { principal: session }, "implicitDeny", "session"],
    ["session denies", { identity: [yes], session: [yes, no] }, { principal: session }, "explicitDeny", "session"],
    [
      "resource by user, past the boundary",
      { identity: [], boundary: other, resource: [onResource({ AWS: user.arn })] },
      {},
      "allowed",
      "resource",
    ],
    ["resource by account only delegates", { identity: [], resource: [onResource({ AWS: account })] }, {}, "implicitDeny", "identity"],
    ["resource by everybody", { identity: [], resource: [onResource("*")] }, {}, "allowed", "resource"],
    ["resource by another user", { identity: [], resource: [onResource({ AWS: `${user.arn}x` })] }, {}, "implicitDeny", "identity"],
    ["resource by role", { identity: [], resource: [onResource({ AWS: session.roleArn })] }, { principal: session }, "allowed", "resource"],
    [
      "resource by role, within the session policy",
      { identity: [], session: [other], resource: [onResource({ AWS: session.roleArn })] },
      { principal: session },
      "implicitDeny",
      "session",
    ],
    [
      "resource by session, past the session policy",
      { identity: [], session: [other], resource: [onResource({ AWS: session.arn })] },
      { principal: session },
      "allowed",
      "resource",
    ],
    ["resource denies", { identity: [yes], resource: [onResource("*", "Deny")] }, {}, "explicitDeny", "resource"],
    ["resource denies the account", { identity: [yes], resource: [onResource({ AWS: account }, "Deny")] }, {}, "explicitDeny", "resource"],
    ["cross account takes both: no resource", { identity: [yes] }, { resourceAccount: foreign }, "implicitDeny", "resource"],
    [
      "cross account takes both: no identity",
      { identity: [], resource: [onResource({ AWS: user.arn })] },
      { resourceAccount: foreign },
      "implicitDeny",
      "identity",
    ],
    [
      "cross account, both",
      { identity: [yes], resource: [onResource({ AWS: account })] },
      { resourceAccount: foreign },
      "allowed",
      "identity",
    ],
    ["required: not without it", { identity: [yes] }, { resourcePolicyRequired: true }, "implicitDeny", "resource"],
    [
      "required: delegated",
      { identity: [yes], resource: [onResource({ AWS: `arn:aws:iam::${account}:root` })] },
      { resourcePolicyRequired: true },
      "allowed",
      "identity",
    ],
    [
      "required: delegated, without identity",
      { identity: [], resource: [onResource({ AWS: account })] },
      { resourcePolicyRequired: true },
      "implicitDeny",
      "identity",
    ],
    [
      "a service by its name",
      { identity: [], resource: [onResource({ Service: "ecs-tasks.amazonaws.com" })] },
      { principal: { kind: "AWSService", account: "", arn: "ecs-tasks.amazonaws.com", userId: "", service: "ecs-tasks.amazonaws.com" } },
      "allowed",
      "resource",
    ],
    [
      "another service",
      { identity: [], resource: [onResource({ Service: "ec2.amazonaws.com" })] },
      { principal: { kind: "AWSService", account: "", arn: "ecs-tasks.amazonaws.com", userId: "", service: "ecs-tasks.amazonaws.com" } },
      "implicitDeny",
      "resource",
    ],
    ["a user's unique id", { identity: [], resource: [onResource({ AWS: user.userId })] }, {}, "allowed", "resource"],
    [
      "the root user abroad",
      { identity: [], resource: [onResource({ AWS: account })] },
      { principal: { kind: "Account", account, arn: `arn:aws:iam::${account}:root`, userId: account }, resourceAccount: foreign },
      "allowed",
      "identity",
    ],
  ];
  for (const [name, set, more, outcome, by] of cases)
    test(name, () => {
      const decision = evaluate(request(more), set);
      assert.deepEqual([decision.outcome, decision.by], [outcome, by]);
    });

  test("NotPrincipal excepts only who is named whole", () => {
    const denies = (principals: readonly string[], who: typeof user | typeof session) =>
      evaluate(request({ principal: who }), {
        identity: [yes],
        resource: [parsed("resource", { Effect: "Deny", Action: "*", NotPrincipal: { AWS: principals } })],
      }).outcome === "explicitDeny";
    assert.ok(!denies([account, user.arn], user));
    assert.ok(denies([account], user));
    assert.ok(!denies([account, session.roleArn, session.arn], session));
    assert.ok(denies([account, session.roleArn], session));
  });

  test("actions are compared without regard to case", () => {
    const identity = [parsed("identity", { Effect: "Allow", Action: "ECS:run*", Resource: "*" })];
    assert.equal(evaluate(request(), { identity }).outcome, "allowed");
  });

  test("AWS's sentence", () => {
    const asked = request();
    assert.equal(
      denialMessage(asked, evaluate(asked, { identity: [no] })),
      `User: ${user.arn} is not authorized to perform: ecs:RunTask on resource: ${asked.resource} with an explicit deny in an identity-based policy`,
    );
  });
});

test("the keys that a policy asks for", () => {
  const { document } = parsed("identity", {
    Effect: "Allow",
    Action: "*",
    Resource: "arn:aws:s3:::${aws:username}/${aws:PrincipalTag/a, 'b'}",
    Condition: { StringEquals: { "aws:ResourceTag/x": "${aws:userid}" }, Null: { "AWS:username": "true" } },
  });
  assert.deepEqual(contextKeysOf(document), ["aws:ResourceTag/x", "AWS:username", "aws:PrincipalTag/a", "aws:userid"]);
});
