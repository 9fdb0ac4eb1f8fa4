import type { EcrOperations } from "#api/generated/ecr.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import { ApiError } from "#api/contract.ts";
import type { EcrPart } from "./part.ts";
import { encryptionOf, mutabilityOf } from "./settings.ts";
import { checkTags } from "./tags.ts";
import { badToken, listOf, maxResults, registryOf, repositoryName } from "./validate.ts";
import { repositoryView } from "./views.ts";

export function repositoryHandlers({ registry, config, sealer }: EcrPart) {
  return {
    async CreateRepository(input, context) {
      const where = registryOf(input.registryId, context);
      const repository = await registry.repositories.create(where, repositoryName(input.repositoryName), {
        ...mutabilityOf(input.imageTagMutability, input.imageTagMutabilityExclusionFilters),
        scanOnPush: input.imageScanningConfiguration?.scanOnPush ?? false,
        encryption: encryptionOf(input.encryptionConfiguration, where),
        tags: checkTags({}, input.tags ?? []),
      });
      return { repository: repositoryView(config, repository) };
    },

    async DescribeRepositories(input, context) {
      const where = registryOf(input.registryId, context);
      if (input.repositoryNames !== undefined) {
        if (input.maxResults !== undefined || input.nextToken !== undefined)
          throw new ApiError(
            "InvalidParameterException",
            "maxResults and nextToken cannot be used when you specify repositories with repositoryNames",
          );
        const names = listOf("repositoryNames", input.repositoryNames, 1, 100).map(repositoryName);
        const found = await Promise.all(names.map((name) => registry.repositories.get(where, name)));
        return { repositories: found.map((repository) => repositoryView(config, repository)) };
      }
      const limit = maxResults(input.maxResults);
      const all = await registry.repositories.list(where);
      const scope = `ecr:DescribeRepositories:${where.account}:${where.region}`;
      const { items, nextToken } = pageOf(sealer, all, ({ name }) => name, { scope, limit, token: input.nextToken, badToken });
      return { repositories: items.map((repository) => repositoryView(config, repository)), nextToken };
    },

    async DeleteRepository(input, context) {
      const where = registryOf(input.registryId, context);
      const repository = await registry.repositories.remove(where, repositoryName(input.repositoryName), input.force ?? false);
      return { repository: repositoryView(config, repository) };
    },
  } satisfies Handlers<EcrOperations>;
}
