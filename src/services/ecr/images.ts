import type { ImageFailure, ImageIdentifier, ImageStatusFilter, TagStatus } from "@aws-sdk/client-ecr";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import { imageUnknown, RegistryError } from "#registry/errors.ts";
import { scanKey } from "#registry/keys.ts";
import type { ImageRecord, RepositoryRecord, ScanRecord } from "#registry/records.ts";
import { failure, malformed, notFound, resolve } from "./image-ids.ts";
import type { EcrPart } from "./part.ts";
import { badToken, listOf, maxResults, oneOf, registryOf, repositoryName } from "./validate.ts";
import { imageDetail } from "./views.ts";

interface Filter {
  readonly tagStatus?: TagStatus;
  readonly imageStatus?: ImageStatusFilter;
}

export function imageHandlers({ registry, sealer, store }: EcrPart) {
  const { images, repositories } = registry;

  /** The repository's images with their tags, those that the filter lets through. */
  async function filtered(repository: RepositoryRecord, filter: Filter | undefined) {
    const tagStatus = oneOf("filter.tagStatus", filter?.tagStatus, ["TAGGED", "UNTAGGED", "ANY"]) ?? "ANY";
    const imageStatus = oneOf("filter.imageStatus", filter?.imageStatus, ["ACTIVE", "ARCHIVED", "ACTIVATING", "ANY"]) ?? "ACTIVE";
    if (imageStatus === "ARCHIVED" || imageStatus === "ACTIVATING") return [];
    const [all, tags] = await Promise.all([images.list(repository), images.tags(repository)]);
    const byDigest = Map.groupBy(tags.keys(), (tag) => tags.get(tag)!);
    return all
      .map((image) => ({ image, tags: byDigest.get(image.digest) ?? [] }))
      .filter(({ tags: own }) => tagStatus === "ANY" || (tagStatus === "TAGGED") === own.length > 0);
  }

  const detailOf = async (repository: RepositoryRecord, image: ImageRecord, tags: readonly string[]) =>
    imageDetail(repository, image, tags, (await store.get<ScanRecord>(scanKey(repository, image.digest)))?.value);

  const scope = (operation: string, { id }: RepositoryRecord, filter: Filter | undefined) =>
    `ecr:${operation}:${id}:${filter?.tagStatus ?? ""}:${filter?.imageStatus ?? ""}`;

  return {
    async ListImages(input, context) {
      const limit = maxResults(input.maxResults);
      const repository = await repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const ids = (await filtered(repository, input.filter)).flatMap(({ image, tags }): ImageIdentifier[] =>
        tags.length === 0 ? [{ imageDigest: image.digest }] : tags.map((imageTag) => ({ imageDigest: image.digest, imageTag })),
      );
      const { items, nextToken } = pageOf(sealer, ids, ({ imageDigest, imageTag = "" }) => `${imageDigest}/${imageTag}`, {
        scope: scope("ListImages", repository, input.filter),
        limit,
        token: input.nextToken,
        badToken,
      });
      return { imageIds: [...items], nextToken };
    },

    async DescribeImages(input, context) {
      const limit = maxResults(input.maxResults);
      const repository = await repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      if (input.imageIds !== undefined) {
        const wanted = listOf("imageIds", input.imageIds, 1, 100);
        const found = new Map<string, ImageRecord>();
        for (const imageId of wanted) {
          const result = await resolve(images, repository, imageId);
          if ("failure" in result) throw imageUnknown(repository, { digest: imageId.imageDigest, tag: imageId.imageTag });
          found.set(result.image.digest, result.image);
        }
        const tags = await images.tags(repository);
        const byDigest = Map.groupBy(tags.keys(), (tag) => tags.get(tag)!);
        return {
          imageDetails: await Promise.all(
            [...found.values()].map((image) => detailOf(repository, image, byDigest.get(image.digest) ?? [])),
          ),
        };
      }
      const all = await filtered(repository, input.filter);
      const { items, nextToken } = pageOf(sealer, all, ({ image }) => image.digest, {
        scope: scope("DescribeImages", repository, input.filter),
        limit,
        token: input.nextToken,
        badToken,
      });
      return { imageDetails: await Promise.all(items.map(({ image, tags }) => detailOf(repository, image, tags))), nextToken };
    },

    async BatchGetImage(input, context) {
      const repository = await repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const accepted = input.acceptedMediaTypes && listOf("acceptedMediaTypes", input.acceptedMediaTypes, 1, 100);
      const found = [];
      const failures: ImageFailure[] = [];
      for (const imageId of listOf("imageIds", input.imageIds, 1, 100)) {
        const result = await resolve(images, repository, imageId);
        if ("failure" in result) {
          failures.push(result.failure);
          continue;
        }
        const { image } = result;
        const bytes = accepted && !accepted.includes(image.mediaType) ? undefined : await registry.manifests.read(image.digest);
        if (!bytes) {
          failures.push(notFound(imageId));
          continue;
        }
        found.push({
          registryId: repository.account,
          repositoryName: repository.name,
          imageId: { imageDigest: image.digest, imageTag: imageId.imageTag },
          imageManifest: bytes.toString("utf8"),
          imageManifestMediaType: image.mediaType,
        });
        await images.pulled(repository, image);
      }
      return { images: found, failures };
    },

    /** By tag: the tag, and the image with its last tag. By digest: the image with all its tags. Source: Amazon ECR API Reference, BatchDeleteImage. */
    async BatchDeleteImage(input, context) {
      const repository = await repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const imageIds: ImageIdentifier[] = [];
      const failures: ImageFailure[] = [];
      for (const imageId of listOf("imageIds", input.imageIds, 1, 100)) {
        try {
          const outcome = await remove(repository, imageId);
          if (Array.isArray(outcome)) imageIds.push(...outcome);
          else failures.push(outcome);
        } catch (error) {
          if (!(error instanceof RegistryError && error.kind === "ImageReferenced")) throw error;
          failures.push(failure(imageId, "ImageReferencedByManifestList", error.message));
        }
      }
      return { imageIds, failures };
    },
  } satisfies Handlers<EcrOperations>;

  async function remove(repository: RepositoryRecord, imageId: ImageIdentifier): Promise<ImageIdentifier[] | ImageFailure> {
    const wrong = malformed(imageId);
    if (wrong) return wrong;
    if (imageId.imageDigest === undefined) {
      const gone = await images.removeTag(repository, imageId.imageTag!, true);
      return gone ? [{ imageDigest: gone.digest, imageTag: imageId.imageTag }] : notFound(imageId);
    }
    const result = await resolve(images, repository, imageId);
    if ("failure" in result) return result.failure;
    const { digest } = result.image;
    const gone = await images.remove(repository, digest);
    if (!gone) return notFound(imageId);
    return gone.tags.length === 0 ? [{ imageDigest: digest }] : gone.tags.map((imageTag) => ({ imageDigest: digest, imageTag }));
  }
}
