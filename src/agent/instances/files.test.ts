import assert from "node:assert/strict";
import { test } from "node:test";
import { apiOf, apiPlaceOf } from "./files.ts";

test("an instance reaches the API at its own loopback: with TLS by a name that the certificate is good for", () => {
  const inside = (endpoint: string) => apiOf(apiPlaceOf(endpoint));
  assert.equal(inside("http://127.0.0.1:4566"), "http://127.0.0.1:4566");
  assert.equal(inside("http://10.0.0.5:4566"), "http://127.0.0.1:4566");
  assert.equal(inside("https://127.0.0.1:4566"), "https://127.0.0.1:4566");
  assert.equal(
    inside("https://10.0.0.5:4566"),
    "https://127.0.0.1:4566",
    "our own certificates name the loopback beside what is listened on",
  );
  assert.equal(inside("https://[::1]:4566"), "https://127.0.0.1:4566");
  assert.equal(inside("https://localhost:4566"), "https://localhost:4566");
  assert.equal(inside("https://gantry.example.com"), "https://gantry.example.com:443");
});
