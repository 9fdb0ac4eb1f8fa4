import assert from "node:assert/strict";
import { test } from "node:test";
import { inputFor, problemOfInput } from "./input.ts";
import { parsePath, valueAt } from "./json-path.ts";
import type { BusEvent } from "./records.ts";
import { nextAttempt } from "./retry.ts";

const event: BusEvent = {
  version: "0",
  id: "e-1",
  "detail-type": "Some Thing",
  source: "my.app",
  account: "000000000000",
  time: "2026-01-02T03:04:05Z",
  region: "us-east-1",
  resources: ["one", "two"],
  detail: { state: 'said "no"', count: 2, list: [{ n: 1 }, { n: 2 }], "odd name": true },
};
const facts = { ruleArn: "arn:rule", ruleName: "rule", ingestedAt: 0 };

test("paths", () => {
  const at = (path: string) => valueAt(event, parsePath(path)!);
  assert.equal(at("$"), event);
  assert.equal(at("$.detail-type"), "Some Thing");
  assert.equal(at("$.resources[1]"), "two");
  assert.equal(at("$.detail['odd name']"), true);
  assert.deepEqual(at("$.detail.list[*].n"), [1, 2]);
  assert.equal(at("$.detail.none.deeper"), undefined);
  for (const wrong of ["detail", "$detail", "$.a b", "$..a", "$.a["]) assert.equal(parsePath(wrong), undefined, wrong);
});

test("what a target gets", () => {
  const template = (
    InputTemplate: string,
    InputPathsMap: Record<string, string> = { s: "$.detail.state", n: "$.detail.count", none: "$.detail.none", d: "$.detail.list" },
  ) => inputFor(event, { InputTransformer: { InputTemplate, InputPathsMap } }, facts);
  assert.equal(inputFor(event, {}, facts), JSON.stringify(event));
  assert.equal(inputFor(event, { Input: '{"a":1}' }, facts), '{"a":1}');
  assert.equal(inputFor(event, { InputPath: "$.detail.count" }, facts), "2");
  assert.deepEqual(JSON.parse(template('{"state": <s>, "text": "it <s>: <n>", "n": <n>, "d": <d>, "none": <none>, "e": "<none>"}')), {
    state: 'said "no"',
    text: 'it said "no": 2',
    n: 2,
    d: [{ n: 1 }, { n: 2 }],
    none: null,
    e: "",
  });
  assert.equal(template('"The <s> of <aws.events.rule-name>"'), '"The said \\"no\\" of rule"');
  assert.deepEqual(JSON.parse(template('{"all": <aws.events.event>, "at": <aws.events.event.ingestion-time>}')), {
    all: event,
    at: "1970-01-01T00:00:00.000Z",
  });
});

test("what is wrong with an input is said", () => {
  assert.match(problemOfInput({ Input: "{" })!, /JSON syntax/);
  assert.match(problemOfInput({ Input: "{}", InputPath: "$" })!, /Only one of/);
  assert.match(problemOfInput({ InputTransformer: { InputTemplate: "<x>" } })!, /placeholder <x>/);
  assert.match(problemOfInput({ InputTransformer: { InputTemplate: "1", InputPathsMap: { a: "x" } } })!, /Invalid JSON path/);
  assert.equal(problemOfInput({ InputTransformer: { InputTemplate: "<a>", InputPathsMap: { a: "$.x" } } }), undefined);
});

test("attempts come later and later, and end", () => {
  const after = (failures: number, policy = {}) => nextAttempt(policy, { failures, createdAt: 0, now: 0, random: 1 });
  assert.deepEqual(
    [1, 2, 3].map((failures) => after(failures)),
    [1000, 2000, 4000],
  );
  assert.equal(after(30), 600_000);
  assert.equal(after(186), undefined);
  assert.equal(after(1, { MaximumRetryAttempts: 0 }), undefined);
  assert.equal(nextAttempt({ MaximumEventAgeInSeconds: 60 }, { failures: 1, createdAt: 0, now: 59_500, random: 1 }), undefined);
});
