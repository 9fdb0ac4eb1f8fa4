// Made by tools/generate-schemas.ts from @aws-sdk/client-acm 3.1169.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-acm";

export interface AcmOperations {
  AddTagsToCertificate: { input: sdk.AddTagsToCertificateCommandInput; output: Omit<sdk.AddTagsToCertificateCommandOutput, "$metadata"> };
  CreateAcmeDomainValidation: { input: sdk.CreateAcmeDomainValidationCommandInput; output: Omit<sdk.CreateAcmeDomainValidationCommandOutput, "$metadata"> };
  CreateAcmeEndpoint: { input: sdk.CreateAcmeEndpointCommandInput; output: Omit<sdk.CreateAcmeEndpointCommandOutput, "$metadata"> };
  CreateAcmeExternalAccountBinding: { input: sdk.CreateAcmeExternalAccountBindingCommandInput; output: Omit<sdk.CreateAcmeExternalAccountBindingCommandOutput, "$metadata"> };
  DeleteAcmeDomainValidation: { input: sdk.DeleteAcmeDomainValidationCommandInput; output: Omit<sdk.DeleteAcmeDomainValidationCommandOutput, "$metadata"> };
  DeleteAcmeEndpoint: { input: sdk.DeleteAcmeEndpointCommandInput; output: Omit<sdk.DeleteAcmeEndpointCommandOutput, "$metadata"> };
  DeleteAcmeExternalAccountBinding: { input: sdk.DeleteAcmeExternalAccountBindingCommandInput; output: Omit<sdk.DeleteAcmeExternalAccountBindingCommandOutput, "$metadata"> };
  DeleteCertificate: { input: sdk.DeleteCertificateCommandInput; output: Omit<sdk.DeleteCertificateCommandOutput, "$metadata"> };
  DescribeAcmeAccount: { input: sdk.DescribeAcmeAccountCommandInput; output: Omit<sdk.DescribeAcmeAccountCommandOutput, "$metadata"> };
  DescribeAcmeDomainValidation: { input: sdk.DescribeAcmeDomainValidationCommandInput; output: Omit<sdk.DescribeAcmeDomainValidationCommandOutput, "$metadata"> };
  DescribeAcmeEndpoint: { input: sdk.DescribeAcmeEndpointCommandInput; output: Omit<sdk.DescribeAcmeEndpointCommandOutput, "$metadata"> };
  DescribeAcmeExternalAccountBinding: { input: sdk.DescribeAcmeExternalAccountBindingCommandInput; output: Omit<sdk.DescribeAcmeExternalAccountBindingCommandOutput, "$metadata"> };
  DescribeCertificate: { input: sdk.DescribeCertificateCommandInput; output: Omit<sdk.DescribeCertificateCommandOutput, "$metadata"> };
  ExportCertificate: { input: sdk.ExportCertificateCommandInput; output: Omit<sdk.ExportCertificateCommandOutput, "$metadata"> };
  GetAccountConfiguration: { input: sdk.GetAccountConfigurationCommandInput; output: Omit<sdk.GetAccountConfigurationCommandOutput, "$metadata"> };
  GetAcmeExternalAccountBindingCredentials: { input: sdk.GetAcmeExternalAccountBindingCredentialsCommandInput; output: Omit<sdk.GetAcmeExternalAccountBindingCredentialsCommandOutput, "$metadata"> };
  GetCertificate: { input: sdk.GetCertificateCommandInput; output: Omit<sdk.GetCertificateCommandOutput, "$metadata"> };
  ImportCertificate: { input: sdk.ImportCertificateCommandInput; output: Omit<sdk.ImportCertificateCommandOutput, "$metadata"> };
  ListAcmeAccounts: { input: sdk.ListAcmeAccountsCommandInput; output: Omit<sdk.ListAcmeAccountsCommandOutput, "$metadata"> };
  ListAcmeDomainValidations: { input: sdk.ListAcmeDomainValidationsCommandInput; output: Omit<sdk.ListAcmeDomainValidationsCommandOutput, "$metadata"> };
  ListAcmeEndpoints: { input: sdk.ListAcmeEndpointsCommandInput; output: Omit<sdk.ListAcmeEndpointsCommandOutput, "$metadata"> };
  ListAcmeExternalAccountBindings: { input: sdk.ListAcmeExternalAccountBindingsCommandInput; output: Omit<sdk.ListAcmeExternalAccountBindingsCommandOutput, "$metadata"> };
  ListCertificateDomainValidations: { input: sdk.ListCertificateDomainValidationsCommandInput; output: Omit<sdk.ListCertificateDomainValidationsCommandOutput, "$metadata"> };
  ListCertificates: { input: sdk.ListCertificatesCommandInput; output: Omit<sdk.ListCertificatesCommandOutput, "$metadata"> };
  ListTagsForCertificate: { input: sdk.ListTagsForCertificateCommandInput; output: Omit<sdk.ListTagsForCertificateCommandOutput, "$metadata"> };
  ListTagsForResource: { input: sdk.ListTagsForResourceCommandInput; output: Omit<sdk.ListTagsForResourceCommandOutput, "$metadata"> };
  PutAccountConfiguration: { input: sdk.PutAccountConfigurationCommandInput; output: Omit<sdk.PutAccountConfigurationCommandOutput, "$metadata"> };
  RemoveTagsFromCertificate: { input: sdk.RemoveTagsFromCertificateCommandInput; output: Omit<sdk.RemoveTagsFromCertificateCommandOutput, "$metadata"> };
  RenewCertificate: { input: sdk.RenewCertificateCommandInput; output: Omit<sdk.RenewCertificateCommandOutput, "$metadata"> };
  RequestCertificate: { input: sdk.RequestCertificateCommandInput; output: Omit<sdk.RequestCertificateCommandOutput, "$metadata"> };
  ResendValidationEmail: { input: sdk.ResendValidationEmailCommandInput; output: Omit<sdk.ResendValidationEmailCommandOutput, "$metadata"> };
  RevokeAcmeAccount: { input: sdk.RevokeAcmeAccountCommandInput; output: Omit<sdk.RevokeAcmeAccountCommandOutput, "$metadata"> };
  RevokeAcmeExternalAccountBinding: { input: sdk.RevokeAcmeExternalAccountBindingCommandInput; output: Omit<sdk.RevokeAcmeExternalAccountBindingCommandOutput, "$metadata"> };
  RevokeCertificate: { input: sdk.RevokeCertificateCommandInput; output: Omit<sdk.RevokeCertificateCommandOutput, "$metadata"> };
  SearchCertificates: { input: sdk.SearchCertificatesCommandInput; output: Omit<sdk.SearchCertificatesCommandOutput, "$metadata"> };
  TagResource: { input: sdk.TagResourceCommandInput; output: Omit<sdk.TagResourceCommandOutput, "$metadata"> };
  UntagResource: { input: sdk.UntagResourceCommandInput; output: Omit<sdk.UntagResourceCommandOutput, "$metadata"> };
  UpdateAcmeDomainValidation: { input: sdk.UpdateAcmeDomainValidationCommandInput; output: Omit<sdk.UpdateAcmeDomainValidationCommandOutput, "$metadata"> };
  UpdateAcmeEndpoint: { input: sdk.UpdateAcmeEndpointCommandInput; output: Omit<sdk.UpdateAcmeEndpointCommandOutput, "$metadata"> };
  UpdateCertificateOptions: { input: sdk.UpdateCertificateOptionsCommandInput; output: Omit<sdk.UpdateCertificateOptionsCommandOutput, "$metadata"> };
}
