import type { Digest } from "./digest.ts";

/**
 * Where blobs live: bytes by their digest, once, whoever owns them. It knows neither repositories nor accounts; who may see a blob and when it
 * may go is decided above it. `test/registry/blob-store-conformance.ts` says what every implementation has to do.
 */
export interface BlobStore {
  /** Makes ready what the store needs, and finishes what an earlier process left half done. */
  start(): Promise<void>;
  /** A whole blob, or undefined. A blob is visible only once all its bytes are durable. */
  stat(digest: Digest): Promise<BlobStat | undefined>;
  /** Undefined: no such blob. */
  read(digest: Digest, range?: ByteRange): Promise<BlobRead | undefined>;
  /** Begins an upload. `id` is a UUID that was not used before; `info` is kept with it, for whoever resumes. */
  begin(id: string, info: UploadInfo): Promise<BlobUpload>;
  /** An upload that was begun (perhaps by an earlier process) and neither committed nor aborted. */
  resume(id: string): Promise<BlobUpload | undefined>;
  /** False: there was no such blob. */
  remove(digest: Digest): Promise<boolean>;
  list(): AsyncIterable<BlobStat>;
  uploads(): AsyncIterable<{ readonly id: string; readonly modified: number }>;
  /** Removes an upload that cannot be resumed, or has no info. */
  discard(id: string): Promise<void>;
  /** Forgets everything. */
  clear(): Promise<void>;
  close(): Promise<void>;
}

export interface BlobStat {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch at which the blob came to be. */
  readonly modified: number;
}

/** First and last byte, both inclusive, within the blob. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

export interface BlobRead {
  /** Size of the whole blob. */
  readonly size: number;
  /**
   * The bytes in order. Each piece is good until the next but one is asked for. A read of the whole blob is checked against its digest before its last piece
   * is handed out, unless it was moments ago and is untouched since: BlobCorrupt then, so that nobody ever holds a damaged blob that looks whole. The store forgets a damaged blob, so that a push heals it.
   */
  pieces(): AsyncIterable<Uint8Array>;
  /** Must be called when `pieces` was not read to its end. */
  close(): Promise<void>;
}

export type UploadInfo = Readonly<Record<string, string>>;

/** One upload. Its methods never run at the same time: the caller sees to that. */
export interface BlobUpload {
  readonly id: string;
  readonly info: UploadInfo;
  /** Bytes received so far. */
  readonly size: number;
  /** Appends until the source ends. When the source fails, the bytes before that are kept and `size` says how many. Resolves with the size. */
  append(source: AsyncIterable<Uint8Array>): Promise<number>;
  /** Cuts the upload back to `size` bytes. */
  truncate(size: number): Promise<void>;
  /** Replaces the info. */
  annotate(info: UploadInfo): Promise<void>;
  /** Makes the bytes visible as a blob, durable when this resolves. Throws DigestMismatch and changes nothing when they are not what `digest` says. */
  commit(digest: Digest): Promise<void>;
  /** The digest of the bytes received so far. */
  digest(): Promise<Digest>;
  abort(): Promise<void>;
  /** Lets go of memory and files; the upload itself stays and can be resumed. */
  close(): Promise<void>;
}

/** The bytes are not those of the digest. */
export class DigestMismatch extends Error {
  readonly given: Digest;
  readonly actual: Digest;
  constructor(given: Digest, actual: Digest) {
    super(`the bytes have digest ${actual}, not ${given}`);
    this.name = "DigestMismatch";
    this.given = given;
    this.actual = actual;
  }
}

/** A stored blob no longer matches its digest. */
export class BlobCorrupt extends Error {
  readonly digest: Digest;
  constructor(digest: Digest) {
    super(`the stored bytes of ${digest} do not match their digest`);
    this.name = "BlobCorrupt";
    this.digest = digest;
  }
}
