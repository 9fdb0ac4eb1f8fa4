import { BlobCorrupt, type BlobRead } from "../blobs/blob-store.ts";
import { isDigest } from "../blobs/digest.ts";
import { layerUnknown } from "../errors.ts";
import { answer, ClientGone, type Exchange, methodNotAllowed, writePiece } from "./exchange.ts";
import { OciError } from "./errors.ts";
import { parseRange } from "./ranges.ts";

/** GET, HEAD and DELETE of a blob that the repository holds. Source: OCI distribution specification 1.1, "Pulling Blobs". */
export async function handleBlob(exchange: Exchange, digest: string): Promise<void> {
  const { request, response, core, repository } = exchange;
  if (!isDigest(digest)) throw new OciError(400, "DIGEST_INVALID", "The digest is not a sha256 digest.");
  switch (request.method) {
    case "GET":
    case "HEAD": {
      // HEAD comes before a push that relies on the layer.
      const stat = await core.layers.find(repository, digest, request.method === "HEAD" ? "rely" : undefined);
      if (!stat) throw layerUnknown(repository, digest);
      await sendBlob(exchange, digest, stat.size);
      return;
    }
    case "DELETE":
      await core.layers.remove(repository, digest);
      answer(response, 202);
      return;
    default:
      throw methodNotAllowed("GET, HEAD, DELETE");
  }
}

/** Answers GET and HEAD with the blob or the range of it that was asked for. Also serves the URLs of GetDownloadUrlForLayer. */
export async function sendBlob(
  { request, response, core }: Pick<Exchange, "request" | "response" | "core">,
  digest: string,
  size: number,
): Promise<void> {
  const headers: Record<string, string | number> = {
    "content-type": "application/octet-stream",
    "docker-content-digest": digest,
    etag: `"${digest}"`,
    "accept-ranges": "bytes",
    "cache-control": "private, max-age=31536000",
  };
  if (request.headers["if-none-match"] === headers.etag) {
    response.writeHead(304, headers).end();
    return;
  }
  const wanted = request.headers.range;
  const sameBlob = request.headers["if-range"] === undefined || request.headers["if-range"] === headers.etag;
  const range = wanted !== undefined && sameBlob && request.method === "GET" ? parseRange(wanted, size) : undefined;
  if (range === "unsatisfiable")
    throw new OciError(416, "SIZE_INVALID", `The range is not one within the ${size} bytes of the blob.`, {
      "content-range": `bytes */${size}`,
    });
  const status = range ? 206 : 200;
  if (range) headers["content-range"] = `bytes ${range.first}-${range.last}/${size}`;
  headers["content-length"] = range ? range.last - range.first + 1 : size;
  if (request.method === "HEAD") {
    response.writeHead(status, headers).end();
    return;
  }
  const read = await core.blobs.read(digest, range);
  if (!read) throw new OciError(404, "BLOB_UNKNOWN", `The layer with digest '${digest}' does not exist.`);
  await stream(response, read, status, headers);
}

async function stream(
  response: Exchange["response"],
  read: BlobRead,
  status: number,
  headers: Readonly<Record<string, string | number>>,
): Promise<void> {
  try {
    // Two pieces are on their way at a time, so that the socket never waits for the disk or the digest.
    let before: Promise<void> = Promise.resolve();
    for await (const piece of read.pieces()) {
      // Not before the first piece: a small blob is found damaged while an error can still be told.
      if (!response.headersSent) response.writeHead(status, headers);
      const written = writePiece(response, piece);
      written.catch(() => {});
      await before;
      before = written;
    }
    await before;
    if (!response.headersSent) response.writeHead(status, headers);
    response.end();
  } catch (error) {
    if (error instanceof BlobCorrupt && !response.headersSent)
      throw new OciError(404, "BLOB_UNKNOWN", `The layer with digest '${error.digest}' was damaged and is gone. Push it again.`);
    // Cut off: the client has fewer bytes than were announced and cannot take them for the blob.
    response.destroy();
    if (!(error instanceof ClientGone) && !(error instanceof BlobCorrupt)) throw error;
  }
}
