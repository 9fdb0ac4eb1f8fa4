import { imageUnknown, RegistryError } from "../errors.ts";
import type { ImageRecord } from "../records.ts";
import { manifestLimit } from "../manifest.ts";
import { answer, bodyOf, ClientGone, type Exchange, methodNotAllowed } from "./exchange.ts";
import { OciError } from "./errors.ts";
import { parseReference, type Reference } from "./path.ts";

/** Source: OCI distribution specification 1.1, "Pulling manifests", "Pushing Manifests", "Deleting tags" and "Deleting Manifests". */
export async function handleManifest(exchange: Exchange, text: string): Promise<void> {
  const { request, response, core, repository } = exchange;
  const reference = parseReference(text);
  switch (request.method) {
    case "GET":
    case "HEAD": {
      const image = reference && (await core.images.find(repository, reference));
      if (!image) throw imageUnknown(repository, reference ?? { tag: text.slice(0, 300) });
      await send(exchange, image);
      return;
    }
    case "PUT": {
      if (!reference) throw text.includes(":") ? digestInvalid() : tagInvalid();
      await put(exchange, reference);
      return;
    }
    case "DELETE": {
      if (!reference) throw imageUnknown(repository, { tag: text.slice(0, 300) });
      // OCI's delete of a tag leaves the image; ECR's BatchDeleteImage does not.
      const gone = reference.digest
        ? await core.images.remove(repository, reference.digest)
        : await core.images.removeTag(repository, reference.tag!, false);
      if (!gone) throw imageUnknown(repository, reference);
      answer(response, 202);
      return;
    }
    default:
      throw methodNotAllowed("GET, HEAD, PUT, DELETE");
  }
}

async function send(exchange: Exchange, image: ImageRecord): Promise<void> {
  const { request, response, core, repository, info } = exchange;
  const headers = {
    "content-type": image.mediaType,
    "docker-content-digest": image.digest,
    etag: `"${image.digest}"`,
    "content-length": image.manifestSize,
  };
  if (request.headers["if-none-match"] === headers.etag) {
    response.writeHead(304, { etag: headers.etag, "docker-content-digest": image.digest }).end();
    return;
  }
  const bytes = request.method === "HEAD" ? undefined : await core.manifests.read(image.digest);
  if (request.method !== "HEAD" && !bytes) throw imageUnknown(repository, { digest: image.digest });
  response.writeHead(200, headers).end(bytes);
  if (request.method === "GET")
    core.images.pulled(repository, image).catch((error: unknown) => info.log.warn({ err: error }, "the time of a pull was not recorded"));
}

async function put(exchange: Exchange, reference: Reference): Promise<void> {
  const { request, response, core, repository } = exchange;
  const bytes = await readManifest(exchange);
  const mediaType = request.headers["content-type"]?.split(";")[0]?.trim() || undefined;
  const { image } = await core.images.put(repository, { bytes, mediaType, ...reference });
  answer(response, 201, {
    location: `/v2/${exchange.path}/manifests/${image.digest}`,
    "docker-content-digest": image.digest,
    ...(image.subject ? { "oci-subject": image.subject } : {}),
  });
}

async function readManifest({ request }: Exchange): Promise<Buffer> {
  const tooLarge = () => new RegistryError("ManifestTooLarge", `The manifest has more than ${manifestLimit} bytes`);
  if (Number(request.headers["content-length"] ?? 0) > manifestLimit) throw tooLarge();
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of bodyOf(request)) {
      length += piece.length;
      if (length > manifestLimit) throw tooLarge();
      pieces.push(piece);
    }
  } catch (error) {
    throw error instanceof RegistryError ? error : new ClientGone();
  }
  return Buffer.concat(pieces);
}

const digestInvalid = () => new OciError(400, "DIGEST_INVALID", "The digest is not a sha256 digest.");
const tagInvalid = () => new OciError(400, "TAG_INVALID", "The tag does not match [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}.");
