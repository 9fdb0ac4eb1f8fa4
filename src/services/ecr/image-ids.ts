import type { ImageFailure, ImageIdentifier } from "@aws-sdk/client-ecr";
import { isDigest } from "#registry/blobs/digest.ts";
import type { Images } from "#registry/images.ts";
import { isTag } from "#registry/names.ts";
import type { ImageRecord, RepositoryRecord } from "#registry/records.ts";

/** What is wrong with an image id by itself. The texts are ECR's. */
export function malformed(imageId: ImageIdentifier): ImageFailure | undefined {
  const { imageDigest, imageTag } = imageId;
  if (imageDigest === undefined && imageTag === undefined)
    return failure(imageId, "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null");
  if (imageDigest !== undefined && !isDigest(imageDigest))
    return failure(
      imageId,
      "InvalidImageDigest",
      "Invalid request parameters: image digest should satisfy the regex '[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+'",
    );
  if (imageTag !== undefined && !isTag(imageTag))
    return failure(
      imageId,
      "InvalidImageTag",
      "Invalid request parameters: image tag should satisfy the regex '[a-zA-Z0-9_][a-zA-Z0-9._-]*'",
    );
  return undefined;
}

/** The image that a digest, a tag or both name. */
export async function resolve(
  images: Images,
  repository: RepositoryRecord,
  imageId: ImageIdentifier,
): Promise<{ readonly image: ImageRecord } | { readonly failure: ImageFailure }> {
  const wrong = malformed(imageId);
  if (wrong) return { failure: wrong };
  const { imageDigest, imageTag } = imageId;
  const byTag = imageTag === undefined ? undefined : await images.find(repository, { tag: imageTag });
  const byDigest = imageDigest === undefined ? undefined : await images.find(repository, { digest: imageDigest });
  if ((imageTag !== undefined && !byTag) || (imageDigest !== undefined && !byDigest)) return { failure: notFound(imageId) };
  if (byTag && byDigest && byTag.digest !== byDigest.digest)
    return { failure: failure(imageId, "ImageTagDoesNotMatchDigest", "Requested image tag does not match the image digest") };
  return { image: (byTag ?? byDigest)! };
}

export const notFound = (imageId: ImageIdentifier) => failure(imageId, "ImageNotFound", "Requested image not found");

export function failure(
  imageId: ImageIdentifier,
  failureCode: NonNullable<ImageFailure["failureCode"]>,
  failureReason: string,
): ImageFailure {
  return { imageId, failureCode, failureReason };
}
