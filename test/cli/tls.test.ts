/** One port that speaks TLS: certificates of our own and given ones, renewed without a restart. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect } from "node:tls";
import { promisify } from "node:util";
import { issue, makeAuthority } from "#platform/authority.ts";
import { ConfigError, readConfig } from "#platform/config.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { certifiedHost, prepareTls, readTls, tlsFiles, type TlsMaterial } from "#platform/tls.ts";
import { openTls } from "#server/certificates.ts";
import { repository, startGantry, type RunningGantry } from "../support/gantry.ts";
import { until } from "../support/until.ts";

describe("the configuration", () => {
  const config = (env: Record<string, string>) => readConfig({ GANTRY_HOME: "/tmp/x", ...env });

  test("--open beyond loopback is refused", () => {
    for (const bind of ["0.0.0.0", "::", "10.0.0.5"])
      assert.throws(
        () => config({ GANTRY_OPEN: "1", GANTRY_BIND: bind }),
        { name: "Error", message: /--open takes any credentials/ },
        bind,
      );
    for (const bind of ["127.0.0.1", "127.0.0.53", "::1", "localhost"])
      assert.equal(config({ GANTRY_OPEN: "1", GANTRY_BIND: bind }).open, true);
  });

  test("`gantry up --open` and the server refuse it before they listen", async () => {
    const home = await mkdtemp(join(tmpdir(), "gantry-open-"));
    const env = { ...process.env, GANTRY_HOME: home, GANTRY_BIND: "0.0.0.0", GANTRY_PORT: "1" };
    const run = (file: string, args: string[], more = {}) =>
      promisify(execFile)(file, args, { env: { ...env, ...more }, timeout: 180_000 }).then(
        () => assert.fail("it started"),
        (error: { stdout: string; stderr: string; code: number }) => error,
      );
    try {
      const up = await run(join(repository, "gantry"), ["up", "--open"]);
      assert.match(up.stderr, /--open takes any credentials, so it listens on loopback only/);
      const server = await run(process.execPath, [join(repository, "src/server/main.ts")], { GANTRY_OPEN: "1" });
      assert.match(server.stdout + server.stderr, /--open takes any credentials, so it listens on loopback only/);
    } finally {
      await rm(home, { recursive: true, force: true });
    }
  });

  test("half of TLS, or two of it, is none", () => {
    for (const env of [
      { GANTRY_TLS: "yes" },
      { GANTRY_TLS_CERT: "/c" },
      { GANTRY_TLS_KEY: "/k" },
      { GANTRY_TLS: "self", GANTRY_TLS_CERT: "/c", GANTRY_TLS_KEY: "/k" },
      { GANTRY_TLS: "self", GANTRY_TLS_NAMES: "a,b c/d" },
      { GANTRY_TLS: "self", GANTRY_TLS_NAMES: "a\n[x]" },
    ])
      assert.throws(() => config(env as unknown as Record<string, string>), ConfigError, JSON.stringify(env));
  });
});

describe("certificates", () => {
  let home = "";
  before(async () => {
    home = await mkdtemp(join(tmpdir(), "gantry-tls-"));
  });
  after(() => rm(home, { recursive: true, force: true }));
  const config = (env: Record<string, string> = {}) => readConfig({ GANTRY_HOME: home, GANTRY_TLS: "self", ...env });

  test("of our own: made once, for our names, keys for our eyes only, renewed in time", async () => {
    const files = tlsFiles(config())!;
    const now = Date.now();
    await prepareTls(config(), systemRandom, now);
    const first = await readTls(files);
    const authority = new X509Certificate(await readFile(files.authority!));
    const made = new X509Certificate(first.cert);
    assert.ok(made.verify(authority.publicKey));
    for (const address of ["127.0.0.1", "::1"]) assert.equal(made.checkIP(address), address);
    assert.equal(made.checkHost("localhost"), "localhost");
    for (const path of [files.key, join(home, "tls", "authority.key")]) assert.equal((await stat(path)).mode & 0o777, 0o600);

    await prepareTls(config(), systemRandom, now + 86_400_000);
    assert.equal((await readTls(files)).cert, first.cert);
    await prepareTls(config({ GANTRY_TLS_NAMES: "gantry.example.com,10.1.2.3" }), systemRandom, now);
    const second = new X509Certificate((await readTls(files)).cert);
    assert.equal(second.checkHost("gantry.example.com"), "gantry.example.com");
    assert.equal(second.checkIP("10.1.2.3"), "10.1.2.3");
    assert.ok(second.verify(authority.publicKey), "clients go on trusting what they trusted");
    await prepareTls(config({ GANTRY_TLS_NAMES: "gantry.example.com,10.1.2.3" }), systemRandom, now + 380 * 86_400_000);
    assert.notEqual((await readTls(files)).cert, second.toString());
  });

  test("that changed are read again; those that do not fit change nothing", async () => {
    const authority = await makeAuthority(systemRandom);
    const names = ["gantry.example.com", "127.0.0.1"];
    const [one, two] = [
      await issue(authority, names, "EC_prime256v1", systemRandom),
      await issue(authority, names, "EC_prime256v1", systemRandom),
    ];
    const paths = { GANTRY_TLS: "", GANTRY_TLS_CERT: join(home, "given.pem"), GANTRY_TLS_KEY: join(home, "given.key") };
    await writeFile(paths.GANTRY_TLS_CERT, one.certificate);
    await writeFile(paths.GANTRY_TLS_KEY, one.key);
    const clock = new FakeClock();
    const opened = (await openTls(config(paths), { clock, random: systemRandom, log: silentLogger }))!;
    const seen: TlsMaterial[] = [];
    opened.watch((next) => void seen.push(next));
    assert.equal(opened.current.cert, one.certificate);
    assert.equal(certifiedHost(config(paths)), "127.0.0.1");

    await writeFile(paths.GANTRY_TLS_CERT, two.certificate);
    await opened.refresh();
    assert.deepEqual(seen, [], "the key is still another's");
    await writeFile(paths.GANTRY_TLS_KEY, two.key);
    await utimes(paths.GANTRY_TLS_KEY, 1, 2);
    await clock.advance(10_000);
    await until("they are read", () => seen.length > 0, { every: 5 });
    assert.deepEqual(
      (seen as TlsMaterial[]).map(({ cert }) => cert),
      [two.certificate],
    );
  });
});

/** What a handshake comes to. */
const handshake = (port: number, options: object) =>
  new Promise<{ serial: string; version: string }>((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", ...options }, () => {
      resolve({ serial: socket.getPeerCertificate().serialNumber, version: socket.getProtocol() ?? "" });
      socket.destroy();
    });
    socket.once("error", reject);
  });

describe("a whole Gantry with GANTRY_TLS=self", { skip: process.getuid?.() !== 0 }, () => {
  let gantry: RunningGantry;
  let ca: Buffer;
  before(async () => {
    gantry = await startGantry({ env: { GANTRY_TLS: "self" } });
    ca = await readFile(join(gantry.home, "tls", "authority.pem"));
  });
  after(() => gantry.stop());

  test("is well: server, agent and commands trust each other over TLS", async () => {
    const status = await gantry.status();
    assert.deepEqual(
      status.parts.filter(({ ok }) => !ok),
      [],
    );
  });

  test("the AWS CLI works with the environment of `gantry env`, and not without its authority", async () => {
    assert.match(await gantry.shell("echo $AWS_ENDPOINT_URL"), /^https:\/\/127\.0\.0\.1:/);
    assert.match(await gantry.shell("aws ecs list-container-instances --output text"), /container-instance/);
    await assert.rejects(gantry.shell("unset AWS_CA_BUNDLE; AWS_MAX_ATTEMPTS=1 aws ecs list-clusters"), /SSL|CERTIFICATE/i);
  });

  test("skopeo logs in to the registry with the authority, and not without", async () => {
    const directory = join(gantry.home, "certs");
    await gantry.shell(`mkdir -p ${directory} && cp "$AWS_CA_BUNDLE" ${directory}/ca.crt`);
    const login = (options: string) =>
      gantry.shell(
        `aws ecr get-login-password | REGISTRY_AUTH_FILE=${gantry.home}/auth.json skopeo login ${options} --username AWS --password-stdin "$GANTRY_REGISTRY"`,
      );
    assert.match(await login(`--cert-dir ${directory}`), /Login Succeeded/);
    await assert.rejects(login(""), /x509|certificate/);
  });

  test("refuses plain HTTP and old TLS", async () => {
    await assert.rejects(fetch(`http://127.0.0.1:${gantry.port}/healthz`));
    await assert.rejects(handshake(gantry.port, { ca, minVersion: "TLSv1", maxVersion: "TLSv1.1" }));
    assert.match((await handshake(gantry.port, { ca, maxVersion: "TLSv1.2" })).version, /TLSv1\.2/);
    await assert.rejects(handshake(gantry.port, {}), /certificate/i);
  });

  test("shows a renewed certificate on SIGHUP, with the same process", async () => {
    const before_ = await handshake(gantry.port, { ca });
    const pid = (await gantry.status()).parts.find(({ name }) => name === "server")!.pid!;
    const authority = { certificate: ca.toString(), key: await readFile(join(gantry.home, "tls", "authority.key"), "utf8") };
    const next = await issue(authority, ["localhost", "127.0.0.1"], "EC_prime256v1", systemRandom);
    await writeFile(join(gantry.home, "tls", "key.pem"), next.key);
    await writeFile(join(gantry.home, "tls", "certificate.pem"), next.certificate);
    process.kill(pid, "SIGHUP");
    await until("another certificate", async () => (await handshake(gantry.port, { ca })).serial !== before_.serial);
    assert.equal((await gantry.status()).parts.find(({ name }) => name === "server")!.pid, pid);
  });

  test("the trail says how a call was encrypted, ECR names an https registry", async () => {
    const seen = await gantry.shell("aws cloudtrail lookup-events --max-results 1 --query 'Events[0].CloudTrailEvent' --output text");
    assert.match(seen, /"tlsVersion":"TLSv1\.[23]"/);
    const kept = await gantry.shell("aws cloudtrail lookup-events --query 'Events[].EventName' --output text");
    assert.match(kept, /RegisterContainerInstance/);
    // The supervisor looks every two seconds, and filled the trail if that were a call like others.
    assert.ok((kept.match(/DescribeContainerInstances|ListContainerInstances/g) ?? []).length < 12, kept);
    assert.match(
      await gantry.shell("aws ecr get-authorization-token --query 'authorizationData[0].proxyEndpoint' --output text"),
      /^https:/,
    );
  });
});
