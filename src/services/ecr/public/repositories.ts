import type { RepositoryCatalogData, RepositoryCatalogDataInput } from "@aws-sdk/client-ecr-public";
import { ApiError } from "#api/contract.ts";
import type { EcrPublicOperations } from "#api/generated/ecr-public.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { pageOf } from "#api/pagination.ts";
import { registryCatalogKey } from "#registry/keys.ts";
import { aliasOf } from "#registry/public.ts";
import type { CatalogRecord, RegistryCatalogRecord } from "#registry/records.ts";
import { invalidParameter } from "../errors.ts";
import type { EcrPart } from "../part.ts";
import { checkTags } from "../tags.ts";
import { badToken, listOf, maxResults, registryOf, repositoryName } from "../validate.ts";
import { publicHost, publicRepositoryView } from "../views.ts";

/** Source: Amazon ECR Public API Reference, RepositoryCatalogDataInput: bytes of a logo, lengths of texts. */
const longestDescription = 1024;
const longestText = 25_600;
const largestLogo = 512 * 1024;
const longestDisplayName = 100;

/** Repositories of a public registry and what its catalog says of them. `context.region` is the public registry's. */
export function publicRepositoryHandlers({ registry, config, sealer, store }: EcrPart) {
  const view = publicRepositoryView.bind(undefined, config);
  return {
    async CreateRepository(input, context) {
      const where = registryOf(undefined, context);
      const catalog = input.catalogData && catalogOf(input.catalogData);
      const tags = checkTags({}, input.tags ?? []);
      const created = await registry.repositories.create(where, repositoryName(input.repositoryName), {
        tags,
        ...(catalog && { catalog }),
      });
      return { repository: view(created), catalogData: catalogView(created.catalog ?? {}) };
    },

    async DescribeRepositories(input, context) {
      const where = registryOf(input.registryId, context);
      if (input.repositoryNames !== undefined) {
        const names = listOf("repositoryNames", input.repositoryNames, 1, 100).map(repositoryName);
        return { repositories: (await Promise.all(names.map((name) => registry.repositories.get(where, name)))).map(view) };
      }
      const page = {
        scope: `ecr-public:DescribeRepositories:${where.account}`,
        limit: maxResults(input.maxResults),
        token: input.nextToken,
        badToken,
      };
      const { items, nextToken } = pageOf(sealer, await registry.repositories.list(where), ({ name }) => name, page);
      return { repositories: items.map(view), nextToken };
    },

    async DeleteRepository(input, context) {
      const where = registryOf(input.registryId, context);
      return { repository: view(await registry.repositories.remove(where, repositoryName(input.repositoryName), input.force ?? false)) };
    },

    async GetRepositoryCatalogData(input, context) {
      const { catalog, name, account } = await registry.repositories.get(
        registryOf(input.registryId, context),
        repositoryName(input.repositoryName),
      );
      if (!catalog)
        throw new ApiError(
          "RepositoryCatalogDataNotFoundException",
          `The repository catalog data does not exist for the repository with name '${name}' in the registry with id '${account}'`,
        );
      return { catalogData: catalogView(catalog) };
    },

    async PutRepositoryCatalogData(input, context) {
      const catalog = catalogOf(input.catalogData ?? {});
      const where = registryOf(input.registryId, context);
      await registry.repositories.update(where, repositoryName(input.repositoryName), (known) => ({ ...known, catalog }));
      return { catalogData: catalogView(catalog) };
    },

    async DescribeRegistries(input, { account }) {
      maxResults(input.maxResults);
      if (input.nextToken !== undefined) throw badToken();
      const alias = { name: aliasOf(account), status: "ACTIVE" as const, primaryRegistryAlias: true, defaultRegistryAlias: true };
      return {
        registries: [
          {
            registryId: account,
            registryArn: `arn:aws:ecr-public::${account}:registry/${account}`,
            registryUri: `${publicHost(config)}/${alias.name}`,
            verified: false,
            aliases: [alias],
          },
        ],
      };
    },

    async GetRegistryCatalogData(_input, { account }) {
      return { registryCatalogData: (await store.get<RegistryCatalogRecord>(registryCatalogKey(account)))?.value ?? {} };
    },

    async PutRegistryCatalogData({ displayName }, { account }) {
      if (displayName !== undefined && displayName.length > longestDisplayName)
        throw invalidParameter("displayName", `must have length less than or equal to ${longestDisplayName}`);
      const value: RegistryCatalogRecord = displayName === undefined ? {} : { displayName };
      await store.transaction({ writes: [{ put: registryCatalogKey(account), value }] });
      return { registryCatalogData: value };
    },
  } satisfies Handlers<EcrPublicOperations>;
}

function catalogOf(input: RepositoryCatalogDataInput): CatalogRecord {
  const { description, aboutText, usageText, architectures, operatingSystems, logoImageBlob } = input;
  const checked = (name: string, text: string | undefined, most: number) => {
    if (text !== undefined && text.length > most)
      throw invalidParameter(`catalogData.${name}`, `must have length less than or equal to ${most}`);
    return text;
  };
  if (logoImageBlob !== undefined && logoImageBlob.length > largestLogo)
    throw invalidParameter("catalogData.logoImageBlob", `must have length less than or equal to ${largestLogo}`);
  const all = {
    description: checked("description", description, longestDescription),
    aboutText: checked("aboutText", aboutText, longestText),
    usageText: checked("usageText", usageText, longestText),
    architectures: architectures && listOf("catalogData.architectures", architectures, 0, 50),
    operatingSystems: operatingSystems && listOf("catalogData.operatingSystems", operatingSystems, 0, 50),
    logo: logoImageBlob && Buffer.from(logoImageBlob).toString("base64"),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** The logo's bytes stay with us: AWS answers where it serves them, and nobody serves them here. */
const catalogView = ({ logo: _logo, architectures, operatingSystems, ...texts }: CatalogRecord): RepositoryCatalogData => ({
  ...texts,
  ...(architectures && { architectures: [...architectures] }),
  ...(operatingSystems && { operatingSystems: [...operatingSystems] }),
  marketplaceCertified: false,
});
