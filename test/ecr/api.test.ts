/** ECR's operations through the SDK: settings, images, layers, errors in AWS's words. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import * as ecr from "@aws-sdk/client-ecr";
import { FakeClock } from "#platform/fake-clock.ts";
import { digestOf, startRegistry, type TestRegistry, types } from "#test/registry/support.ts";

let registry: TestRegistry;
let client: ecr.ECRClient;
before(async () => {
  registry = await startRegistry();
  ({ client } = registry);
});
after(() => registry.close());

const create = async (repositoryName: string, more: Partial<ecr.CreateRepositoryCommandInput> = {}) =>
  (await client.send(new ecr.CreateRepositoryCommand({ repositoryName, ...more }))).repository!;

/** The call fails with this error. */
async function fails(
  call: Promise<unknown>,
  name: string,
  message?: RegExp | string,
  members: Record<string, unknown> = {},
): Promise<void> {
  await assert.rejects(call, (error: Error & Record<string, unknown>) => {
    assert.equal(error.name, name, error.message);
    if (message instanceof RegExp) assert.match(error.message, message);
    else if (message !== undefined) assert.equal(error.message, message);
    for (const [key, value] of Object.entries(members)) assert.deepEqual(error[key], value);
    return true;
  });
}

test("a repository with AWS's defaults, and with every setting", async () => {
  const before = Date.now();
  const plain = await create("plain");
  assert.equal(plain.repositoryArn, "arn:aws:ecr:us-east-1:000000000000:repository/plain");
  assert.equal(plain.registryId, "000000000000");
  assert.equal(plain.repositoryUri, `localhost:${registry.server.port}/plain`);
  assert.ok(plain.createdAt!.getTime() >= before - 1000 && plain.createdAt!.getTime() <= Date.now());
  assert.equal(plain.imageTagMutability, "MUTABLE");
  assert.deepEqual(plain.imageScanningConfiguration, { scanOnPush: false });
  assert.deepEqual(plain.encryptionConfiguration, { encryptionType: "AES256" });
  const filters = [{ filterType: "WILDCARD", filter: "dev-*" }] as const;
  const settings = {
    imageTagMutability: "IMMUTABLE_WITH_EXCLUSION",
    imageTagMutabilityExclusionFilters: [...filters],
    imageScanningConfiguration: { scanOnPush: true },
    encryptionConfiguration: { encryptionType: "KMS", kmsKey: "arn:aws:kms:us-east-1:000000000000:key/k" },
  } as const;
  await create("every/setting", { ...settings, imageTagMutabilityExclusionFilters: [...filters] });
  const { repositories } = await client.send(new ecr.DescribeRepositoriesCommand({ repositoryNames: ["every/setting"] }));
  const { imageTagMutability, imageTagMutabilityExclusionFilters, imageScanningConfiguration, encryptionConfiguration } = repositories![0]!;
  assert.deepEqual(
    { imageTagMutability, imageTagMutabilityExclusionFilters, imageScanningConfiguration, encryptionConfiguration },
    settings,
  );
});

test("repository names", async () => {
  for (const name of ["ab", "a.b", "a_b", "a__b", "a-b", "a--b", "a/b/c.d", "0a", "a".repeat(256)]) {
    await create(name);
    await client.send(new ecr.DeleteRepositoryCommand({ repositoryName: name }));
  }
  const rule = /^Invalid parameter at 'repositoryName' failed to satisfy constraint: 'must (satisfy regular expression|have length)/;
  for (const name of [
    "a",
    "A",
    "Ab",
    "a/",
    "/a",
    "a//b",
    "-a",
    "a-",
    "a..b",
    "a b",
    "ä1",
    "a:b",
    "a@b",
    "a___b",
    "a".repeat(257),
    "../x",
    "a\n",
  ])
    await fails(create(name), "InvalidParameterException", rule);
  await fails(
    create("plain"),
    "RepositoryAlreadyExistsException",
    "The repository with name 'plain' already exists in the registry with id '000000000000'",
  );
});

test("repositories are listed page by page", async () => {
  const names = Array.from({ length: 7 }, (_, index) => `list/${index}`);
  for (const name of names) await create(name);
  const seen: string[] = [];
  for await (const page of ecr.paginateDescribeRepositories({ client, pageSize: 3 }, {})) {
    assert.ok(page.repositories!.length <= 3);
    seen.push(...page.repositories!.map(({ repositoryName }) => repositoryName!));
  }
  assert.deepEqual(
    seen.filter((name) => name.startsWith("list/")),
    names,
  );
  await fails(client.send(new ecr.DescribeRepositoriesCommand({ nextToken: "forged" })), "InvalidParameterException");
  await fails(client.send(new ecr.DescribeRepositoriesCommand({ maxResults: 1001 })), "InvalidParameterException");
  await fails(
    client.send(new ecr.DescribeRepositoriesCommand({ repositoryNames: ["plain", "gone"] })),
    "RepositoryNotFoundException",
    "The repository with name 'gone' does not exist in the registry with id '000000000000'",
  );
  await fails(client.send(new ecr.DescribeRepositoriesCommand({ registryId: "111111111111" })), "AccessDeniedException");
  await fails(client.send(new ecr.DescribeRepositoriesCommand({ registryId: "1" })), "InvalidParameterException");
});

test("a repository with images is deleted by force only", async () => {
  await create("full");
  await registry.pushImage("full", "v1");
  await fails(
    client.send(new ecr.DeleteRepositoryCommand({ repositoryName: "full" })),
    "RepositoryNotEmptyException",
    "The repository with name 'full' in registry with id '000000000000' cannot be deleted because it still contains images",
  );
  const { repository } = await client.send(new ecr.DeleteRepositoryCommand({ repositoryName: "full", force: true }));
  assert.equal(repository!.repositoryName, "full");
  await fails(client.send(new ecr.ListImagesCommand({ repositoryName: "full" })), "RepositoryNotFoundException");
});

test("mutability settings, and filters that do not fit", async () => {
  await create("mut");
  const put = (imageTagMutability: ecr.ImageTagMutability, filters?: string[]) =>
    client.send(
      new ecr.PutImageTagMutabilityCommand({
        repositoryName: "mut",
        imageTagMutability,
        imageTagMutabilityExclusionFilters: filters?.map((filter) => ({ filterType: "WILDCARD", filter })),
      }),
    );
  const set = await put("MUTABLE_WITH_EXCLUSION", ["rel-*", "v*.*"]);
  assert.equal(set.imageTagMutability, "MUTABLE_WITH_EXCLUSION");
  assert.equal(set.imageTagMutabilityExclusionFilters?.length, 2);
  const name = /^Invalid parameter at 'imageTagMutabilityExclusionFilters/;
  await fails(put("IMMUTABLE_WITH_EXCLUSION"), "InvalidParameterException", name);
  await fails(put("IMMUTABLE", ["x"]), "InvalidParameterException", name);
  for (const filters of [[], ["a b"], ["*a*b*"], [""], ["x".repeat(129)], ["1", "2", "3", "4", "5", "6"]])
    await fails(put("IMMUTABLE_WITH_EXCLUSION", filters), "InvalidParameterException", name);
  await fails(put("SOMETIMES" as never), "InvalidParameterException");
  assert.deepEqual(
    (await client.send(new ecr.DescribeRepositoriesCommand({ repositoryNames: ["mut"] }))).repositories![0]!
      .imageTagMutabilityExclusionFilters,
    set.imageTagMutabilityExclusionFilters,
  );
});

test("immutable tags hold for PutImage and for docker push alike", async () => {
  await create("immutable", {
    imageTagMutability: "IMMUTABLE_WITH_EXCLUSION",
    imageTagMutabilityExclusionFilters: [{ filterType: "WILDCARD", filter: "latest*" }],
  });
  const first = await registry.pushImage("immutable", "v1", ["first"]);
  const second = await registry.pushImage("immutable", "", ["second"]);
  const bytes = (await registry.call("GET", `/v2/immutable/manifests/${second}`)).text;
  const pushed = await registry.call("PUT", "/v2/immutable/manifests/v1", { body: bytes, headers: { "content-type": types.manifest } });
  assert.equal(pushed.status, 400);
  assert.equal(pushed.code, "TAG_INVALID");
  assert.match(
    pushed.text,
    /The image tag 'v1' already exists in the 'immutable' repository and cannot be overwritten because the tag is immutable\./,
  );
  const put = (imageTag: string) => client.send(new ecr.PutImageCommand({ repositoryName: "immutable", imageManifest: bytes, imageTag }));
  await fails(put("v1"), "ImageTagAlreadyExistsException", /cannot be overwritten because the tag is immutable/);
  assert.equal((await registry.call("HEAD", "/v2/immutable/manifests/v1")).headers["docker-content-digest"], first);
  // A second push of the same image changes nothing, so it is not refused.
  assert.equal(await registry.pushImage("immutable", "v1", ["first"]), first);
  await registry.pushImage("immutable", "latest-dev", ["first"]);
  await put("latest-dev");
  assert.equal((await registry.call("HEAD", "/v2/immutable/manifests/latest-dev")).headers["docker-content-digest"], second);
});

test("tags of a repository", async () => {
  const { repositoryArn: resourceArn } = await create("tagged", { tags: [{ Key: "a", Value: "1" }] });
  await client.send(
    new ecr.TagResourceCommand({
      resourceArn,
      tags: [
        { Key: "a", Value: "2" },
        { Key: "b", Value: "" },
      ],
    }),
  );
  const list = async () => (await client.send(new ecr.ListTagsForResourceCommand({ resourceArn }))).tags;
  assert.deepEqual(await list(), [
    { Key: "a", Value: "2" },
    { Key: "b", Value: "" },
  ]);
  await client.send(new ecr.UntagResourceCommand({ resourceArn, tagKeys: ["a", "none"] }));
  assert.deepEqual(await list(), [{ Key: "b", Value: "" }]);
  const tag = (tags: ecr.Tag[]) => client.send(new ecr.TagResourceCommand({ resourceArn, tags }));
  await fails(tag([{ Key: "k".repeat(129), Value: "" }]), "InvalidTagParameterException");
  await fails(tag([{ Key: "k", Value: "v".repeat(257) }]), "InvalidTagParameterException");
  await fails(tag([{ Key: "aws:x", Value: "v" }]), "InvalidTagParameterException");
  await fails(tag(Array.from({ length: 50 }, (_, index) => ({ Key: `k${index}`, Value: "v" }))), "TooManyTagsException");
  await fails(
    client.send(new ecr.ListTagsForResourceCommand({ resourceArn: "arn:aws:ecs:x" })),
    "InvalidParameterException",
    /'Invalid ARN'/,
  );
  await fails(
    client.send(new ecr.ListTagsForResourceCommand({ resourceArn: resourceArn!.replace("tagged", "gone") })),
    "RepositoryNotFoundException",
  );
});

test("images: list, describe, get, filters, pages", async () => {
  await create("images");
  const tagged = await registry.pushImage("images", "v1", ["0123456789"]);
  const untagged = await registry.pushImage("images", "", ["abc"]);
  await registry.pushImage("images", "v2", ["0123456789"]);
  const repositoryName = "images";
  const list = async (tagStatus?: ecr.TagStatus) =>
    (await client.send(new ecr.ListImagesCommand({ repositoryName, filter: { tagStatus } })))
      .imageIds!.map(({ imageTag, imageDigest }) => `${imageTag ?? ""}@${imageDigest}`)
      .toSorted();
  assert.deepEqual(await list("TAGGED"), [`v1@${tagged}`, `v2@${tagged}`]);
  assert.deepEqual(await list("UNTAGGED"), [`@${untagged}`]);
  assert.equal((await list()).length, 3);
  const { imageDetails } = await client.send(new ecr.DescribeImagesCommand({ repositoryName, imageIds: [{ imageTag: "v1" }] }));
  const detail = imageDetails![0]!;
  assert.deepEqual(detail.imageTags, ["v1", "v2"]);
  assert.equal(detail.imageDigest, tagged);
  assert.equal(detail.imageManifestMediaType, types.manifest);
  assert.equal(detail.artifactMediaType, types.config);
  assert.equal(detail.imageStatus, "ACTIVE");
  assert.ok(detail.imageSizeInBytes! > 10);
  assert.ok(detail.imagePushedAt instanceof Date);
  assert.equal(detail.lastRecordedPullTime, undefined);
  const got = await client.send(
    new ecr.BatchGetImageCommand({
      repositoryName,
      imageIds: [
        { imageTag: "v2" },
        { imageTag: "gone" },
        {},
        { imageDigest: "x" },
        { imageTag: "v1", imageDigest: untagged },
        { imageTag: "!" },
      ],
    }),
  );
  assert.equal(digestOf(got.images![0]!.imageManifest!), tagged);
  assert.deepEqual(got.images![0]!.imageId, { imageTag: "v2", imageDigest: tagged });
  assert.deepEqual(
    got.failures!.map(({ failureCode }) => failureCode),
    ["ImageNotFound", "MissingDigestAndTag", "InvalidImageDigest", "ImageTagDoesNotMatchDigest", "InvalidImageTag"],
  );
  const pulled = await client.send(new ecr.DescribeImagesCommand({ repositoryName, imageIds: [{ imageDigest: tagged }] }));
  assert.ok(pulled.imageDetails![0]!.lastRecordedPullTime instanceof Date);
  const notAccepted = await client.send(
    new ecr.BatchGetImageCommand({ repositoryName, imageIds: [{ imageTag: "v1" }], acceptedMediaTypes: [types.docker] }),
  );
  assert.equal(notAccepted.failures![0]!.failureCode, "ImageNotFound");
  await fails(
    client.send(new ecr.DescribeImagesCommand({ repositoryName, imageIds: [{ imageTag: "gone" }] })),
    "ImageNotFoundException",
    "The image with imageId {imageDigest:'null', imageTag:'gone'} does not exist within the repository with name 'images' in the registry with id '000000000000'",
  );
  const pages: string[] = [];
  for await (const page of ecr.paginateListImages({ client, pageSize: 1 }, { repositoryName }))
    pages.push(...page.imageIds!.map(({ imageTag = "" }) => imageTag));
  assert.deepEqual(pages.toSorted(), ["", "v1", "v2"]);
});

test("BatchDeleteImage: a tag, the last tag, a digest, and what an index needs", async () => {
  await create("del");
  const repositoryName = "del";
  const digest = await registry.pushImage(repositoryName, "a", ["x"]);
  await registry.pushImage(repositoryName, "b", ["x"]);
  const remove = (...imageIds: ecr.ImageIdentifier[]) => client.send(new ecr.BatchDeleteImageCommand({ repositoryName, imageIds }));
  assert.deepEqual((await remove({ imageTag: "a" })).imageIds, [{ imageTag: "a", imageDigest: digest }]);
  assert.equal((await client.send(new ecr.DescribeImagesCommand({ repositoryName }))).imageDetails!.length, 1);
  await remove({ imageTag: "b" });
  assert.equal((await client.send(new ecr.DescribeImagesCommand({ repositoryName }))).imageDetails!.length, 0);
  await registry.pushImage(repositoryName, "a", ["x"]);
  await registry.pushImage(repositoryName, "b", ["x"]);
  assert.deepEqual((await remove({ imageDigest: digest })).imageIds!.map(({ imageTag }) => imageTag).toSorted(), ["a", "b"]);
  const child = await registry.pushImage(repositoryName, "child", ["x"]);
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.index,
    manifests: [{ mediaType: types.manifest, digest: child, size: 1 }],
  });
  await client.send(new ecr.PutImageCommand({ repositoryName, imageManifest: index, imageTag: "index" }));
  const { failures, imageIds } = await remove({ imageDigest: child }, { imageTag: "child" }, { imageTag: "gone" }, {});
  assert.deepEqual(imageIds, []);
  assert.deepEqual(
    failures!.map(({ failureCode }) => failureCode),
    ["ImageReferencedByManifestList", "ImageReferencedByManifestList", "ImageNotFound", "MissingDigestAndTag"],
  );
  const [detail] = (await client.send(new ecr.DescribeImagesCommand({ repositoryName, imageIds: [{ imageTag: "index" }] }))).imageDetails!;
  assert.ok(detail!.imageSizeInBytes! > 1, "the size of the largest image of it");
  await remove({ imageTag: "index" });
  assert.deepEqual((await remove({ imageDigest: child })).failures, []);
});

test("PutImage: retag, twice the same, wrong digest, missing layers and images", async () => {
  await create("put");
  const repositoryName = "put";
  const digest = await registry.pushImage(repositoryName, "v1", ["p"]);
  const imageManifest = (await registry.call("GET", "/v2/put/manifests/v1")).text;
  const put = (more: Partial<ecr.PutImageCommandInput>) => client.send(new ecr.PutImageCommand({ repositoryName, imageManifest, ...more }));
  const { image } = await put({ imageTag: "v2", imageDigest: digest });
  assert.deepEqual(image!.imageId, { imageDigest: digest, imageTag: "v2" });
  assert.equal(image!.imageManifest, imageManifest);
  await fails(
    put({ imageTag: "v2" }),
    "ImageAlreadyExistsException",
    `Image with digest '${digest}' and tag 'v2' already exists in the repository with name 'put' in registry with id '000000000000'`,
  );
  await fails(put({ imageTag: "v3", imageDigest: digestOf("x") }), "ImageDigestDoesNotMatchException");
  await fails(put({ imageTag: "not a tag" }), "InvalidParameterException");
  await fails(put({ imageManifest: "{" }), "InvalidParameterException", /'Invalid JSON syntax'/);
  const without = JSON.stringify({ schemaVersion: 2, config: { mediaType: types.config, digest: digestOf("gone"), size: 1 }, layers: [] });
  await fails(put({ imageManifest: without }), "InvalidParameterException", /mediatype not provided/);
  await fails(
    put({ imageManifest: without, imageManifestMediaType: types.manifest }),
    "LayersNotFoundException",
    /Layers with digests '\[sha256:/,
  );
  const index = JSON.stringify({
    schemaVersion: 2,
    mediaType: types.index,
    manifests: [{ mediaType: types.manifest, digest: digestOf("gone"), size: 1 }],
  });
  await fails(put({ imageManifest: index }), "ReferencedImagesNotFoundException", /Images with digests '\[sha256:/);
});

test("a layer in parts through the API", async () => {
  await create("parts");
  const repositoryName = "parts";
  const bytes = randomBytes(6 * 1024 * 1024);
  const digest = digestOf(bytes);
  const initiate = async () => (await client.send(new ecr.InitiateLayerUploadCommand({ repositoryName }))).uploadId!;
  const part = (uploadId: string, first: number, blob: Uint8Array, last = first + blob.length - 1) =>
    client.send(
      new ecr.UploadLayerPartCommand({ repositoryName, uploadId, partFirstByte: first, partLastByte: last, layerPartBlob: blob }),
    );
  const complete = (uploadId: string, ...layerDigests: string[]) =>
    client.send(new ecr.CompleteLayerUploadCommand({ repositoryName, uploadId, layerDigests }));
  const five = 5 * 1024 * 1024;
  const uploadId = await initiate();
  await fails(complete(uploadId, digest), "EmptyUploadException", /cannot be completed because it does not have any parts$/);
  assert.equal((await part(uploadId, 0, bytes.subarray(0, five))).lastByteReceived, five - 1);
  const members = { registryId: "000000000000", repositoryName, uploadId, lastValidByteReceived: five - 1 };
  await fails(part(uploadId, 0, bytes.subarray(0, five)), "InvalidLayerPartException", undefined, members);
  await fails(part(uploadId, five + 1, bytes.subarray(five)), "InvalidLayerPartException", undefined, members);
  await fails(part(uploadId, five, bytes.subarray(five), five + 1), "InvalidLayerPartException", undefined, members);
  await part(uploadId, five, bytes.subarray(five));
  await fails(complete(uploadId, digestOf("x")), "InvalidLayerException");
  assert.equal((await complete(uploadId, digestOf("x"), digest)).layerDigest, digest);
  await fails(complete(uploadId, digest), "UploadNotFoundException");
  assert.deepEqual((await registry.call("GET", `/v2/parts/blobs/${digest}`)).body, bytes);
  const again = await initiate();
  await part(again, 0, bytes);
  await fails(
    complete(again, digest),
    "LayerAlreadyExistsException",
    new RegExp(`^The layer with digest '${digest}' already exists in the repository`),
  );
  const small = await initiate();
  await part(small, 0, Buffer.from("small"));
  await part(small, 5, Buffer.from("parts"));
  await fails(complete(small, digestOf("smallparts")), "LayerPartTooSmallException");
  await fails(part("00000000-0000-0000-0000-000000000000", 0, Buffer.from("x")), "UploadNotFoundException");
  await fails(part("../../etc/passwd", 0, Buffer.from("x")), "InvalidParameterException");
  const check = await client.send(
    new ecr.BatchCheckLayerAvailabilityCommand({ repositoryName, layerDigests: [digest, digestOf("gone"), "bad", ""] }),
  );
  assert.deepEqual(check.layers, [
    { layerDigest: digest, layerAvailability: "AVAILABLE", layerSize: bytes.length },
    { layerDigest: digestOf("gone"), layerAvailability: "UNAVAILABLE" },
  ]);
  assert.deepEqual(
    check.failures!.map(({ failureCode }) => failureCode),
    ["InvalidLayerDigest", "MissingLayerDigest"],
  );
});

test("a download URL works with any client, for one layer, and not for ever", async () => {
  const clock = new FakeClock(Date.now());
  const own = await startRegistry({ clock });
  try {
    await own.client.send(new ecr.CreateRepositoryCommand({ repositoryName: "dl" }));
    await own.pushBlob("dl", "nobody's");
    const url = async (layerDigest: string) =>
      (await own.client.send(new ecr.GetDownloadUrlForLayerCommand({ repositoryName: "dl", layerDigest }))).downloadUrl!;
    await fails(url(digestOf("nobody's")), "LayerInaccessibleException");
    await fails(
      url(digestOf("gone")),
      "LayersNotFoundException",
      `The layer with digest '${digestOf("gone")}' does not exist within the repository with name 'dl' in the registry with id '000000000000'`,
    );
    await own.pushImage("dl", "v1", ["the layer", "other"]);
    const good = await url(digestOf("the layer"));
    assert.equal(await (await fetch(good)).text(), "the layer");
    assert.equal((await fetch(good, { headers: { range: "bytes=4-" } })).status, 206);
    assert.equal((await fetch(good.replace(digestOf("the layer"), digestOf("other")))).status, 403);
    assert.equal((await fetch(good.replace(/Token=.*/, "Token=x"))).status, 403);
    assert.equal((await fetch(good, { method: "POST" })).status, 405);
    await clock.advance(3600_001);
    assert.equal((await fetch(good)).status, 403);
  } finally {
    await own.close();
  }
});

test("DescribeRegistry, and what is not there says so", async () => {
  assert.deepEqual((await client.send(new ecr.DescribeRegistryCommand({}))).registryId, "000000000000");
  await fails(client.send(new ecr.DescribePullThroughCacheRulesCommand({})), "NotImplemented");
});
