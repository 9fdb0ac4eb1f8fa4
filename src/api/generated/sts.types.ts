// Made by tools/generate-schemas.ts from @aws-sdk/client-sts 3.1169.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-sts";

export interface StsOperations {
  AssumeRole: { input: sdk.AssumeRoleCommandInput; output: Omit<sdk.AssumeRoleCommandOutput, "$metadata"> };
  AssumeRoleWithSAML: { input: sdk.AssumeRoleWithSAMLCommandInput; output: Omit<sdk.AssumeRoleWithSAMLCommandOutput, "$metadata"> };
  AssumeRoleWithWebIdentity: { input: sdk.AssumeRoleWithWebIdentityCommandInput; output: Omit<sdk.AssumeRoleWithWebIdentityCommandOutput, "$metadata"> };
  AssumeRoot: { input: sdk.AssumeRootCommandInput; output: Omit<sdk.AssumeRootCommandOutput, "$metadata"> };
  DecodeAuthorizationMessage: { input: sdk.DecodeAuthorizationMessageCommandInput; output: Omit<sdk.DecodeAuthorizationMessageCommandOutput, "$metadata"> };
  GetAccessKeyInfo: { input: sdk.GetAccessKeyInfoCommandInput; output: Omit<sdk.GetAccessKeyInfoCommandOutput, "$metadata"> };
  GetCallerIdentity: { input: sdk.GetCallerIdentityCommandInput; output: Omit<sdk.GetCallerIdentityCommandOutput, "$metadata"> };
  GetDelegatedAccessToken: { input: sdk.GetDelegatedAccessTokenCommandInput; output: Omit<sdk.GetDelegatedAccessTokenCommandOutput, "$metadata"> };
  GetFederationToken: { input: sdk.GetFederationTokenCommandInput; output: Omit<sdk.GetFederationTokenCommandOutput, "$metadata"> };
  GetSessionToken: { input: sdk.GetSessionTokenCommandInput; output: Omit<sdk.GetSessionTokenCommandOutput, "$metadata"> };
  GetWebIdentityToken: { input: sdk.GetWebIdentityTokenCommandInput; output: Omit<sdk.GetWebIdentityTokenCommandOutput, "$metadata"> };
}
