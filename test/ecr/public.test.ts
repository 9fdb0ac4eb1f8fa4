/** ECR Public: its API, and images that anybody pulls and only who may pushes. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import * as Public from "@aws-sdk/client-ecr-public";
import {
  CreateRepositoryCommand as CreatePrivate,
  ECRClient,
  ListImagesCommand,
  DescribeRepositoriesCommand as DescribePrivate,
} from "@aws-sdk/client-ecr";
import { CreateAccessKeyCommand, CreateUserCommand, PutUserPolicyCommand } from "@aws-sdk/client-iam";
import { aliasOf, publicTarget, registryOfAlias } from "#registry/public.ts";
import { createEcr } from "#services/ecr/index.ts";
import { account, allow, type Iam, policy, said, type SdkCredentials, startIam } from "../iam/support.ts";
import { startDockerDaemon } from "../support/docker.ts";
import { digestOf, types } from "../registry/support.ts";

let it_: Iam;
let ecr: Public.ECRPUBLICClient;
let home = "";
const alias = aliasOf(account);
const send: Public.ECRPUBLICClient["send"] = ((command: never) => ecr.send(command)) as never;
/** An empty tar. */
const layer = Buffer.alloc(1024);

before(async () => {
  home = await mkdtemp(join(tmpdir(), "gantry-public-"));
  it_ = await startIam({ more: (deps) => [createEcr(deps)] });
  ecr = new Public.ECRPUBLICClient(it_.server.sdk());
});
after(async () => {
  ecr.destroy();
  await it_.close();
  await rm(home, { recursive: true, force: true });
});

const http = (method: string, path: string, headers: Record<string, string> = {}, body?: Buffer | string) =>
  fetch(it_.server.endpoint + path, { method, headers, ...(body === undefined ? {} : { body }) });
const login = async (client = ecr) => {
  const { authorizationData } = await client.send(new Public.GetAuthorizationTokenCommand({}));
  return { authorization: `Basic ${authorizationData!.authorizationToken!}` };
};
const user = async (UserName: string, PolicyDocument: string): Promise<SdkCredentials> => {
  await it_.iam.send(new CreateUserCommand({ UserName }));
  await it_.iam.send(new PutUserPolicyCommand({ UserName, PolicyName: "p", PolicyDocument }));
  const { AccessKey } = await it_.iam.send(new CreateAccessKeyCommand({ UserName }));
  return { accessKeyId: AccessKey!.AccessKeyId!, secretAccessKey: AccessKey!.SecretAccessKey! };
};

async function push(name: string, tag: string, headers: Record<string, string>): Promise<{ digest: string; statuses: number[] }> {
  const config = Buffer.from(
    JSON.stringify({ architecture: "amd64", os: "linux", rootfs: { type: "layers", diff_ids: [digestOf(layer)] } }),
  );
  const statuses: number[] = [];
  for (const blob of [config, layer]) {
    const begun = await http("POST", `/v2/public/${alias}/${name}/blobs/uploads/`, headers);
    statuses.push(begun.status);
    if (begun.status !== 202) return { digest: "", statuses };
    const location = begun.headers.get("location")!;
    assert.ok(location.startsWith(`/v2/public/${alias}/${name}/blobs/uploads/`), location);
    statuses.push(
      (await http("PUT", `${location}?digest=${digestOf(blob)}`, { ...headers, "content-type": "application/octet-stream" }, blob)).status,
    );
  }
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, digest: digestOf(config), size: config.length },
    layers: [{ mediaType: types.layer, digest: digestOf(layer), size: layer.length }],
  });
  const put = await http("PUT", `/v2/public/${alias}/${name}/manifests/${tag}`, { ...headers, "content-type": types.manifest }, manifest);
  statuses.push(put.status);
  return { digest: digestOf(manifest), statuses };
}

test("an alias says whose registry it is, and nothing else is one", () => {
  assert.deepEqual(registryOfAlias(aliasOf("999999999999")), { account: "999999999999", region: "public" });
  for (const wrong of ["", "g", "gzzzzzzzz", "docker", "g0000000", "x00000000"]) assert.equal(registryOfAlias(wrong), undefined, wrong);
  const here = { registry: { account, region: "public" }, name: "a/b" };
  assert.deepEqual(publicTarget("localhost:4566", `public/${alias}/a/b`), here);
  assert.deepEqual(publicTarget("public.ecr.localhost:4566", `${alias}/a/b`), here);
  assert.equal(publicTarget("localhost:4566", `${alias}/a/b`), undefined);
  assert.equal(publicTarget("localhost:4566", "public/app"), undefined);
});

describe("the API", () => {
  test("repositories with catalog data, tags and policies", async () => {
    const { repository, catalogData } = await send(
      new Public.CreateRepositoryCommand({
        repositoryName: "team/app",
        catalogData: { description: "An app", architectures: ["x86-64"], operatingSystems: ["Linux"], aboutText: "# About" },
        tags: [{ Key: "Team", Value: "a" }],
      }),
    );
    assert.equal(repository!.repositoryArn, `arn:aws:ecr-public::${account}:repository/team/app`);
    assert.equal(repository!.repositoryUri, `localhost:${it_.server.port}/public/${alias}/team/app`);
    assert.deepEqual(catalogData, {
      description: "An app",
      architectures: ["x86-64"],
      operatingSystems: ["Linux"],
      aboutText: "# About",
      marketplaceCertified: false,
    });
    await assert.rejects(send(new Public.CreateRepositoryCommand({ repositoryName: "team/app" })), {
      name: "RepositoryAlreadyExistsException",
    });
    const { repositories } = await send(new Public.DescribeRepositoriesCommand({}));
    assert.deepEqual(
      repositories!.map(({ repositoryName }) => repositoryName),
      ["team/app"],
    );
    await assert.rejects(send(new Public.DescribeRepositoriesCommand({ repositoryNames: ["none"] })), {
      name: "RepositoryNotFoundException",
    });

    const put = await send(
      new Public.PutRepositoryCatalogDataCommand({ repositoryName: "team/app", catalogData: { description: "Another" } }),
    );
    assert.deepEqual(put.catalogData, { description: "Another", marketplaceCertified: false });
    const got = await send(new Public.GetRepositoryCatalogDataCommand({ repositoryName: "team/app" }));
    assert.deepEqual(got.catalogData, put.catalogData);
    await assert.rejects(
      send(new Public.PutRepositoryCatalogDataCommand({ repositoryName: "team/app", catalogData: { description: "x".repeat(1025) } })),
      { name: "InvalidParameterException" },
    );

    const resourceArn = repository!.repositoryArn!;
    await send(new Public.TagResourceCommand({ resourceArn, tags: [{ Key: "Env", Value: "b" }] }));
    await send(new Public.UntagResourceCommand({ resourceArn, tagKeys: ["Team"] }));
    assert.deepEqual((await send(new Public.ListTagsForResourceCommand({ resourceArn }))).tags, [{ Key: "Env", Value: "b" }]);

    const text = policy({ Effect: "Allow", Principal: { AWS: "111111111111" }, Action: "ecr-public:PutImage" });
    await assert.rejects(send(new Public.GetRepositoryPolicyCommand({ repositoryName: "team/app" })), {
      name: "RepositoryPolicyNotFoundException",
    });
    await send(new Public.SetRepositoryPolicyCommand({ repositoryName: "team/app", policyText: text }));
    assert.equal((await send(new Public.GetRepositoryPolicyCommand({ repositoryName: "team/app" }))).policyText, text);
    const foreign = policy({ Effect: "Allow", Principal: "*", Action: "ecr:PutImage" });
    await assert.rejects(send(new Public.SetRepositoryPolicyCommand({ repositoryName: "team/app", policyText: foreign })), {
      name: "InvalidParameterException",
    });
    await send(new Public.DeleteRepositoryPolicyCommand({ repositoryName: "team/app" }));
    await send(new Public.DeleteRepositoryCommand({ repositoryName: "team/app" }));
    await assert.rejects(send(new Public.GetRepositoryCatalogDataCommand({ repositoryName: "team/app" })), {
      name: "RepositoryNotFoundException",
    });
    await send(new Public.CreateRepositoryCommand({ repositoryName: "bare" }));
    await assert.rejects(send(new Public.GetRepositoryCatalogDataCommand({ repositoryName: "bare" })), {
      name: "RepositoryCatalogDataNotFoundException",
    });
  });

  test("the registry, its alias and its display name", async () => {
    const { registries } = await send(new Public.DescribeRegistriesCommand({}));
    assert.equal(registries![0]!.registryArn, `arn:aws:ecr-public::${account}:registry/${account}`);
    assert.deepEqual(registries![0]!.aliases, [{ name: alias, status: "ACTIVE", primaryRegistryAlias: true, defaultRegistryAlias: true }]);
    await send(new Public.PutRegistryCatalogDataCommand({ displayName: "Ours" }));
    assert.deepEqual((await send(new Public.GetRegistryCatalogDataCommand({}))).registryCatalogData, { displayName: "Ours" });
  });

  test("one region, and nothing of it among the private repositories", async () => {
    const elsewhere = new Public.ECRPUBLICClient({ ...it_.server.sdk(), region: "eu-west-1" });
    await assert.rejects(elsewhere.send(new Public.DescribeRepositoriesCommand({})), { name: "UnsupportedCommandException" });
    elsewhere.destroy();
    const own = new ECRClient(it_.server.sdk());
    assert.deepEqual((await own.send(new DescribePrivate({}))).repositories, []);
    await assert.rejects(own.send(new ListImagesCommand({ repositoryName: "bare" })), { name: "RepositoryNotFoundException" });
    own.destroy();
  });

  test("layers and images through the API, as an uploader without Docker does it", async () => {
    const repositoryName = "api-pushed";
    await send(new Public.CreateRepositoryCommand({ repositoryName }));
    const config = Buffer.from("{}");
    for (const bytes of [config, layer]) {
      const { uploadId } = await send(new Public.InitiateLayerUploadCommand({ repositoryName }));
      await send(
        new Public.UploadLayerPartCommand({
          repositoryName,
          uploadId,
          partFirstByte: 0,
          partLastByte: bytes.length - 1,
          layerPartBlob: bytes,
        }),
      );
      await send(new Public.CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests: [digestOf(bytes)] }));
    }
    const { layers } = await send(new Public.BatchCheckLayerAvailabilityCommand({ repositoryName, layerDigests: [digestOf(layer)] }));
    assert.equal(layers![0]!.layerAvailability, "AVAILABLE");
    const imageManifest = JSON.stringify({
      schemaVersion: 2,
      mediaType: types.manifest,
      config: { mediaType: types.config, digest: digestOf(config), size: config.length },
      layers: [{ mediaType: types.layer, digest: digestOf(layer), size: layer.length }],
    });
    for (const imageTag of ["v1", "v2"])
      await send(new Public.PutImageCommand({ repositoryName, imageManifest, imageTag, imageManifestMediaType: types.manifest }));
    const { imageDetails } = await send(new Public.DescribeImagesCommand({ repositoryName }));
    assert.deepEqual(imageDetails![0]!.imageTags?.toSorted(), ["v1", "v2"]);
    const { imageTagDetails } = await send(new Public.DescribeImageTagsCommand({ repositoryName }));
    assert.deepEqual(
      imageTagDetails!.map(({ imageTag }) => imageTag),
      ["v1", "v2"],
    );
    assert.equal(imageTagDetails![0]!.imageDetail!.imageDigest, digestOf(imageManifest));
    const { imageIds, failures } = await send(
      new Public.BatchDeleteImageCommand({ repositoryName, imageIds: [{ imageTag: "v1" }, { imageTag: "gone" }] }),
    );
    assert.equal(imageIds![0]!.imageTag, "v1");
    assert.equal(failures![0]!.failureCode, "ImageNotFound");
  });
});

describe("pushing and pulling", () => {
  before(async () => {
    await send(new Public.CreateRepositoryCommand({ repositoryName: "pulled" }));
  });

  test("who has logged in and may pushes, anybody pulls", async () => {
    const { digest, statuses } = await push("pulled", "v1", await login());
    assert.deepEqual(statuses, [202, 201, 202, 201, 201]);
    const manifest = await http("GET", `/v2/public/${alias}/pulled/manifests/v1`, { accept: types.manifest });
    assert.equal(manifest.status, 200);
    assert.equal(manifest.headers.get("docker-content-digest"), digest);
    const blob = await http("GET", `/v2/public/${alias}/pulled/blobs/${digestOf(layer)}`);
    assert.deepEqual(Buffer.from(await blob.arrayBuffer()), layer);
    assert.deepEqual(await (await http("GET", `/v2/public/${alias}/pulled/tags/list`)).json(), { name: "pulled", tags: ["v1"] });
  });

  test("nobody else writes: not the anonymous, not with a private registry's token, not without permission", async () => {
    assert.deepEqual((await push("pulled", "v2", {})).statuses, [401]);
    const privately = new ECRClient(it_.server.sdk());
    await privately.send(new CreatePrivate({ repositoryName: "private" }));
    privately.destroy();
    const token = await it_.server.aws(
      "ecr",
      "get-authorization-token",
      "--query",
      "authorizationData[0].authorizationToken",
      "--output",
      "text",
    );
    assert.deepEqual((await push("pulled", "v2", { authorization: `Basic ${token.trim()}` })).statuses, [401]);
    assert.equal((await http("DELETE", `/v2/public/${alias}/pulled/manifests/v1`)).status, 401);
    const reader = new Public.ECRPUBLICClient({
      ...it_.server.sdk(),
      credentials: await user("reader", allow(["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"])),
    });
    assert.deepEqual((await push("pulled", "v2", await login(reader))).statuses, [403]);
    reader.destroy();
    const unnamed = new Public.ECRPUBLICClient({
      ...it_.server.sdk(),
      credentials: await user("half", allow("ecr-public:GetAuthorizationToken")),
    });
    await assert.rejects(login(unnamed), said("AccessDeniedException", /sts:GetServiceBearerToken/));
    unnamed.destroy();
  });

  test("anonymous sees nothing private, and a public token opens nothing private", async () => {
    for (const path of ["/v2/private/manifests/v1", "/v2/private/tags/list", "/v2/", `/v2/public/other/private/tags/list`])
      assert.equal((await http("GET", path)).status, 401, path);
    assert.equal((await http("GET", `/v2/public/${alias}/private/tags/list`)).status, 404);
    assert.equal((await http("GET", "/v2/", await login())).status, 200, "docker login");
    for (const name of ["private", "pulled"]) assert.equal((await http("GET", `/v2/${name}/tags/list`, await login())).status, 403, name);
    assert.equal((await http("GET", `/v2/public/${alias}/pulled/tags/list`, { authorization: "Basic QVdTOndyb25n" })).status, 401);
  });

  test("skopeo pulls without a login", async () => {
    const source = `docker://127.0.0.1:${it_.server.port}/public/${alias}/pulled:v1`;
    const { stdout } = await promisify(execFile)("skopeo", ["inspect", "--raw", "--tls-verify=false", "--no-creds", source], {
      env: { ...process.env, HOME: home, REGISTRY_AUTH_FILE: join(home, "none.json") },
      timeout: 60_000,
    });
    assert.equal((JSON.parse(stdout) as { layers: { digest: string }[] }).layers[0]!.digest, digestOf(layer));
  });

  test("docker pulls without a login from the public host, and pushes with one", { skip: !existsSync("/usr/sbin/dockerd") }, async () => {
    const host = `public.ecr.localhost:${it_.server.port}`;
    // The name need not be known: the daemon asks us as its proxy.
    const docker = await startDockerDaemon({ args: ["--insecure-registry", host], env: { HTTP_PROXY: it_.server.endpoint } });
    const run = async (args: readonly string[], input = "") => {
      const env = { ...process.env, HOME: home, DOCKER_CONFIG: join(home, "docker"), DOCKER_HOST: docker.host };
      const child = promisify(execFile)("docker", args, { env, timeout: 60_000 });
      child.child.stdin?.end(input);
      return (await child).stdout;
    };
    try {
      const image = `${host}/${alias}/pulled`;
      assert.match(await run(["pull", `${image}:v1`]), /Downloaded newer image/);
      await run(["tag", `${image}:v1`, `${image}:pushed`]);
      await assert.rejects(run(["push", `${image}:pushed`]), /unauthorized|authorization/i);
      const { authorization } = await login();
      const password = Buffer.from(authorization.slice("Basic ".length), "base64").toString().slice("AWS:".length);
      await run(["login", "--username", "AWS", "--password-stdin", host], password);
      assert.match(await run(["push", `${image}:pushed`]), /pushed: digest: sha256:/);
    } finally {
      await docker.stop();
    }
    const { imageTagDetails } = await send(new Public.DescribeImageTagsCommand({ repositoryName: "pulled" }));
    assert.deepEqual(
      imageTagDetails!.map(({ imageTag }) => imageTag),
      ["pushed", "v1"],
    );
  });

  test("the public host speaks Docker's token protocol: a token for nobody, and one for who has a login", async () => {
    const { authorization } = await login();
    const onHost = (path: string, headers: Record<string, string> = {}) => viaHost(it_.server.port, path, headers);
    const ping = await onHost("/v2/");
    assert.equal(ping.status, 401);
    const realm = /^Bearer realm="http:\/\/public\.ecr\.localhost:\d+(\/token\/)",service="public\.ecr\.aws",scope="aws"$/.exec(
      ping.challenge,
    )?.[1];
    assert.equal(realm, "/token/", ping.challenge);
    const anonymous = JSON.parse((await onHost("/token/?service=public.ecr.aws&scope=aws")).text) as { token: string };
    const bearer = { authorization: `Bearer ${anonymous.token}` };
    assert.equal((await onHost("/v2/", bearer)).status, 200);
    assert.equal((await onHost(`/v2/${alias}/pulled/manifests/v1`, bearer)).status, 200);
    assert.equal((await onHost("/v2/private/manifests/v1", bearer)).status, 404);
    assert.equal((await onHost("/token/", { authorization: "Basic QVdTOndyb25n" })).status, 401);
    const own = JSON.parse((await onHost("/token/", { authorization })).text) as { token: string };
    const named = { authorization: `Bearer ${own.token}` };
    const upload = (headers: Record<string, string>) => viaHost(it_.server.port, `/v2/${alias}/pulled/blobs/uploads/`, headers, "POST");
    assert.equal((await upload(named)).status, 202);
    assert.equal((await upload(bearer)).status, 401);
    assert.equal((await http("GET", "/token/")).status, 404);
  });
});

async function viaHost(port: number, path: string, headers: Record<string, string>, method = "GET") {
  const { request } = await import("node:http");
  return new Promise<{ status: number; text: string; challenge: string }>((resolve, reject) => {
    const sent = request(
      { host: "127.0.0.1", port, path, method, headers: { ...headers, host: `public.ecr.localhost:${port}` } },
      (response) => {
        response.setEncoding("utf8");
        let text = "";
        response.on("data", (piece: string) => (text += piece));
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, text, challenge: response.headers["www-authenticate"] ?? "" }),
        );
      },
    );
    sent.on("error", reject);
    sent.end();
  });
}
