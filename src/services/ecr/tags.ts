import type { Tag } from "@aws-sdk/client-ecr";
import { ApiError } from "#api/contract.ts";
import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { parseArn } from "#model/arn.ts";
import type { RequestContext } from "#api/contract.ts";
import { publicRegion } from "#registry/public.ts";
import { invalidParameter } from "./errors.ts";
import type { EcrPart } from "./part.ts";
import { registryOf, repositoryName } from "./validate.ts";

/** Source: Amazon ECR User Guide, "Tag restrictions". */
const tagsPerRepository = 50;

/** `present` with `more` on top, or ECR's error. */
export function checkTags(present: Readonly<Record<string, string>>, more: readonly Partial<Tag>[]): Record<string, string> {
  const tags = new Map(Object.entries(present));
  for (const { Key = "", Value = "" } of more) {
    if (Key.length < 1 || Key.length > 128) throw invalidTag("Tag keys must have a length of 1 to 128 characters.");
    if (Value.length > 256) throw invalidTag("Tag values can have a maximum length of 256 characters.");
    if (/^aws:/i.test(Key)) throw invalidTag("Tag keys that begin with 'aws:' are reserved for system use.");
    if (!/^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u.test(Key + Value))
      throw invalidTag("Tags may contain letters, numbers, spaces and _ . : / = + - @ only.");
    tags.set(Key, Value);
  }
  if (tags.size > tagsPerRepository)
    throw new ApiError(
      "TooManyTagsException",
      `The list of tags on the repository is over the limit. The maximum number of tags that can be applied to a repository is ${tagsPerRepository}.`,
    );
  return Object.fromEntries(tags);
}

export function tagHandlers({ registry }: EcrPart) {
  return {
    async TagResource({ resourceArn, tags = [] }, context) {
      const { where, name } = resource(resourceArn, context);
      await registry.repositories.update(where, name, (repository) => ({ ...repository, tags: checkTags(repository.tags, tags) }));
      return {};
    },
    async UntagResource({ resourceArn, tagKeys = [] }, context) {
      const { where, name } = resource(resourceArn, context);
      await registry.repositories.update(where, name, (repository) => ({
        ...repository,
        tags: Object.fromEntries(Object.entries(repository.tags).filter(([key]) => !tagKeys.includes(key))),
      }));
      return {};
    },
    async ListTagsForResource({ resourceArn }, context) {
      const { where, name } = resource(resourceArn, context);
      const { tags } = await registry.repositories.get(where, name);
      return { tags: Object.entries(tags).map(([Key, Value]) => ({ Key, Value })) };
    },
  } satisfies Handlers<EcrOperations>;
}

function resource(text: string | undefined, context: RequestContext) {
  const arn = parseArn(text ?? "");
  const name = /^repository\/(.+)$/.exec(arn?.resource ?? "")?.[1];
  const [service, region] = context.region === publicRegion ? ["ecr-public", ""] : ["ecr", context.region];
  if (arn?.service !== service || name === undefined || arn.region !== region) throw invalidParameter("resourceArn", "Invalid ARN");
  return { where: registryOf(arn.account, context), name: repositoryName(name) };
}

const invalidTag = (message: string) => new ApiError("InvalidTagParameterException", message);
