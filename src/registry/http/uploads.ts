import type { BlobUpload } from "../blobs/blob-store.ts";
import { DigestMismatch } from "../blobs/blob-store.ts";
import { type Digest, isDigest } from "../blobs/digest.ts";
import { answer, bodyOf, type Exchange, methodNotAllowed } from "./exchange.ts";
import { isDiskFull, OciError } from "./errors.ts";
import { parseContentRange } from "./ranges.ts";

/** POST: begins an upload, or takes a whole blob, or mounts one. Source: OCI distribution specification 1.1, "Pushing blobs" and "Mounting a blob". */
export async function handleUploads(exchange: Exchange): Promise<void> {
  const { request, response, info, core, registry, repository } = exchange;
  if (request.method !== "POST") throw methodNotAllowed("POST");
  const mount = info.query.get("mount");
  const from = info.query.get("from");
  if (mount !== null && isDigest(mount) && from !== null) {
    // A layer that one may not read is one that is not there: the client sends its own.
    const readable = (await exchange.may("ecr:GetDownloadUrlForLayer", from)) === undefined;
    const source = readable ? await core.repositories.find(registry, from) : undefined;
    if (source && (await core.layers.mount(source, repository, mount))) {
      created(exchange, mount);
      return;
    }
  }
  const digest = info.query.get("digest");
  if (digest !== null && mount === null) {
    requireDigest(digest);
    const id = await core.uploads.begin(repository);
    await core.uploads.use(repository, id, (upload, signal) => finish(exchange, upload, digest, signal));
    return;
  }
  const id = await core.uploads.begin(repository);
  answer(response, 202, { ...where(exchange, id, 0), "docker-upload-uuid": id });
}

/** PATCH adds, PUT completes, GET tells how far it is, DELETE gives it up. */
export async function handleUpload(exchange: Exchange, id: string): Promise<void> {
  const { request, response, info, core, repository } = exchange;
  switch (request.method) {
    case "PATCH":
      await core.uploads.use(repository, id, async (upload, signal) => {
        await append(exchange, upload, signal);
        answer(response, 202, { ...where(exchange, id, upload.size), "docker-upload-uuid": id });
      });
      return;
    case "PUT": {
      const digest = info.query.get("digest");
      requireDigest(digest);
      await core.uploads.use(repository, id, (upload, signal) => finish(exchange, upload, digest, signal));
      return;
    }
    case "GET":
      answer(response, 204, { ...where(exchange, id, await core.uploads.size(repository, id)), "docker-upload-uuid": id });
      return;
    case "DELETE":
      await core.uploads.use(repository, id, async (upload) => {
        core.uploads.forget(id);
        await upload.abort();
      });
      answer(response, 204);
      return;
    default:
      throw methodNotAllowed("GET, PATCH, PUT, DELETE");
  }
}

async function finish(exchange: Exchange, upload: BlobUpload, digest: Digest, signal: AbortSignal): Promise<void> {
  const { core, repository } = exchange;
  await append(exchange, upload, signal);
  try {
    await core.layers.store(repository, digest, upload.size, () => upload.commit(digest));
  } catch (error) {
    if (!(error instanceof DigestMismatch)) throw error;
    core.uploads.forget(upload.id);
    await upload.abort();
    throw new OciError(
      400,
      "DIGEST_INVALID",
      "None of the provided layer digests match the calculated layer digest",
      {},
      {
        given: error.given,
        calculated: error.actual,
      },
    );
  }
  core.uploads.forget(upload.id);
  created(exchange, digest);
}

/** Adds the body to the upload. A chunk that says where it belongs must continue what is there, and be as long as it says. */
async function append(exchange: Exchange, upload: BlobUpload, signal: AbortSignal): Promise<void> {
  const { request, core } = exchange;
  const before = upload.size;
  const length = request.headers["content-length"] === undefined ? undefined : Number(request.headers["content-length"]);
  const header = request.headers["content-range"];
  const range = header === undefined ? undefined : parseContentRange(header);
  if (header !== undefined && !range)
    throw new OciError(400, "BLOB_UPLOAD_INVALID", "The Content-Range is not of the form <first>-<last>.");
  if (range && range.first !== before)
    throw new OciError(
      416,
      "BLOB_UPLOAD_INVALID",
      `The chunk begins at byte ${range.first}, the upload has ${before} bytes.`,
      where(exchange, upload.id, before),
    );
  const claimed = range && range.last - range.first + 1;
  if (claimed !== undefined && length !== undefined && claimed !== length)
    throw new OciError(400, "SIZE_INVALID", `The Content-Range claims ${claimed} bytes, the Content-Length ${length}.`);
  const stop = () => request.destroy();
  signal.addEventListener("abort", stop, { once: true });
  try {
    await upload.append(bodyOf(request));
  } catch (error) {
    // What cannot be completed must not keep the disk full until it expires.
    if (isDiskFull(error)) {
      core.uploads.forget(upload.id);
      await upload.abort();
    }
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
  if (claimed !== undefined && upload.size - before !== claimed) {
    const got = upload.size - before;
    await upload.truncate(before);
    throw new OciError(
      400,
      "SIZE_INVALID",
      `The Content-Range claims ${claimed} bytes, the body had ${got}.`,
      where(exchange, upload.id, before),
    );
  }
}

function requireDigest(digest: string | null): asserts digest is Digest {
  if (digest === null || !isDigest(digest)) throw new OciError(400, "DIGEST_INVALID", "The digest parameter is not a sha256 digest.");
}

function created({ response, path }: Exchange, digest: Digest): void {
  answer(response, 201, { location: `/v2/${path}/blobs/${digest}`, "docker-content-digest": digest });
}

/** Where to go on, and from which byte. OCI has no way to say "none": distribution answers 0-0, and so do all. */
function where({ path }: Exchange, id: string, size: number): Record<string, string> {
  return { location: `/v2/${path}/blobs/uploads/${id}`, range: `0-${Math.max(0, size - 1)}` };
}
