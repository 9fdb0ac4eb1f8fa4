import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isRepositoryName } from "../names.ts";
import { parsePath, parseReference } from "./path.ts";
import { parseContentRange, parseRange } from "./ranges.ts";

test("paths of all kinds", () => {
  assert.deepEqual(parsePath("/v2/"), { kind: "base" });
  assert.deepEqual(parsePath("/v2"), { kind: "base" });
  assert.deepEqual(parsePath("/v2/a/b/manifests/v1"), { kind: "manifest", name: "a/b", reference: "v1" });
  assert.deepEqual(parsePath("/v2/a/blobs/sha256%3Aab"), { kind: "blob", name: "a", digest: "sha256:ab" });
  for (const path of ["/v2/a/blobs/uploads", "/v2/a/blobs/uploads/"]) assert.deepEqual(parsePath(path), { kind: "uploads", name: "a" });
  assert.deepEqual(parsePath("/v2/blobs/blobs/uploads/x"), { kind: "upload", name: "blobs", id: "x" });
  assert.deepEqual(parsePath("/v2/tags/list/tags/list"), { kind: "tags", name: "tags/list" });
  assert.deepEqual(parsePath("/v2/a/referrers/d"), { kind: "referrers", name: "a", digest: "d" });
  for (const path of [
    "/v2/a",
    "/v2/a/b",
    "/v2x",
    "/v3/",
    "/v2/a/manifests/b%2fc",
    "/v2/a/manifests/%",
    "/v2/a%2fb/tags/list",
    "/v2/a/manifests/%00",
  ])
    assert.equal(parsePath(path), undefined, path);
});

test("no path gives a part with a slash, a backslash or a NUL in it, nor throws", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 8 }),
    fc.constantFrom("..", ".", "%2e%2e", "%2f", "%5c", "%00", "blobs", "uploads", "manifests", "tags", "list"),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const target = parsePath(`/v2/${pieces.join("/")}`);
      if (!target || target.kind === "base") return true;
      const last = "reference" in target ? target.reference : "digest" in target ? target.digest : "id" in target ? target.id : "";
      return !/[/\\\0]/.test(last) && (!isRepositoryName(target.name) || !target.name.includes(".."));
    }),
    { numRuns: 3000 },
  );
});

test("references are digests or tags", () => {
  assert.deepEqual(parseReference("v1"), { tag: "v1" });
  assert.deepEqual(parseReference(`sha256:${"a".repeat(64)}`), { digest: `sha256:${"a".repeat(64)}` });
  for (const text of ["", "-a", ".a", "a b", "a/b", "sha256:abc", "a".repeat(129), "a\n"])
    assert.equal(parseReference(text), undefined, text);
});

test("a range lies within the blob, whatever is asked for", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a % 300}-${b % 300}`),
        fc.nat(300).map((n) => `bytes=-${n}`),
      ),
      fc.nat(200),
      (header, size) => {
        const range = parseRange(header, size);
        return range === "unsatisfiable" || (range.first >= 0 && range.first <= range.last && range.last < size);
      },
    ),
  );
  assert.deepEqual(parseRange("bytes=0-", 10), { first: 0, last: 9 });
  assert.equal(parseRange("bytes=0-", 0), "unsatisfiable");
  assert.equal(parseRange(`bytes=${"9".repeat(400)}-`, 10), "unsatisfiable");
});

test("content ranges, in OCI's form and in HTTP's", () => {
  for (const text of ["0-9", "bytes 0-9/10", "bytes=0-9", "bytes 0-9/*", " 0-9 "])
    assert.deepEqual(parseContentRange(text), { first: 0, last: 9 }, text);
  fc.assert(
    fc.property(fc.string(), (text) => {
      const range = parseContentRange(text);
      return range === undefined || (Number.isSafeInteger(range.first) && range.first <= range.last);
    }),
  );
});
