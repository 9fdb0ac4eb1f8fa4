/** OCI's distribution API, request by request. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { CreateRepositoryCommand, DeleteRepositoryCommand } from "@aws-sdk/client-ecr";
import { blobPaths } from "#registry/blobs/paths.ts";
import { until } from "../support/until.ts";
import { digestOf, startRegistry, type TestRegistry, types } from "./support.ts";

let registry: TestRegistry;
let { call, pushBlob, pushImage } = {} as TestRegistry;
before(async () => {
  registry = await startRegistry();
  ({ call, pushBlob, pushImage } = registry);
  for (const repositoryName of ["app", "other", "team/blobs/uploads", "empty"])
    await registry.client.send(new CreateRepositoryCommand({ repositoryName }));
});
after(() => registry.close());

const begin = async (repository = "app") => {
  const { status, headers } = await call("POST", `/v2/${repository}/blobs/uploads/`, { headers: { "content-length": 0 } });
  assert.equal(status, 202);
  assert.match(headers.location!, /^\/v2\/.*\/blobs\/uploads\/[0-9a-f-]{36}$/);
  assert.equal(headers["docker-upload-uuid"], headers.location!.split("/").at(-1));
  return headers.location!;
};

test("says what it is, to those it knows", async () => {
  const known = await call("GET", "/v2/");
  assert.equal(known.status, 200);
  assert.equal(known.headers["docker-distribution-api-version"], "registry/2.0");
  const unknown = await call("GET", "/v2/", { auth: undefined });
  assert.equal(unknown.status, 401);
  assert.equal(unknown.code, "UNAUTHORIZED");
  assert.match(unknown.headers["www-authenticate"]!, /^Basic realm="http:\/\/127\.0\.0\.1:\d+\/",service="ecr\.amazonaws\.com"$/);
});

test("a blob in one request, in two, and in chunks", async () => {
  const bytes = randomBytes(300_000);
  const digest = digestOf(bytes);
  const one = await call("POST", `/v2/app/blobs/uploads/?digest=${digest}`, { body: bytes });
  assert.equal(one.status, 201);
  assert.equal(one.headers.location, `/v2/app/blobs/${digest}`);
  assert.equal(one.headers["docker-content-digest"], digest);
  const other = randomBytes(1000);
  assert.equal((await call("PUT", `${await begin()}?digest=${digestOf(other)}`, { body: other })).status, 201);
  const third = randomBytes(250_000);
  const location = await begin();
  const first = await call("PATCH", location, { body: third.subarray(0, 100_000), headers: { "content-range": "0-99999" } });
  assert.equal(first.status, 202);
  assert.equal(first.headers.range, "0-99999");
  const second = await call("PATCH", first.headers.location!, {
    pieces: [third.subarray(100_000, 150_000), third.subarray(150_000, 200_000)],
  });
  assert.equal(second.headers.range, "0-199999");
  const last = await call("PUT", `${second.headers.location}?digest=${digestOf(third)}`, {
    body: third.subarray(200_000),
    headers: { "content-range": "200000-249999" },
  });
  assert.equal(last.status, 201);
  assert.deepEqual((await call("GET", `/v2/app/blobs/${digestOf(third)}`)).body, third);
  const head = await call("HEAD", `/v2/app/blobs/${digestOf(third)}`);
  assert.equal(head.status, 200);
  assert.equal(head.headers["content-length"], "250000");
  assert.equal(head.headers["docker-content-digest"], digestOf(third));
});

test("an empty blob is a blob", async () => {
  const digest = await pushBlob("app", "");
  const { status, body } = await call("GET", `/v2/app/blobs/${digest}`);
  assert.equal(status, 200);
  assert.equal(body.length, 0);
});

test("a chunk that leaves a gap, or comes twice, is told where to go on", async () => {
  const location = await begin();
  await call("PATCH", location, { body: "0123456789", headers: { "content-range": "0-9" } });
  for (const range of ["0-4", "11-15", "5-9", "9-13"]) {
    const wrong = await call("PATCH", location, { body: "abcde", headers: { "content-range": range } });
    assert.equal(wrong.status, 416, range);
    assert.equal(wrong.headers.range, "0-9");
    assert.equal(wrong.headers.location, location);
  }
  const status = await call("GET", location);
  assert.equal(status.status, 204);
  assert.equal(status.headers.range, "0-9");
  assert.equal(
    (await call("PUT", `${location}?digest=${digestOf("0123456789ab")}`, { body: "ab", headers: { "content-range": "10-11" } })).status,
    201,
  );
  assert.equal((await call("GET", location)).status, 404);
});

test("a chunk that is not as long as it says changes nothing", async () => {
  const location = await begin();
  await call("PATCH", location, { body: "01234" });
  const shorter = await call("PATCH", location, { pieces: [Buffer.from("567")], headers: { "content-range": "5-9" } });
  assert.equal(shorter.status, 400);
  assert.equal(shorter.code, "SIZE_INVALID");
  assert.equal((await call("PATCH", location, { body: "567", headers: { "content-range": "5-9" } })).code, "SIZE_INVALID");
  for (const nonsense of ["bytes", "-", "9-5", "a-b", "5-", "0-99999999999999999999"])
    assert.equal((await call("PATCH", location, { body: "5", headers: { "content-range": nonsense } })).status, 400, nonsense);
  assert.equal((await call("GET", location)).headers.range, "0-4");
  assert.equal((await call("PUT", `${location}?digest=${digestOf("01234")}`)).status, 201);
});

test("a digest that does not match is refused, and the upload is over", async () => {
  const location = await begin();
  const wrong = await call("PUT", `${location}?digest=${digestOf("else")}`, { body: "data" });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.code, "DIGEST_INVALID");
  assert.equal((await call("GET", location)).code, "BLOB_UPLOAD_UNKNOWN");
  assert.equal((await call("HEAD", `/v2/app/blobs/${digestOf("else")}`)).status, 404);
  for (const bad of [
    "",
    "?digest=",
    "?digest=sha256:12",
    "?digest=md5:d41d8cd98f00b204e9800998ecf8427e",
    `?digest=${digestOf("x").toUpperCase()}`,
  ])
    assert.equal((await call("PUT", `${await begin()}${bad}`, { body: "x" })).code, "DIGEST_INVALID", bad);
});

test("an upload whose client vanished is resumed where it broke off", async () => {
  const bytes = randomBytes(2_000_000);
  const location = await begin();
  const auth = `Basic ${Buffer.from(`AWS:${registry.password}`).toString("base64")}`;
  const socket = connect(registry.server.port, "127.0.0.1");
  socket.write(`PATCH ${location} HTTP/1.1\r\nhost: x\r\nauthorization: ${auth}\r\ncontent-length: ${bytes.length}\r\n\r\n`);
  await new Promise((resolve) => socket.write(bytes.subarray(0, 1_300_000), resolve));
  await pause(50);
  socket.destroy();
  const have = 1_300_000;
  const received = async () => Number((await call("GET", location)).headers.range!.split("-")[1]) + 1;
  await until("all that was sent", async () => (await received()) >= have);
  assert.equal(await received(), have);
  const rest = await call("PUT", `${location}?digest=${digestOf(bytes)}`, {
    body: bytes.subarray(have),
    headers: { "content-range": `${have}-${bytes.length - 1}` },
  });
  assert.equal(rest.status, 201);
  assert.deepEqual((await call("GET", `/v2/app/blobs/${digestOf(bytes)}`)).body, bytes);
});

test("a client that comes back takes over from its own dead connection", async () => {
  const location = await begin();
  const stuck = request({
    port: registry.server.port,
    host: "127.0.0.1",
    method: "PATCH",
    path: location,
    headers: { authorization: `Basic ${Buffer.from(`AWS:${registry.password}`).toString("base64")}` },
  });
  stuck.on("error", () => {});
  stuck.write("half");
  await pause(100);
  const done = await call("PUT", `${location}?digest=${digestOf("half way")}`, { body: " way", headers: { "content-range": "4-7" } });
  assert.equal(done.status, 201, done.text);
  stuck.destroy();
});

test("an upload is cancelled, and none is good in another repository", async () => {
  const location = await begin();
  assert.equal((await call("GET", location.replace("/app/", "/other/"))).code, "BLOB_UPLOAD_UNKNOWN");
  assert.equal((await call("DELETE", location)).status, 204);
  assert.equal((await call("PATCH", location, { body: "x" })).code, "BLOB_UPLOAD_UNKNOWN");
});

test("ranges of a blob", async () => {
  const bytes = randomBytes(600_000);
  const path = `/v2/app/blobs/${await pushBlob("app", bytes)}`;
  const cases: readonly [string, number, number][] = [
    ["bytes=0-0", 0, 0],
    ["bytes=5-9", 5, 9],
    ["bytes=599999-", 599_999, 599_999],
    ["bytes=100-", 100, 599_999],
    ["bytes=-10", 599_990, 599_999],
    ["bytes=-999999", 0, 599_999],
    ["bytes=300000-999999", 300_000, 599_999],
  ];
  for (const [range, first, last] of cases) {
    const { status, headers, body } = await call("GET", path, { headers: { range } });
    assert.equal(status, 206, range);
    assert.equal(headers["content-range"], `bytes ${first}-${last}/600000`);
    assert.deepEqual(body, bytes.subarray(first, last + 1));
  }
  for (const range of ["bytes=600000-", "bytes=9-5", "bytes=0-1,5-6", "bytes=-0", "bytes=a-b", "bytes=-", "lines=1-2", "bytes=1-2-3"]) {
    const { status, headers } = await call("GET", path, { headers: { range } });
    assert.equal(status, 416, range);
    assert.equal(headers["content-range"], "bytes */600000");
  }
  assert.equal((await call("GET", path, { headers: { range: "bytes=0-1", "if-range": '"other"' } })).status, 200);
  assert.equal((await call("GET", path, { headers: { "if-none-match": `"${digestOf(bytes)}"` } })).status, 304);
});

test("a layer is visible only where it was pushed or mounted", async () => {
  const digest = await pushBlob("app", "only in app");
  for (const method of ["GET", "HEAD"]) assert.equal((await call(method, `/v2/other/blobs/${digest}`)).status, 404);
  const unknown = digestOf("nowhere");
  for (const query of [
    `mount=${digest}`,
    `mount=${unknown}&from=app`,
    `mount=${digest}&from=empty`,
    `mount=${digest}&from=gone`,
    "mount=nonsense&from=app",
  ]) {
    const fallback = await call("POST", `/v2/other/blobs/uploads/?${query}`);
    assert.equal(fallback.status, 202, query);
    assert.ok(fallback.headers.location);
  }
  const mounted = await call("POST", `/v2/other/blobs/uploads/?mount=${digest}&from=app`);
  assert.equal(mounted.status, 201);
  assert.equal(mounted.headers.location, `/v2/other/blobs/${digest}`);
  assert.equal((await call("GET", `/v2/other/blobs/${digest}`)).text, "only in app");
});

test("a manifest, by tag and by digest, exactly as it was pushed", async () => {
  const digest = await pushImage("app", "v1");
  for (const reference of ["v1", digest]) {
    const got = await call("GET", `/v2/app/manifests/${reference}`);
    assert.equal(got.status, 200);
    assert.equal(digestOf(got.body), digest);
    assert.equal(got.headers["content-type"], types.manifest);
    const head = await call("HEAD", `/v2/app/manifests/${reference}`);
    assert.equal(head.headers["content-length"], String(got.body.length));
    assert.equal(head.headers["docker-content-digest"], digest);
  }
  for (const reference of ["nope", digestOf("nope"), "not%20a%20tag", "-x"])
    assert.equal((await call("GET", `/v2/app/manifests/${reference}`)).code, "MANIFEST_UNKNOWN", reference);
});

test("manifests that are wrong are told what is wrong", async () => {
  const blob = await pushBlob("app", "{}");
  const descriptor = { mediaType: types.config, digest: blob, size: 2 };
  const good = { schemaVersion: 2, mediaType: types.manifest, config: descriptor, layers: [] };
  const put = (body: unknown, reference = "bad", type = types.manifest) =>
    call("PUT", `/v2/app/manifests/${reference}`, {
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": type },
    });
  const missing = await put({ ...good, layers: [{ mediaType: types.layer, digest: digestOf("missing"), size: 7 }] });
  assert.equal(missing.code, "MANIFEST_BLOB_UNKNOWN");
  assert.match(
    missing.text,
    /Layers with digests '\[sha256:[0-9a-f]{64}\]' required for pushing image into repository with name 'app' in the registry with id '000000000000' do not exist/,
  );
  const invalid: readonly unknown[] = [
    "",
    "{",
    "[]",
    "null",
    '"text"',
    "[".repeat(100_000),
    { ...good, schemaVersion: 1 },
    { ...good, config: undefined },
    { ...good, layers: {} },
    { ...good, layers: [null] },
    { ...good, config: { ...descriptor, digest: "sha256:zz" } },
    { ...good, config: { ...descriptor, size: -1 } },
    { ...good, config: { ...descriptor, size: "2" } },
    { ...good, mediaType: types.docker },
    { ...good, mediaType: 7 },
    { ...good, subject: "x" },
    { ...good, manifests: [] },
    { ...good, annotations: { a: 1 } },
  ];
  for (const body of invalid) assert.equal((await put(body)).code, "MANIFEST_INVALID", JSON.stringify(body).slice(0, 80));
  assert.equal((await put(good, "bad", "text/plain")).code, "MANIFEST_INVALID");
  assert.equal((await put(good, digestOf("other"))).code, "DIGEST_INVALID");
  assert.equal((await put(good, "sha256:short")).code, "DIGEST_INVALID");
  assert.equal((await put(good, "x".repeat(129))).code, "TAG_INVALID");
  const large = await put({ ...good, annotations: { a: "x".repeat(4 * 1024 * 1024) } });
  assert.equal(large.status, 413);
  assert.equal(large.code, "MANIFEST_INVALID");
  assert.equal((await put({ ...good, annotations: { a: "x".repeat(4 * 1024 * 1024 - 1000) } }, "big")).status, 201);
  assert.equal((await call("GET", "/v2/app/manifests/bad")).status, 404);
});

test("an index of several architectures, of OCI and of Docker", async () => {
  const [amd, arm] = [await pushImage("app", "", ["amd"]), await pushImage("app", "", ["arm"])];
  const size = async (digest: string) => Number((await call("HEAD", `/v2/app/manifests/${digest}`)).headers["content-length"]);
  for (const mediaType of [types.index, types.dockerList]) {
    const index = JSON.stringify({
      schemaVersion: 2,
      mediaType,
      manifests: [
        { mediaType: types.manifest, digest: amd, size: await size(amd), platform: { architecture: "amd64", os: "linux" } },
        { mediaType: types.manifest, digest: arm, size: await size(arm), platform: { architecture: "arm64", os: "linux" } },
      ],
    });
    assert.equal((await call("PUT", "/v2/app/manifests/multi", { body: index, headers: { "content-type": mediaType } })).status, 201);
    const got = await call("GET", "/v2/app/manifests/multi");
    assert.equal(got.text, index);
    assert.equal(got.headers["content-type"], mediaType);
  }
  const orphan = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.index,
    manifests: [{ mediaType: types.manifest, digest: digestOf("no"), size: 2 }],
  });
  assert.equal((await call("PUT", "/v2/app/manifests/orphan", { body: orphan })).code, "MANIFEST_BLOB_UNKNOWN");
  assert.equal((await call("DELETE", `/v2/app/manifests/${amd}`)).status, 409, "an index names it");
});

test("Docker's schema 2, and layers that live elsewhere", async () => {
  const config = await pushBlob("app", "{}");
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.docker,
    config: { mediaType: "application/vnd.docker.container.image.v1+json", digest: config, size: 2 },
    layers: [
      {
        mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        digest: digestOf("elsewhere"),
        size: 9,
        urls: ["https://example.com/x"],
      },
    ],
  });
  assert.equal((await call("PUT", "/v2/app/manifests/docker", { body: manifest, headers: { "content-type": types.docker } })).status, 201);
});

test("tags in order, page by page", async () => {
  const digest = await pushImage("other", "b");
  const { body } = await call("GET", `/v2/other/manifests/${digest}`);
  for (const tag of ["c", "a", "Z", "a-1", "_x"])
    await call("PUT", `/v2/other/manifests/${tag}`, { body, headers: { "content-type": types.manifest } });
  const tags = ["Z", "_x", "a", "a-1", "b", "c"];
  assert.deepEqual((await call("GET", "/v2/other/tags/list")).json(), { name: "other", tags });
  const seen: string[] = [];
  let path = "/v2/other/tags/list?n=2";
  for (let pages = 0; pages < 5; pages++) {
    const page = await call("GET", path);
    seen.push(...page.json<{ tags: string[] }>().tags);
    const link = /^<(.*)>; rel="next"$/.exec((page.headers.link as string) ?? "");
    if (!link) break;
    path = link[1]!;
  }
  assert.deepEqual(seen, tags);
  assert.deepEqual((await call("GET", "/v2/other/tags/list?n=0")).json<{ tags: string[] }>().tags, []);
  assert.deepEqual((await call("GET", "/v2/other/tags/list?last=a-1")).json<{ tags: string[] }>().tags, ["b", "c"]);
  assert.equal((await call("GET", "/v2/other/tags/list?n=-1")).status, 400);
  assert.deepEqual((await call("GET", "/v2/empty/tags/list")).json(), { name: "empty", tags: [] });
});

test("referrers of a subject, also of one that is not there yet", async () => {
  const subject = digestOf("a subject to come");
  const empty = await call("GET", `/v2/app/referrers/${subject}`);
  assert.equal(empty.headers["content-type"], types.index);
  assert.deepEqual(empty.json(), { schemaVersion: 2, mediaType: types.index, manifests: [] });
  const put = async (artifactType: string, annotations: Record<string, string>) => {
    const config = await pushBlob("app", "{}");
    const body = JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      artifactType,
      config: { mediaType: "application/vnd.oci.empty.v1+json", digest: config, size: 2 },
      layers: [{ mediaType: "application/vnd.oci.empty.v1+json", digest: config, size: 2 }],
      subject: { mediaType: types.manifest, digest: subject, size: 10 },
      annotations,
    });
    const { status, headers } = await call("PUT", `/v2/app/manifests/${digestOf(body)}`, {
      body,
      headers: { "content-type": types.manifest },
    });
    assert.equal(status, 201);
    assert.equal(headers["oci-subject"], subject);
    return { digest: digestOf(body), size: body.length };
  };
  const signature = await put("application/vnd.example.signature", { by: "me" });
  const sbom = await put("application/vnd.example.sbom", {});
  const all = (await call("GET", `/v2/app/referrers/${subject}`)).json<{ manifests: { digest: string }[] }>();
  assert.deepEqual(all.manifests.map(({ digest }) => digest).toSorted(), [signature.digest, sbom.digest].toSorted());
  const filtered = await call("GET", `/v2/app/referrers/${subject}?artifactType=application/vnd.example.signature`);
  assert.equal(filtered.headers["oci-filters-applied"], "artifactType");
  assert.deepEqual(filtered.json<{ manifests: unknown[] }>().manifests, [
    { mediaType: types.manifest, ...signature, artifactType: "application/vnd.example.signature", annotations: { by: "me" } },
  ]);
  await call("DELETE", `/v2/app/manifests/${signature.digest}`);
  assert.equal((await call("GET", `/v2/app/referrers/${subject}`)).json<{ manifests: unknown[] }>().manifests.length, 1);
  assert.equal((await call("GET", "/v2/app/referrers/sha256:x")).code, "DIGEST_INVALID");
});

test("deletes: a tag leaves the image, a digest takes all its tags, a layer in use stays", async () => {
  const digest = await pushImage("empty", "one", ["kept"]);
  const { body } = await call("GET", `/v2/empty/manifests/${digest}`);
  await call("PUT", "/v2/empty/manifests/two", { body, headers: { "content-type": types.manifest } });
  assert.equal((await call("DELETE", "/v2/empty/manifests/one")).status, 202);
  assert.equal((await call("GET", "/v2/empty/manifests/one")).status, 404);
  assert.equal((await call("GET", `/v2/empty/manifests/${digest}`)).status, 200);
  assert.equal((await call("DELETE", `/v2/empty/blobs/${digestOf("kept")}`)).status, 409);
  assert.equal((await call("DELETE", `/v2/empty/manifests/${digest}`)).status, 202);
  assert.equal((await call("DELETE", `/v2/empty/manifests/${digest}`)).code, "MANIFEST_UNKNOWN");
  assert.deepEqual((await call("GET", "/v2/empty/tags/list")).json<{ tags: unknown[] }>().tags, []);
  assert.equal((await call("DELETE", `/v2/empty/blobs/${digestOf("kept")}`)).status, 202);
  assert.equal((await call("DELETE", `/v2/empty/blobs/${digestOf("kept")}`)).code, "BLOB_UNKNOWN");
});

test("a repository whose name looks like a path of the API", async () => {
  const digest = await pushImage("team/blobs/uploads", "v1");
  assert.equal((await call("GET", `/v2/team/blobs/uploads/manifests/${digest}`)).status, 200);
  assert.equal((await call("GET", `/v2/team/blobs/uploads/blobs/${digestOf("layer")}`)).status, 200);
  assert.equal((await call("GET", "/v2/team/blobs/uploads/tags/list")).status, 200);
});

test("a repository that does not exist, in ECR's words", async () => {
  for (const [method, path] of [
    ["POST", "blobs/uploads/"],
    ["GET", "manifests/x"],
    ["PUT", "manifests/x"],
    ["GET", "tags/list"],
  ] as const) {
    const { status, code, text } = await call(method, `/v2/no/such/${path}`, { body: method === "PUT" ? "{}" : undefined });
    assert.equal(status, 404);
    assert.equal(code, "NAME_UNKNOWN");
    assert.match(text, /The repository with name 'no\/such' does not exist in the registry with id '000000000000'/);
  }
});

test("a repository made again under the same name is empty", async () => {
  const repositoryName = "again";
  await registry.client.send(new CreateRepositoryCommand({ repositoryName }));
  await pushImage(repositoryName, "v1", ["again layer"]);
  const location = await begin(repositoryName);
  await registry.client.send(new DeleteRepositoryCommand({ repositoryName, force: true }));
  await registry.client.send(new CreateRepositoryCommand({ repositoryName }));
  assert.deepEqual((await call("GET", "/v2/again/tags/list")).json<{ tags: unknown[] }>().tags, []);
  assert.equal((await call("HEAD", `/v2/again/blobs/${digestOf("again layer")}`)).status, 404);
  assert.equal((await call("GET", location)).code, "BLOB_UPLOAD_UNKNOWN");
});

test("methods that mean nothing", async () => {
  const digest = await pushBlob("app", "m");
  for (const path of [
    "/v2/",
    "/v2/app/blobs/uploads/",
    `/v2/app/blobs/${digest}`,
    "/v2/app/tags/list",
    "/v2/app/manifests/x",
    `/v2/app/referrers/${digest}`,
  ]) {
    const { status, code, headers } = await call("OPTIONS", path);
    assert.equal(status, 405, path);
    assert.equal(code, "UNSUPPORTED");
    assert.ok(headers.allow);
  }
});

test("tricks with paths find nothing", async () => {
  const paths = [
    "/v2/../../etc/passwd",
    "/v2/app/blobs/uploads/..%2f..%2f..%2fetc%2fpasswd",
    "/v2/app/blobs/uploads/../../../etc/passwd",
    "/v2/app/blobs/..%2f..%2fx",
    "/v2/app/manifests/..%2f..%2fx",
    "/v2/..%2fapp/manifests/v1",
    "/v2/app%2f..%2fother/tags/list",
    "/v2/App/tags/list",
    "/v2//tags/list",
    "/v2/app//tags/list",
    "/v2/app/%00/tags/list",
    "/v2/app/%/tags/list",
    "/v2/app/%ff/tags/list",
    `/v2/${"a".repeat(257)}/tags/list`,
    `/v2/${"a/".repeat(2000)}tags/list`,
    "/v2/_catalog",
    "/v2/app",
    "/v2/tags/list",
    "/v2/blobs/uploads/",
  ];
  for (const path of paths) {
    for (const method of ["GET", "PATCH", "DELETE"]) {
      const { status, code } = await call(method, path);
      assert.ok(status === 404 || status === 400, `${method} ${path}: ${status}`);
      assert.ok(code, path);
    }
  }
  assert.equal((await call("GET", "/v2/")).status, 200);
});

test("a damaged blob is cut off, then unknown, and a push heals it", async () => {
  const bytes = randomBytes(3_000_000);
  const digest = await pushBlob("app", bytes);
  const file = await open(blobPaths(join(registry.server.home, "registry")).blob(digest).file, "r+");
  await file.write(Buffer.from([bytes[1]! ^ 255]), 0, 1, 1);
  await file.close();
  await assert.rejects(call("GET", `/v2/app/blobs/${digest}`), /aborted|socket hang up|ECONNRESET/);
  assert.equal((await call("GET", `/v2/app/blobs/${digest}`)).code, "BLOB_UNKNOWN");
  await pushBlob("app", bytes);
  assert.deepEqual((await call("GET", `/v2/app/blobs/${digest}`)).body, bytes);
});

test("a client that stops reading costs nothing and harms nobody", async () => {
  const digest = await pushBlob("app", randomBytes(8_000_000));
  const auth = `Basic ${Buffer.from(`AWS:${registry.password}`).toString("base64")}`;
  for (let i = 0; i < 5; i++) {
    const socket = connect(registry.server.port, "127.0.0.1");
    socket.write(`GET /v2/app/blobs/${digest} HTTP/1.1\r\nhost: x\r\nauthorization: ${auth}\r\n\r\n`);
    await new Promise((resolve) => socket.once("data", resolve));
    socket.destroy();
  }
  assert.equal((await call("GET", `/v2/app/blobs/${digest}`)).body.length, 8_000_000);
});
