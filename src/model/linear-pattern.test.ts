import assert from "node:assert/strict";
import { test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { linearPattern, PatternError } from "./linear-pattern.ts";

const piece = fc.constantFrom(
  "a",
  "b",
  ".",
  "[ab]",
  "[^a]",
  "[a-c]",
  "\\.",
  "\\d",
  "^",
  "$",
  "(a|b)",
  "(?:ab)",
  "(a|)",
  "|",
  "*",
  "+",
  "?",
  "{2}",
  "{1,2}",
  "{0,}",
  "-",
);

test("what both take, both match alike: ours and the engine's own", () => {
  let compared = 0;
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }).map((pieces) => pieces.join("")),
      fc.array(fc.constantFrom("a", "b", "c", ".", "1", "-"), { maxLength: 6 }).map((chars) => chars.join("")),
      (pattern, text) => {
        let ours: boolean;
        try {
          ours = linearPattern(pattern)(text);
        } catch (error) {
          assert.ok(error instanceof PatternError, String(error));
          return;
        }
        compared++;
        assert.equal(ours, new RegExp(`^(?:${pattern})$`, "u").test(text), `${pattern} on ${text}`);
      },
    ),
    { numRuns: 5000 },
  );
  assert.ok(compared > 1000);
});

test("any text is a pattern or a PatternError", () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (pattern, text) => {
      try {
        assert.equal(typeof linearPattern(pattern)(text), "boolean");
      } catch (error) {
        assert.ok(error instanceof PatternError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});

test("patterns that ruin a backtracking engine are matched at once", () => {
  const text = "a".repeat(128);
  const begin = processorMs();
  for (const pattern of ["(a|a)*b", "(a+)+b", "(a|aa)+b", "(a*)*b", "a*a*a*a*a*a*a*a*b", "((a?){30}){30}b"])
    assert.equal(linearPattern(pattern)(text), false);
  assert.ok(processorMs() - begin < 2000);
});

test("what is not supported is refused", () => {
  for (const pattern of [
    "(",
    ")",
    "[",
    "a**",
    "*a",
    "(?=a)",
    "(a)\\1",
    "a++",
    "\\",
    "[b-a]",
    "a{3,1}",
    "a{999}{2}",
    "(a{1000}){1000}",
    "[a&&b]",
  ])
    assert.throws(() => linearPattern(pattern), PatternError, pattern);
  assert.equal(linearPattern("(?i)T3\\.[a-z]+")("t3.LARGE"), true);
  assert.equal(linearPattern("t3.*")("xt3.large"), false);
});
