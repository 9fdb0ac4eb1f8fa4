/** What every blob store has to do. A new one is tested by a few lines: see file-store.test.ts. */
import assert from "node:assert/strict";
import { randomBytes, randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, test } from "node:test";
import { type BlobStore, DigestMismatch } from "#registry/blobs/blob-store.ts";
import { digestOf } from "#registry/blobs/digest.ts";

export interface Subject {
  readonly store: BlobStore;
  /** The same blobs and uploads, as the next process finds them. */
  reopen(): Promise<BlobStore>;
  dispose(): Promise<void>;
}

export async function* from(...pieces: readonly (Uint8Array | Error)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) {
    if (piece instanceof Error) throw piece;
    yield piece;
  }
}

export async function putBlob(store: BlobStore, bytes: Uint8Array): Promise<string> {
  const upload = await store.begin(randomUUID(), {});
  await upload.append(from(bytes));
  const digest = digestOf(bytes);
  await upload.commit(digest);
  return digest;
}

export async function readBlob(store: BlobStore, digest: string, range?: { first: number; last: number }): Promise<Buffer | undefined> {
  const read = await store.read(digest, range);
  if (!read) return undefined;
  const pieces: Buffer[] = [];
  for await (const piece of read.pieces()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

export function blobStoreConformance(name: string, open: () => Promise<Subject>): void {
  describe(name, () => {
    let subject: Subject;
    let store: BlobStore;
    beforeEach(async () => {
      subject = await open();
      store = subject.store;
    });
    afterEach(() => subject.dispose());

    for (const size of [0, 1, 255 << 10, 256 << 10, (256 << 10) + 1, 3_000_001]) {
      test(`keeps ${size} bytes and gives them back`, async () => {
        const bytes = randomBytes(size);
        const digest = await putBlob(store, bytes);
        assert.equal((await store.stat(digest))?.size, size);
        assert.deepEqual(await readBlob(store, digest), bytes);
      });
    }

    test("gives ranges, first and last byte included, and refuses others", async () => {
      const bytes = randomBytes(700_000);
      const digest = await putBlob(store, bytes);
      for (const [first, last] of [
        [0, 0],
        [699_999, 699_999],
        [1, 600_000],
        [0, 699_999],
        [262_143, 262_144],
      ] as const)
        assert.deepEqual(await readBlob(store, digest, { first, last }), bytes.subarray(first, last + 1));
      await assert.rejects(store.read(digest, { first: 0, last: 700_000 }), RangeError);
      await assert.rejects(store.read(digest, { first: 5, last: 4 }), RangeError);
    });

    test("knows nothing of blobs that are not there", async () => {
      const digest = digestOf(Buffer.from("never"));
      assert.equal(await store.stat(digest), undefined);
      assert.equal(await store.read(digest), undefined);
      assert.equal(await store.remove(digest), false);
    });

    test("a blob is not visible before it is committed", async () => {
      const bytes = randomBytes(100_000);
      const upload = await store.begin(randomUUID(), {});
      await upload.append(from(bytes));
      assert.equal(await store.stat(digestOf(bytes)), undefined);
      assert.deepEqual(await all(store.list()), []);
      await upload.commit(digestOf(bytes));
      assert.deepEqual(
        (await all(store.list())).map(({ digest }) => digest),
        [digestOf(bytes)],
      );
    });

    test("a commit with another digest changes nothing", async () => {
      const upload = await store.begin(randomUUID(), {});
      await upload.append(from(Buffer.from("one")));
      const wrong = digestOf(Buffer.from("two"));
      await assert.rejects(
        upload.commit(wrong),
        (error) => error instanceof DigestMismatch && error.actual === digestOf(Buffer.from("one")),
      );
      assert.equal(await store.stat(wrong), undefined);
      await upload.append(from(Buffer.from("!")));
      await upload.commit(digestOf(Buffer.from("one!")));
      assert.equal((await readBlob(store, digestOf(Buffer.from("one!"))))?.toString(), "one!");
    });

    test("many pieces in many appends make one blob", async () => {
      const bytes = randomBytes(2_500_000);
      const upload = await store.begin(randomUUID(), {});
      for (let at = 0; at < bytes.length; at += 900_001) {
        const part = bytes.subarray(at, at + 900_001);
        const pieces: Buffer[] = [];
        for (let inner = 0; inner < part.length; inner += 65_521) pieces.push(part.subarray(inner, inner + 65_521));
        assert.equal(await upload.append(from(...pieces)), Math.min(bytes.length, at + 900_001));
      }
      await upload.commit(digestOf(bytes));
      assert.deepEqual(await readBlob(store, digestOf(bytes)), bytes);
    });

    test("what came before a source failed is kept, and continued", async () => {
      const bytes = randomBytes(1_500_000);
      const upload = await store.begin(randomUUID(), {});
      await assert.rejects(upload.append(from(bytes.subarray(0, 1_200_000), new Error("cut off"))), /cut off/);
      assert.equal(upload.size, 1_200_000);
      await upload.append(from(bytes.subarray(1_200_000)));
      await upload.commit(digestOf(bytes));
      assert.deepEqual(await readBlob(store, digestOf(bytes)), bytes);
    });

    test("an upload is resumed by the next process, with its info", async () => {
      const bytes = randomBytes(300_000);
      const id = randomUUID();
      const upload = await store.begin(id, { repository: "r" });
      await upload.append(from(bytes.subarray(0, 200_000)));
      await upload.annotate({ repository: "r", last: "small" });
      await upload.close();
      const next = await subject.reopen();
      const resumed = await next.resume(id);
      assert.ok(resumed);
      assert.deepEqual(resumed.info, { repository: "r", last: "small" });
      assert.equal(resumed.size, 200_000);
      await resumed.append(from(bytes.subarray(200_000)));
      await resumed.commit(digestOf(bytes));
      assert.deepEqual(await readBlob(next, digestOf(bytes)), bytes);
      assert.equal(await next.resume(id), undefined);
      assert.deepEqual(await all(next.uploads()), []);
    });

    test("an upload is cut back", async () => {
      const upload = await store.begin(randomUUID(), {});
      await upload.append(from(Buffer.from("keep and drop")));
      await upload.truncate(4);
      assert.equal(upload.size, 4);
      assert.equal(await upload.digest(), digestOf(Buffer.from("keep")));
      await upload.truncate(0);
      await upload.append(from(Buffer.from("new")));
      await upload.commit(digestOf(Buffer.from("new")));
    });

    test("an aborted upload is gone, as is a discarded one", async () => {
      const [first, second] = [randomUUID(), randomUUID()];
      const upload = await store.begin(first, { a: "b" });
      await upload.append(from(Buffer.from("x")));
      await (await store.begin(second, { a: "b" })).close();
      assert.deepEqual((await all(store.uploads())).map(({ id }) => id).toSorted(), [first, second].toSorted());
      await upload.abort();
      await store.discard(second);
      assert.equal(await store.resume(first), undefined);
      assert.equal(await store.resume(second), undefined);
      assert.deepEqual(await all(store.uploads()), []);
    });

    test("the same bytes committed at once by several are one blob", async () => {
      const bytes = randomBytes(400_000);
      await Promise.all(Array.from({ length: 8 }, () => putBlob(store, bytes)));
      assert.equal((await all(store.list())).length, 1);
      assert.deepEqual(await readBlob(store, digestOf(bytes)), bytes);
    });

    test("a blob that is removed while it is read is read to its end", async () => {
      const bytes = randomBytes(1_000_000);
      const digest = await putBlob(store, bytes);
      const read = await store.read(digest);
      assert.equal(await store.remove(digest), true);
      assert.equal(await store.stat(digest), undefined);
      const pieces: Buffer[] = [];
      for await (const piece of read!.pieces()) pieces.push(Buffer.from(piece));
      assert.deepEqual(Buffer.concat(pieces), bytes);
    });

    test("clear forgets everything and goes on", async () => {
      const digest = await putBlob(store, randomBytes(1000));
      await (await store.begin(randomUUID(), { a: "b" })).close();
      await store.clear();
      assert.equal(await store.stat(digest), undefined);
      assert.deepEqual(await all(store.uploads()), []);
      await putBlob(store, randomBytes(1000));
      assert.equal((await all(store.list())).length, 1);
    });

    test("ids that are no UUID resume nothing", async () => {
      for (const id of ["", "..", "../../etc/passwd", "x".repeat(5000), "00000000-0000-0000-0000-00000000000G"])
        assert.equal(await store.resume(id), undefined);
    });
  });
}
