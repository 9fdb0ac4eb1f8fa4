// Made by tools/generate-schemas.ts from @aws-sdk/client-ecr-public 3.1108.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-ecr-public";

export interface EcrPublicOperations {
  BatchCheckLayerAvailability: { input: sdk.BatchCheckLayerAvailabilityCommandInput; output: Omit<sdk.BatchCheckLayerAvailabilityCommandOutput, "$metadata"> };
  BatchDeleteImage: { input: sdk.BatchDeleteImageCommandInput; output: Omit<sdk.BatchDeleteImageCommandOutput, "$metadata"> };
  CompleteLayerUpload: { input: sdk.CompleteLayerUploadCommandInput; output: Omit<sdk.CompleteLayerUploadCommandOutput, "$metadata"> };
  CreateRepository: { input: sdk.CreateRepositoryCommandInput; output: Omit<sdk.CreateRepositoryCommandOutput, "$metadata"> };
  DeleteRepository: { input: sdk.DeleteRepositoryCommandInput; output: Omit<sdk.DeleteRepositoryCommandOutput, "$metadata"> };
  DeleteRepositoryPolicy: { input: sdk.DeleteRepositoryPolicyCommandInput; output: Omit<sdk.DeleteRepositoryPolicyCommandOutput, "$metadata"> };
  DescribeImageTags: { input: sdk.DescribeImageTagsCommandInput; output: Omit<sdk.DescribeImageTagsCommandOutput, "$metadata"> };
  DescribeImages: { input: sdk.DescribeImagesCommandInput; output: Omit<sdk.DescribeImagesCommandOutput, "$metadata"> };
  DescribeRegistries: { input: sdk.DescribeRegistriesCommandInput; output: Omit<sdk.DescribeRegistriesCommandOutput, "$metadata"> };
  DescribeRepositories: { input: sdk.DescribeRepositoriesCommandInput; output: Omit<sdk.DescribeRepositoriesCommandOutput, "$metadata"> };
  GetAuthorizationToken: { input: sdk.GetAuthorizationTokenCommandInput; output: Omit<sdk.GetAuthorizationTokenCommandOutput, "$metadata"> };
  GetRegistryCatalogData: { input: sdk.GetRegistryCatalogDataCommandInput; output: Omit<sdk.GetRegistryCatalogDataCommandOutput, "$metadata"> };
  GetRepositoryCatalogData: { input: sdk.GetRepositoryCatalogDataCommandInput; output: Omit<sdk.GetRepositoryCatalogDataCommandOutput, "$metadata"> };
  GetRepositoryPolicy: { input: sdk.GetRepositoryPolicyCommandInput; output: Omit<sdk.GetRepositoryPolicyCommandOutput, "$metadata"> };
  InitiateLayerUpload: { input: sdk.InitiateLayerUploadCommandInput; output: Omit<sdk.InitiateLayerUploadCommandOutput, "$metadata"> };
  ListTagsForResource: { input: sdk.ListTagsForResourceCommandInput; output: Omit<sdk.ListTagsForResourceCommandOutput, "$metadata"> };
  PutImage: { input: sdk.PutImageCommandInput; output: Omit<sdk.PutImageCommandOutput, "$metadata"> };
  PutRegistryCatalogData: { input: sdk.PutRegistryCatalogDataCommandInput; output: Omit<sdk.PutRegistryCatalogDataCommandOutput, "$metadata"> };
  PutRepositoryCatalogData: { input: sdk.PutRepositoryCatalogDataCommandInput; output: Omit<sdk.PutRepositoryCatalogDataCommandOutput, "$metadata"> };
  SetRepositoryPolicy: { input: sdk.SetRepositoryPolicyCommandInput; output: Omit<sdk.SetRepositoryPolicyCommandOutput, "$metadata"> };
  TagResource: { input: sdk.TagResourceCommandInput; output: Omit<sdk.TagResourceCommandOutput, "$metadata"> };
  UntagResource: { input: sdk.UntagResourceCommandInput; output: Omit<sdk.UntagResourceCommandOutput, "$metadata"> };
  UploadLayerPart: { input: sdk.UploadLayerPartCommandInput; output: Omit<sdk.UploadLayerPartCommandOutput, "$metadata"> };
}
