/** The tools people use, against the real thing: aws, docker, skopeo, buildah. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { startRegistry, type TestRegistry, types } from "#test/registry/support.ts";
import { type DockerDaemon, startDockerDaemon } from "#test/support/docker.ts";

let registry: TestRegistry;
let home: string;
let host: string;
let docker: DockerDaemon | undefined;

/** Runs a command with a home of its own, so that no login of the machine's user is read or written. */
async function run(command: string, args: readonly string[], input?: string): Promise<string> {
  const env = {
    ...process.env,
    HOME: home,
    DOCKER_CONFIG: join(home, "docker"),
    REGISTRY_AUTH_FILE: join(home, "auth.json"),
    BUILDAH_ISOLATION: "chroot",
    ...(docker ? { DOCKER_HOST: docker.host } : {}),
  };
  const child = promisify(execFile)(command, args, { env, timeout: 300_000, maxBuffer: 1 << 24 });
  child.child.stdin?.end(input ?? "");
  try {
    return (await child).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${command} ${args.join(" ")}:\n${stdout}\n${stderr}`, { cause: error });
  }
}

const digestOf = (bytes: Uint8Array | string) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
const buildah = (...args: string[]) =>
  run("buildah", ["--root", join(home, "containers"), "--runroot", join(home, "run"), "--storage-driver", "vfs", ...args]);
const digestInEcr = async (repository: string, tag: string) =>
  (
    await registry.server.aws(
      "ecr",
      "describe-images",
      "--repository-name",
      repository,
      "--image-ids",
      `imageTag=${tag}`,
      "--query",
      "imageDetails[0].imageDigest",
      "--output",
      "text",
    )
  ).trim();

before(async () => {
  home = await mkdtemp(join(tmpdir(), "gantry-clients-"));
  registry = await startRegistry();
  host = `localhost:${registry.server.port}`;
  for (const name of ["app", "team/copy", "built", "docker"])
    await registry.server.aws("ecr", "create-repository", "--repository-name", name);
  await mkdir(join(home, "context"));
  await copyFile("/bin/busybox", join(home, "context/busybox"));
  await writeFile(
    join(home, "context/Dockerfile"),
    'FROM scratch\nCOPY busybox /bin/busybox\nENTRYPOINT ["/bin/busybox", "echo", "hello"]\n',
  );
  await buildah("bud", "-t", "hello", join(home, "context"));
});
after(async () => {
  await docker?.stop();
  await registry.close();
  await rm(home, { recursive: true, force: true });
});

test("aws ecr get-login-password, buildah login, push, pull", async () => {
  const password = await registry.server.aws("ecr", "get-login-password");
  await run("buildah", ["login", "--tls-verify=false", "--username", "AWS", "--password-stdin", host], password);
  await buildah("push", "--tls-verify=false", "--digestfile", join(home, "digest"), "hello", `docker://${host}/built:v1`);
  const pushed = await readFile(join(home, "digest"), "utf8");
  assert.equal(await digestInEcr("built", "v1"), pushed);
  await buildah("rmi", "hello");
  await buildah("pull", "--tls-verify=false", `docker://${host}/built:v1`);
  assert.match(await buildah("images", "--digests"), new RegExp(pushed.slice(7, 20)));
});

test("skopeo: copy from repository to repository, inspect, list, an index, delete", async () => {
  const creds = `AWS:${(await registry.server.aws("ecr", "get-login-password")).trim()}`;
  const both = ["--src-tls-verify=false", "--src-creds", creds, "--dest-tls-verify=false", "--dest-creds", creds];
  await run("skopeo", ["copy", ...both, `docker://${host}/built:v1`, `docker://${host}/team/copy:a`]);
  const digest = await digestInEcr("team/copy", "a");
  assert.equal(digest, await digestInEcr("built", "v1"));
  const one = ["--tls-verify=false", "--creds", creds];
  assert.equal((JSON.parse(await run("skopeo", ["inspect", ...one, `docker://${host}/team/copy:a`])) as { Digest: string }).Digest, digest);
  await run("skopeo", ["copy", "--format", "v2s2", ...both, `docker://${host}/built:v1`, `docker://${host}/team/copy:docker`]);
  const list = await registry.call("GET", "/v2/team/copy/manifests/docker");
  assert.equal(list.headers["content-type"], types.docker);
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.index,
    manifests: [
      {
        mediaType: types.manifest,
        digest,
        size: (await registry.call("GET", `/v2/team/copy/manifests/${digest}`)).body.length,
        platform: { architecture: "amd64", os: "linux" },
      },
    ],
  });
  assert.equal(
    (await registry.call("PUT", "/v2/team/copy/manifests/multi", { body: index, headers: { "content-type": types.index } })).status,
    201,
  );
  await run("skopeo", ["copy", "--all", ...both, `docker://${host}/team/copy:multi`, `docker://${host}/app:multi`]);
  assert.equal(await digestInEcr("app", "multi"), digestOf(index));
  const directory = join(home, "pulled");
  await run("skopeo", ["copy", "--src-tls-verify=false", "--src-creds", creds, `docker://${host}/team/copy:a`, `dir:${directory}`]);
  assert.equal(digestOf(await readFile(join(directory, "manifest.json"))), digest);
  assert.deepEqual((JSON.parse(await run("skopeo", ["list-tags", ...one, `docker://${host}/team/copy`])) as { Tags: string[] }).Tags, [
    "a",
    "docker",
    "multi",
  ]);
  await run("skopeo", ["delete", ...one, `docker://${host}/team/copy:docker`]);
  assert.equal((await registry.call("GET", "/v2/team/copy/manifests/docker")).status, 404);
  await assert.rejects(
    run("skopeo", ["inspect", "--tls-verify=false", "--creds", "AWS:wrong", `docker://${host}/app:multi`]),
    /unauthorized|Not Authorized/i,
  );
  await assert.rejects(
    run("skopeo", ["copy", ...both, `docker://${host}/built:v1`, `docker://${host}/not/there:v1`]),
    /does not exist in the registry/,
  );
});

test("docker login, build a tag, push, pull back", async () => {
  docker = await startDockerDaemon();
  const password = await registry.server.aws("ecr", "get-login-password");
  await assert.rejects(
    run("docker", ["login", "--username", "AWS", "--password-stdin", host], "wrong"),
    /unauthorized|Not Authorized|401/i,
  );
  assert.match(await run("docker", ["login", "--username", "AWS", "--password-stdin", host], password), /Login Succeeded/);
  await buildah("push", `${host}/built:v1`, `docker-archive:${join(home, "hello.tar")}:${host}/docker:v1`);
  await run("docker", ["load", "-i", join(home, "hello.tar")]);
  const pushed = /digest: (sha256:[0-9a-f]{64})/.exec(await run("docker", ["push", `${host}/docker:v1`]))?.[1];
  assert.equal(await digestInEcr("docker", "v1"), pushed);
  await run("docker", ["rmi", `${host}/docker:v1`]);
  assert.match(await run("docker", ["pull", `${host}/docker:v1`]), new RegExp(`Digest: ${pushed}`));
  await run("docker", ["tag", `${host}/docker:v1`, `${host}/app:from-docker`]);
  assert.match(await run("docker", ["push", `${host}/app:from-docker`]), /Mounted from docker|Layer already exists|Pushed/);
  await run("docker", ["tag", `${host}/docker:v1`, `${host}/nowhere:v1`]);
  await assert.rejects(run("docker", ["push", `${host}/nowhere:v1`]), /does not exist in the registry with id '000000000000'/);
});

test("Debian's old CLI speaks to it as well", async () => {
  const env = {
    ...process.env,
    AWS_ACCESS_KEY_ID: "AKIATESTTESTTESTTEST",
    AWS_SECRET_ACCESS_KEY: "secret/secret/secret/secret/secret/secret",
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_PAGER: "",
  };
  const args = [
    "--endpoint-url",
    registry.server.endpoint,
    "ecr",
    "describe-repositories",
    "--query",
    "repositories[].repositoryName",
    "--output",
    "json",
  ];
  const { stdout } = await promisify(execFile)("/usr/bin/aws", args, { env, timeout: 300_000 });
  assert.deepEqual(JSON.parse(stdout), ["app", "built", "docker", "team/copy"]);
});
