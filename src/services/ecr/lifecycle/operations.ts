import type { ImageIdentifier, LifecyclePolicyPreviewResult, TagStatus } from "@aws-sdk/client-ecr";
import { ApiError } from "#api/contract.ts";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import {
  evaluateLifecycle,
  type Expiring,
  type LifecycleImage,
  LifecyclePolicyError,
  parseLifecyclePolicy,
} from "#model/image-lifecycle/index.ts";
import { lifecycleKey, lifecyclePreviewKey, repositoryKey } from "#registry/keys.ts";
import { repositoryUnknown } from "#registry/errors.ts";
import type { LifecyclePreviewRecord, LifecycleRecord, RepositoryRecord } from "#registry/records.ts";
import { invalidParameter, notYet } from "../errors.ts";
import type { EcrPart } from "../part.ts";
import { badToken, listOf, oneOf, registryOf, repositoryName } from "../validate.ts";
import { lifecycleImage, needsArchive } from "./expiring.ts";

const [shortest, longest] = [100, 30_720];
const mostPreviewResults = 100;

/** Which images go by themselves. They are deleted by the reconciler. Source: Amazon ECR API Reference, PutLifecyclePolicy and StartLifecyclePolicyPreview. */
export function lifecycleHandlers({ registry, store, sealer, clock }: EcrPart) {
  /** Of a policy that was never evaluated: 1970, as ECR says it. */
  const evaluatedAt = async (repository: RepositoryRecord) =>
    new Date((await store.get<LifecycleRecord>(lifecycleKey(repository)))?.value.evaluatedAt ?? 0);

  /** As of the moment at which the preview was started: what was pushed since then is not in it. */
  async function previewOf(repository: RepositoryRecord, { policy, startedAt }: LifecyclePreviewRecord) {
    const [all, tags] = await Promise.all([registry.images.list(repository), registry.images.tags(repository)]);
    const byDigest = Map.groupBy(tags.keys(), (tag) => tags.get(tag)!);
    const images = all.filter(({ pushedAt }) => pushedAt <= startedAt).map((image) => lifecycleImage(image, byDigest.get(image.digest)));
    return evaluateLifecycle(parseLifecyclePolicy(policy), images, startedAt).expiring;
  }

  return {
    async PutLifecyclePolicy({ registryId, repositoryName: name, lifecyclePolicyText = "" }, context) {
      const where = registryOf(registryId, context);
      await registry.repositories.get(where, repositoryName(name));
      check(lifecyclePolicyText);
      const repository = await registry.repositories.update(where, name!, (known) => ({ ...known, lifecyclePolicy: lifecyclePolicyText }));
      return answerOf(repository, lifecyclePolicyText);
    },

    async GetLifecyclePolicy({ registryId, repositoryName: name }, context) {
      const repository = await registry.repositories.get(registryOf(registryId, context), repositoryName(name));
      return { ...answerOf(repository, policyOf(repository)), lastEvaluatedAt: await evaluatedAt(repository) };
    },

    async DeleteLifecyclePolicy({ registryId, repositoryName: name }, context) {
      let text = "";
      const repository = await registry.repositories.update(registryOf(registryId, context), repositoryName(name), (known) => {
        text = policyOf(known);
        const { lifecyclePolicy: _policy, ...rest } = known;
        return rest;
      });
      return { ...answerOf(repository, text), lastEvaluatedAt: await evaluatedAt(repository) };
    },

    async StartLifecyclePolicyPreview({ registryId, repositoryName: name, lifecyclePolicyText }, context) {
      const where = registryOf(registryId, context);
      const key = repositoryKey(where, repositoryName(name));
      for (;;) {
        const entry = await store.get<RepositoryRecord>(key);
        if (!entry) throw repositoryUnknown({ name: name!, account: where.account });
        const policy = lifecyclePolicyText ?? policyOf(entry.value);
        check(policy);
        const value: LifecyclePreviewRecord = { policy, startedAt: clock.now() };
        const writes = [{ put: lifecyclePreviewKey(entry.value), value }];
        const { ok } = await store.transaction({ compare: [{ key, revision: entry.revision }], writes });
        if (ok) return { ...answerOf(entry.value, policy), status: "IN_PROGRESS" as const };
      }
    },

    async GetLifecyclePolicyPreview(input, context) {
      const repository = await registry.repositories.get(registryOf(input.registryId, context), repositoryName(input.repositoryName));
      const preview = (await store.get<LifecyclePreviewRecord>(lifecyclePreviewKey(repository)))?.value;
      if (!preview)
        throw new ApiError(
          "LifecyclePolicyPreviewNotFoundException",
          `Lifecycle policy preview does not exist for the repository with name '${repository.name}' in the registry with id '${repository.account}'`,
        );
      if (input.imageIds !== undefined && (input.maxResults !== undefined || input.nextToken !== undefined))
        throw new ApiError("InvalidParameterException", "maxResults and nextToken cannot be used when you specify images with imageIds");
      const limit = previewResults(input.maxResults);
      const all = await previewOf(repository, preview);
      const tagStatus = oneOf("filter.tagStatus", input.filter?.tagStatus, ["TAGGED", "UNTAGGED", "ANY"]) ?? "ANY";
      const wanted = all.filter(({ image }) => isWanted(image, tagStatus, input.imageIds && listOf("imageIds", input.imageIds, 1, 100)));
      const scope = `ecr:GetLifecyclePolicyPreview:${repository.id}:${preview.startedAt}:${tagStatus}`;
      const results = wanted.toSorted((a, b) => (positionOf(a) < positionOf(b) ? -1 : 1));
      const { items, nextToken } = pageOf(sealer, results, positionOf, { scope, limit, token: input.nextToken, badToken });
      return {
        ...answerOf(repository, preview.policy),
        status: "COMPLETE" as const,
        previewResults: items.map(resultView),
        nextToken,
        summary: { expiringImageTotalCount: all.length, transitioningImageTotalCounts: [] },
      };
    },
  } satisfies Handlers<EcrOperations>;
}

function check(text: string): void {
  const name = "lifecyclePolicyText";
  if (text.length < shortest) throw invalidParameter(name, `Member must have length greater than or equal to ${shortest}`);
  if (text.length > longest) throw invalidParameter(name, `Member must have length less than or equal to ${longest}`);
  try {
    if (needsArchive(parseLifecyclePolicy(text))) throw notYet("the archive storage class of lifecycle policies");
  } catch (error) {
    if (!(error instanceof LifecyclePolicyError)) throw error;
    throw invalidParameter("LifecyclePolicyText", `Lifecycle policy validation failure: ${error.message}`);
  }
}

function policyOf({ lifecyclePolicy, name, account }: RepositoryRecord): string {
  if (lifecyclePolicy !== undefined) return lifecyclePolicy;
  const message = `Lifecycle policy does not exist for the repository with name '${name}' in the registry with id '${account}'`;
  throw new ApiError("LifecyclePolicyNotFoundException", message);
}

function previewResults(value: number | undefined): number {
  if (value === undefined) return mostPreviewResults;
  if (!Number.isInteger(value) || value < 1) throw invalidParameter("maxResults", "must be greater than or equal to 1");
  if (value > mostPreviewResults) throw invalidParameter("maxResults", `must be less than or equal to ${mostPreviewResults}`);
  return value;
}

const isWanted = ({ digest, tags }: LifecycleImage, tagStatus: TagStatus, ids: readonly ImageIdentifier[] | undefined) =>
  (tagStatus === "ANY" || (tagStatus === "TAGGED") === tags.length > 0) &&
  (ids?.some(
    ({ imageDigest, imageTag }) =>
      (imageDigest ?? digest) === digest && (imageTag === undefined ? imageDigest !== undefined : tags.includes(imageTag)),
  ) ??
    true);

/** Oldest first; a text that sorts so. */
const positionOf = ({ image }: Expiring<LifecycleImage>) => `${String(image.pushedAt).padStart(16, "0")}/${image.digest}`;

const resultView = ({ image, priority }: Expiring<LifecycleImage>): LifecyclePolicyPreviewResult => ({
  imageTags: [...image.tags],
  imageDigest: image.digest,
  imagePushedAt: new Date(image.pushedAt),
  action: { type: "EXPIRE" },
  appliedRulePriority: priority,
  storageClass: "STANDARD",
});

const answerOf = ({ account, name }: RepositoryRecord, lifecyclePolicyText: string) => ({
  registryId: account,
  repositoryName: name,
  lifecyclePolicyText,
});
