import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { createContainerdRuntime, type ContainerdRuntime, type ContainerdRuntimeOptions } from "#agent/containerd/runtime.ts";
import type { PullRequest } from "#agent/runtime.ts";
import { blob, busyboxLayer, hostArchitecture, image, index, layer, tar, type TestImage } from "./support/image.ts";
import { pass, startFront, type Front } from "./support/front.ts";
import { until } from "../support/until.ts";
import { Machine } from "./support/machine.ts";
import { freePort } from "../support/port.ts";
import { startRegistry, type RealRegistry } from "./support/registry.ts";

let machine: Machine;
let registry: RealRegistry;
let front: Front;
const login = { username: "AWS", password: "s3cret:with:colons" };

before(async () => {
  machine = await Machine.start();
  registry = await startRegistry(join(machine.home, "registry"));
  front = await startFront(registry.host);
});

afterEach(async () => {
  front.intercept = () => false;
  front.requests.length = 0;
  await machine.runtime.images.settled();
  assert.deepEqual(
    (await machine.client.leases.list({ filters: [] })).leases.map((lease) => lease.id),
    [],
  );
  assert.deepEqual(
    (await machine.client.content.listStatuses({ filters: [] })).statuses.map((status) => status.ref),
    [],
    "no half-written blob stays",
  );
  await machine.nothingLeft();
});

after(async () => {
  await machine.stop();
  await front.stop();
  await registry.stop();
});

const pull = (name: string, options: Partial<PullRequest> = {}, runtime: ContainerdRuntime = machine.runtime) =>
  runtime.images.ensure({ image: name, policy: "always", ...options });

/** Another runtime over the same containerd, with settings of its own. */
async function withRuntime<T>(options: Partial<ContainerdRuntimeOptions>, work: (runtime: ContainerdRuntime) => Promise<T>): Promise<T> {
  const runtime = await createContainerdRuntime({ ...machine.options, stateDirectory: join(machine.home, "state-2"), ...options });
  try {
    return await work(runtime);
  } finally {
    await runtime.close();
  }
}

/** An image that no other test has seen: containerd would not fetch what it has. */
async function fresh(bytes = 4096, compression: "gzip" | "zstd" | "none" = "gzip"): Promise<TestImage> {
  return image([layer(await tar([{ name: "random", content: randomBytes(bytes) }]), compression)]);
}

async function stored(): Promise<Set<string>> {
  const digests = new Set<string>();
  for await (const { info } of machine.client.content.list({ filters: [] })) for (const entry of info) digests.add(entry.digest);
  return digests;
}

const cannotPull = (pattern: RegExp) => (error: unknown) => {
  assert.equal((error as { code?: string }).code, "CannotPull", String(error));
  assert.match((error as Error).message, pattern);
  return true;
};

test("gzip, zstd and plain layers, OCI and schema 2, each runs", async () => {
  const base = await busyboxLayer("gzip", true);
  const kinds = {
    "gzip-docker": { layers: [base], docker: true },
    zstd: { layers: [await busyboxLayer("zstd")] },
    none: { layers: [await busyboxLayer("none")] },
  };
  for (const [name, { layers, ...options }] of Object.entries(kinds)) {
    const made = image(layers, options);
    await registry.push("kinds", name, made);
    const pulled = await pull(`${registry.host}/kinds:${name}`);
    assert.equal(pulled.digest, made.manifest.digest);
    assert.equal(pulled.configDigest, made.config.digest);
    assert.equal(pulled.sizeBytes, made.config.bytes.length + layers[0]!.bytes.length);
    assert.equal((await machine.run(pulled, ["echo", name])).stdout, `${name}\n`);
  }
});

test("layers lie over each other: whiteouts, opaque directories, a file over a link", async () => {
  const base = await busyboxLayer();
  const lower = layer(
    await tar([
      { name: "d/a", content: "a" },
      { name: "d/b", content: "b" },
      { name: "o/x", content: "x" },
      { name: "l", type: "symlink", linkname: "/etc/passwd" },
    ]),
  );
  const upper = layer(
    await tar([
      { name: "d/.wh.a", content: "" },
      { name: "o/.wh..wh..opq", content: "" },
      { name: "o/y", content: "y" },
      { name: "l", content: "file" },
    ]),
    "zstd",
  );
  await registry.push("stack", "1", image([base, lower, upper]));
  const pulled = await pull(`${registry.host}/stack:1`);
  const { stdout } = await machine.run(pulled, ["sh", "-c", "ls /d /o; cat /l"]);
  assert.equal(stdout, "/d:\nb\n\n/o:\ny\nfile");
});

test("of an index the machine's own image is taken, its digest is the index's; without one it says what there is", async () => {
  const mine = image([await busyboxLayer()]);
  const other = image([await busyboxLayer("none")], { architecture: "s390x" });
  for (const [tag, made] of [
    ["a", mine],
    ["b", other],
  ] as const)
    await registry.push("multi", tag, made);
  const both = index([
    { image: other, architecture: "s390x" },
    { image: mine, architecture: hostArchitecture },
  ]);
  const foreign = index([{ image: other, architecture: "s390x" }]);
  await registry.pushManifest("multi", "latest", both);
  await registry.pushManifest("multi", "foreign", foreign);
  const pulled = await pull(`${registry.host}/multi`);
  assert.equal(pulled.digest, both.digest);
  assert.equal(pulled.configDigest, mine.config.digest);
  assert.equal((await machine.run(pulled, ["echo", "ok"])).stdout, "ok\n");
  // Another process of ours knows it from containerd alone.
  assert.deepEqual(await withRuntime({}, (runtime) => pull(`${registry.host}/multi`, { policy: "once" }, runtime)), pulled);
  await assert.rejects(
    pull(`${registry.host}/multi:foreign`),
    cannotPull(
      /^pull image manifest has been retried 1 time\(s\): image Manifest does not contain descriptor matching platform 'linux\/\w+' \(the image has linux\/s390x\)$/,
    ),
  );
  await assert.rejects(pull(`${registry.host}/multi:b`), cannotPull(/does not contain descriptor matching platform/));
  const byDigest = await pull(`${registry.host}/multi@${both.digest}`);
  assert.equal(byDigest.digest, both.digest);
});

test("policies: always asks the registry, once and prefer-cached only when the image is not there", async () => {
  const first = await fresh();
  const second = await fresh();
  const name = `${front.host}/policy:1`;
  await registry.push("policy", "1", first);
  await pull(name, { policy: "once" });
  front.requests.length = 0;
  for (const policy of ["once", "prefer-cached"] as const) assert.equal((await pull(name, { policy })).digest, first.manifest.digest);
  assert.deepEqual(front.requests, []);
  assert.equal((await pull(name)).digest, first.manifest.digest);
  assert.deepEqual(front.requests, ["HEAD /v2/policy/manifests/1"]);
  await registry.push("policy", "1", second);
  assert.equal((await pull(name, { policy: "prefer-cached" })).digest, first.manifest.digest);
  assert.equal((await pull(name)).digest, second.manifest.digest);
  assert.equal((await pull(name, { policy: "once" })).digest, second.manifest.digest);
});

test("docker.io's short names go where the operator sends them", async () => {
  const made = await fresh();
  await registry.push("library/busybox", "1.36", made);
  await withRuntime({ registryHosts: { "docker.io": `http://${registry.host}` } }, async (runtime) => {
    const pulled = await pull("busybox:1.36", {}, runtime);
    assert.equal(pulled.name, "docker.io/library/busybox:1.36");
    assert.equal(pulled.digest, made.manifest.digest);
  });
});

test("a genuine ECR host is looked for in the local registry first", async () => {
  const made = await fresh();
  await registry.push("app", "1", made);
  const ecr = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
  const asked: string[] = [];
  const rewrite = (host: string, repository: string) => {
    asked.push(`${host} ${repository}`);
    return host === ecr ? { url: `http://${registry.host}`, repository } : undefined;
  };
  await withRuntime({ rewrite, registryHosts: { [ecr]: `http://${front.host}` } }, async (runtime) => {
    assert.equal((await pull(`${ecr}/app:1`, {}, runtime)).digest, made.manifest.digest);
    assert.deepEqual(front.requests, []);
    await assert.rejects(pull(`${ecr}/missing:1`, {}, runtime), cannotPull(/not found/));
    assert.ok(front.requests.length > 0, "what is not here is asked for there");
  });
  assert.deepEqual(asked, [`${ecr} app`, `${ecr} missing`]);
  // The local registry knows neither that account nor its login: the host itself may.
  const unknown = () => ({
    url: `http://${front.host}`,
    repository: "app",
    credentials: () => Promise.reject(new Error("AccessDeniedException")),
  });
  front.intercept = (_, response) => {
    response.writeHead(401, { "www-authenticate": 'Basic realm="local"' }).end();
    return true;
  };
  await withRuntime({ rewrite: unknown, registryHosts: { [ecr]: `http://${registry.host}` } }, async (runtime) => {
    assert.equal((await pull(`${ecr}/app:1`, {}, runtime)).digest, made.manifest.digest);
  });
});

test("Basic authentication: with, without and with wrong credentials, never asked for when not needed", async () => {
  const secured = await startRegistry(join(machine.home, "secured"), login);
  try {
    await secured.push("private", "1", await fresh());
    const name = `${secured.host}/private:1`;
    let asked = 0;
    const credentials = async () => {
      asked++;
      return login;
    };
    await pull(name, { credentials });
    assert.equal(asked, 1);
    const denied = cannotPull(
      /^pull image manifest has been retried 1 time\(s\): failed to resolve ref \S+\/private:1: pull access denied, repository does not exist or may require authorization: /,
    );
    await assert.rejects(pull(name), denied);
    await assert.rejects(pull(name, { credentials: async () => ({ ...login, password: "wrong" }) }), denied);
  } finally {
    await secured.stop();
  }
});

test("an HTTPS registry is checked against the machine's certificates", async () => {
  const [key, certificate] = ["key.pem", "cert.pem"].map((name) => join(machine.home, name)) as [string, string];
  const make = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    key,
    "-out",
    certificate,
    "-days",
    "1",
  ];
  assert.equal(spawnSync("openssl", [...make, "-subj", "/CN=registry", "-addext", "subjectAltName=IP:127.0.0.1"]).status, 0);
  const server = createServer({ key: readFileSync(key), cert: readFileSync(certificate) }, (request, response) =>
    pass(registry.host, request, response),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  try {
    await registry.push("secure", "1", await fresh());
    // What the machine trusts is read once a process: a process of its own for each answer.
    const program = `
      import { createHttp } from "#agent/images/http.ts";
      const response = await createHttp().request(new URL("https://127.0.0.1:${port}/v2/secure/manifests/1"), { method: "HEAD", headers: {} }).catch((error) => error.message);
      console.log(response.statusCode ?? response);
      process.exit();`;
    const ask = async (env: Record<string, string>) => {
      const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
        cwd: join(import.meta.dirname, "../.."),
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "inherit"],
      });
      return (await child.stdout.toArray()).join("").trim();
    };
    assert.match(await ask({ SSL_CERT_FILE: certificate }), /^(200|404)$/);
    assert.match(await ask({}), /self-signed certificate/);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test("Bearer tokens: realm, service and scope; anonymous and with credentials; a token that expires midway is fetched again", async () => {
  await registry.push("tokens/app", "1", await fresh(300_000));
  const valid = new Set<string>();
  const seen: { url: string; authorization: string | undefined }[] = [];
  let uses = 0;
  front.intercept = (request, response) => {
    const url = new URL(request.url ?? "", `http://${front.host}`);
    if (url.pathname === "/token") {
      seen.push({ url: url.search, authorization: request.headers.authorization });
      const token = randomBytes(8).toString("hex");
      valid.add(token);
      response.end(JSON.stringify({ access_token: token, expires_in: 60 }));
      return true;
    }
    const token = request.headers.authorization?.replace("Bearer ", "") ?? "";
    // The second use of a token finds it expired.
    if (valid.has(token) && ++uses !== 2) return false;
    valid.delete(token);
    const challenge = `Bearer realm="http://${front.host}/token",service="registry \\"one\\"",scope="repository:tokens/app:pull"`;
    response.writeHead(401, { "www-authenticate": challenge }).end();
    return true;
  };
  await pull(`${front.host}/tokens/app:1`, { credentials: async () => login });
  assert.equal(seen.length, 2);
  for (const { url, authorization } of seen) {
    const parameters = new URLSearchParams(url);
    assert.equal(parameters.get("service"), 'registry "one"');
    assert.equal(parameters.get("scope"), "repository:tokens/app:pull");
    assert.equal(parameters.get("account"), "AWS");
    assert.equal(authorization, `Basic ${btoa(`${login.username}:${login.password}`)}`);
  }
  seen.length = 0;
  await pull(`${front.host}/tokens/app:1`);
  assert.equal(seen[0]?.authorization, undefined);
});

test("a redirect to another host does not carry the authorization there", async () => {
  const storage = await startFront(registry.host);
  const leaked: string[] = [];
  storage.intercept = (request) => {
    if (request.headers.authorization) leaked.push(request.headers.authorization);
    return false;
  };
  front.intercept = (request, response) => {
    if (!request.headers.authorization) {
      response.writeHead(401, { "www-authenticate": 'Basic realm="x"' }).end();
      return true;
    }
    if (!request.url?.includes("/blobs/")) return false;
    response.writeHead(307, { location: `http://${storage.host}${request.url}` }).end();
    return true;
  };
  try {
    await registry.push("redirected", "1", await fresh());
    await pull(`${front.host}/redirected:1`, { credentials: async () => login });
    assert.ok(storage.requests.length >= 2);
    assert.deepEqual(leaked, []);
    front.intercept = (_, response) => {
      response.writeHead(302, { location: "file:///etc/passwd" }).end();
      return true;
    };
    await assert.rejects(pull(`${front.host}/redirected:2`), cannotPull(/redirected to an invalid location/));
    front.intercept = (request, response) => {
      response.writeHead(302, { location: request.url ?? "" }).end();
      return true;
    };
    await assert.rejects(pull(`${front.host}/redirected:2`), cannotPull(/stopped after 10 redirects/));
  } finally {
    await storage.stop();
  }
});

test("a layer whose connection breaks is fetched on from there, with and without the registry's support for ranges", async () => {
  for (const dropRange of [false, true]) {
    const made = await fresh(5_000_000);
    await registry.push("broken", "1", made);
    let cuts = 3;
    const ranges: (string | undefined)[] = [];
    front.intercept = (request, response) => {
      if (!request.url?.endsWith(made.layers[0]!.digest)) return false;
      ranges.push(request.headers.range);
      pass(registry.host, request, response, {
        dropRange,
        cutAfter: cuts-- > 0 ? (dropRange ? 1_500_000 * (3 - cuts) : 1_300_000) : undefined,
      });
      return true;
    };
    await pull(`${front.host}/broken:1`);
    assert.ok(ranges.length >= 3, `${ranges.length}`);
    assert.equal(ranges[0], undefined);
    assert.match(ranges.at(-1) ?? "", /^bytes=[1-9]\d*-$/);
  }
});

test("server errors are tried again, then told in ECS's words", async () => {
  const made = await fresh();
  await registry.push("flaky", "1", made);
  let failures = 2;
  front.intercept = (_, response) => {
    if (failures-- <= 0) return false;
    response.writeHead(failures === 1 ? 503 : 429, { "retry-after": "0" }).end();
    return true;
  };
  await pull(`${front.host}/flaky:1`);
  front.intercept = (_, response) => {
    response.writeHead(500).end();
    return true;
  };
  await assert.rejects(
    pull(`${front.host}/flaky:2`),
    cannotPull(
      /^pull image manifest has been retried 4 time\(s\): failed to resolve ref \S+\/flaky:2: pulling from host \S+ failed with status code \[manifests 2\]: 500 Internal Server Error/,
    ),
  );
});

test("what is not there, nobody listens, a name that is none", async () => {
  await assert.rejects(
    pull(`${registry.host}/nope:latest`),
    cannotPull(/^pull image manifest has been retried 1 time\(s\): failed to resolve ref (\S+\/nope:latest): \1: not found$/),
  );
  await assert.rejects(
    pull(`127.0.0.1:${await freePort()}/nope:latest`),
    cannotPull(
      /retried 4 time\(s\): failed to resolve ref \S+: failed to do request: Get "http:\/\/\S+\/v2\/nope\/manifests\/latest": dial tcp 127\.0\.0\.1:\d+: connect: connection refused$/,
    ),
  );
  await assert.rejects(pull("Not A Name"), cannotPull(/^invalid reference format/));
});

test("a layer that several pulls want at once is fetched once; layers that are there are not fetched at all", async () => {
  const shared = layer(await tar([{ name: "shared", content: randomBytes(2_000_000) }]));
  const images = await Promise.all(
    [1, 2, 3, 4].map(async (at) => image([shared, layer(await tar([{ name: `own-${at}`, content: randomBytes(100) }]))])),
  );
  for (const [at, made] of images.entries()) await registry.push("many", `${at}`, made);
  await Promise.all([...images.keys(), 0, 1].map((at) => pull(`${front.host}/many:${at}`)));
  assert.equal(front.requests.filter((line) => line.includes(shared.digest)).length, 1);
  const later = image([shared, layer(await tar([{ name: "later", content: "x" }]))]);
  await registry.push("many", "later", later);
  front.requests.length = 0;
  await pull(`${front.host}/many:later`);
  assert.equal(front.requests.filter((line) => line.includes(shared.digest)).length, 0);
});

test("a pull can be given up; another that wants the same layer goes on", async () => {
  const made = await fresh(3_000_000);
  await registry.push("given-up", "1", made);
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  front.intercept = async (request) => {
    if (request.url?.endsWith(made.layers[0]!.digest)) await held;
    return false;
  };
  const first = pull(`${front.host}/given-up:1`, { signal: AbortSignal.timeout(300) });
  const second = pull(`${front.host}/given-up:1`);
  await assert.rejects(first, { name: "TimeoutError" });
  release();
  assert.equal((await second).digest, made.manifest.digest);

  const alone = await fresh(3_000_000);
  await registry.push("given-up", "2", alone);
  front.intercept = (request) => !!request.url?.endsWith(alone.layers[0]!.digest);
  await assert.rejects(pull(`${front.host}/given-up:2`, { signal: AbortSignal.timeout(200) }), { name: "TimeoutError" });
});

test("bytes that are not what their digest says are refused, and nothing of the image stays", async () => {
  const made = await fresh(200_000);
  const digest = made.layers[0]!.digest;
  await registry.push("wrong", "1", made);
  const corrupt = (path: string, change: (bytes: Buffer) => Buffer) => {
    const original = [made.manifest, ...made.blobs].find((entry) => path.endsWith(entry.digest) || path === "/manifests/1")!;
    front.intercept = (request, response) => {
      if (!request.url?.endsWith(path)) return false;
      const bytes = change(Buffer.from(original.bytes));
      response
        .writeHead(200, {
          "content-length": bytes.length,
          "content-type": made.manifest.mediaType,
          "docker-content-digest": original.digest,
        })
        .end(bytes);
      return true;
    };
  };
  const flip = (bytes: Buffer) => {
    bytes[bytes.length - 20]! ^= 1;
    return bytes;
  };
  const cases: [string, (bytes: Buffer) => Buffer, RegExp][] = [
    [digest, flip, /^ref pull has been retried 1 time\(s\): unexpected commit digest sha256:\w+, expected sha256:\w+/],
    [digest, (bytes) => Buffer.concat([bytes, bytes]), /is larger than its declared size/],
    [made.config.digest, flip, /unexpected digest/],
    [made.config.digest, (bytes) => bytes.subarray(1), /has \d+ bytes, not \d+/],
    ["/manifests/1", flip, /manifest 1 has the digest sha256:\w+, not sha256:\w+ as the registry says|manifest is not JSON/],
  ];
  for (const [path, change, pattern] of cases) {
    corrupt(path, change);
    await assert.rejects(pull(`${front.host}/wrong:1`), cannotPull(pattern), `${path} ${pattern}`);
  }
  await machine.collectGarbage();
  const left = await stored();
  for (const entry of [made.manifest, ...made.blobs]) assert.ok(!left.has(entry.digest), `${entry.digest} stays`);
});

test("an image that contradicts itself is refused", async () => {
  const one = layer(await tar([{ name: "x", content: randomBytes(64) }]));
  const lie = image([one], { diffIds: [blob(Buffer.from("something else")).digest] });
  const count = image([one], { diffIds: [one.diffId, one.diffId, one.diffId] });
  const garbage = { ...one, ...blob(randomBytes(5000)) };
  const notGzip = image([garbage]);
  for (const [tag, made] of Object.entries({ lie, count, garbage: notGzip })) await registry.push("contradiction", tag, made);
  await assert.rejects(pull(`${registry.host}/contradiction:lie`), cannotPull(/unpacks to sha256:\w+, not to its diff_id/));
  await assert.rejects(
    pull(`${registry.host}/contradiction:count`),
    cannotPull(/^ref pull has been retried 1 time\(s\): number of layers and diffIDs don't match: 1 != 3$/),
  );
  await assert.rejects(pull(`${registry.host}/contradiction:garbage`), cannotPull(/retried 1 time/));
});

test("manifests and configurations without end are cut off", async () => {
  front.intercept = (request, response) => {
    if (!request.url?.includes("/manifests/")) return false;
    response.writeHead(200, { "content-type": "application/vnd.oci.image.manifest.v1+json" });
    const piece = Buffer.alloc(1024 * 1024, " ");
    const write = () => {
      while (!response.destroyed && response.write(piece));
    };
    response.on("drain", write);
    write();
    return true;
  };
  await assert.rejects(pull(`${front.host}/endless:1`), cannotPull(/manifest is larger than 4194304 bytes/));
  const config = { digest: blob(Buffer.from("x")).digest, size: 100 * 1024 * 1024, mediaType: "application/vnd.oci.image.config.v1+json" };
  front.intercept = (_, response) => {
    response.end(JSON.stringify({ schemaVersion: 2, mediaType: "application/vnd.oci.image.manifest.v1+json", config, layers: [] }));
    return true;
  };
  await assert.rejects(pull(`${front.host}/endless:2`), cannotPull(/is larger than 8388608/));
});

test("a layer that unpacks without end is stopped, and its disk space given back", async () => {
  // 3 GiB of zeros in 3 MiB, ten times what is allowed.
  const zeros = layer(await tar([{ name: "zeros", content: Buffer.alloc(1024 * 1024 * 1024) }]), "zstd");
  await registry.push("bomb", "1", image([zeros]));
  const begin = Date.now();
  await withRuntime({ maxUnpackedBytes: 100 * 1024 * 1024 }, (runtime) =>
    assert.rejects(
      pull(`${registry.host}/bomb:1`, {}, runtime),
      cannotPull(/failed to extract layer: it unpacks to more than 104857600 bytes/),
    ),
  );
  assert.ok(Date.now() - begin < 20_000);
  // A small one is known only when it is done.
  const small = layer(await tar([{ name: "zeros", content: Buffer.alloc(2 * 1024 * 1024) }]));
  await registry.push("bomb", "2", image([small]));
  await withRuntime({ maxUnpackedBytes: 1024 * 1024 }, (runtime) =>
    assert.rejects(pull(`${registry.host}/bomb:2`, {}, runtime), cannotPull(/more than 1048576 bytes/)),
  );
  await withRuntime({ reserveBytes: Number.MAX_SAFE_INTEGER }, (runtime) =>
    assert.rejects(pull(`${registry.host}/bomb:1`, {}, runtime), cannotPull(/no space left on device/)),
  );
});

test("a layer that would unpack outside its root does not", async () => {
  const canary = join(machine.home, "escaped");
  const up = "../".repeat(20);
  const evil = layer(
    await tar([
      { name: `${up}${canary.slice(1)}`, content: "1" },
      { name: canary, content: "2" },
      { name: "link", type: "symlink", linkname: machine.home },
      { name: "link/escaped", content: "3" },
      { name: "up", type: "symlink", linkname: `${up}${machine.home.slice(1)}` },
      { name: "up/escaped", content: "4" },
      { name: "hard", type: "link", linkname: `${up}etc/passwd` },
    ]),
  );
  await registry.push("escape", "1", image([await busyboxLayer(), evil]));
  const result = await pull(`${registry.host}/escape:1`).then(
    () => "unpacked inside",
    (error: unknown) => (cannotPull(/./)(error) ? "refused" : ""),
  );
  assert.ok(result !== "");
  assert.ok(!existsSync(canary), `${result}, but outside`);
});

test("a pull that was cut off by a crash does not stand in the way of the next", async () => {
  const made = await fresh(2_000_000);
  await registry.push("crash", "1", made);
  front.intercept = (request, response) => {
    if (!request.url?.endsWith(made.layers[0]!.digest)) return false;
    pass(registry.host, request, response, { cutAfter: 1_200_000 });
    return true;
  };
  const dead = await createContainerdRuntime({ ...machine.options, stateDirectory: join(machine.home, "state-3") });
  const pulling = pull(`${front.host}/crash:1`, {}, dead);
  pulling.catch(() => undefined);
  await until("it fetches the layer", () => front.requests.some((line) => line.endsWith(made.layers[0]!.digest)));
  await delay(100);
  // As a crash does: the connection to containerd ends, nothing is cleaned up.
  const closing = dead.close();
  front.intercept = () => false;
  await pulling.catch(() => undefined);
  await closing.catch(() => undefined);
  assert.equal((await pull(`${front.host}/crash:1`)).digest, made.manifest.digest);
  // What the first had begun to unpack is containerd's to collect: now, rather than some time.
  await machine.collectGarbage();
});
