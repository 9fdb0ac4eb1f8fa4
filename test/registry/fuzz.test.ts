/** Nonsense at the door: every request gets an answer of the client's own fault, and the registry goes on. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import fc from "fast-check";
import { startRegistry, type TestRegistry } from "./support.ts";

let registry: TestRegistry;
before(async () => {
  registry = await startRegistry({ open: true, config: { createOnPush: true } });
  await registry.pushImage("app", "v1");
});
after(() => registry.close());

const token = fc.string({ unit: fc.constantFrom(..."abzAZ019._-/:%=&?@+~!$*,;".split("")), maxLength: 20 });
const tricky = fc.constantFrom(
  "..",
  "%2e%2e",
  "%2f",
  "%00",
  "app",
  "v1",
  "blobs",
  "uploads",
  "manifests",
  "referrers",
  "tags",
  "list",
  `sha256:${"0".repeat(64)}`,
  "sha256:",
  "00000000-0000-4000-8000-000000000000",
  "a".repeat(300),
);
const path = fc.array(fc.oneof(token, tricky), { maxLength: 7 }).map((parts) => `/v2/${parts.join("/")}`);
const header = fc.record(
  {
    "content-range": fc.oneof(token, fc.constantFrom("0-1", "1-0", "bytes 0-0/1", "-1-5", "0-99999999999999999999")),
    range: fc.oneof(token, fc.constantFrom("bytes=0-", "bytes=-1", "bytes=5-1", "bytes=0-0,1-1")),
    "content-type": token,
    "if-none-match": token,
    authorization: fc.oneof(
      token,
      token.map((text) => `Basic ${text}`),
    ),
    host: fc.constantFrom("x", "123456789012.dkr.ecr.us-east-1.x", "1.dkr.ecr.x.y"),
  },
  { requiredKeys: [] },
);

test("requests of all kinds", { timeout: 300_000 }, async () => {
  const method = fc.constantFrom("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS");
  const query = fc.oneof(
    fc.constant(""),
    token.map((text) => `?digest=${text}`),
    token.map((text) => `?mount=${text}&from=${text}`),
    token.map((text) => `?n=${text}&last=${text}`),
  );
  await fc.assert(
    fc.asyncProperty(method, path, query, header, fc.uint8Array({ maxLength: 50 }), async (verb, where, asked, headers, body) => {
      const target = encodeURI(`${where}${asked}`).replaceAll("%25", "%");
      const { status } = await registry.call(verb, target, { headers, body: verb === "GET" || verb === "HEAD" ? undefined : body });
      assert.ok(status < 500, `${verb} ${target}: ${status}`);
    }),
    { numRuns: 1500 },
  );
  assert.equal((await registry.call("GET", "/v2/app/manifests/v1")).status, 200);
});

test("bytes that are no HTTP, and requests that end anywhere", { timeout: 300_000 }, async () => {
  const whole =
    "PATCH /v2/app/blobs/uploads/00000000-0000-4000-8000-000000000000 HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello";
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    fc.nat(whole.length).map((length) => Buffer.from(whole.slice(0, length))),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (sent) => {
      const socket = connect(registry.server.port, "127.0.0.1");
      socket.on("error", () => {});
      socket.resume();
      await new Promise((resolve) => socket.write(sent, resolve));
      socket.destroy();
    }),
    { numRuns: 150 },
  );
  assert.equal((await registry.call("GET", "/v2/app/manifests/v1")).status, 200);
});
