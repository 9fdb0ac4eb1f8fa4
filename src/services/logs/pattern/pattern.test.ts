import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { PatternError } from "./errors.ts";
import { parsePattern } from "./pattern.ts";
import { compileRegex } from "./regex.ts";

/** The messages that a pattern finds. */
const found = (pattern: string, messages: readonly string[]) => messages.filter(parsePattern(pattern));

describe("terms", () => {
  const lines = [
    "[ERROR 400] BAD REQUEST",
    "[ERROR 401] UNAUTHORIZED REQUEST",
    "[ERROR 419] MISSING ARGUMENTS",
    "[WARN] old REQUEST",
    "error",
  ];
  for (const [pattern, indexes] of [
    ["", [0, 1, 2, 3, 4]],
    ["  ", [0, 1, 2, 3, 4]],
    ["ERROR", [0, 1, 2]],
    ["ERR", [0, 1, 2]],
    ["ERROR REQUEST", [0, 1]],
    ["?ERROR ?WARN", [0, 1, 2, 3]],
    ["ERROR -BAD", [1, 2]],
    ["-ERROR", [3, 4]],
    ["-ERROR -WARN", [4]],
    ["?WARN ERROR", [0, 1, 2]],
    ['"BAD REQUEST"', [0]],
    ['"[WARN]" "old REQ"', [3]],
    ['-"BAD REQUEST" ERROR', [1, 2]],
    ["%ERROR 4\\d[01]%", [0, 1]],
    ["%^\\[W|error$%", [3, 4]],
    ["-%4\\d{2}%", [3, 4]],
  ] as const)
    test(pattern || "(empty)", () =>
      assert.deepEqual(
        found(pattern, lines),
        indexes.map((index) => lines[index]),
      ),
    );

  test("a quotation mark and a backslash in a phrase", () => {
    assert.deepEqual(found('"say \\"x\\\\y\\""', ['say "x\\y"', "say x"]), ['say "x\\y"']);
  });

  for (const pattern of [
    "a@b.c",
    "!(",
    '""',
    '"open',
    "%open",
    "%(a)%",
    "%a!%",
    "a-b",
    "%%",
    "%[%",
    "%a{3,1}%",
    "%a{9999}%",
    "%*%",
    "%a$b%",
  ])
    test(`refused: ${pattern}`, () => assert.throws(() => parsePattern(pattern), PatternError));
});

describe("JSON", () => {
  const events = [
    {
      eventType: "UpdateTrail",
      sourceIPAddress: "111.111.111.111",
      arrayKey: ["value", "another"],
      n: 3,
      latency: 1e-3,
      user: { id: 1, "a b": "x" },
    },
    { eventType: "DeleteTrail", sourceIPAddress: "123.123.0.1", n: 400, ok: true, user: { id: 2 }, things: [{ id: 5 }, { id: 6 }] },
    { eventType: 5, nothing: null, ok: false, n: "400" },
  ];
  const messages = events.map((event) => JSON.stringify(event));
  for (const [pattern, indexes] of [
    ['{ $.eventType = "UpdateTrail" }', [0]],
    ["{$.eventType=UpdateTrail}", [0]],
    ["{ $.eventType = *Trail }", [0, 1]],
    ['{ $.eventType = "*p*T*" }', [0]],
    ['{ $.eventType != "UpdateTrail" }', [1, 2]],
    ["{ $.sourceIPAddress != 123.123.* }", [0]],
    ['{ $.arrayKey[0] = "value" }', [0]],
    ["{ $.arrayKey[1] = value }", []],
    ["{ $.arrayKey[*] = another }", [0]],
    ["{ $.things[1].id = 6 }", [1]],
    ["{ $.things[*].id = 5 }", [1]],
    ["{ $.n > 2 }", [0, 1, 2]],
    ["{ $.n >= 400 }", [1, 2]],
    ["{ $.n < 400 && $.n <= 3 }", [0]],
    ["{ $.n = 4e2 }", [1, 2]],
    ["{ $.latency = 0.001 }", [0]],
    ["{ $.ok IS TRUE }", [1]],
    ["{ $.ok is false }", [2]],
    ["{ $.ok = true }", [1]],
    ["{ $.nothing IS NULL }", [2]],
    ["{ $.nothing NOT EXISTS }", [0, 1]],
    ["{ $.user = * }", [0, 1]],
    ['{ $.user["a b"] = x }', [0]],
    ["{ $.user.* = 2 }", [1]],
    ['{ ($.user.id = 1) && ($.eventType = "UpdateTrail") }', [0]],
    ['{ $.user.id = 2 || $.user.id = 1 && $.eventType = "DeleteTrail" }', [1]],
    ['{ ($.user.id = 2 || $.user.id = 1) && $.eventType = "UpdateTrail" }', [0]],
    ["{ $.eventType = %Trail$% }", [0, 1]],
    ["{ $.toString = * }", []],
    ["{ $.eventType.length = * }", []],
  ] as const)
    test(pattern, () =>
      assert.deepEqual(
        found(pattern, messages),
        indexes.map((index) => messages[index]),
      ),
    );

  test("text never matches", () => assert.deepEqual(found("{ $.a NOT EXISTS }", ["text", "{broken", "5", '"x"', "", "[]"]), ["[]"]));

  for (const pattern of [
    "{",
    "{}",
    "{ $ = 1 }",
    "{ $.a }",
    "{ $.a = }",
    "{ $.a > x }",
    '{ $.a > "1" }',
    "{ a = 1 }",
    "{ $.a = 1",
    "{ ($.a = 1 }",
    "{ $.a = 1 } x",
    "{ $.a IS NOT NULL }",
    "{ $.a[x] = 1 }",
    "{ $..a = 1 }",
    "{ $.a = 1 && }",
    "{ $.a == 1 }",
  ])
    test(`refused: ${pattern}`, () => assert.throws(() => parsePattern(pattern), PatternError));
});

describe("fields", () => {
  const lines = [
    '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534',
    '127.0.0.1 Prod anna [10/Oct/2000:13:25:16 -0700] "GET /about HTTP/1.0" 200 90',
    "ERROR one two",
    "WARN one",
  ];
  for (const [pattern, indexes] of [
    ["[ip, user, username, timestamp, request, status_code, bytes]", [0, 1]],
    ["[ip, user, username, timestamp, request =*html*, status_code = 4*, bytes > 1000]", [0]],
    ["[ip, user, username, timestamp, request, status_code != 200 && status_code != 500, bytes]", [0]],
    ["[ip,,,,,status=200,]", [1]],
    ["[..., status_code = 404 || status_code = 200, bytes < 1e3]", [1]],
    ["[..., status_code=404, bytes]", [0]],
    ["[ip = %127\\.0\\.0\\.[1-3]%, ...]", [0, 1]],
    ["[w1=ERROR || w1=%WARN%, w2]", [3]],
    ["[w1=ERROR || w1=WARN, ...]", [2, 3]],
    ["[w1, w2=one, w3]", [2]],
    ['[a, b, c, d = "10/Oct/2000:13:25:16 -0700", ...]', [1]],
    ["[(w1 = ERROR || w1 = WARN) && w1 != E*, ...]", [3]],
    ["[...]", [0, 1, 2, 3]],
    ["[..., w = one, ..., x = two]", [2]],
  ] as const)
    test(pattern, () =>
      assert.deepEqual(
        found(pattern, lines),
        indexes.map((index) => lines[index]),
      ),
    );

  for (const pattern of ["[", "[a", "[a = ]", "[a b]", "[a] b", "[a && b]", "[a > x]", "[=1]"])
    test(`refused: ${pattern}`, () => assert.throws(() => parsePattern(pattern), PatternError));
});

describe("any input", () => {
  const soup = fc
    .array(
      fc.constantFrom(
        ...'{}[]()%"\\*?-+.,=!<>&|$^ \t\nab19_'.split(""),
        "$.a",
        "&&",
        "||",
        "...",
        " IS ",
        "NULL",
        "NOT",
        "EXISTS",
        "\\d",
        "{1,3}",
        "é",
        "\ud800",
        "\u{1f600}",
      ),
      { maxLength: 30 },
    )
    .map((parts) => parts.join(""));
  const pattern = fc.oneof(
    fc.string(),
    soup,
    soup.map((text) => `{${text}}`),
    soup.map((text) => `[${text}]`),
    soup.map((text) => `{ $.a = ${text} }`),
    soup.map((text) => `%${text}%`),
  );

  test("is a pattern or a PatternError, and a pattern matches or does not", () => {
    fc.assert(
      fc.property(pattern, fc.oneof(fc.string(), soup, fc.json()), (text, message) => {
        let matches;
        try {
          matches = parsePattern(text);
        } catch (error) {
          assert.ok(error instanceof PatternError, String(error));
          return;
        }
        assert.equal(typeof matches(message), "boolean");
      }),
      { numRuns: 20_000 },
    );
  });

  test("regular expressions agree with JavaScript's where both exist", () => {
    const atom = fc.constantFrom("a", "b", ".", "[ab]", "[^a]", "[a-c]", "\\d", "\\w", "\\S", "1", "\\.", "\\x61");
    const piece = fc.tuple(atom, fc.constantFrom("", "", "?", "*", "+", "{2}", "{1,2}", "{0,2}", "{2,}")).map((parts) => parts.join(""));
    const branch = fc
      .tuple(fc.constantFrom("", "", "^"), fc.array(piece, { minLength: 1, maxLength: 4 }), fc.constantFrom("", "", "$"))
      .map(([start, pieces, end]) => start + pieces.join("") + end);
    const regex = fc.array(branch, { minLength: 1, maxLength: 3 }).map((branches) => branches.join("|"));
    const message = fc.array(fc.constantFrom(..."aabbc1. -".split("")), { maxLength: 8 }).map((characters) => characters.join(""));
    fc.assert(
      fc.property(regex, message, (source, text) => {
        assert.equal(compileRegex(source)(text), new RegExp(source, "s").test(text), `${source} on ${JSON.stringify(text)}`);
      }),
      { numRuns: 20_000 },
    );
  });

  test("takes no time on what makes others slow", () => {
    const started = processorMs();
    parsePattern("%a*a*a*a*a*a*a*a*b%")("a".repeat(20_000));
    parsePattern("{ $.a = *a*a*a*a*a*a*b }")(JSON.stringify({ a: "a".repeat(100_000) }));
    parsePattern("[..., a=1, ..., b=2, ..., c=3]")("1 2 ".repeat(2_000));
    parsePattern("[a, b]")('[ " '.repeat(100_000));
    assert.throws(() => parsePattern(`{ ${"(".repeat(1000)}`), PatternError);
    assert.ok(processorMs() - started < 2000);
  });
});
