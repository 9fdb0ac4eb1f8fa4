import assert from "node:assert/strict";
import { test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { matches, mayMatch } from "./match.ts";
import { type Leaf, parsePattern, PatternError, type Pattern, type PatternNode } from "./pattern.ts";

const fits = (pattern: unknown, event: Record<string, unknown>) => matches(parsePattern(JSON.stringify(pattern)), event);

test("each comparison of the guide", () => {
  const yes = (matcher: unknown, ...values: unknown[]) => {
    for (const value of values) assert.ok(fits({ x: [matcher] }, { x: value }), `${JSON.stringify(matcher)} ${JSON.stringify(value)}`);
  };
  const no = (matcher: unknown, ...values: unknown[]) => {
    for (const value of values) assert.ok(!fits({ x: [matcher] }, { x: value }), `${JSON.stringify(matcher)} ${JSON.stringify(value)}`);
  };
  yes("a", "a", ["b", "a"], [["a"]]);
  no("a", "A", "ab", { a: 1 }, []);
  yes(null, null);
  no(null, "", "null", 0);
  yes("", "");
  yes(300, 300);
  no(300, "300");
  yes(true, true);
  yes({ prefix: "ab" }, "ab", "abc");
  no({ prefix: "ab" }, "Abc", 5, "a");
  yes({ prefix: { "equals-ignore-case": "AB" } }, "abc");
  yes({ suffix: ".png" }, "a.png", ".png");
  yes({ suffix: { "equals-ignore-case": ".PNG" } }, "a.png");
  yes({ "equals-ignore-case": "Alice" }, "aLICE");
  yes({ wildcard: "dir/*.png" }, "dir/a.png", "dir/.png");
  no({ wildcard: "dir/*.png" }, "dir/a.pn", "xdir/a.png");
  yes({ wildcard: "*a*b*" }, "xaxbx", "ab");
  no({ wildcard: "a*a" }, "a");
  yes({ wildcard: "a\\*b*" }, "a*bc");
  no({ wildcard: "a\\*b*" }, "axbc");
  yes({ wildcard: "one" }, "one");
  yes({ "anything-but": "a" }, "b", 5, null, ["a", "b"]);
  no({ "anything-but": "a" }, "a", ["a", "a"]);
  yes({ "anything-but": ["a", "b"] }, "c");
  yes({ "anything-but": [1, 2] }, 3, "1");
  no({ "anything-but": [1, 2] }, 1);
  no({ "anything-but": { prefix: "in" } }, "init");
  no({ "anything-but": { prefix: ["in", "out"] } }, "outer");
  yes({ "anything-but": { suffix: ".txt" } }, "a.png");
  no({ "anything-but": { "equals-ignore-case": ["INIT", "done"] } }, "init", "Done");
  no({ "anything-but": { wildcard: "*/lib/*" } }, "a/lib/b");
  yes({ numeric: [">", 0, "<=", 5] }, 5, 0.1);
  no({ numeric: [">", 0, "<=", 5] }, 0, 5.1, "3");
  yes({ numeric: ["=", 3.018e2] }, 301.8);
  yes({ numeric: ["<", -1] }, -2);
  yes({ cidr: "10.0.0.0/24" }, "10.0.0.255");
  no({ cidr: "10.0.0.0/24" }, "10.0.1.0", "x", 10);
  yes({ cidr: "2001:db8::/32" }, "2001:db8:1::7", "2001:0db8::1.2.3.4");
  no({ cidr: "2001:db8::/32" }, "2001:db9::", "10.0.0.1");
  yes({ exists: true }, "a", null, [1]);
  no({ exists: true }, {}, []);
});

test("missing fields, $or, arrays of objects", () => {
  const absent = { detail: { a: [{ exists: false }] } };
  assert.ok(fits(absent, { detail: { b: 1 } }));
  assert.ok(fits(absent, {}));
  assert.ok(!fits(absent, { detail: { a: null } }));
  assert.ok(!fits(absent, { detail: [{ a: 1 }, { b: 1 }] }));
  assert.ok(!fits({ detail: { a: [{ "anything-but": "x" }] } }, { detail: {} }));
  const either = { source: ["s"], $or: [{ a: [1] }, { b: { c: [2] } }] };
  assert.ok(fits(either, { source: "s", a: 1 }));
  assert.ok(fits(either, { source: "s", b: { c: 2 } }));
  assert.ok(!fits(either, { source: "s", a: 2, b: { c: 1 } }));
  // What is named twice counts as it is named last, as AWS's matcher has it.
  assert.ok(fits({ a: [1], $or: [{ a: [2] }, { b: [1] }] }, { a: 2 }));
  const apart = { items: { x: [1] }, $or: [{ items: { y: [1] } }, { z: [1] }] };
  assert.ok(!fits(apart, { items: [{ x: 1 }, { y: 1 }] }));
  assert.ok(fits(apart, { items: [{ x: 1, y: 1 }] }));
  const both = { people: { first: ["Anna"], last: ["Jones"] } };
  assert.ok(fits(both, { people: [{ first: "Bob" }, { first: "Anna", last: "Jones" }] }));
  assert.ok(
    !fits(both, {
      people: [
        { first: "Anna", last: "Smith" },
        { first: "Bob", last: "Jones" },
      ],
    }),
  );
});

test("what is wrong is said in AWS's words", () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ["[]", /^Filter is not an object$/],
    ["{", /JSON/],
    ["{}", /^Empty objects are not allowed$/],
    ['{"source":"a"}', /^"source" must be an object or an array$/],
    ['{"source":[]}', /^Empty arrays are not allowed$/],
    ['{"source":[["a"]]}', /^Match value must be String, number, true, false, or null$/],
    ['{"source":[{}]}', /^Match expression name not found$/],
    ['{"source":[{"foo":"a"}]}', /^Unrecognized match type foo$/],
    ['{"source":[{"prefix":1}]}', /^prefix match pattern must be a string$/],
    ['{"source":[{"prefix":"a","suffix":"b"}]}', /^Only one key allowed in match expression$/],
    ['{"source":[{"numeric":5}]}', /^Value of numeric must be an array\.$/],
    ['{"source":[{"numeric":["~",5]}]}', /^Unrecognized numeric range operator: ~$/],
    ['{"source":[{"numeric":[">",5,"<",4]}]}', /^Bottom must be less than top$/],
    ['{"source":[{"numeric":[">",5,"<",8,"<",9]}]}', /^Too many terms in numeric range expression$/],
    ['{"source":[{"numeric":["<",1e10]}]}', /^Value must be between/],
    ['{"source":[{"anything-but":[1,"a"]}]}', /mixed type is not supported$/],
    ['{"source":[{"anything-but":[null]}]}', /^Inside anything but list/],
    ['{"source":[{"anything-but":{"numeric":[]}}]}', /^Unsupported anything-but pattern: numeric$/],
    ['{"source":[{"cidr":"10.0.0.0"}]}', /^Malformed CIDR/],
    ['{"source":[{"cidr":"10.0.0.0/33"}]}', /^Malformed CIDR/],
    ['{"source":[{"wildcard":"a**"}]}', /^Consecutive wildcard characters at pos 2$/],
    ['{"source":[{"wildcard":"a\\\\x"}]}', /^Invalid escape character at pos 2$/],
    ['{"source":[{"exists":"yes"}]}', /^exists match pattern/],
    ['{"$or":[{"a":[1]}]}', /^There must have at least 2 Objects in \$or relationship\.$/],
    ['{"$or":[{"prefix":[1]},{"b":[1]}]}', /^prefix is Ruler reserved/],
  ];
  for (const [text, message] of wrong)
    assert.throws(
      () => parsePattern(text),
      (error: Error) => error instanceof PatternError && message.test(error.message),
      text,
    );
});

/** A value of the event with where it stands: the path, and which element of which array it is in. */
interface Flat {
  readonly path: string;
  readonly value: unknown;
  readonly elements: ReadonlyMap<string, number>;
}

function flatten(value: unknown, path: readonly string[], at: string, elements: ReadonlyMap<string, number>): readonly Flat[] {
  if (Array.isArray(value))
    return value.flatMap((each, index) => flatten(each, path, `${at}[${index}]`, new Map([...elements, [at, index]])));
  if (typeof value === "object" && value !== null)
    return Object.entries(value).flatMap(([name, each]) => flatten(each, [...path, name], `${at}.${name}`, elements));
  return [{ path: JSON.stringify(path), value, elements }];
}

interface Condition {
  readonly path: string;
  readonly leaf: Leaf;
}

const conditionsOf = (fields: PatternNode): readonly Condition[] =>
  fields.flatMap(({ path, leaf, below }) => [
    ...(leaf ? [{ path: JSON.stringify(path), leaf }] : []),
    ...(below ? conditionsOf(below) : []),
  ]);

/** By trying every choice of one value for each condition; of an element of an array all must be. */
function naive({ branches }: Pattern, event: unknown): boolean {
  const values = flatten(event, [], "", new Map());
  const agree = (a: Flat, b: Flat) => [...a.elements].every(([array, index]) => (b.elements.get(array) ?? index) === index);
  const choose = (conditions: readonly Condition[], chosen: readonly Flat[]): boolean => {
    const [next, ...rest] = conditions;
    if (!next) return true;
    const there = values.filter(({ path }) => path === next.path);
    if (there.length === 0) return next.leaf.absent && choose(rest, chosen);
    return there.some(
      (one) =>
        (next.leaf.exact.has(one.value) || next.leaf.tests.some((each) => each(one.value))) &&
        chosen.every((other) => agree(one, other)) &&
        choose(rest, [...chosen, one]),
    );
  };
  return branches.some((branch) => choose(conditionsOf(branch), []));
}

const names = fc.constantFrom("a", "b");
const scalars = fc.constantFrom<unknown>("x", "xy", 1, null);
const matchers = fc.oneof(
  scalars,
  fc.constantFrom<unknown>(
    { prefix: "x" },
    { suffix: "y" },
    { "anything-but": "x" },
    { "anything-but": [1] },
    { numeric: [">=", 1] },
    { exists: true },
    { exists: false },
    { wildcard: "x*" },
  ),
);
const { node: anyPatterns } = fc.letrec<{ node: Record<string, unknown>; below: unknown }>((tie) => ({
  node: fc
    .tuple(
      fc.dictionary(names, tie("below"), { minKeys: 1, maxKeys: 2 }),
      fc.option(fc.array(fc.dictionary(names, tie("below"), { minKeys: 1, maxKeys: 2 }), { minLength: 2, maxLength: 2 }), { freq: 6 }),
    )
    .map(([fields, or]) => (or ? { ...fields, $or: or } : fields)),
  below: fc.oneof({ maxDepth: 2, withCrossShrink: true }, fc.array(matchers, { minLength: 1, maxLength: 3 }), tie("node")),
}));
/** A field that is to be a value and an object at once fits nothing but odd arrays, of which the guide says nothing. */
const isTwofold = (fields: PatternNode): boolean => fields.some(({ leaf, below }) => below && (leaf !== undefined || isTwofold(below)));
const patterns = anyPatterns.filter((given) => {
  try {
    const { branches } = parsePattern(JSON.stringify(given));
    return branches.length <= 20 && !branches.some(isTwofold);
  } catch {
    return false;
  }
});
const { object: events } = fc.letrec<{ object: Record<string, unknown>; value: unknown }>((tie) => ({
  object: fc.record({ a: tie("value"), b: tie("value") }, { requiredKeys: ["a"] }) as fc.Arbitrary<Record<string, unknown>>,
  value: fc.oneof({ maxDepth: 3, withCrossShrink: true }, scalars, fc.array(tie("value"), { maxLength: 3 }), tie("object")),
}));

test("the matcher says what trying everything says", () => {
  let matched = 0;
  fc.assert(
    fc.property(patterns, events, (given, event) => {
      const pattern = parsePattern(JSON.stringify(given));
      const expected = naive(pattern, event);
      if (expected) matched++;
      assert.equal(matches(pattern, event), expected);
    }),
    { numRuns: 800 },
  );
  assert.ok(matched > 80, `only ${matched} of them matched`);
});

test("whoever may match is never passed over", () => {
  fc.assert(
    fc.property(patterns, events, fc.constantFrom("x", "y"), fc.constantFrom("x", "y"), (given, detail, source, type) => {
      const pattern = parsePattern(JSON.stringify(given).replaceAll('"a":', '"source":').replaceAll('"b":', '"detail-type":'));
      if (!mayMatch(pattern, source, type)) assert.ok(!matches(pattern, { source, "detail-type": type, c: detail }));
    }),
    { numRuns: 500 },
  );
});

test("a hundred thousand comparisons take less than a second", () => {
  const pattern = parsePattern(
    JSON.stringify({
      source: ["aws.ecs"],
      "detail-type": ["ECS Task State Change"],
      detail: { lastStatus: ["STOPPED"], group: [{ prefix: "service:" }] },
    }),
  );
  const event = { source: "aws.ecs", "detail-type": "ECS Task State Change", detail: { lastStatus: "STOPPED", group: "service:web" } };
  const began = processorMs();
  let count = 0;
  for (let turn = 0; turn < 100_000; turn++) if (matches(pattern, event)) count++;
  assert.equal(count, 100_000);
  assert.ok(processorMs() - began < 1000);
});
