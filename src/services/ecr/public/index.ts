import type { DescribeImagesCommandInput } from "@aws-sdk/client-ecr-public";
import { ApiError, type Handler, type RequestContext } from "#api/contract.ts";
import type { EcrPublicOperations } from "#api/generated/ecr-public.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import { sealToken, tokenLifetimeMs } from "#registry/identify.ts";
import { publicRegion } from "#registry/public.ts";
import { imageHandlers } from "../images.ts";
import { layerHandlers } from "../layers.ts";
import type { EcrPart } from "../part.ts";
import { policyHandlers } from "../policies.ts";
import { putImageHandlers } from "../put-image.ts";
import { tagHandlers } from "../tags.ts";
import { badToken, maxResults } from "../validate.ts";
import { publicRepositoryHandlers } from "./repositories.ts";

/**
 * Amazon ECR Public: registries that anybody may pull from. Images, layers, policies and tags are ECR's own code on the account's public registry. Source: Amazon
 * ECR Public API Reference.
 */
export function ecrPublicHandlers(part: EcrPart): Readonly<Record<string, Handler>> {
  const { sealer } = part;
  const images = imageHandlers(part);
  const { BatchCheckLayerAvailability, InitiateLayerUpload, UploadLayerPart, CompleteLayerUpload } = layerHandlers(part);
  const { SetRepositoryPolicy, GetRepositoryPolicy, DeleteRepositoryPolicy } = policyHandlers(part, "ecr-public");

  /** Newest first, as AWS lists them. */
  async function details({ registryId, repositoryName, imageIds }: DescribeImagesCommandInput, context: RequestContext) {
    const { imageDetails } = await images.DescribeImages(
      { registryId, repositoryName, ...(imageIds ? { imageIds } : { maxResults: 1000 }) },
      context,
    );
    return (imageDetails ?? []).map((each) => ({
      registryId: each.registryId,
      repositoryName: each.repositoryName,
      imageDigest: each.imageDigest,
      imageTags: each.imageTags,
      imageSizeInBytes: each.imageSizeInBytes,
      imagePushedAt: each.imagePushedAt,
      imageManifestMediaType: each.imageManifestMediaType,
      artifactMediaType: each.artifactMediaType,
    }));
  }

  const own = {
    async DescribeImages(input, context) {
      const limit = maxResults(input.maxResults);
      const all = await details(input, context);
      if (input.imageIds !== undefined) return { imageDetails: all };
      const scope = `ecr-public:DescribeImages:${context.account}:${input.repositoryName}`;
      const { items, nextToken } = pageOf(sealer, all, ({ imageDigest }) => imageDigest ?? "", {
        scope,
        limit,
        token: input.nextToken,
        badToken,
      });
      return { imageDetails: [...items], nextToken };
    },

    async DescribeImageTags(input, context) {
      const limit = maxResults(input.maxResults);
      const all = (await details({ registryId: input.registryId, repositoryName: input.repositoryName }, context))
        .flatMap(({ imageTags = [], registryId: _id, repositoryName: _name, ...imageDetail }) =>
          imageTags.map((imageTag) => ({ imageTag, createdAt: imageDetail.imagePushedAt, imageDetail })),
        )
        .toSorted((a, b) => (a.imageTag < b.imageTag ? -1 : 1));
      const scope = `ecr-public:DescribeImageTags:${context.account}:${input.repositoryName}`;
      const { items, nextToken } = pageOf(sealer, all, ({ imageTag }) => imageTag, { scope, limit, token: input.nextToken, badToken });
      return { imageTagDetails: [...items], nextToken };
    },

    GetAuthorizationToken(_input, { account, principal, now }) {
      const expires = now + tokenLifetimeMs;
      const password = sealToken(sealer, { account, region: publicRegion, principal, expires });
      return { authorizationData: { authorizationToken: Buffer.from(`AWS:${password}`).toString("base64"), expiresAt: new Date(expires) } };
    },
  } satisfies Handlers<EcrPublicOperations>;

  const handlers = {
    ...publicRepositoryHandlers(part),
    ...own,
    ...tagHandlers(part),
    ...putImageHandlers(part),
    BatchCheckLayerAvailability,
    InitiateLayerUpload,
    UploadLayerPart,
    CompleteLayerUpload,
    SetRepositoryPolicy,
    GetRepositoryPolicy,
    DeleteRepositoryPolicy,
    BatchDeleteImage: images.BatchDeleteImage,
  } as Readonly<Record<string, Handler>>;
  return Object.fromEntries(Object.entries(handlers).map(([name, handler]) => [name, inPublic(handler)]));
}

/** ECR Public has one region for all the world; behind it lies the account's public registry. */
function inPublic(handler: Handler): Handler {
  return (input: never, context: RequestContext) => {
    if (context.region !== "us-east-1")
      throw new ApiError("UnsupportedCommandException", `Amazon ECR Public is served in us-east-1 only, not in ${context.region}.`);
    return handler(input, { ...context, region: publicRegion, signal: context.signal });
  };
}
