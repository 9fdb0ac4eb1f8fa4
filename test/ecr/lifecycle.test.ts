/** Lifecycle policies: the operations through the SDK, and what happens to the images as time goes by. */
import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { after, before, test } from "node:test";
import * as ecr from "@aws-sdk/client-ecr";
import type { ServerPart } from "#api/contract.ts";
import { FakeClock } from "#platform/fake-clock.ts";
import { repositoryKey } from "#registry/keys.ts";
import type { RepositoryRecord } from "#registry/records.ts";
import { createRegistry } from "#registry/registry.ts";
import { createEcr } from "#services/ecr/index.ts";
import { quietMs } from "#services/ecr/lifecycle/reconciler.ts";
import { untaggedGraceMs } from "#services/ecr/lifecycle/expiring.ts";
import { digestOf, startRegistry, type TestRegistry, types } from "#test/registry/support.ts";
import { eventually as settled, until } from "#test/support/until.ts";

const dayMs = 24 * 60 * 60 * 1000;
let registry: TestRegistry;
let client: ecr.ECRClient;
let part: ServerPart;
const clock = new FakeClock(Date.now());

before(async () => {
  // Nothing is signed: the clock goes days ahead of the clients'.
  registry = await startRegistry({ clock, open: true });
  ({ client, part } = registry);
});
after(() => registry.close());

type Rule = Record<string, unknown>;
const rule = (rulePriority: number, selection: Rule): Rule => ({
  rulePriority,
  description: "a rule whose text is not too short",
  selection,
  action: { type: "expire" },
});
const policyOf = (...rules: Rule[]) => JSON.stringify({ rules });
const newest = (tagPrefixList: string[], countNumber: number) => ({
  tagStatus: "tagged",
  tagPrefixList,
  countType: "imageCountMoreThan",
  countNumber,
});
const older = (tagStatus: string, countNumber: number) => ({ tagStatus, countType: "sinceImagePushed", countUnit: "days", countNumber });

const create = (repositoryName: string) => client.send(new ecr.CreateRepositoryCommand({ repositoryName }));
const put = (repositoryName: string, lifecyclePolicyText: string) =>
  client.send(new ecr.PutLifecyclePolicyCommand({ repositoryName, lifecyclePolicyText }));
const get = (repositoryName: string) => client.send(new ecr.GetLifecyclePolicyCommand({ repositoryName }));

/** Pushes one image, and lets a second pass. */
async function push(repository: string, tag: string, content = `${repository} ${tag}`): Promise<string> {
  const digest = await registry.pushImage(repository, tag, [content]);
  await clock.advance(1000);
  return digest;
}

async function pushManifest(repository: string, reference: string, manifest: Record<string, unknown>): Promise<string> {
  const body = JSON.stringify({ schemaVersion: 2, ...manifest });
  const headers = { "content-type": String(manifest.mediaType) };
  const { status, text } = await registry.call("PUT", `/v2/${repository}/manifests/${reference || digestOf(body)}`, { body, headers });
  assert.equal(status, 201, text);
  await clock.advance(1000);
  return digestOf(body);
}

const descriptor = (digest: string, mediaType = types.manifest) => ({ mediaType, digest, size: 100 });

async function left(repositoryName: string): Promise<string[]> {
  const { imageDetails = [] } = await client.send(new ecr.DescribeImagesCommand({ repositoryName }));
  return imageDetails.map(({ imageTags, imageDigest }) => imageTags?.join() ?? imageDigest!).toSorted();
}

/** The store's watch and its transactions take real time; what they find overdue waits for the clock to move, as real ones do: by a third of an hour at most. */
const eventually = (repository: string, expected: readonly string[]) =>
  settled(`what is left of ${repository}`, async () => {
    try {
      assert.deepEqual(await left(repository), expected.toSorted());
    } catch (error) {
      await clock.advance(1000);
      throw error;
    }
  });

/** Until the reconciler has seen what was written, and looked. */
async function evaluated(repository: string): Promise<void> {
  const since = clock.now();
  let looks = 0;
  await until(`${repository} is evaluated`, async () => {
    if ((await get(repository)).lastEvaluatedAt!.getTime() > since) return true;
    // Less than half an hour in all: no image gets an age by it.
    if (++looks <= 5 || looks % 60 === 0) await clock.advance(quietMs);
    return false;
  });
}

/** Moves time, and lets what that sets off come to its end. */
async function later(ms: number): Promise<void> {
  await clock.advance(ms);
  await new Promise((resolve) => setTimeout(resolve, 100));
}

async function fails(call: Promise<unknown>, name: string, message: RegExp | string): Promise<void> {
  await assert.rejects(call, (error: Error) => {
    assert.equal(error.name, name, error.message);
    if (message instanceof RegExp) assert.match(error.message, message);
    else assert.equal(error.message, message);
    return true;
  });
}

test("a policy is put, read as it was given, and deleted", async () => {
  await create("plain");
  const text = `${policyOf(rule(1, older("untagged", 14)))}\n`;
  const none = "Lifecycle policy does not exist for the repository with name 'plain' in the registry with id '000000000000'";
  await fails(get("plain"), "LifecyclePolicyNotFoundException", none);
  const put1 = await put("plain", text);
  assert.deepEqual(
    [put1.registryId, put1.repositoryName, put1.lifecyclePolicyText, "lastEvaluatedAt" in put1],
    ["000000000000", "plain", text, false],
  );
  const known = await get("plain");
  assert.equal(known.lifecyclePolicyText, text);
  assert.equal(known.lastEvaluatedAt?.getTime(), 0);
  await evaluated("plain");
  const gone = await client.send(new ecr.DeleteLifecyclePolicyCommand({ repositoryName: "plain" }));
  assert.equal(gone.lifecyclePolicyText, text);
  assert.ok(gone.lastEvaluatedAt!.getTime() > 0);
  await fails(get("plain"), "LifecyclePolicyNotFoundException", none);
  await fails(client.send(new ecr.DeleteLifecyclePolicyCommand({ repositoryName: "plain" })), "LifecyclePolicyNotFoundException", none);
  await fails(put("nowhere", text), "RepositoryNotFoundException", /nowhere/);
});

test("what is wrong with a policy, in ECR's words", async () => {
  await create("wrong");
  const invalid = "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: ";
  await fails(
    put("wrong", policyOf(rule(1, older("untagged", 1)), rule(2, older("untagged", 1)))),
    "InvalidParameterException",
    `${invalid}Only one rule can select Untagged images per storage class.'`,
  );
  await fails(
    put("wrong", "{}"),
    "InvalidParameterException",
    "Invalid parameter at 'lifecyclePolicyText' failed to satisfy constraint: 'Member must have length greater than or equal to 100'",
  );
  await fails(put("wrong", "x".repeat(30_721)), "InvalidParameterException", /less than or equal to 30720/);
  const archive = {
    ...rule(1, { ...older("any", 1), countType: "sinceImagePulled" }),
    action: { type: "transition", targetStorageClass: "archive" },
  };
  await fails(put("wrong", policyOf(archive)), "NotImplemented", /archive storage class/);
});

test("the newest of a prefix stay; what is tagged otherwise is not touched", async () => {
  await create("newest");
  for (const tag of ["v1", "v2", "v3", "v4", "latest"]) await push("newest", tag);
  await registry.pushImage("newest", "stable", ["newest v2"]);
  await put("newest", policyOf(rule(1, newest(["v"], 2))));
  assert.equal((await left("newest")).length, 5);
  await evaluated("newest");
  await eventually("newest", ["latest", "v3", "v4"]);
  // A further push takes the oldest away.
  await push("newest", "v5");
  await evaluated("newest");
  await eventually("newest", ["latest", "v4", "v5"]);
});

test("an image goes when it has its age, with nobody touching the repository", async () => {
  await create("age");
  await put("age", policyOf(rule(1, { ...older("tagged", 3), tagPatternList: ["*"] })));
  await push("age", "a");
  await clock.advance(2 * dayMs);
  await push("age", "b");
  await evaluated("age");
  await eventually("age", ["a", "b"]);
  for (let hours = 0; hours < 26; hours++) await clock.advance(dayMs / 24);
  await eventually("age", ["b"]);
});

test("an index keeps what it names, and they go together", async () => {
  await create("multi");
  await put(
    "multi",
    policyOf(rule(1, { tagStatus: "untagged", countType: "imageCountMoreThan", countNumber: 1 }), rule(2, newest(["v"], 1))),
  );
  const [amd, arm] = [await push("multi", "", "amd64"), await push("multi", "", "arm64")];
  // What names them comes later than the reconciler looks.
  await evaluated("multi");
  const manifests = [descriptor(amd), descriptor(arm)];
  await pushManifest("multi", "v1", { mediaType: types.index, manifests });
  await evaluated("multi");
  await later(2 * untaggedGraceMs);
  await eventually("multi", [amd, arm, "v1"]);
  await fails(
    client.send(new ecr.BatchDeleteImageCommand({ repositoryName: "multi", imageIds: [{ imageDigest: amd }] })).then(({ failures }) => {
      throw Object.assign(new Error(failures![0]!.failureCode), { name: "Failure" });
    }),
    "Failure",
    "ImageReferencedByManifestList",
  );
  const signature = { mediaType: types.manifest, artifactType: "application/x.signature", layers: [] };
  await registry.pushBlob("multi", "{}");
  const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 };
  const signed = await pushManifest("multi", "", { ...signature, config, subject: descriptor(amd) });
  await evaluated("multi");
  await later(2 * untaggedGraceMs);
  await eventually("multi", [amd, arm, signed, "v1"]);
  await push("multi", "v2");
  await evaluated("multi");
  await later(2 * untaggedGraceMs);
  // Of the index's platforms, untagged now, the newer stays as the rule wants it.
  await eventually("multi", [arm, "v2"]);
});

test("an untagged image that has just come may be half a push", async () => {
  await create("half");
  await put("half", policyOf(rule(1, { tagStatus: "untagged", countType: "imageCountMoreThan", countNumber: 1 })));
  const first = await push("half", "", "one");
  const second = await push("half", "", "two");
  await evaluated("half");
  assert.deepEqual(await left("half"), [first, second].toSorted());
  await clock.advance(untaggedGraceMs + quietMs);
  await eventually("half", [second]);
});

test("a preview says what would go, and deletes nothing", async () => {
  await create("preview");
  const preview = (more: Partial<ecr.GetLifecyclePolicyPreviewCommandInput> = {}) =>
    client.send(new ecr.GetLifecyclePolicyPreviewCommand({ repositoryName: "preview", ...more }));
  const start = (lifecyclePolicyText?: string) =>
    client.send(new ecr.StartLifecyclePolicyPreviewCommand({ repositoryName: "preview", lifecyclePolicyText }));
  await fails(preview(), "LifecyclePolicyPreviewNotFoundException", /^Lifecycle policy preview does not exist/);
  await fails(start(), "LifecyclePolicyNotFoundException", /preview/);
  const digests: string[] = [];
  for (const tag of ["v1", "v2", "v3", ""]) digests.push(await push("preview", tag));
  const text = policyOf(rule(1, newest(["v"], 1)), rule(5, { tagStatus: "any", countType: "imageCountMoreThan", countNumber: 1 }));
  const started = await start(text);
  assert.deepEqual([started.status, started.lifecyclePolicyText], ["IN_PROGRESS", text]);
  await clock.advance(1);
  await push("preview", "v4");
  const { status, summary, previewResults, nextToken } = await preview();
  assert.deepEqual(
    [status, summary, nextToken],
    ["COMPLETE", { expiringImageTotalCount: 2, transitioningImageTotalCounts: [] }, undefined],
  );
  assert.deepEqual(
    previewResults!.map(({ imagePushedAt, ...rest }) => {
      assert.ok(imagePushedAt! < new Date(clock.now()));
      return rest;
    }),
    ["v1", "v2"].map((tag, index) => ({
      imageTags: [tag],
      imageDigest: digests[index],
      action: { type: "EXPIRE" },
      appliedRulePriority: 1,
      storageClass: "STANDARD",
    })),
  );
  const page = await preview({ maxResults: 1 });
  assert.equal(page.previewResults![0]!.imageDigest, digests[0]);
  const second = await preview({ maxResults: 1, nextToken: page.nextToken });
  assert.deepEqual([second.previewResults![0]!.imageDigest, second.nextToken], [digests[1], undefined]);
  const only = async (more: Partial<ecr.GetLifecyclePolicyPreviewCommandInput>) =>
    (await preview(more)).previewResults!.map(({ imageDigest }) => imageDigest);
  assert.deepEqual(await only({ filter: { tagStatus: "UNTAGGED" } }), []);
  assert.deepEqual(await only({ imageIds: [{ imageTag: "v2" }, { imageTag: "v3" }] }), [digests[1]]);
  assert.deepEqual(await only({ imageIds: [{ imageDigest: digests[0] }] }), [digests[0]]);
  await fails(preview({ maxResults: 101 }), "InvalidParameterException", /maxResults/);
  assert.equal((await left("preview")).length, 5);
  // Nothing of it outlives the repository.
  await client.send(new ecr.DeleteRepositoryCommand({ repositoryName: "preview", force: true }));
  await create("preview");
  await fails(preview(), "LifecyclePolicyPreviewNotFoundException", /^Lifecycle/);
});

test("a waiter finds a preview complete; blobs of expired images are freed", async () => {
  await create("freed");
  await push("freed", "v1");
  await push("freed", "v2");
  await put("freed", policyOf(rule(1, newest(["v"], 1))));
  await client.send(new ecr.StartLifecyclePolicyPreviewCommand({ repositoryName: "freed" }));
  await ecr.waitUntilLifecyclePolicyPreviewComplete({ client, maxWaitTime: 120 }, { repositoryName: "freed" });
  await evaluated("freed");
  await eventually("freed", ["v2"]);
  // Asking for it would keep it: the files themselves.
  const held = async (tag: string) => {
    const files = await readdir(registry.server.home, { recursive: true });
    return files.some((name) => name.endsWith(digestOf(`freed ${tag}`).slice("sha256:".length)));
  };
  assert.ok(await held("v1"));
  await until("it is freed", async () => {
    await clock.advance(dayMs / 24);
    return !(await held("v1"));
  });
  assert.ok(await held("v2"));
});

test("a server that starts again looks at all policies", async () => {
  await create("again");
  for (const tag of ["v1", "v2"]) await push("again", tag);
  const { deps } = registry.server;
  // Nobody saw how it came: as after a crash right behind the transaction.
  const key = repositoryKey({ account: "000000000000", region: "us-east-1" }, "again");
  await part.stop!();
  const entry = await deps.store.get<RepositoryRecord>(key);
  await deps.store.transaction({
    writes: [{ put: key, value: { ...entry!.value, lifecyclePolicy: policyOf(rule(1, newest(["v"], 1))) } }],
  });
  await clock.advance(dayMs);
  await eventually("again", ["v1", "v2"]);
  part = createEcr(deps);
  await part.start!();
  await evaluated("again");
  await eventually("again", ["v2"]);
  await part.stop!();
});

test("images that expire while others push them and tag them: no tag leads nowhere, and the count is right", async () => {
  await create("busy");
  const { deps } = registry.server;
  // With a queue of its own: only revisions hold them apart.
  const other = createRegistry(deps);
  const where = { account: "000000000000", region: "us-east-1" };
  let expired = 0;
  for (let round = 0; round < 15; round++) {
    const repository = await other.repositories.get(where, "busy");
    const pushes = [1, 2, 3].map((each) => registry.pushImage("busy", `t${round}-${each}`, [`busy ${each}`]));
    const looks = [1, 2].map(async () => {
      await new Promise((resolve) => setTimeout(resolve, round));
      const gone = await other.images.expire(repository, ({ images }) => images.map(({ digest }) => digest));
      expired += gone.length;
    });
    await Promise.all([...pushes, ...looks]);
    const [images, tags] = [await other.images.list(repository), await other.images.tags(repository)];
    for (const [tag, digest] of tags)
      assert.ok(
        images.some((image) => image.digest === digest),
        tag,
      );
    assert.equal((await other.repositories.get(where, "busy")).images, images.length);
  }
  assert.ok(expired > 0);
});
