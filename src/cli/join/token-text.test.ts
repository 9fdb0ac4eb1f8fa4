import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "#platform/config.ts";
import { formatToken, parseToken } from "./token-text.ts";
import { urlsOf } from "./token.ts";

test("a token is one word and says all; what is none is not shown in what is said of it", () => {
  const token = { id: "1", secret: "s3cret", urls: ["https://10.0.0.1:4566", "https://[fd00::1]:4566"], fingerprint: "f" };
  const text = formatToken(token);
  assert.match(text, /^gantry1\.[\w-]+$/);
  assert.deepEqual(parseToken(` ${text}\n`), token);
  assert.equal(parseToken(formatToken({ ...token, fingerprint: undefined })).fingerprint, undefined);
  const made = (parts: unknown) => `gantry1.${Buffer.from(JSON.stringify(parts)).toString("base64url")}`;
  for (const bad of [
    "",
    "SWMTKN-1-x",
    text.slice(1),
    "gantry1.%%",
    made({}),
    made(["a", "s3cret", "c"]),
    made(["a", "s3cret", "", "ftp://x"]),
  ])
    assert.throws(
      () => parseToken(bad),
      (error: Error) => /not a join token/.test(error.message) && !/s3cret/.test(error.message),
    );
});

test("a token needs a server that others reach, by TLS", () => {
  const config = (env: Record<string, string>) => readConfig({ GANTRY_HOME: "/tmp/x", ...env });
  assert.throws(() => urlsOf(config({ GANTRY_TLS: "self" })), /where no other machine reaches it.*GANTRY_BIND/);
  assert.throws(() => urlsOf(config({ GANTRY_BIND: "10.0.0.5" })), /speaks no TLS.*GANTRY_TLS=self/);
  assert.deepEqual(urlsOf(config({ GANTRY_BIND: "10.0.0.5", GANTRY_TLS: "self", GANTRY_PORT: "99" })), ["https://10.0.0.5:99"]);
  assert.deepEqual(
    urlsOf(config({ GANTRY_BIND: "0.0.0.0", GANTRY_TLS: "self", GANTRY_TLS_NAMES: "g.example.com,*.example.com" }), ["10.0.0.5"]),
    ["https://g.example.com:4566", "https://10.0.0.5:4566"],
  );
});
