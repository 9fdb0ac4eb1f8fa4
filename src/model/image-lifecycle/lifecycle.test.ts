import assert from "node:assert/strict";
import { test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { dayMs, evaluateLifecycle, type LifecycleImage, LifecyclePolicyError, type LifecycleRule, parseLifecyclePolicy } from "./index.ts";

const now = Date.UTC(2026, 0, 1);
const image = (digest: string, daysAgo: number, ...tags: string[]): LifecycleImage => ({ digest, tags, pushedAt: now - daysAgo * dayMs });
const keep = (priority: number, tags: LifecycleRule["tags"], most: number): LifecycleRule => ({
  priority,
  tags,
  storageClass: "standard",
  count: { type: "imageCountMoreThan", most },
  action: "expire",
});
const tagged = (...prefixes: string[]) => ({ status: "tagged", by: "prefixes", list: prefixes }) as const;
const expired = (rules: readonly LifecycleRule[], images: readonly LifecycleImage[]) =>
  evaluateLifecycle(rules, images, now)
    .expiring.map((each) => `${each.image.digest}${each.priority}`)
    .toSorted();

test("the examples of AWS's documentation", () => {
  const both = [image("A", 10, "beta-1", "prod-1"), image("B", 9, "beta-2", "prod-2"), image("C", 8, "beta-3")];
  assert.deepEqual(expired([keep(1, tagged("prod"), 1), keep(2, tagged("beta"), 1)], both), ["A1"]);
  assert.deepEqual(expired([keep(1, tagged("beta"), 1), keep(2, tagged("prod"), 1)], both), ["A1", "B1"]);
  const each = [image("A", 12, "alpha-1"), image("B", 11, "beta-1"), image("C", 10, "alpha-2", "beta-2"), image("D", 9, "beta-3")];
  assert.deepEqual(expired([keep(1, tagged("alpha", "beta"), 1)], [...each, image("E", 8, "alpha-3", "beta-4")]), ["C1"]);
  const all = [image("A", 12, "alpha-1"), image("B", 11, "beta-1"), image("C", 10, "alpha-2"), image("D", 9, "git-hash"), image("E", 8)];
  assert.deepEqual(expired([keep(1, tagged("alpha"), 1), keep(2, { status: "any" }, 1)], all), ["A1", "B2", "D2"]);
});

test("an index goes before what it names, an artifact with its subject", () => {
  const untagged = keep(1, { status: "untagged" }, 1);
  const index: LifecycleImage = { ...image("index", 5, "v1"), manifests: ["amd64", "arm64"] };
  const children = [image("amd64", 7), image("arm64", 6)];
  assert.deepEqual(expired([untagged], [...children, index]), []);
  const bare = { ...index, tags: [] };
  assert.deepEqual(
    evaluateLifecycle([{ ...untagged, count: { type: "sinceImagePushed", days: 1 } }], [...children, bare], now).expiring.map(
      (each) => each.image.digest,
    ),
    ["index", "arm64", "amd64"],
  );
  const signature: LifecycleImage = { ...image("signature", 9), subject: "amd64" };
  const signed: LifecycleImage = { ...image("timestamp", 9), subject: "signature" };
  // By itself the oldest untagged one: no rule counts it.
  assert.deepEqual(expired([untagged], [image("amd64", 7), image("arm64", 6), signature]), ["amd641", "signature1"]);
  assert.deepEqual(expired([untagged], [image("amd64", 7, "v1"), image("arm64", 6), signature, signed]), []);
  assert.deepEqual(expired([keep(1, tagged("v"), 1)], [image("amd64", 7, "v1"), image("arm64", 6, "v2"), signature, signed]), [
    "amd641",
    "signature1",
    "timestamp1",
  ]);
  assert.deepEqual(expired([keep(1, tagged("v"), 1)], [signature]), ["signatureundefined"]);
});

const policyOf = (...rules: unknown[]) => JSON.stringify({ rules });
const rule = (change: Record<string, unknown> = {}, more: Record<string, unknown> = {}) => ({
  rulePriority: 1,
  description: "old ones",
  selection: { tagStatus: "untagged", countType: "sinceImagePushed", countUnit: "days", countNumber: 14, ...change },
  action: { type: "expire" },
  ...more,
});

test("what ECR takes", () => {
  assert.deepEqual(parseLifecyclePolicy(policyOf(rule())), [
    {
      priority: 1,
      description: "old ones",
      tags: { status: "untagged" },
      storageClass: "standard",
      count: { type: "sinceImagePushed", days: 14 },
      action: "expire",
    },
  ]);
  const pattern = { tagStatus: "tagged", tagPatternList: ["*test*1*2*3", "test*1*2*3*"] };
  const archive = { type: "transition", targetStorageClass: "archive" };
  const rules = parseLifecyclePolicy(
    policyOf(
      rule({ tagStatus: "any", countType: "imageCountMoreThan", countUnit: undefined }, { rulePriority: 70 }),
      rule(pattern, { rulePriority: 2, description: undefined }),
      rule({ tagStatus: "tagged", tagPrefixList: ["v"] }, { rulePriority: 60 }),
      rule({ countType: "sinceImagePulled" }, { action: archive, rulePriority: 5 }),
      rule({ tagStatus: "any", countType: "sinceImageTransitioned", storageClass: "archive" }, { rulePriority: 4 }),
    ),
  );
  assert.deepEqual(
    rules.map(({ priority, action, storageClass }) => [priority, action, storageClass]),
    [
      [2, "expire", "standard"],
      [4, "expire", "archive"],
      [5, "transition", "standard"],
      [60, "expire", "standard"],
      [70, "expire", "standard"],
    ],
  );
});

test("what ECR refuses, in its words", () => {
  const second = (change: Record<string, unknown>) => [rule(), rule(change, { rulePriority: 2 })];
  for (const [text, message] of [
    ["{", "Could not map policyString into LifecyclePolicy."],
    ["[]", "Could not map policyString into LifecyclePolicy."],
    ["{}", 'object has missing required properties (["rules"])'],
    [policyOf(), /array is too short/],
    [policyOf(...Array.from({ length: 51 }, (_, index) => rule({}, { rulePriority: index + 1 }))), /array is too long/],
    [policyOf("x"), 'instance type (string) does not match any allowed primitive type (allowed: ["object"])'],
    [policyOf({ rulePriority: 1 }), 'object has missing required properties (["action","selection"])'],
    [policyOf(rule({}, { extra: 1 })), 'object instance has properties which are not allowed by the schema: (["extra"])'],
    [policyOf(rule({ extra: 1 })), 'object instance has properties which are not allowed by the schema: (["extra"])'],
    [policyOf(rule({ tagStatus: "some" })), 'instance value ("some") not found in enum (possible values: ["any","tagged","untagged"])'],
    [policyOf(rule({ countType: "age" })), /^instance failed to match exactly one schema \(matched 0 out of 4\): /],
    [policyOf(rule({ countType: "imageCountMoreThan" })), /matched 0 out of 4\): imageCountMoreThan takes no countUnit$/],
    [policyOf(rule({ countUnit: "weeks" })), /matched 0 out of 4/],
    [policyOf(rule({ countUnit: null })), /matched 0 out of 4/],
    [policyOf(rule({ storageClass: "archive" })), /matched 0 out of 4/],
    [policyOf(rule({ countType: "sinceImagePulled" })), /matched 0 out of 4/],
    [policyOf(rule({ countNumber: 0 })), "numeric instance is lower than the required minimum (minimum: 1, found: 0)"],
    [policyOf(rule({ countNumber: 1.5 })), 'instance type (number) does not match any allowed primitive type (allowed: ["integer"])'],
    [policyOf(rule({ countNumber: "1" })), 'instance type (string) does not match any allowed primitive type (allowed: ["integer"])'],
    [policyOf(rule({}, { rulePriority: 0 })), "numeric instance is lower than the required minimum (minimum: 1, found: 0)"],
    [policyOf(rule({}, { action: { type: "delete" } })), /^instance value \("delete"\) not found in enum/],
    [policyOf(rule({}, { action: { type: "expire", targetStorageClass: null } })), /matched 0 out of 2/],
    [policyOf(rule({}, { action: { type: "transition" } })), /matched 0 out of 2/],
    [policyOf(rule({ tagStatus: "tagged" })), "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."],
    [policyOf(rule({ tagStatus: "tagged", tagPrefixList: [] })), "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED."],
    [policyOf(rule({ tagStatus: "tagged", tagPrefixList: ["a"], tagPatternList: ["a"] })), /^Only one of/],
    [policyOf(rule({ tagPrefixList: ["a"] })), /only be specified when tagStatus=TAGGED/],
    [policyOf(rule({ tagStatus: "tagged", tagPatternList: ["*1*2*3*4*"] })), /more than 4 wildcards/],
    [policyOf(...second({})), "Only one rule can select Untagged images per storage class."],
    [policyOf(rule(), rule({ tagStatus: "any" })), /unique rulePriority/],
    [
      policyOf(rule({ tagStatus: "any" }), rule({}, { rulePriority: 2 })),
      "Rule for tagStatus=ANY must have the lowest priority per storage class.",
    ],
    [
      policyOf(
        rule({ tagStatus: "tagged", tagPrefixList: ["a", "b"] }),
        rule({ tagStatus: "tagged", tagPrefixList: ["b", "a"] }, { rulePriority: 2 }),
      ),
      /unique tagPrefixLists/,
    ],
  ] as const)
    assert.throws(
      () => parseLifecyclePolicy(text),
      (error: unknown) => {
        assert.ok(error instanceof LifecyclePolicyError);
        if (typeof message === "string") assert.equal(error.message, message);
        else assert.match(error.message, message);
        return true;
      },
      text,
    );
});

test("whatever the text, it is taken or refused", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.json().map((text) => `{"rules":[${text}]}`),
      ),
      (text) => {
        try {
          parseLifecyclePolicy(text);
        } catch (error) {
          assert.ok(error instanceof LifecyclePolicyError, String(error));
        }
      },
    ),
  );
});

const letters = fc.constantFrom("a", "b", "c");
const anyTag = fc.tuple(letters, letters).map((pair) => pair.join(""));
const anyTags: fc.Arbitrary<LifecycleRule["tags"]> = fc.oneof(
  fc.constant({ status: "any" } as const),
  fc.constant({ status: "untagged" } as const),
  fc.array(letters, { minLength: 1, maxLength: 2 }).map((list) => ({ status: "tagged", by: "prefixes", list }) as const),
  fc
    .array(fc.constantFrom("*", "a*", "*b", "c", "*a*"), { minLength: 1, maxLength: 2 })
    .map((list) => ({ status: "tagged", by: "patterns", list }) as const),
);
const anyCount: fc.Arbitrary<LifecycleRule["count"]> = fc.oneof(
  fc.integer({ min: 1, max: 4 }).map((most) => ({ type: "imageCountMoreThan", most }) as const),
  fc.integer({ min: 1, max: 6 }).map((days) => ({ type: "sinceImagePushed", days }) as const),
);
const anyRules = fc
  .array(fc.record({ tags: anyTags, count: anyCount }), { minLength: 1, maxLength: 4 })
  .map((rules) =>
    rules.map((each, index): LifecycleRule => ({ ...each, priority: index + 1, storageClass: "standard", action: "expire" })),
  );
/** What an image names or is about was pushed under an earlier number: digests form no circle. */
const anyImages = fc
  .array(
    fc.record({
      tags: fc.uniqueArray(anyTag, { maxLength: 2 }),
      age: fc.integer({ min: 0, max: 8 }),
      names: fc.array(fc.nat({ max: 11 }), { maxLength: 2 }),
      subject: fc.option(fc.nat({ max: 11 }), { nil: undefined, freq: 4 }),
    }),
    { maxLength: 12 },
  )
  .map((images) =>
    images.map(({ tags, age, names, subject }, index): LifecycleImage => {
      const manifests = names.filter((each) => each < index).map((each) => `i${each}`);
      return {
        ...image(`i${index}`, age, ...tags),
        ...(manifests.length > 0 ? { manifests } : {}),
        // Number 99 was never pushed.
        ...(subject === undefined ? {} : { subject: subject < index ? `i${subject}` : "i99" }),
      };
    }),
  );

/** AWS's sentences, one by one. */
function naive(rules: readonly LifecycleRule[], images: readonly LifecycleImage[]): Map<string, number | undefined> {
  const here = (digest?: string) => images.some((each) => each.digest === digest);
  const free = images.filter(({ subject }) => !here(subject));
  const matches = ({ tags }: LifecycleRule, { tags: own }: LifecycleImage) => {
    if (tags.status !== "tagged") return tags.status === "any" || own.length === 0;
    const tests = tags.list.map((each) => (tags.by === "prefixes" ? `${each}.*` : each.replaceAll("*", ".*")));
    return tests.every((each) => own.some((tag) => new RegExp(`^${each}$`).test(tag)));
  };
  const identified = (each: LifecycleRule) => {
    const youngest = free
      .filter((candidate) => matches(each, candidate))
      .toSorted((a, b) => b.pushedAt - a.pushedAt || (a.digest > b.digest ? -1 : 1));
    const { count } = each;
    return count.type === "imageCountMoreThan"
      ? youngest.slice(count.most)
      : youngest.filter(({ pushedAt }) => now - pushedAt > count.days * dayMs);
  };
  const marked = new Map<string, number | undefined>();
  for (const each of rules)
    for (const found of identified(each))
      if (!rules.some((other) => other.priority < each.priority && matches(other, found))) marked.set(found.digest, each.priority);
  for (const { digest, subject, pushedAt } of free)
    if (subject !== undefined && now - pushedAt > dayMs && !marked.has(digest)) marked.set(digest, undefined);
  // Deleted one after the other, as long as one of them may be.
  const gone = new Map<string, number | undefined>();
  const left = () => images.filter(({ digest }) => !gone.has(digest));
  const held = (digest: string) => left().some(({ manifests }) => manifests?.includes(digest));
  for (let deleted = true; deleted;) {
    deleted = false;
    for (const { digest, subject } of left()) {
      const follows = subject !== undefined && here(subject);
      if ((follows ? !gone.has(subject) : !marked.has(digest)) || held(digest)) continue;
      gone.set(digest, follows ? gone.get(subject) : marked.get(digest));
      deleted = true;
    }
  }
  return gone;
}

test("evaluated as AWS's sentences say, one by one", () => {
  fc.assert(
    fc.property(anyRules, anyImages, (rules, images) => {
      const { expiring } = evaluateLifecycle(rules, images, now);
      const found = new Map(expiring.map((each) => [each.image.digest, each.priority]));
      assert.equal(found.size, expiring.length);
      const expected = naive(rules, images);
      assert.deepEqual(new Map([...found].toSorted()), new Map([...expected].toSorted()));
      // Each may be deleted when its turn comes.
      for (const [index, { image: each }] of expiring.entries()) {
        const before = new Set(expiring.slice(0, index).map((other) => other.image.digest));
        assert.ok(!images.some(({ digest, manifests }) => !before.has(digest) && manifests?.includes(each.digest)), each.digest);
      }
    }),
    { numRuns: 3000 },
  );
});

test("nothing expires by age before the time that the evaluation names", () => {
  fc.assert(
    fc.property(anyRules, anyImages, fc.integer({ min: 0, max: 9 * dayMs }), (rules, images, later) => {
      const { expiring, next = Infinity } = evaluateLifecycle(rules, images, now);
      const digests = (at: number) => evaluateLifecycle(rules, images, at).expiring.map((each) => each.image.digest);
      assert.ok(next > now);
      if (now + later < next)
        assert.deepEqual(
          digests(now + later),
          expiring.map((each) => each.image.digest),
        );
    }),
    { numRuns: 1000 },
  );
});

test("a hundred thousand images take less than a second or two", () => {
  const many = Array.from({ length: 100_000 }, (_, index) =>
    image(`sha256:${index}`, index / 1000, ...(index % 3 === 0 ? [] : [`v${index}`])),
  );
  const began = processorMs();
  const { expiring } = evaluateLifecycle(
    [keep(1, { status: "untagged" }, 10), keep(2, tagged("v"), 100), keep(3, { status: "any" }, 5)],
    many,
    now,
  );
  assert.equal(expiring.length, 100_000 - 110);
  assert.ok(processorMs() - began < 2000);
});
