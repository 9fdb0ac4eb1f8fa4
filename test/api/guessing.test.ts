/** Who guesses keys and passwords: compared in constant time, slowed down, and no hindrance to anybody else. */
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { globSync, readFileSync } from "node:fs";
import { request } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import { after, before, describe, mock, test } from "node:test";
import { sign } from "#agent/aws/sigv4.ts";
import { attemptLimits } from "#api/attempts.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { createSealer } from "#platform/sealer.ts";
import { createEcr } from "#services/ecr/index.ts";
import { createSts } from "#services/sts/index.ts";
import { accessKeyId, secretAccessKey, startServer, type TestServer } from "../support/http.ts";

let server: TestServer;
before(async () => {
  // It stands still: who has to wait waits, however slow this machine is.
  server = await startServer({ clock: new FakeClock(Date.now()), parts: (deps) => [createSts(deps), createEcr(deps)] });
});
after(() => server.close());

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

function send(from: string, method: string, path: string, headers: Record<string, string>, body = ""): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port: server.port, localAddress: from, method, path, headers, agent: false }, (response) => {
      response.setEncoding("utf8");
      let text = "";
      response.on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** GetCallerIdentity from an address of this machine. */
function call(from: string, credentials: { readonly accessKeyId: string; readonly secretAccessKey: string }): Promise<Answer> {
  const url = new URL("/", server.endpoint);
  const body = "Action=GetCallerIdentity&Version=2011-06-15";
  const headers = { "content-type": "application/x-www-form-urlencoded; charset=utf-8" };
  const signed = sign({ method: "POST", url, headers, body, service: "sts", region: "us-east-1", credentials, now: Date.now() });
  return send(from, "POST", "/", signed, body);
}

const good = { accessKeyId, secretAccessKey };

describe("wrong signatures", () => {
  test("of a known key are slowed down with 429; the key's holder elsewhere is not", async () => {
    assert.equal((await call("127.0.0.1", good)).status, 200);
    const wrong = { accessKeyId, secretAccessKey: "wrong" };
    let refused = 0;
    let last: Answer | undefined;
    for (let i = 0; i < attemptLimits.pair + 10; i++) {
      last = await call("127.0.0.2", wrong);
      if (last.status !== 429) refused++;
    }
    assert.equal(refused, attemptLimits.pair, "so many were tried, the others were not even looked at");
    assert.equal(last!.status, 429);
    assert.match(last!.text, /<Code>Throttling<\/Code>/);
    assert.equal((await call("127.0.0.2", good)).status, 429, "the address waits, even when it has guessed");
    assert.equal((await call("127.0.0.1", good)).status, 200);
    assert.equal((await call("127.0.0.3", good)).status, 200, "one that was never seen before");
  });

  test("with many keys slow down the address", async () => {
    let answer: Answer | undefined;
    for (let i = 0; i <= attemptLimits.source; i++)
      answer = await call("127.0.0.4", { accessKeyId: `AKIA${String(i).padStart(16, "0")}`, secretAccessKey: "x" });
    assert.equal(answer!.status, 429);
    assert.equal((await call("127.0.0.1", good)).status, 200);
  });
});

test("wrong ECR passwords are slowed down with 429; good ones always work", async () => {
  const basic = (password: string) => ({ authorization: `Basic ${Buffer.from(`AWS:${password}`).toString("base64")}` });
  const statuses: number[] = [];
  for (let i = 0; i < attemptLimits.pair + 5; i++) statuses.push((await send("127.0.0.5", "GET", "/v2/", basic(`guess-${i}`))).status);
  assert.deepEqual([...new Set(statuses)], [401, 429]);
  assert.equal(statuses.filter((status) => status === 401).length, attemptLimits.pair);
  const slowed = await send("127.0.0.5", "GET", "/v2/", basic("guess"));
  assert.match(slowed.text, /TOOMANYREQUESTS/);
  assert.ok(Number(slowed.headers["retry-after"]) > 0);
  const token = await server.aws(
    "ecr",
    "get-authorization-token",
    "--query",
    "authorizationData[0].authorizationToken",
    "--output",
    "text",
  );
  for (const from of ["127.0.0.5", "127.0.0.6"])
    assert.equal((await send(from, "GET", "/v2/", { authorization: `Basic ${token.trim()}` })).status, 200, from);
  assert.equal((await send("127.0.0.6", "GET", "/v2/", {})).status, 401, "no password is no guess");
});

describe("comparisons in constant time", () => {
  test("signatures go through crypto.timingSafeEqual, right or wrong", async () => {
    const spy = mock.method(crypto, "timingSafeEqual");
    syncBuiltinESMExports();
    try {
      await call("127.0.0.1", good);
      await call("127.0.0.7", { accessKeyId, secretAccessKey: "wrong" });
      assert.equal(spy.mock.callCount(), 2);
    } finally {
      spy.mock.restore();
      syncBuiltinESMExports();
    }
  });

  test("sealed tokens are proved by their tag: one bit changed anywhere opens none", () => {
    const sealer = createSealer(Buffer.alloc(32, 7));
    const token = sealer.seal("scope", { a: 1 });
    assert.deepEqual(sealer.open("scope", token), { a: 1 });
    assert.equal(sealer.open("other", token), undefined);
    const bytes = Buffer.from(token, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      assert.equal(sealer.open("scope", changed.toString("base64url")), undefined);
    }
  });

  test("nothing in src compares a signature, a secret, a password or a digest of one with ===", () => {
    const root = new URL("../../src/", import.meta.url).pathname;
    const secret =
      /\b\w*(?:[sS]ignature|[sS]ecret(?:AccessKey|Key)?|[pP]assword|hmac|authTag)\b(?!\.)\s*[!=]={1,2}(?!=)\s*(?!\s|undefined|"|null)/;
    const wrong = globSync("**/*.ts", { cwd: root })
      .filter((file) => !file.includes("generated/") && !file.endsWith(".test.ts"))
      .flatMap((file) =>
        readFileSync(root + file, "utf8")
          .split("\n")
          .filter((line) => secret.test(line))
          .map((line) => `${file}: ${line.trim()}`),
      );
    assert.deepEqual(wrong, []);
    assert.ok(secret.test("if (signature === given) return;"), "the rule finds what it is for");
  });
});
