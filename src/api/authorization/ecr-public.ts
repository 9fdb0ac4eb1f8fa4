import { type Need, type OperationRule, each, none, type ServiceActions } from "./table.ts";

const repository = (operations: string, on = "repository/{repositoryName}"): Record<string, OperationRule> =>
  Object.fromEntries(
    operations
      .trim()
      .split(/\s+/)
      .map((name) => [name, { on, registry: "registryId" }]),
  );

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Container Registry Public". */
export const ecrPublic: ServiceActions = {
  prefix: "ecr-public",
  regional: false,
  operations: {
    ...repository(`
      BatchCheckLayerAvailability BatchDeleteImage CompleteLayerUpload DeleteRepository DeleteRepositoryPolicy DescribeImages DescribeImageTags
      GetRepositoryCatalogData GetRepositoryPolicy InitiateLayerUpload PutImage PutRepositoryCatalogData SetRepositoryPolicy UploadLayerPart`),
    ...repository("DescribeRepositories", "repository/{repositoryNames=*}"),
    ...each(none, "DescribeRegistries GetRegistryCatalogData PutRegistryCatalogData"),
    ...each("{resourceArn}", "ListTagsForResource TagResource UntagResource"),
    CreateRepository: { on: "repository/{repositoryName}", tagging: { action: "TagResource" } },
    GetAuthorizationToken: {
      on: none,
      also: (_input, { account }): readonly Need[] => [{ action: "sts:GetServiceBearerToken", resources: ["*"], account, keys: {} }],
    },
  },
};
