// Made by tools/generate-schemas.ts from @aws-sdk/client-servicediscovery 3.1138.0 (Apache-2.0). Do not edit.
import type * as sdk from "@aws-sdk/client-servicediscovery";

export interface ServicediscoveryOperations {
  CreateHttpNamespace: { input: sdk.CreateHttpNamespaceCommandInput; output: Omit<sdk.CreateHttpNamespaceCommandOutput, "$metadata"> };
  CreatePrivateDnsNamespace: { input: sdk.CreatePrivateDnsNamespaceCommandInput; output: Omit<sdk.CreatePrivateDnsNamespaceCommandOutput, "$metadata"> };
  CreatePublicDnsNamespace: { input: sdk.CreatePublicDnsNamespaceCommandInput; output: Omit<sdk.CreatePublicDnsNamespaceCommandOutput, "$metadata"> };
  CreateService: { input: sdk.CreateServiceCommandInput; output: Omit<sdk.CreateServiceCommandOutput, "$metadata"> };
  DeleteNamespace: { input: sdk.DeleteNamespaceCommandInput; output: Omit<sdk.DeleteNamespaceCommandOutput, "$metadata"> };
  DeleteService: { input: sdk.DeleteServiceCommandInput; output: Omit<sdk.DeleteServiceCommandOutput, "$metadata"> };
  DeleteServiceAttributes: { input: sdk.DeleteServiceAttributesCommandInput; output: Omit<sdk.DeleteServiceAttributesCommandOutput, "$metadata"> };
  DeregisterInstance: { input: sdk.DeregisterInstanceCommandInput; output: Omit<sdk.DeregisterInstanceCommandOutput, "$metadata"> };
  DiscoverInstances: { input: sdk.DiscoverInstancesCommandInput; output: Omit<sdk.DiscoverInstancesCommandOutput, "$metadata"> };
  DiscoverInstancesRevision: { input: sdk.DiscoverInstancesRevisionCommandInput; output: Omit<sdk.DiscoverInstancesRevisionCommandOutput, "$metadata"> };
  GetInstance: { input: sdk.GetInstanceCommandInput; output: Omit<sdk.GetInstanceCommandOutput, "$metadata"> };
  GetInstancesHealthStatus: { input: sdk.GetInstancesHealthStatusCommandInput; output: Omit<sdk.GetInstancesHealthStatusCommandOutput, "$metadata"> };
  GetNamespace: { input: sdk.GetNamespaceCommandInput; output: Omit<sdk.GetNamespaceCommandOutput, "$metadata"> };
  GetOperation: { input: sdk.GetOperationCommandInput; output: Omit<sdk.GetOperationCommandOutput, "$metadata"> };
  GetService: { input: sdk.GetServiceCommandInput; output: Omit<sdk.GetServiceCommandOutput, "$metadata"> };
  GetServiceAttributes: { input: sdk.GetServiceAttributesCommandInput; output: Omit<sdk.GetServiceAttributesCommandOutput, "$metadata"> };
  ListInstances: { input: sdk.ListInstancesCommandInput; output: Omit<sdk.ListInstancesCommandOutput, "$metadata"> };
  ListNamespaces: { input: sdk.ListNamespacesCommandInput; output: Omit<sdk.ListNamespacesCommandOutput, "$metadata"> };
  ListOperations: { input: sdk.ListOperationsCommandInput; output: Omit<sdk.ListOperationsCommandOutput, "$metadata"> };
  ListServices: { input: sdk.ListServicesCommandInput; output: Omit<sdk.ListServicesCommandOutput, "$metadata"> };
  ListTagsForResource: { input: sdk.ListTagsForResourceCommandInput; output: Omit<sdk.ListTagsForResourceCommandOutput, "$metadata"> };
  RegisterInstance: { input: sdk.RegisterInstanceCommandInput; output: Omit<sdk.RegisterInstanceCommandOutput, "$metadata"> };
  TagResource: { input: sdk.TagResourceCommandInput; output: Omit<sdk.TagResourceCommandOutput, "$metadata"> };
  UntagResource: { input: sdk.UntagResourceCommandInput; output: Omit<sdk.UntagResourceCommandOutput, "$metadata"> };
  UpdateHttpNamespace: { input: sdk.UpdateHttpNamespaceCommandInput; output: Omit<sdk.UpdateHttpNamespaceCommandOutput, "$metadata"> };
  UpdateInstanceCustomHealthStatus: { input: sdk.UpdateInstanceCustomHealthStatusCommandInput; output: Omit<sdk.UpdateInstanceCustomHealthStatusCommandOutput, "$metadata"> };
  UpdatePrivateDnsNamespace: { input: sdk.UpdatePrivateDnsNamespaceCommandInput; output: Omit<sdk.UpdatePrivateDnsNamespaceCommandOutput, "$metadata"> };
  UpdatePublicDnsNamespace: { input: sdk.UpdatePublicDnsNamespaceCommandInput; output: Omit<sdk.UpdatePublicDnsNamespaceCommandOutput, "$metadata"> };
  UpdateService: { input: sdk.UpdateServiceCommandInput; output: Omit<sdk.UpdateServiceCommandOutput, "$metadata"> };
  UpdateServiceAttributes: { input: sdk.UpdateServiceAttributesCommandInput; output: Omit<sdk.UpdateServiceAttributesCommandOutput, "$metadata"> };
}
