import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { digestOf, isDigest } from "./blobs/digest.ts";
import { RegistryError } from "./errors.ts";
import { imageSize, mediaTypes, parseManifest, requiredBlobs } from "./manifest.ts";

const digest = digestOf(Buffer.from("x"));
const descriptor = { mediaType: "application/octet-stream", digest, size: 3 };
const valid = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config: descriptor, layers: [descriptor, { ...descriptor, size: 4 }] };
const parse = (value: unknown, declared?: string) => parseManifest(Buffer.from(JSON.stringify(value)), declared);

test("what an image needs, each once, and how large it is", () => {
  const manifest = parse(valid);
  assert.deepEqual(requiredBlobs(manifest), [digest]);
  assert.equal(imageSize(manifest), 10);
  assert.equal(manifest.artifactType, descriptor.mediaType);
});

test("the media type comes from the manifest, else from the request", () => {
  const { mediaType: _, ...bare } = valid;
  assert.equal(parse(bare, mediaTypes.ociManifest).mediaType, mediaTypes.ociManifest);
  assert.throws(() => parse(bare), /mediatype not provided/);
});

test("whatever comes in, a manifest or ManifestInvalid comes out", () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => Buffer.from(text)),
    fc
      .tuple(
        fc.constantFrom("schemaVersion", "mediaType", "config", "layers", "manifests", "subject", "annotations", "artifactType"),
        fc.jsonValue(),
      )
      .map(([key, value]) => Buffer.from(JSON.stringify({ ...valid, [key]: value }))),
    fc
      .tuple(fc.constantFrom("mediaType", "digest", "size", "urls", "annotations", "__proto__"), fc.jsonValue())
      .map(([key, value]) => Buffer.from(JSON.stringify({ ...valid, layers: [{ ...descriptor, [key]: value }] }))),
  );
  fc.assert(
    fc.property(anything, fc.option(fc.constantFrom(...Object.values(mediaTypes), "text/plain"), { nil: undefined }), (bytes, declared) => {
      try {
        const manifest = parseManifest(bytes, declared);
        return requiredBlobs(manifest).every(isDigest) && Number.isSafeInteger(imageSize(manifest));
      } catch (error) {
        return error instanceof RegistryError && error.kind === "ManifestInvalid";
      }
    }),
    { numRuns: 3000 },
  );
});

test("nesting of any depth is only invalid", () => {
  for (const text of [
    "[".repeat(1_000_000),
    `${'{"a":'.repeat(500_000)}1${"}".repeat(500_000)}`,
    `{"schemaVersion":2,"x":${"[".repeat(500_000)}${"]".repeat(500_000)}}`,
  ])
    assert.throws(
      () => parseManifest(Buffer.from(text), undefined),
      (error) => error instanceof RegistryError && error.kind === "ManifestInvalid",
    );
});
