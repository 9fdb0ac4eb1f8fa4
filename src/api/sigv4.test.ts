import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import { SignatureV4 } from "@smithy/signature-v4";
import fc from "fast-check";
import { allowedSkewMs, basicDate, parseSignature, type Signature, verifySignature } from "./sigv4.ts";
import { sha256 } from "./sigv4-sign.ts";

/** The Hash that @smithy/signature-v4 wants, by node:crypto. */
class Sha256 {
  readonly #hash;
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined
        ? createHash("sha256")
        : createHmac("sha256", typeof secret === "string" ? secret : Buffer.from(secret as Uint8Array));
  }
  update(data: string | Uint8Array) {
    this.#hash.update(data);
  }
  async digest() {
    return new Uint8Array(this.#hash.digest());
  }
  reset() {}
}

const now = Date.UTC(2026, 5, 7, 8, 9, 10);
const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const signer = new SignatureV4({ service: "ecs", region: "eu-west-1", credentials, sha256: Sha256 as never });

const request = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT"),
  segments: fc.array(
    fc.stringMatching(/^[A-Za-z0-9 _~.-]{1,8}$/).filter((segment) => !/^\.+$/.test(segment)),
    { maxLength: 4 },
  ),
  query: fc.dictionary(fc.stringMatching(/^[A-Za-z][A-Za-z0-9 *'/=+-]{0,8}$/), fc.string({ maxLength: 12, unit: "grapheme-ascii" }), {
    maxKeys: 4,
  }),
  body: fc.string({ maxLength: 200 }),
  extra: fc.stringMatching(/^[ -~]{0,30}$/),
});

async function signed({
  method,
  segments,
  query,
  body,
  extra,
}: {
  method: string;
  segments: string[];
  query: Record<string, string>;
  body: string;
  extra: string;
}) {
  const rawPath = `/${segments.map(encodeURIComponent).join("/")}`;
  const message = {
    method,
    protocol: "http:",
    hostname: "localhost",
    path: rawPath,
    query,
    headers: { host: "localhost:4566", "x-extra": extra },
    body,
  };
  const { headers } = await signer.sign(message, { signingDate: new Date(now) });
  const rawQuery = Object.entries(query)
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .join("&");
  return { method, rawPath, rawQuery, headers };
}

test("what @smithy/signature-v4 signs is accepted, and nothing that differs from it", async () => {
  await fc.assert(
    fc.asyncProperty(request, async (given) => {
      const wire = await signed(given);
      const signature = parseSignature(wire) as Signature;
      assert.equal(verifySignature(wire, signature, credentials.secretAccessKey, sha256(given.body), now), undefined);
      const wrong = [
        verifySignature(wire, signature, `${credentials.secretAccessKey}x`, sha256(given.body), now),
        verifySignature(wire, signature, credentials.secretAccessKey, sha256(`${given.body}x`), now),
        verifySignature({ ...wire, method: "DELETE" }, signature, credentials.secretAccessKey, sha256(given.body), now),
        verifySignature({ ...wire, rawPath: `${wire.rawPath}x` }, signature, credentials.secretAccessKey, sha256(given.body), now),
        verifySignature({ ...wire, rawQuery: `${wire.rawQuery}&x=1` }, signature, credentials.secretAccessKey, sha256(given.body), now),
        verifySignature(
          { ...wire, headers: { ...wire.headers, host: "elsewhere" } },
          signature,
          credentials.secretAccessKey,
          sha256(given.body),
          now,
        ),
      ];
      for (const each of wrong) assert.equal(each?.problem, "mismatch");
    }),
    { numRuns: 150 },
  );
});

test("presigned requests: good until they expire", async () => {
  const presigned = await signer.presign(
    {
      method: "GET",
      protocol: "http:",
      hostname: "localhost",
      path: "/a b".replace(" ", "%20"),
      query: { x: "1" },
      headers: { host: "localhost" },
    },
    { signingDate: new Date(now), expiresIn: 60 },
  );
  const rawQuery = Object.entries(presigned.query ?? {})
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
    .join("&");
  const wire = { method: "GET", rawPath: "/a%20b", rawQuery, headers: { host: "localhost" } };
  const signature = parseSignature(wire) as Signature;
  assert.equal(signature.presigned, true);
  assert.equal(verifySignature(wire, signature, credentials.secretAccessKey, sha256(""), now + 59_000), undefined);
  assert.equal(verifySignature(wire, signature, credentials.secretAccessKey, sha256(""), now + 61_000)?.problem, "presignExpired");
});

test("clocks may differ by five minutes either way", async () => {
  const wire = await signed({ method: "POST", segments: [], query: {}, body: "{}", extra: "" });
  const signature = parseSignature(wire) as Signature;
  const at = (ms: number) => verifySignature(wire, signature, credentials.secretAccessKey, sha256("{}"), ms)?.problem;
  assert.deepEqual(
    [at(now - allowedSkewMs), at(now + allowedSkewMs), at(now - allowedSkewMs - 1000), at(now + allowedSkewMs + 1000)],
    [undefined, undefined, "notYet", "expired"],
  );
});

test("no header, however odd, makes the parser throw", () => {
  const odd = fc.oneof(
    fc.string(),
    fc.stringMatching(/^AWS4-HMAC-SHA256 .{0,60}$/),
    fc.stringMatching(/^AWS4-HMAC-SHA256 Credential=[^,]{0,30},SignedHeaders=[^,]{0,10},Signature=.{0,10}$/),
  );
  fc.assert(
    fc.property(odd, fc.string(), fc.string(), (authorization, date, rawQuery) => {
      const parsed = parseSignature({ method: "GET", rawPath: "/", rawQuery, headers: { authorization, "x-amz-date": date } });
      if (!("problem" in parsed))
        verifySignature({ method: "GET", rawPath: "/", rawQuery, headers: { host: "h" } }, parsed, "s", sha256(""), now);
    }),
    { numRuns: 500 },
  );
  assert.equal(basicDate(now), "20260607T080910Z");
});
