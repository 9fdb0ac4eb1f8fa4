import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { decodeAwsChunked } from "./aws-chunked.ts";
import { cborDialect, formatCbor, parseCbor } from "./cbor.ts";
import { ApiError } from "./contract.ts";
import { decodeInput, encodeOutput, jsonDialect } from "./json-codec.ts";
import { readInput } from "./protocols.ts";
import { decodeForm, parseForm } from "./query-codec.ts";
import { serviceTable, type ServiceTable } from "./schema.ts";
import type { Signature } from "./sigv4.ts";
import { hmacHex, sha256 } from "./sigv4-sign.ts";
import { escapeXml } from "./xml.ts";

/** A value of the shape, as an SDK user would write it. */
function valueOf(table: ServiceTable, ref: string, depth = 0): fc.Arbitrary<unknown> {
  switch (ref) {
    case "s":
      return fc.string({ maxLength: 8, unit: "grapheme" });
    case "n":
      return fc.integer();
    case "b":
      return fc.boolean();
    case "t":
    case "td":
    case "th":
    case "te":
      return fc.integer({ min: 0, max: 2_000_000_000 }).map((seconds) => new Date(seconds * 1000));
    case "x":
    case "xs":
      return fc.uint8Array({ maxLength: 8 }).map((bytes) => Buffer.from(bytes));
    case "d":
      return fc.jsonValue({ maxDepth: 2 });
  }
  const shape = table.shapes[ref]!;
  if ("l" in shape) return depth > 4 ? fc.constant([]) : fc.array(valueOf(table, shape.l[0], depth + 1), { maxLength: 2 });
  if ("m" in shape)
    return depth > 4
      ? fc.constant({})
      : fc.dictionary(
          fc.string({ maxLength: 6 }).filter((key) => key !== "__proto__"),
          valueOf(table, shape.m[1][0], depth + 1),
          { maxKeys: 2 },
        );
  const members = Object.entries(shape.s).map(([name, [member]], index) => {
    const value = fc.constant(undefined).chain(() => valueOf(table, member, depth + 1));
    return [name, index < shape.r || depth > 5 ? value : fc.option(value, { nil: undefined, freq: 2 })] as const;
  });
  return fc
    .record(Object.fromEntries(depth > 5 ? members.slice(0, shape.r) : members))
    .map((record) => Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)));
}

for (const [service, operation] of [
  ["ecs", "RegisterTaskDefinition"],
  ["ecs", "RunTask"],
  ["ecr", "CreateRepository"],
  ["ecr", "UploadLayerPart"],
  ["logs", "PutLogEvents"],
  ["cloudwatch", "PutMetricData"],
] as const) {
  test(`${service} ${operation}: what the SDK would write is read back exactly, in JSON and CBOR`, () => {
    const table = serviceTable(service);
    const ref = table.operations[operation]!.i;
    fc.assert(
      fc.property(valueOf(table, ref), (value) => {
        const json = JSON.stringify(encodeOutput(table, jsonDialect(false), ref, value));
        assert.deepEqual(plain(decodeInput(table, "awsJson1_1", jsonDialect(false), ref, JSON.parse(json))), plain(value));
        const cbor = formatCbor(encodeOutput(table, cborDialect, ref, value));
        assert.deepEqual(plain(decodeInput(table, "rpcV2Cbor", cborDialect, ref, parseCbor(cbor))), plain(value));
      }),
      { numRuns: 60 },
    );
  });
}

/** Buffers and Uint8Arrays with the same bytes are the same. */
const plain = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (_key, each: unknown) => (each instanceof Uint8Array ? [...each] : each)));

test("no body makes a codec throw anything but an ApiError", () => {
  const ecs = serviceTable("ecs");
  const operations = ["RegisterTaskDefinition", "RunTask", "SubmitTaskStateChange"];
  const bodies = fc.oneof(fc.uint8Array({ maxLength: 60 }).map(Buffer.from), fc.json().map(Buffer.from), fc.string().map(Buffer.from));
  for (const protocol of ["awsJson1_1", "rpcV2Cbor", "awsQuery", "ec2Query"] as const) {
    fc.assert(
      fc.property(fc.constantFrom(...operations), bodies, (operation, body) => {
        try {
          readInput({ table: ecs, protocol, operation }, body, new URLSearchParams(), {});
        } catch (error) {
          assert.ok(error instanceof ApiError, String(error));
          assert.ok(error.status < 500);
        }
      }),
      { numRuns: 300 },
    );
  }
});

test("a form: lists in order of their numbers, maps, empty lists, odd names", () => {
  const sts = serviceTable("sts");
  const form = parseForm(
    "Action=AssumeRole&RoleArn=r&RoleSessionName=s&Tags.member.2.Key=b&Tags.member.2.Value=2&Tags.member.1.Key=a&Tags.member.1.Value=1&PolicyArns=",
  );
  assert.deepEqual(decodeForm(sts, "AssumeRoleRequest", form), {
    RoleArn: "r",
    RoleSessionName: "s",
    Tags: [
      { Key: "a", Value: "1" },
      { Key: "b", Value: "2" },
    ],
    PolicyArns: [],
  });
  assert.throws(() => decodeForm(sts, "AssumeRoleRequest", parseForm("RoleArn=r")), { code: "ValidationError" });
  assert.throws(() => decodeForm(sts, "AssumeRoleRequest", parseForm(`${"a.".repeat(40)}b=1`)), { code: "MalformedQueryString" });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.stringMatching(/^[A-Za-z.0-9_]{1,20}$/), fc.string())), (pairs) => {
      try {
        decodeForm(serviceTable("ec2"), "RunInstancesRequest", new Map(pairs));
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
      }
    }),
  );
});

const key = createSecretKey(Buffer.alloc(32, 3));
const signature = { signature: "a".repeat(64), timestamp: "20260101T000000Z", date: "20260101", region: "r", service: "s3" } as Signature;
const proof = { signature, key };

/** What a client sends; `trailer` is the value of x-amz-checksum-crc32. */
function chunked(chunks: readonly Buffer[], trailer?: string): Buffer {
  const link = (kind: string, rest: string) => hmacHex(key, [kind, signature.timestamp, "20260101/r/s3/aws4_request", rest].join("\n"));
  let previous = signature.signature;
  const parts: Buffer[] = [];
  for (const chunk of [...chunks, Buffer.alloc(0)]) {
    previous = link("AWS4-HMAC-SHA256-PAYLOAD", [previous, sha256(""), sha256(chunk)].join("\n"));
    const tail = chunk.length === 0 && trailer !== undefined ? "" : "\r\n";
    parts.push(Buffer.from(`${chunk.length.toString(16)};chunk-signature=${previous}\r\n`), chunk, Buffer.from(tail));
  }
  if (trailer !== undefined) {
    const proved = link("AWS4-HMAC-SHA256-TRAILER", `${previous}\n${sha256(`x-amz-checksum-crc32:${trailer}\n`)}`);
    parts.push(Buffer.from(`x-amz-checksum-crc32:${trailer}\r\nx-amz-trailer-signature:${proved}\r\n\r\n`));
  }
  return Buffer.concat(parts);
}

test("chunked bodies: signed chunks and trailers are checked, cut and changed ones refused", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 4 }),
      fc.option(fc.stringMatching(/^[A-Za-z0-9+/=]{1,12}$/), { nil: undefined }),
      fc.nat(),
      fc.nat({ max: 255 }),
      (chunks, trailer, at, byte) => {
        const body = chunked(chunks.map(Buffer.from), trailer);
        const data = Buffer.concat(chunks);
        const read = (bytes: Buffer) => Buffer.from(decodeAwsChunked(bytes, trailer !== undefined, proof));
        assert.deepEqual(read(body), data);
        // The empty line at the end may be missing: what is proved is there before it.
        assert.throws(() => read(body.subarray(0, at % (body.length - 4))), ApiError);
        const changed = Buffer.from(body);
        changed[at % body.length] = byte;
        try {
          assert.deepEqual(read(changed), data);
        } catch (error) {
          assert.ok(error instanceof ApiError, String(error));
        }
      },
    ),
    { numRuns: 300 },
  );
});

test("chunked bodies that nobody signed: any bytes give data or an error", () => {
  assert.equal(Buffer.from(decodeAwsChunked(Buffer.from("3\r\nabc\r\n0\r\n\r\n"), false, undefined)).toString(), "abc");
  assert.throws(() => decodeAwsChunked(Buffer.from("3\r\nabc\r\n0\r\n\r\nmore"), false, undefined), { code: "IncompleteBody" });
  const piece = fc.constantFrom("3", "ffffffff", "0", "\r\n", "abc", ";chunk-signature=", "a".repeat(64), "x:y", ":", "\n");
  const odd = fc.oneof(
    fc.uint8Array().map(Buffer.from),
    fc.array(piece).map((pieces) => Buffer.from(pieces.join(""))),
  );
  fc.assert(
    fc.property(odd, fc.boolean(), fc.boolean(), (bytes, trailers, signed) => {
      try {
        decodeAwsChunked(bytes, trailers, signed ? proof : undefined);
      } catch (error) {
        assert.ok(error instanceof ApiError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});

test("XML text survives a parser, whatever is in it", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const escaped = escapeXml(text);
      assert.doesNotMatch(escaped, /[<>]/);
      assert.doesNotMatch(escaped, /&(?!(amp|lt|gt|quot|apos);)/);
    }),
  );
});
