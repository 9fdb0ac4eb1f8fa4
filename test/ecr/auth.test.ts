/** Who may use /v2/, and as whom. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { CreateRepositoryCommand, ECRClient, GetAuthorizationTokenCommand } from "@aws-sdk/client-ecr";
import { FakeClock } from "#platform/fake-clock.ts";
import { rootPrincipal } from "#api/credentials.ts";
import { sealToken } from "#registry/identify.ts";
import { raw, startRegistry, type TestRegistry } from "#test/registry/support.ts";

const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
const clock = new FakeClock(Date.now());
let registry: TestRegistry;
before(async () => {
  registry = await startRegistry({ clock });
  await registry.client.send(new CreateRepositoryCommand({ repositoryName: "app" }));
});
after(() => registry.close());

test("a password is good for twelve hours, then 401 until the next one", async () => {
  const { authorizationData } = await registry.client.send(new GetAuthorizationTokenCommand({}));
  const { authorizationToken, expiresAt, proxyEndpoint } = authorizationData![0]!;
  assert.equal(proxyEndpoint, `http://localhost:${registry.server.port}`);
  assert.equal(expiresAt!.getTime(), clock.now() + 12 * 3600_000);
  const auth = `Basic ${authorizationToken}`;
  assert.equal((await registry.call("GET", "/v2/", { auth })).status, 200);
  await clock.advance(12 * 3600_000 - 1);
  assert.equal((await registry.call("GET", "/v2/", { auth })).status, 200);
  await clock.advance(1);
  const late = await registry.call("GET", "/v2/", { auth });
  assert.equal(late.status, 401);
  assert.equal(late.code, "UNAUTHORIZED");
  assert.match(late.text, /Your authorization token has expired\. Reauthenticate and try again\./);
  assert.ok(late.headers["www-authenticate"]);
});

test("anything else gets 401 on every path, before anything is looked at", async () => {
  const { sealer } = registry.server.deps;
  const principal = rootPrincipal("000000000000", "AKIA");
  const claims = { account: "000000000000", region: "us-east-1", principal, expires: clock.now() + 1000 };
  const good = sealToken(sealer, claims);
  const wrong = [
    undefined,
    "",
    "Basic",
    "Basic !!!",
    `Bearer ${good}`,
    basic("AWS", ""),
    basic("AWS", "x"),
    basic("AWS", `${good}x`),
    basic("AWS", good.slice(1)),
    basic("other", good),
    basic("AWS", sealer.seal("ecr-layer-url", claims)),
    basic("AWS", "x".repeat(7000)),
    `Basic ${"A".repeat(9000)}`,
  ];
  for (const auth of wrong) {
    for (const [method, path] of [
      ["GET", "/v2/"],
      ["GET", "/v2/app/tags/list"],
      ["POST", "/v2/app/blobs/uploads/"],
      ["GET", "/v2/no/such/tags/list"],
    ] as const) {
      const { status, code } = await registry.call(method, path, { auth });
      // So many wrong passwords are guessing.
      assert.ok(status === 401 || status === 429, `${method} ${path} ${auth}: ${status}`);
      assert.equal(code, status === 401 ? "UNAUTHORIZED" : "TOOMANYREQUESTS");
    }
  }
  assert.equal((await registry.call("GET", "/v2/", { auth: basic("AWS", good) })).status, 200);
});

test("a token of another account or region sees its own registry only", async () => {
  const { sealer } = registry.server.deps;
  const token = (account: string, region: string) =>
    basic("AWS", sealToken(sealer, { account, region, principal: rootPrincipal(account, "AKIA"), expires: clock.now() + 1000 }));
  for (const auth of [token("111111111111", "us-east-1"), token("000000000000", "eu-west-1")])
    assert.equal((await registry.call("GET", "/v2/app/tags/list", { auth })).code, "NAME_UNKNOWN");
  const host = "000000000000.dkr.ecr.us-east-1.example.com";
  assert.equal(
    (await registry.call("GET", "/v2/app/tags/list", { headers: { host } })).status,
    401,
    "the token of the suite is twelve hours old",
  );
  const own = await registry.call("GET", "/v2/app/tags/list", { headers: { host }, auth: token("000000000000", "us-east-1") });
  assert.equal(own.status, 200);
  const denied = await registry.call("GET", "/v2/app/tags/list", { headers: { host }, auth: token("111111111111", "us-east-1") });
  assert.equal(denied.status, 403);
  assert.equal(denied.code, "DENIED");
});

test("with a domain, URIs and the proxy endpoint name account and region", async () => {
  const own = await startRegistry({ config: { domain: "example.com" } });
  try {
    const { repository } = await own.client.send(new CreateRepositoryCommand({ repositoryName: "a/b" }));
    assert.equal(repository!.repositoryUri, "000000000000.dkr.ecr.us-east-1.example.com/a/b");
    const { authorizationData } = await own.client.send(new GetAuthorizationTokenCommand({}));
    assert.equal(authorizationData![0]!.proxyEndpoint, "https://000000000000.dkr.ecr.us-east-1.example.com");
  } finally {
    await own.close();
  }
});

test("open mode: anybody, and 12 digits name the account", async () => {
  const own = await startRegistry({ open: true });
  try {
    await own.client.send(new CreateRepositoryCommand({ repositoryName: "mine" }));
    const other = new ECRClient({ ...own.server.sdk(), credentials: { accessKeyId: "123456789012", secretAccessKey: "x" } });
    const { repository } = await other.send(new CreateRepositoryCommand({ repositoryName: "theirs" }));
    assert.equal(repository!.registryId, "123456789012");
    const { authorizationData } = await other.send(new GetAuthorizationTokenCommand({}));
    other.destroy();
    const status = async (name: string, auth?: string, headers = {}) =>
      (await raw(own.server.port, "GET", `/v2/${name}/tags/list`, { auth, headers })).status;
    assert.equal(await status("mine"), 200);
    assert.equal(await status("theirs"), 404);
    assert.equal(await status("mine", basic("whoever", "whatever")), 200);
    assert.equal(await status("theirs", basic("123456789012", "x")), 200);
    assert.equal(await status("theirs", `Basic ${authorizationData![0]!.authorizationToken}`), 200);
    assert.equal(await status("mine", `Basic ${authorizationData![0]!.authorizationToken}`), 404);
    assert.equal(await status("theirs", undefined, { host: "123456789012.dkr.ecr.us-east-1.localhost" }), 200);
  } finally {
    await own.close();
  }
});

test("reset forgets repositories, blobs and uploads, at once, and the registry goes on", async () => {
  const own = await startRegistry({ open: true, config: { createOnPush: true } });
  try {
    await own.pushImage("app", "v1", [Buffer.alloc(3_000_000)]);
    const { headers } = await own.call("POST", "/v2/app/blobs/uploads/");
    const began = performance.now();
    assert.equal((await raw(own.server.port, "POST", "/_gantry/reset", {})).status, 200);
    assert.ok(performance.now() - began < 500);
    assert.equal((await own.call("GET", "/v2/app/tags/list")).code, "NAME_UNKNOWN");
    assert.equal((await own.call("GET", headers.location!)).status, 404);
    await own.pushImage("app", "v1");
    assert.equal((await own.call("GET", "/v2/app/manifests/v1")).status, 200);
  } finally {
    await own.close();
  }
});

test("repositories are made on push where that is set, and only on push", async () => {
  const own = await startRegistry({ config: { createOnPush: true } });
  try {
    assert.equal((await own.call("GET", "/v2/new/app/tags/list")).code, "NAME_UNKNOWN");
    await Promise.all(["a", "b", "c"].map((layer) => own.pushBlob("new/app", layer)));
    await own.pushImage("new/app", "v1");
    assert.deepEqual((await own.call("GET", "/v2/new/app/tags/list")).json(), { name: "new/app", tags: ["v1"] });
    assert.equal((await own.call("POST", "/v2/New/blobs/uploads/")).code, "NAME_INVALID");
  } finally {
    await own.close();
  }
});

test("one account never reads another's layers, though the bytes are stored once", async () => {
  const own = await startRegistry({ open: true, config: { createOnPush: true } });
  try {
    const push = (user: string) =>
      raw(
        own.server.port,
        "POST",
        `/v2/app/blobs/uploads/?digest=${"sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"}`,
        { auth: basic(user, "x"), body: "alice" },
      );
    const get = async (user: string) =>
      (
        await raw(own.server.port, "GET", "/v2/app/blobs/sha256:2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90", {
          auth: basic(user, "x"),
        })
      ).status;
    assert.equal((await push("111111111111")).status, 201);
    assert.equal(await get("111111111111"), 200);
    assert.equal(await get("222222222222"), 404);
    assert.equal((await push("222222222222")).status, 201);
    assert.equal(await get("222222222222"), 200);
  } finally {
    await own.close();
  }
});
