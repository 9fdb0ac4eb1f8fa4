import { each, none, type OperationRule, type ServiceActions, textAt } from "./table.ts";

const repository = (operations: string, on = "repository/{repositoryName}"): Record<string, OperationRule> =>
  Object.fromEntries(
    operations
      .trim()
      .split(/\s+/)
      .map((name) => [name, { on, registry: "registryId" }]),
  );

/** Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Container Registry". */
export const ecr: ServiceActions = {
  prefix: "ecr",
  operations: {
    ...repository(`
      BatchCheckLayerAvailability BatchDeleteImage BatchGetImage CompleteLayerUpload DeleteLifecyclePolicy DeleteRepository DeleteRepositoryPolicy
      DescribeImages DescribeImageScanFindings GetDownloadUrlForLayer GetLifecyclePolicy GetLifecyclePolicyPreview GetRepositoryPolicy
      InitiateLayerUpload ListImages PutImage PutImageScanningConfiguration PutImageTagMutability PutLifecyclePolicy SetRepositoryPolicy
      StartImageScan StartLifecyclePolicyPreview UploadLayerPart`),
    BatchGetRepositoryScanningConfiguration: "repository/{repositoryNames}",
    ...repository("DescribeRepositories", "repository/{repositoryNames=*}"),
    ...each(
      none,
      `GetAuthorizationToken DescribeRegistry GetRegistryPolicy PutRegistryPolicy DeleteRegistryPolicy GetRegistryScanningConfiguration
      PutRegistryScanningConfiguration PutReplicationConfiguration GetAccountSetting DescribePullThroughCacheRules`,
    ),
    ...each("{resourceArn}", "ListTagsForResource TagResource UntagResource"),
    PutAccountSetting: { on: none, keys: (input) => ({ "ecr:AccountSetting": textAt(input, "name") }) },
    CreateRepository: { on: "repository/{repositoryName}", registry: "registryId", tagging: { action: "TagResource" } },
  },
};
