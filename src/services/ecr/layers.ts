import type { Layer, LayerFailure } from "@aws-sdk/client-ecr";
import { ApiError } from "#api/contract.ts";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import type { BlobUpload } from "#registry/blobs/blob-store.ts";
import { isDigest } from "#registry/blobs/digest.ts";
import { layerUnknown } from "#registry/errors.ts";
import type { RepositoryRecord } from "#registry/records.ts";
import { downloadUrl } from "./download.ts";
import { invalidParameter } from "./errors.ts";
import type { EcrPart } from "./part.ts";
import { listOf, registryOf, repositoryName } from "./validate.ts";

/** What InitiateLayerUpload tells clients, and the bounds of a part. Source: Amazon ECR API Reference, UploadLayerPart and LayerPartTooSmallException. */
const partSize = 10 * 1024 * 1024;
const largestPart = 20 * 1024 * 1024;
const smallestPart = 5 * 1024 * 1024;

export function layerHandlers(part: EcrPart) {
  const { registry } = part;
  const { repositories, layers, uploads, images } = registry;

  const imageOf = async (repository: RepositoryRecord, digest: string) =>
    (await images.list(repository)).find(({ blobs }) => blobs.includes(digest));

  /** As the manifest of an image that has the layer names it. */
  async function mediaTypeOf(repository: RepositoryRecord, digest: string): Promise<string | undefined> {
    const image = await imageOf(repository, digest);
    const bytes = image && (await registry.manifests.read(image.digest));
    if (!bytes) return undefined;
    type Descriptor = { digest: string; mediaType: string };
    const { config, layers: own = [] } = JSON.parse(bytes.toString("utf8")) as { config?: Descriptor; layers?: Descriptor[] };
    return [...(config ? [config] : []), ...own].find((each) => each.digest === digest)?.mediaType;
  }

  return {
    async BatchCheckLayerAvailability(input, context) {
      const repository = await repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const found: Layer[] = [];
      const failures: LayerFailure[] = [];
      for (const layerDigest of listOf("layerDigests", input.layerDigests, 1, 100)) {
        if (layerDigest === "")
          failures.push({
            layerDigest,
            failureCode: "MissingLayerDigest",
            failureReason: "Invalid request parameters: layer digest cannot be null",
          });
        else if (!isDigest(layerDigest))
          failures.push({
            layerDigest,
            failureCode: "InvalidLayerDigest",
            failureReason: "Invalid request parameters: layer digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
          });
        else {
          const stat = await layers.find(repository, layerDigest, "rely");
          if (stat)
            found.push({
              layerDigest,
              layerAvailability: "AVAILABLE",
              layerSize: stat.size,
              mediaType: await mediaTypeOf(repository, layerDigest),
            });
          else found.push({ layerDigest, layerAvailability: "UNAVAILABLE" });
        }
      }
      return { layers: found, failures };
    },

    async InitiateLayerUpload(input, context) {
      const repository = await repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      return { uploadId: await uploads.begin(repository), partSize };
    },

    async UploadLayerPart(input, context) {
      const where = registryOf(input.registryId, context);
      const name = repositoryName(input.repositoryName);
      const uploadId = uploadIdOf(input.uploadId);
      const { partFirstByte: first = -1, partLastByte: last = -1, layerPartBlob: bytes = new Uint8Array() } = input;
      if (first < 0) throw invalidParameter("partFirstByte", "must be greater than or equal to 0");
      if (last < 0) throw invalidParameter("partLastByte", "must be greater than or equal to 0");
      if (bytes.length > largestPart) throw invalidParameter("layerPartBlob", `must have length less than or equal to ${largestPart}`);
      const repository = await repositories.get(where, name);
      return uploads.use(repository, uploadId, async (upload) => {
        const invalid = (why: string) =>
          new ApiError("InvalidLayerPartException", why, 400, {
            registryId: where.account,
            repositoryName: name,
            uploadId,
            lastValidByteReceived: upload.size - 1,
          });
        if (first !== upload.size)
          throw invalid(
            `The layer part with first byte ${first} does not continue the upload with id '${uploadId}', whose next byte is ${upload.size}`,
          );
        if (last - first + 1 !== bytes.length)
          throw invalid(`The layer part has ${bytes.length} bytes, not the ${last - first + 1} from byte ${first} to byte ${last}`);
        const before = upload.size;
        // Only the last part may be small, and only when another one follows is it known not to be the last.
        if (before > 0 && upload.info.last === "small") await upload.annotate({ ...upload.info, small: "yes" });
        await upload.append(once(bytes));
        const size = bytes.length < smallestPart ? "small" : "large";
        if (upload.info.last !== size) await upload.annotate({ ...upload.info, last: size });
        return { registryId: where.account, repositoryName: name, uploadId, lastByteReceived: upload.size - 1 };
      });
    },

    async CompleteLayerUpload(input, context) {
      const where = registryOf(input.registryId, context);
      const name = repositoryName(input.repositoryName);
      const uploadId = uploadIdOf(input.uploadId);
      const digests = listOf("layerDigests", input.layerDigests, 1, 100);
      for (const digest of digests)
        if (!/^[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+$/.test(digest))
          throw invalidParameter("layerDigests", "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'");
      const repository = await repositories.get(where, name);
      const layerDigest = await uploads.use(repository, uploadId, (upload) => complete(repository, upload, digests));
      return { registryId: where.account, repositoryName: name, uploadId, layerDigest };
    },

    async GetDownloadUrlForLayer(input, context) {
      const where = registryOf(input.registryId, context);
      const repository = await repositories.get(where, repositoryName(input.repositoryName));
      const layerDigest = input.layerDigest ?? "";
      if (!isDigest(layerDigest)) throw invalidParameter("layerDigest", "must satisfy regular expression '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'");
      if (!(await layers.find(repository, layerDigest))) throw layerUnknown(repository, layerDigest);
      if (!(await imageOf(repository, layerDigest)))
        throw new ApiError(
          "LayerInaccessibleException",
          `The layer with digest '${layerDigest}' in the repository with name '${repository.name}' in registry with id '${where.account}' is not available because it is not associated with an image`,
        );
      return { layerDigest, downloadUrl: downloadUrl(part, repository, layerDigest, context) };
    },
  } satisfies Handlers<EcrOperations>;

  async function complete(repository: RepositoryRecord, upload: BlobUpload, digests: readonly string[]): Promise<string> {
    const where = `in the repository with name '${repository.name}' in registry with id '${repository.account}'`;
    if (upload.size === 0)
      throw new ApiError(
        "EmptyUploadException",
        `The upload with id '${upload.id}' ${where} cannot be completed because it does not have any parts`,
      );
    if (upload.info.small === "yes")
      throw new ApiError(
        "LayerPartTooSmallException",
        `The upload with id '${upload.id}' ${where} has parts smaller than ${smallestPart} bytes before the last`,
      );
    const digest = await upload.digest();
    if (!digests.includes(digest))
      throw new ApiError("InvalidLayerException", "None of the provided layer digests match the calculated layer digest");
    if (await layers.find(repository, digest, "rely")) {
      uploads.forget(upload.id);
      await upload.abort();
      throw new ApiError("LayerAlreadyExistsException", `The layer with digest '${digest}' already exists ${where}`);
    }
    await layers.store(repository, digest, upload.size, () => upload.commit(digest));
    uploads.forget(upload.id);
    return digest;
  }
}

function uploadIdOf(text: string | undefined): string {
  const form = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}";
  if (!new RegExp(`^${form}$`).test(text ?? "")) throw invalidParameter("uploadId", `must satisfy regular expression '${form}'`);
  return text!.toLowerCase();
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
