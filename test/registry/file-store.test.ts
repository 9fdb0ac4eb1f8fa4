import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { silentLogger } from "#platform/log.ts";
import { systemRandom } from "#platform/random.ts";
import { BlobCorrupt, type BlobStore } from "#registry/blobs/blob-store.ts";
import { createFileBlobStore } from "#registry/blobs/file-store.ts";
import { blobPaths } from "#registry/blobs/paths.ts";
import { blobStoreConformance, from, putBlob, readBlob } from "./blob-store-conformance.ts";

async function openStore(root: string): Promise<BlobStore> {
  const store = createFileBlobStore({ root, random: systemRandom, log: silentLogger });
  await store.start();
  return store;
}

blobStoreConformance("the file-system blob store", async () => {
  const root = await mkdtemp(join(tmpdir(), "gantry-blobs-"));
  const store = await openStore(root);
  return {
    store,
    reopen: () => openStore(root),
    async dispose() {
      await store.close();
      await rm(root, { recursive: true, force: true });
    },
  };
});

let root: string;
let store: BlobStore;
before(async () => {
  root = await mkdtemp(join(tmpdir(), "gantry-blobs-"));
  store = await openStore(root);
});
after(() => rm(root, { recursive: true, force: true }));

for (const size of [1000, 2_000_000]) {
  test(`a blob of ${size} bytes with one bit changed on disk is never given out whole, and a push heals it`, async () => {
    const bytes = randomBytes(size);
    const digest = await putBlob(store, bytes);
    const path = blobPaths(root).blob(digest).file;
    const file = await open(path, "r+");
    await file.write(Buffer.from([bytes[size / 2]! ^ 1]), 0, 1, size / 2);
    await file.close();
    let got = 0;
    await assert.rejects(
      async () => {
        for await (const piece of (await store.read(digest))!.pieces()) got += piece.length;
      },
      (error) => error instanceof BlobCorrupt,
    );
    assert.ok(got < size, `${got} of ${size} bytes were given out`);
    assert.equal(await store.stat(digest), undefined);
    assert.ok(
      (await readdir(join(root, "corrupt"))).some((name) => name.startsWith(digest.slice(7))),
      "kept for a person to look at",
    );
    await putBlob(store, bytes);
    assert.deepEqual(await readBlob(store, digest), bytes);
  });
}

test("a blob that lost its end is damaged too", async () => {
  const digest = await putBlob(store, randomBytes(1_000_000));
  await truncate(blobPaths(root).blob(digest).file, 999_999);
  await assert.rejects(readBlob(store, digest), BlobCorrupt);
  assert.equal(await store.stat(digest), undefined);
});

test("an upload whose info was cut off is as good as none, and is listed for removal", async () => {
  const id = randomUUID();
  const upload = await store.begin(id, { repository: "x" });
  await upload.append(from(Buffer.from("data")));
  await upload.close();
  await writeFile(blobPaths(root).uploadInfo(id), '{"repo');
  assert.equal(await store.resume(id), undefined);
  const ids: string[] = [];
  for await (const each of store.uploads()) ids.push(each.id);
  assert.deepEqual(ids, [id]);
  await store.discard(id);
});

test("files are for their owner only, and a start empties the trash", async () => {
  const digest = await putBlob(store, Buffer.from("secret"));
  const { mode } = await (await import("node:fs/promises")).stat(blobPaths(root).blob(digest).file);
  assert.equal(mode & 0o077, 0);
  await (await import("node:fs/promises")).mkdir(join(root, `trash.${randomUUID()}`, "blobs"), { recursive: true });
  await openStore(root);
  assert.deepEqual((await readdir(root)).toSorted(), ["blobs", "corrupt", "uploads"]);
  assert.equal((await readFile(blobPaths(root).blob(digest).file)).toString(), "secret");
});
