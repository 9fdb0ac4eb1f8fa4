import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseChallenges } from "./auth.ts";
import { chainIds, InvalidImage, layerCompression, parseConfig, parseManifest, selectManifest, type Index } from "./manifest.ts";
import { Gate, Shared } from "./shared.ts";

const digest = (letter: string) => `sha256:${letter.repeat(64)}`;
const bytes = (value: unknown) => Buffer.from(typeof value === "string" ? value : JSON.stringify(value));
const descriptor = { mediaType: "application/vnd.oci.image.config.v1+json", digest: digest("a"), size: 3 };

test("a manifest, or InvalidImage: nothing else comes of any bytes", () => {
  const json = fc.jsonValue();
  const manifest = fc.record(
    {
      schemaVersion: fc.constantFrom(1, 2),
      mediaType: fc.oneof(fc.constant("application/vnd.oci.image.manifest.v1+json"), json),
      config: fc.oneof(fc.constant(descriptor), json),
      layers: fc.oneof(fc.constant([descriptor]), json),
      manifests: json,
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), json, manifest), fc.oneof(fc.constant(undefined), fc.string()), (value, type) => {
      for (const parse of [() => parseManifest(bytes(value), type), () => parseConfig(bytes(value))]) {
        try {
          parse();
        } catch (error) {
          assert.ok(error instanceof InvalidImage, String(error));
        }
      }
    }),
    { numRuns: 1000 },
  );
});

test("a document that is manifest and index at once is refused", () => {
  assert.throws(() => parseManifest(bytes({ schemaVersion: 2, config: descriptor, layers: [], manifests: [] }), undefined), /ambiguous/);
  assert.throws(
    () =>
      parseManifest(
        bytes({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config: descriptor, layers: [], manifests: [] }),
        undefined,
      ),
    /ambiguous/,
  );
  assert.throws(() => parseManifest(bytes({ schemaVersion: 1, fsLayers: [] }), undefined), /schema version 1/);
  assert.throws(() => layerCompression("application/vnd.oci.image.layer.v1.tar+brotli"), InvalidImage);
});

test("the manifest for a platform: its variant first, then lower ones, never a higher one or an attestation", () => {
  const entry = (letter: string, architecture: string, variant?: string, attestation = false) => ({
    ...descriptor,
    digest: digest(letter),
    platform: { os: "linux", architecture, variant },
    attestation,
  });
  const arm: Index = {
    kind: "index",
    manifests: [entry("a", "arm", "v6"), entry("b", "arm", "v7"), entry("c", "arm", "v8"), entry("d", "arm64", "v8"), entry("e", "amd64")],
  };
  const pick = (architecture: string, variant?: string, index = arm) =>
    selectManifest(index, { os: "linux", architecture, variant }).digest;
  assert.equal(pick("arm", "v7"), digest("b"));
  assert.equal(pick("arm", "v6"), digest("a"));
  assert.equal(pick("arm64", "v8"), digest("d"));
  assert.equal(pick("amd64"), digest("e"));
  assert.throws(() => pick("s390x"), /does not contain descriptor matching platform 'linux\/s390x'/);
  assert.throws(() => pick("amd64", undefined, { kind: "index", manifests: [entry("f", "amd64", undefined, true)] }), InvalidImage);
});

test("chain ids are those of the OCI image specification", () => {
  assert.deepEqual(chainIds([digest("a")]), [digest("a")]);
  // sha256 of "sha256:aaa… sha256:bbb…", by sha256sum.
  assert.equal(chainIds([digest("a"), digest("b")])[1], "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c");
});

test("challenges: several, quoted, escaped, and never an error", () => {
  assert.deepEqual(parseChallenges('Bearer realm="https://a/t",service="x, \\"y\\"" , Basic realm=z'), [
    { scheme: "bearer", parameters: { realm: "https://a/t", service: 'x, "y"' } },
    { scheme: "basic", parameters: { realm: "z" } },
  ]);
  fc.assert(
    fc.property(
      fc.array(fc.constantFrom("Bearer", " ", ",", "=", '"', "\\", "realm", "é", "x")).map((parts) => parts.join("")),
      (text) => {
        for (const { scheme } of parseChallenges(text)) assert.ok(scheme.length > 0);
      },
    ),
  );
});

test("shared work runs once, outlives one who gives up, and is aborted when the last has", async () => {
  const shared = new Shared<number>();
  let runs = 0;
  let aborted = false;
  let finish: (value: number) => void = () => {};
  const work = (signal: AbortSignal) =>
    new Promise<number>((resolve, reject) => {
      runs++;
      finish = resolve;
      signal.addEventListener("abort", () => {
        aborted = true;
        reject(signal.reason as Error);
      });
    });
  const first = new AbortController();
  const one = shared.run("k", first.signal, work);
  const two = shared.run("k", undefined, work);
  first.abort(new Error("gone"));
  await assert.rejects(one, /gone/);
  assert.equal(aborted, false);
  finish(5);
  assert.equal(await two, 5);
  assert.equal(runs, 1);

  const last = new AbortController();
  const three = shared.run("k", last.signal, work);
  assert.equal(runs, 2);
  last.abort(new Error("gone too"));
  await assert.rejects(three, /gone too/);
  assert.equal(aborted, true);
  const four = shared.run("k", undefined, work);
  assert.equal(runs, 3);
  finish(6);
  assert.equal(await four, 6);
});

test("a gate lets so many through at a time", async () => {
  const gate = new Gate(3);
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 20 }, () =>
      gate.run(async () => {
        most = Math.max(most, ++inside);
        await new Promise((resolve) => setImmediate(resolve));
        inside--;
      }),
    ),
  );
  assert.equal(most, 3);
});
