import { createHash, type Hash } from "node:crypto";
import { type FileHandle, mkdir, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { type BlobUpload, DigestMismatch, type UploadInfo } from "./blob-store.ts";
import type { Digest } from "./digest.ts";
import type { DirectorySync } from "./directory-sync.ts";
import type { BlobPaths } from "./paths.ts";
import type { Verified } from "./verified.ts";

/** Bytes gathered into one write: the network brings pieces of 64 KiB at most. */
const writeSize = 1 << 20;
/** How often a long upload is pushed to the disk while it runs, so that the sync at its end finds little to do. */
const syncEvery = 32 << 20;

export interface FileUploadOptions {
  readonly id: string;
  readonly info: UploadInfo;
  readonly paths: BlobPaths;
  readonly directories: DirectorySync;
  readonly verified: Verified;
  readonly size: number;
  readonly file: FileHandle | undefined;
  /** Nothing was written yet: the digest need not be computed from the file. */
  readonly fresh: boolean;
}

/** An upload into one file. The digest is computed while the bytes come in; only after a restart or a cut is the file read again. */
export class FileUpload implements BlobUpload {
  readonly id: string;
  #info: UploadInfo;
  #size: number;
  #hash: Hash | undefined;
  #file: FileHandle | undefined;
  #unsynced = 0;
  #syncing: Promise<void> | undefined;
  readonly #paths: BlobPaths;
  readonly #directories: DirectorySync;
  readonly #verified: Verified;

  constructor(options: FileUploadOptions) {
    this.id = options.id;
    this.#info = options.info;
    this.#size = options.size;
    this.#paths = options.paths;
    this.#directories = options.directories;
    this.#verified = options.verified;
    this.#file = options.file;
    this.#hash = options.fresh ? createHash("sha256") : undefined;
  }

  get size(): number {
    return this.#size;
  }

  get info(): UploadInfo {
    return this.#info;
  }

  async append(source: AsyncIterable<Uint8Array>): Promise<number> {
    const file = await this.#open();
    const hash = await this.#hashed(file);
    let gathered: Uint8Array[] = [];
    let length = 0;
    let received = this.#size;
    let writing: Promise<void> = Promise.resolve();
    const flush = async () => {
      await writing;
      if (length === 0) return;
      const [pieces, bytes, position] = [gathered, length, received - length];
      gathered = [];
      length = 0;
      writing = this.#write(file, pieces, position, bytes);
      // Awaited before the next write; until then a failure must not count as unhandled.
      writing.catch(() => {});
    };
    try {
      for await (const piece of source) {
        hash.update(piece);
        gathered.push(piece);
        length += piece.length;
        received += piece.length;
        if (length >= writeSize) await flush();
      }
    } finally {
      try {
        await flush();
        await writing;
      } finally {
        // After a failed write the digest has seen more than the file holds.
        if (this.#size !== received) this.#hash = undefined;
      }
    }
    return this.#size;
  }

  async truncate(size: number): Promise<void> {
    if (size >= this.#size) return;
    const file = await this.#open();
    await file.truncate(size);
    this.#size = size;
    this.#hash = size === 0 ? createHash("sha256") : undefined;
  }

  async annotate(info: UploadInfo): Promise<void> {
    await writeFile(this.#paths.uploadInfo(this.id), JSON.stringify(info));
    this.#info = info;
  }

  async digest(): Promise<Digest> {
    const hash = await this.#hashed(await this.#open());
    return `sha256:${hash.copy().digest("hex")}`;
  }

  async commit(digest: Digest): Promise<void> {
    const actual = await this.digest();
    if (actual !== digest) throw new DigestMismatch(digest, actual);
    const file = await this.#open();
    await this.#syncing;
    await file.datasync();
    await this.close();
    const { directory, file: target } = this.#paths.blob(digest);
    // Taking the place of an equal blob is harmless, and heals one that was damaged.
    try {
      await rename(this.#paths.uploadData(this.id), target);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      await mkdir(directory, { recursive: true });
      await this.#directories.sync(this.#paths.blobs);
      await rename(this.#paths.uploadData(this.id), target);
    }
    await Promise.all([this.#directories.sync(directory), rm(this.#paths.uploadInfo(this.id), { force: true })]);
    // These very bytes were hashed on their way in.
    const landed = await stat(target, { bigint: true }).catch(() => undefined);
    if (landed?.size === BigInt(this.#size)) this.#verified.add(digest, landed);
  }

  async abort(): Promise<void> {
    await this.close();
    await rm(this.#paths.uploadData(this.id), { force: true });
    await rm(this.#paths.uploadInfo(this.id), { force: true });
  }

  async close(): Promise<void> {
    await this.#syncing?.catch(() => {});
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  async #open(): Promise<FileHandle> {
    this.#file ??= await open(this.#paths.uploadData(this.id), "r+");
    return this.#file;
  }

  async #hashed(file: FileHandle): Promise<Hash> {
    if (this.#hash) return this.#hash;
    const hash = createHash("sha256");
    const buffer = Buffer.allocUnsafeSlow(writeSize);
    for (let position = 0; position < this.#size;) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, this.#size - position), position);
      if (bytesRead === 0) throw new Error(`the upload ${this.id} is shorter than it was`);
      hash.update(buffer.subarray(0, bytesRead));
      position += bytesRead;
    }
    this.#hash = hash;
    return hash;
  }

  async #write(file: FileHandle, pieces: readonly Uint8Array[], position: number, bytes: number): Promise<void> {
    let rest = pieces;
    for (let written = 0; written < bytes;) {
      const { bytesWritten } = await file.writev(rest as NodeJS.ArrayBufferView[], position + written);
      written += bytesWritten;
      this.#size = position + written;
      if (written < bytes) rest = behind(rest, bytesWritten);
    }
    this.#unsynced += bytes;
    if (this.#unsynced >= syncEvery && !this.#syncing) {
      this.#unsynced = 0;
      this.#syncing = file.datasync().finally(() => {
        this.#syncing = undefined;
      });
      // Whoever commits syncs again and hears of the failure.
      this.#syncing.catch(() => {});
    }
  }
}

/** What is left of `pieces` behind the first `count` bytes. */
function behind(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const rest: Uint8Array[] = [];
  let skip = count;
  for (const piece of pieces) {
    if (skip >= piece.length) skip -= piece.length;
    else {
      rest.push(piece.subarray(skip));
      skip = 0;
    }
  }
  return rest;
}
