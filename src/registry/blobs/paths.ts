/**
 * Every path of the file-system blob store:
 *
 *     <root>/
 *       blobs/sha256/<aa>/<64 hex>     a whole blob, read-only for ever; <aa> are the first two of the 64
 *       uploads/<uuid>.data            the bytes of an upload so far
 *       uploads/<uuid>.json            what its owner wants to know of it after a restart
 *       corrupt/<64 hex>.<uuid>        a blob whose bytes changed on disk: never served again, kept for a person to look at
 *       trash.<uuid>/                  what a reset left behind, removed in the background and at the next start
 *
 * Digests and upload ids are checked before they become part of a path.
 */
import { join } from "node:path";
import type { Digest } from "./digest.ts";

export interface BlobPaths {
  readonly root: string;
  readonly blobs: string;
  readonly uploads: string;
  readonly corrupt: string;
  blob(digest: Digest): { readonly directory: string; readonly file: string };
  uploadData(id: string): string;
  uploadInfo(id: string): string;
  corruptBlob(digest: Digest, id: string): string;
  trash(id: string): string;
}

export const trashPrefix = "trash.";

const uploadId = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const isUploadId = (text: string) => uploadId.test(text);

export function blobPaths(root: string): BlobPaths {
  const hex = (digest: Digest) => {
    const match = /^sha256:([0-9a-f]{64})$/.exec(digest);
    if (!match) throw new TypeError(`not a digest: ${digest}`);
    return match[1]!;
  };
  const checked = (id: string) => {
    if (!isUploadId(id)) throw new TypeError(`not an upload id: ${id}`);
    return id;
  };
  const blobs = join(root, "blobs", "sha256");
  return {
    root,
    blobs,
    uploads: join(root, "uploads"),
    corrupt: join(root, "corrupt"),
    blob(digest) {
      const name = hex(digest);
      const directory = join(blobs, name.slice(0, 2));
      return { directory, file: join(directory, name) };
    },
    uploadData: (id) => join(root, "uploads", `${checked(id)}.data`),
    uploadInfo: (id) => join(root, "uploads", `${checked(id)}.json`),
    corruptBlob: (digest, id) => join(root, "corrupt", `${hex(digest)}.${checked(id)}`),
    trash: (id) => join(root, `${trashPrefix}${checked(id)}`),
  };
}
