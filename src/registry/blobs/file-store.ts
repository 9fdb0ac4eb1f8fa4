import { type FileHandle, mkdir, open, opendir, readdir, readFile, rename, rm, stat, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#platform/clock.ts";
import type { Random } from "#platform/random.ts";
import type { Logger } from "#platform/log.ts";
import type { BlobStat, BlobStore, UploadInfo } from "./blob-store.ts";
import { createDirectorySync } from "./directory-sync.ts";
import { fileRead } from "./file-read.ts";
import { FileUpload } from "./file-upload.ts";
import { createVerified } from "./verified.ts";
import { blobPaths, isUploadId, trashPrefix } from "./paths.ts";

export interface FileBlobStoreOptions {
  readonly root: string;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Blobs on the file system of this machine. One process owns the directory. */
export function createFileBlobStore({ root, random, clock, log }: FileBlobStoreOptions): BlobStore {
  const paths = blobPaths(root);
  const directories = createDirectorySync();
  const verified = createVerified(clock);
  let emptying: Promise<void> = Promise.resolve();

  const makeDirectories = async () => {
    for (const directory of [paths.blobs, paths.uploads, paths.corrupt]) await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const directory of [root, join(root, "blobs"), paths.blobs]) await directories.sync(directory);
  };

  const emptyTrash = async () => {
    for (const name of await readdir(root)) if (name.startsWith(trashPrefix)) await rm(join(root, name), { recursive: true, force: true });
  };

  async function quarantine(digest: string): Promise<void> {
    log.error({ digest }, "a blob does not match its digest any more: it is kept in corrupt/ and no longer served");
    await rename(paths.blob(digest).file, paths.corruptBlob(digest, random.uuid())).catch(ignoreMissing);
  }

  return {
    async start() {
      await makeDirectories();
      await emptyTrash();
    },

    async stat(digest) {
      const found = await stat(paths.blob(digest).file).catch(ignoreMissing);
      return found && { digest, size: found.size, modified: found.mtimeMs };
    },

    async read(digest, range) {
      const file = await open(paths.blob(digest).file, "r").catch(ignoreMissing);
      if (!file) return undefined;
      try {
        const identity = await file.stat({ bigint: true });
        const size = Number(identity.size);
        if (range && !(range.first >= 0 && range.first <= range.last && range.last < size))
          throw new RangeError(`no such range of ${digest}`);
        return fileRead(file, {
          digest,
          size,
          range,
          check: !verified.has(digest, identity),
          checked: () => verified.add(digest, identity),
          corrupt: () => quarantine(digest),
        });
      } catch (error) {
        await file.close();
        throw error;
      }
    },

    async begin(id, info) {
      const [file] = await Promise.all([
        open(paths.uploadData(id), "wx+", 0o600),
        Object.keys(info).length > 0 ? writeFile(paths.uploadInfo(id), JSON.stringify(info), { flag: "wx", mode: 0o600 }) : undefined,
      ]);
      return new FileUpload({ id, info, paths, directories, verified, size: 0, file, fresh: true });
    },

    async resume(id) {
      if (!isUploadId(id)) return undefined;
      const info = await readInfo(paths.uploadInfo(id));
      const file: FileHandle | undefined = info && (await open(paths.uploadData(id), "r+").catch(ignoreMissing));
      if (!info || !file) return undefined;
      const { size } = await file.stat();
      return new FileUpload({ id, info, paths, directories, verified, size, file, fresh: size === 0 });
    },

    async remove(digest) {
      try {
        await unlink(paths.blob(digest).file);
        return true;
      } catch (error) {
        ignoreMissing(error);
        return false;
      }
    },

    async *list() {
      for (const shard of await readdir(paths.blobs)) {
        const directory = await opendir(join(paths.blobs, shard)).catch(ignoreMissing);
        if (!directory) continue;
        for await (const { name } of directory) {
          if (!/^[0-9a-f]{64}$/.test(name)) continue;
          const found = await stat(join(paths.blobs, shard, name)).catch(ignoreMissing);
          if (found) yield { digest: `sha256:${name}`, size: found.size, modified: found.mtimeMs } satisfies BlobStat;
        }
      }
    },

    async *uploads() {
      for (const name of await readdir(paths.uploads)) {
        const id = name.replace(/\.(data|json)$/, "");
        if (!isUploadId(id) || (name.endsWith(".json") && (await stat(paths.uploadData(id)).catch(ignoreMissing)))) continue;
        const found = await stat(join(paths.uploads, name)).catch(ignoreMissing);
        if (found) yield { id, modified: found.mtimeMs };
      }
    },

    async discard(id) {
      await rm(paths.uploadData(id), { force: true });
      await rm(paths.uploadInfo(id), { force: true });
    },

    /** The directories are moved away in an instant and removed behind the caller's back. */
    async clear() {
      verified.clear();
      const trash = paths.trash(random.uuid());
      await mkdir(trash);
      for (const name of ["blobs", "uploads", "corrupt"]) await rename(join(root, name), join(trash, name)).catch(ignoreMissing);
      await makeDirectories();
      emptying = emptyTrash().catch((error: unknown) => log.warn({ err: error }, "a reset left files behind"));
    },

    async close() {
      await emptying;
    },
  };
}

/** An upload whose info was cut off by a power failure is as good as none. */
async function readInfo(path: string): Promise<UploadInfo | undefined> {
  try {
    return JSON.parse(await readFile(path, "utf8")) as UploadInfo;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    return ignoreMissing(error);
  }
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
}
