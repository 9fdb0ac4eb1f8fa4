import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { isAlreadyExists, isNotFound, isUnavailable, leased, messageOf, type Containerd } from "#agent/containerd/client.ts";
import {
  WriteAction,
  WriteContentRequestSchema,
  type WriteContentResponse,
} from "#agent/containerd/generated/api/services/content/v1/content_pb.ts";

/**
 * Blobs in containerd's content store. containerd hashes what it is given and refuses a commit whose digest or size differ, so nothing is
 * hashed here. What an interrupted write left stays under its ref until the lease goes, and the next write of the same blob goes on there.
 */

export interface Blob {
  readonly digest: string;
  readonly size: number;
}

/** Size of a blob in the store; undefined where it is not there. */
export async function blobSize(containerd: Containerd, digest: string, signal?: AbortSignal): Promise<number | undefined> {
  try {
    const { info } = await containerd.content.info({ digest }, { signal });
    return Number(info?.size ?? 0n);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** A whole blob of at most `limit` bytes, as it was committed. */
export async function readBlob(containerd: Containerd, digest: string, limit: number, signal?: AbortSignal): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const { data } of containerd.content.read({ digest }, { signal })) {
    size += data.length;
    if (size > limit) throw new Error(`blob ${digest} is larger than ${limit} bytes`);
    parts.push(data);
  }
  return Buffer.concat(parts);
}

export async function setLabels(containerd: Containerd, digest: string, labels: Record<string, string>): Promise<void> {
  const paths = Object.keys(labels).map((key) => `labels.${key}`);
  await containerd.content.update({ info: { digest, labels }, updateMask: { paths } });
}

/** Drops a half-written blob. The writer that was just closed may still hold it in containerd: then again, for a second at most. */
export async function abortWrite(containerd: Containerd, digest: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await containerd.content.abort({ ref: writeRef(digest) });
      return;
    } catch (error) {
      if (isNotFound(error)) return;
      if (attempt >= 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const chunkSize = 1024 * 1024;
const writeRef = (digest: string) => `gantry-${digest}`;

/**
 * Writes a blob. `source(offset)` gives the bytes from `offset` on; an error of it that `resume` accepts starts it again where it broke.
 * Throws what the source threw, or containerd's refusal of a wrong digest or size.
 */
export async function writeBlob(
  containerd: Containerd,
  blob: Blob,
  options: {
    readonly lease: string;
    readonly labels?: Record<string, string>;
    readonly signal?: AbortSignal;
    readonly source: (offset: number) => AsyncIterable<Uint8Array>;
    /** Called when the source failed at `offset`; resolves true to go on from there. */
    readonly resume?: (error: unknown, offset: number) => Promise<boolean>;
  },
): Promise<void> {
  const total = BigInt(blob.size);
  const ref = writeRef(blob.digest);
  let exchange = new Exchange(containerd, options.lease, options.signal);
  const stat = async (attempts: number): Promise<WriteContentResponse> => {
    try {
      return await exchange.send({ action: WriteAction.STAT, ref, total, expected: blob.digest });
    } catch (error) {
      // A write that was cut off a moment ago holds the ref until containerd has noticed.
      if (attempts === 0 || !isUnavailable(error) || !messageOf(error).includes("locked")) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
      await exchange.close();
      exchange = new Exchange(containerd, options.lease, options.signal);
      return stat(attempts - 1);
    }
  };
  try {
    let status = await stat(50);
    let offset = Number(status.offset);
    const write = async (data: Uint8Array) => {
      if (offset + data.length > blob.size) throw new Error(`blob ${blob.digest} is larger than its declared size ${blob.size}`);
      status = await exchange.send({ action: WriteAction.WRITE, ref, total, expected: blob.digest, offset: BigInt(offset), data });
      offset = Number(status.offset);
    };
    while (offset < blob.size) {
      try {
        for await (const data of chunks(options.source(offset))) await write(data);
        if (offset < blob.size) throw new ShortBlob(`unexpected EOF: ${offset} of ${blob.size} bytes`);
      } catch (error) {
        if (!(await options.resume?.(error, offset))) throw error;
      }
    }
    await exchange.send({
      action: WriteAction.COMMIT,
      ref,
      total,
      expected: blob.digest,
      offset: total,
      labels: options.labels ?? {},
    });
  } catch (error) {
    if (isAlreadyExists(error)) {
      await keepExisting(containerd, blob.digest, options);
      return;
    }
    throw error;
  } finally {
    await exchange.close();
  }
}

/** The source ended before the blob did. */
export class ShortBlob extends Error {}

async function keepExisting(
  containerd: Containerd,
  digest: string,
  options: { lease: string; labels?: Record<string, string> },
): Promise<void> {
  await containerd.leases.addResource({ id: options.lease, resource: { id: digest, type: "content" } });
  if (options.labels && Object.keys(options.labels).length > 0) await setLabels(containerd, digest, options.labels);
}

/** Gathers what the network delivers into pieces of 1 MiB: every write is a round trip. */
async function* chunks(source: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of source) {
    for (let at = 0; at < part.length; at += chunkSize) {
      const piece = part.length > chunkSize ? part.subarray(at, at + chunkSize) : part;
      parts.push(piece);
      size += piece.length;
      if (size < chunkSize) continue;
      yield parts.length === 1 ? piece : Buffer.concat(parts, size);
      [parts, size] = [[], 0];
    }
  }
  if (size > 0) yield Buffer.concat(parts, size);
}

type Request = MessageInitShape<typeof WriteContentRequestSchema>;

/** The Write call as question and answer: one request, then its response. */
class Exchange {
  readonly #responses: AsyncIterator<WriteContentResponse>;
  #give: ((request: Request | undefined) => void) | undefined;
  #queued: Request | undefined;
  #ended = false;

  constructor(containerd: Containerd, lease: string, signal: AbortSignal | undefined) {
    this.#responses = containerd.content.write(this.#requests(), leased(lease, signal))[Symbol.asyncIterator]();
  }

  async send(request: Request): Promise<WriteContentResponse> {
    if (this.#give) this.#give(request);
    else this.#queued = request;
    const { value, done } = await this.#responses.next();
    if (done || !value) throw new Error("containerd ended the write");
    return value as WriteContentResponse;
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#give?.(undefined);
    await this.#responses.return?.().catch(() => undefined);
  }

  async *#requests() {
    while (!this.#ended) {
      const request = this.#queued ?? (await new Promise<Request | undefined>((resolve) => (this.#give = resolve)));
      this.#queued = undefined;
      this.#give = undefined;
      if (!request) return;
      yield create(WriteContentRequestSchema, request);
    }
  }
}
