import assert from "node:assert/strict";
import { test } from "node:test";
import { processorMs } from "#test/support/processor-time.ts";
import fc from "fast-check";
import { isImmutable, isRepositoryName } from "./names.ts";

test("no name takes long", () => {
  const began = processorMs();
  for (const name of ["a-".repeat(128), "a".repeat(256) + "!", `${"a/".repeat(127)}_`, "a_".repeat(127) + "a!", `a${"-".repeat(254)}`])
    isRepositoryName(name);
  assert.ok(processorMs() - began < 50);
});

test("what may be overwritten", () => {
  const exclusionFilters = [{ filterType: "WILDCARD", filter: "dev*" }] as const;
  const immutable = (imageTagMutability: Parameters<typeof isImmutable>[0]["imageTagMutability"]) =>
    ["dev-1", "v1"].map((tag) => isImmutable({ imageTagMutability, exclusionFilters }, tag));
  assert.deepEqual(immutable("MUTABLE"), [false, false]);
  assert.deepEqual(immutable("IMMUTABLE"), [true, true]);
  assert.deepEqual(immutable("IMMUTABLE_WITH_EXCLUSION"), [false, true]);
  assert.deepEqual(immutable("MUTABLE_WITH_EXCLUSION"), [true, false]);
});

test("a repository name is never a way out of its place in a key or a path", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("a", "1", "/", ".", "-", "_", "%", "\0", " ", "A"), maxLength: 12 }), (name) => {
      if (!isRepositoryName(name)) return true;
      return !name.includes("..") && !name.includes("//") && !/^[/._-]|[/._-]$/.test(name) && !/[%\0 A-Z]/.test(name);
    }),
    { numRuns: 2000 },
  );
});
