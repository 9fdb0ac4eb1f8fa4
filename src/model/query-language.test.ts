import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseQuery, QueryError, type QuerySubject } from "./query-language.ts";

const subject: QuerySubject = {
  attribute: (name) =>
    ({ "ecs.instance-type": "t3.small", "ecs.availability-zone": "us-east-1a", stack: "prod", empty: "", cores: "8" })[name],
  field: (name) =>
    ({ agentConnected: true, agentVersion: "1.83.0", ec2InstanceId: "i-1", registeredAt: Date.UTC(2026, 0, 2), runningTasksCount: 3 })[
      name
    ],
  groups: new Set(["service:web", "family:job"]),
};

const cases: [string, boolean][] = [
  ["attribute:ecs.instance-type == t3.small", true],
  ["attribute:ecs.instance-type equals t3.large", false],
  ["attribute:ecs.instance-type =~ t3.*", true],
  ["attribute:ecs.instance-type !~ t2.*", true],
  ["attribute:ecs.availability-zone in [us-east-1a, us-east-1b]", true],
  ["attribute:ecs.availability-zone not_in [us-east-1a]", false],
  ["attribute:ecs.availability-zone !in [us-east-1c]", true],
  ["attribute:gpu exists", false],
  ["attribute:empty exists", true],
  ["attribute:gpu !exists", true],
  ["attribute:gpu != a", true],
  ["attribute:cores > 10", false],
  ["attribute:cores >= 8", true],
  ['attribute:stack == "prod" and attribute:cores less_than 9', true],
  ["attribute:stack == dev or (attribute:stack == prod and not(attribute:gpu exists))", true],
  ["attribute:stack == dev or attribute:stack == prod and attribute:gpu exists", false],
  ["not(attribute:stack == prod)", false],
  ["task:group == service:web", true],
  ["task:group != service:web", false],
  ["not(task:group == service:db)", true],
  ["task:group in [service:db, family:job]", true],
  ["agentConnected == true", true],
  ["agentConnected == false", false],
  ["runningTasksCount > 2 and runningTasksCount <= 3", true],
  ["registeredAt > 2026-01-01 and registeredAt < 2026-01-03T00:00:00Z", true],
  ["agentVersion == 1.83.0", true],
  ["agentVersion > 1.9.0", true],
  ["agentVersion less_than 1.100", true],
  ["agentVersion >= 2", false],
  ["agentConnected matches tr.e", true],
  ["agentConnected in [false]", false],
  ["(attribute:ecs.instance-type =~ t3.*)", true],
  ['attribute:ecs.instance-type =~ "t3\\.s.*" and not(attribute:stack =~ d.*)', true],
  ["attribute:ecs.instance-type =~ (t2|t3)\\.(small|large)", true],
  ["ec2InstanceId in ['i-1', 'i-2']", true],
];

for (const [text, expected] of cases) test(`${text} is ${expected}`, () => assert.equal(parseQuery(text)(subject), expected));

test("errors say where", () => {
  const wrong: [string, number][] = [
    ["", 0],
    ["attribute:a", 11],
    ["attribute:a ==", 14],
    ["attribute:a == b c", 17],
    ["attribute:a == b and", 20],
    ["(attribute:a == b", 17],
    ["nope == 1", 0],
    ["attribute:a in b", 15],
    ["attribute:a in [b", 17],
    ["runningTasksCount =~ 3", 18],
    ["runningTasksCount == many", 21],
    ["attribute:a =~ (", 15],
    ['attribute:a =~ "(a)\\1"', 15],
    ["attribute:a ~ b", 12],
  ];
  for (const [text, position] of wrong)
    assert.throws(
      () => parseQuery(text),
      (error) => error instanceof QueryError && error.position === position,
      `${text}: ${position}`,
    );
  assert.throws(() => parseQuery("(".repeat(100)), QueryError);
  assert.throws(() => parseQuery("not ".repeat(400)), QueryError);
});

test("any text is parsed or refused, never anything else", () => {
  const piece = fc.constantFrom(
    "attribute:a",
    "task:group",
    "==",
    "=~",
    "in",
    "[",
    "]",
    "(",
    ")",
    ",",
    "and",
    "or",
    "not",
    "!",
    "x",
    '"y"',
    "exists",
    "1",
    "agentConnected",
    "true",
    "\\",
    "*",
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(" ")),
      ),
      (text) => {
        try {
          assert.equal(typeof parseQuery(text)(subject), "boolean");
        } catch (error) {
          assert.ok(error instanceof QueryError, String(error));
        }
      },
    ),
    { numRuns: 2000 },
  );
});
