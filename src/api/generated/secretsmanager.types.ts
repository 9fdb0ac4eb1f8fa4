// Made by tools/generate-schemas.ts from @aws-sdk/client-secrets-manager 3.1162.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-secrets-manager";

export interface SecretsmanagerOperations {
  BatchGetSecretValue: { input: sdk.BatchGetSecretValueCommandInput; output: Omit<sdk.BatchGetSecretValueCommandOutput, "$metadata"> };
  CancelRotateSecret: { input: sdk.CancelRotateSecretCommandInput; output: Omit<sdk.CancelRotateSecretCommandOutput, "$metadata"> };
  CreateSecret: { input: sdk.CreateSecretCommandInput; output: Omit<sdk.CreateSecretCommandOutput, "$metadata"> };
  DeleteResourcePolicy: { input: sdk.DeleteResourcePolicyCommandInput; output: Omit<sdk.DeleteResourcePolicyCommandOutput, "$metadata"> };
  DeleteSecret: { input: sdk.DeleteSecretCommandInput; output: Omit<sdk.DeleteSecretCommandOutput, "$metadata"> };
  DescribeSecret: { input: sdk.DescribeSecretCommandInput; output: Omit<sdk.DescribeSecretCommandOutput, "$metadata"> };
  GetRandomPassword: { input: sdk.GetRandomPasswordCommandInput; output: Omit<sdk.GetRandomPasswordCommandOutput, "$metadata"> };
  GetResourcePolicy: { input: sdk.GetResourcePolicyCommandInput; output: Omit<sdk.GetResourcePolicyCommandOutput, "$metadata"> };
  GetSecretValue: { input: sdk.GetSecretValueCommandInput; output: Omit<sdk.GetSecretValueCommandOutput, "$metadata"> };
  ListSecretVersionIds: { input: sdk.ListSecretVersionIdsCommandInput; output: Omit<sdk.ListSecretVersionIdsCommandOutput, "$metadata"> };
  ListSecrets: { input: sdk.ListSecretsCommandInput; output: Omit<sdk.ListSecretsCommandOutput, "$metadata"> };
  PutResourcePolicy: { input: sdk.PutResourcePolicyCommandInput; output: Omit<sdk.PutResourcePolicyCommandOutput, "$metadata"> };
  PutSecretValue: { input: sdk.PutSecretValueCommandInput; output: Omit<sdk.PutSecretValueCommandOutput, "$metadata"> };
  RemoveRegionsFromReplication: { input: sdk.RemoveRegionsFromReplicationCommandInput; output: Omit<sdk.RemoveRegionsFromReplicationCommandOutput, "$metadata"> };
  ReplicateSecretToRegions: { input: sdk.ReplicateSecretToRegionsCommandInput; output: Omit<sdk.ReplicateSecretToRegionsCommandOutput, "$metadata"> };
  RestoreSecret: { input: sdk.RestoreSecretCommandInput; output: Omit<sdk.RestoreSecretCommandOutput, "$metadata"> };
  RotateSecret: { input: sdk.RotateSecretCommandInput; output: Omit<sdk.RotateSecretCommandOutput, "$metadata"> };
  StopReplicationToReplica: { input: sdk.StopReplicationToReplicaCommandInput; output: Omit<sdk.StopReplicationToReplicaCommandOutput, "$metadata"> };
  TagResource: { input: sdk.TagResourceCommandInput; output: Omit<sdk.TagResourceCommandOutput, "$metadata"> };
  UntagResource: { input: sdk.UntagResourceCommandInput; output: Omit<sdk.UntagResourceCommandOutput, "$metadata"> };
  UpdateSecret: { input: sdk.UpdateSecretCommandInput; output: Omit<sdk.UpdateSecretCommandOutput, "$metadata"> };
  UpdateSecretVersionStage: { input: sdk.UpdateSecretVersionStageCommandInput; output: Omit<sdk.UpdateSecretVersionStageCommandOutput, "$metadata"> };
  ValidateResourcePolicy: { input: sdk.ValidateResourcePolicyCommandInput; output: Omit<sdk.ValidateResourcePolicyCommandOutput, "$metadata"> };
}
