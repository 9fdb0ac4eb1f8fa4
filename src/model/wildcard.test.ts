import assert from "node:assert/strict";
import { test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { wildcardMatches } from "./wildcard.ts";

test("a pattern matches as a regular expression of the same meaning does", () => {
  const pattern = fc.string({ unit: fc.constantFrom("a", "b", "*"), maxLength: 6 });
  const text = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 10 });
  fc.assert(
    fc.property(pattern, text, (each, value) => wildcardMatches(each, value) === new RegExp(`^${each.replaceAll("*", ".*")}$`).test(value)),
  );
});

test("no pattern takes long", () => {
  const began = processorMs();
  wildcardMatches(`${"*a".repeat(60)}*b`, "a".repeat(300));
  assert.ok(processorMs() - began < 50);
});
