import type { Handler, ServerPart } from "#api/contract.ts";
import type { ServerDeps } from "#api/deps.ts";
import { ec2Facts } from "./facts.ts";
import type { Ec2Operations } from "#api/generated/ec2.types.ts";
import type { Handlers } from "#api/handlers.ts";
import { createWriter } from "#store/unit.ts";
import { asking, type Change, changing, type Question } from "./context.ts";
import * as dhcp from "./dhcp-options.ts";
import * as elastic from "./elastic-ips.ts";
import * as endpoints from "./endpoints/endpoints.ts";
import * as endpointServices from "./endpoints/services.ts";
import * as instances from "./instances/describe.ts";
import * as profiles from "./instances/profiles.ts";
import * as lifecycle from "./instances/lifecycle.ts";
import { runInstances } from "./instances/run.ts";
import * as types from "./instances/types.ts";
import * as internet from "./internet-gateways.ts";
import * as keys from "./key-pairs.ts";
import * as templates from "./launch-templates.ts";
import * as nat from "./nat-gateways.ts";
import * as acls from "./network-acls.ts";
import * as attributes from "./network-interfaces/attributes.ts";
import * as interfaces from "./network-interfaces/interfaces.ts";
import * as places from "./places.ts";
import * as tables from "./route-tables.ts";
import * as routes from "./routes.ts";
import * as groups from "./security-groups/groups.ts";
import * as rules from "./security-groups/rules.ts";
import * as subnets from "./subnets.ts";
import * as tags from "./tags.ts";
import * as blocks from "./vpc-blocks.ts";
import * as vpcs from "./vpcs.ts";

/** Amazon EC2's networking: VPCs and what is in them; and its instances, each a system container on one of Gantry's machines (src/reconcilers/instances). Source: Amazon EC2 API Reference. */
export function createEc2(serverDeps: ServerDeps): ServerPart {
  const deps = { ...serverDeps, writer: createWriter(serverDeps.store) };
  const change = <I extends object, O>(operation: (change: Change, input: I) => Promise<O>) => changing(deps, operation);
  const ask = <I extends object, O>(operation: (question: Question, input: I) => Promise<O>) => asking(deps, operation);
  const handlers = {
    CreateVpc: change(vpcs.createVpc),
    CreateDefaultVpc: change(vpcs.createDefaultVpc),
    DeleteVpc: change(vpcs.deleteVpc),
    DescribeVpcs: ask(vpcs.describeVpcs),
    DescribeVpcAttribute: ask(vpcs.describeVpcAttribute),
    ModifyVpcAttribute: change(vpcs.modifyVpcAttribute),
    ModifyVpcTenancy: change(vpcs.modifyVpcTenancy),
    AssociateVpcCidrBlock: change(blocks.associateVpcCidrBlock),
    DisassociateVpcCidrBlock: change(blocks.disassociateVpcCidrBlock),
    CreateSubnet: change(subnets.createSubnet),
    CreateDefaultSubnet: change(subnets.createDefaultSubnet),
    DeleteSubnet: change(subnets.deleteSubnet),
    DescribeSubnets: ask(subnets.describeSubnets),
    ModifySubnetAttribute: change(subnets.modifySubnetAttribute),
    AssociateSubnetCidrBlock: change(blocks.associateSubnetCidrBlock),
    DisassociateSubnetCidrBlock: change(blocks.disassociateSubnetCidrBlock),
    CreateInternetGateway: change(internet.createInternetGateway),
    AttachInternetGateway: change(internet.attachInternetGateway),
    DetachInternetGateway: change(internet.detachInternetGateway),
    DeleteInternetGateway: change(internet.deleteInternetGateway),
    DescribeInternetGateways: ask(internet.describeInternetGateways),
    CreateNatGateway: change(nat.createNatGateway),
    DeleteNatGateway: change(nat.deleteNatGateway),
    DescribeNatGateways: ask(nat.describeNatGateways),
    AllocateAddress: change(elastic.allocateAddress),
    AssociateAddress: change(elastic.associateAddress),
    DisassociateAddress: change(elastic.disassociateAddress),
    ReleaseAddress: change(elastic.releaseAddress),
    DescribeAddresses: ask(elastic.describeAddresses),
    DescribeAddressesAttribute: ask(elastic.describeAddressesAttribute),
    CreateRouteTable: change(tables.createRouteTable),
    DeleteRouteTable: change(tables.deleteRouteTable),
    DescribeRouteTables: ask(tables.describeRouteTables),
    AssociateRouteTable: change(tables.associateRouteTable),
    DisassociateRouteTable: change(tables.disassociateRouteTable),
    ReplaceRouteTableAssociation: change(tables.replaceRouteTableAssociation),
    CreateRoute: change(routes.createRoute),
    ReplaceRoute: change(routes.replaceRoute),
    DeleteRoute: change(routes.deleteRoute),
    CreateSecurityGroup: change(groups.createSecurityGroup),
    DeleteSecurityGroup: change(groups.deleteSecurityGroup),
    DescribeSecurityGroups: ask(groups.describeSecurityGroups),
    DescribeSecurityGroupReferences: ask(groups.describeSecurityGroupReferences),
    DescribeStaleSecurityGroups: ask(groups.describeStaleSecurityGroups),
    AuthorizeSecurityGroupIngress: change(rules.authorize("ingress")),
    AuthorizeSecurityGroupEgress: change(rules.authorize("egress")),
    RevokeSecurityGroupIngress: change(rules.revoke("ingress")),
    RevokeSecurityGroupEgress: change(rules.revoke("egress")),
    DescribeSecurityGroupRules: ask(rules.describeSecurityGroupRules),
    ModifySecurityGroupRules: change(rules.modifySecurityGroupRules),
    UpdateSecurityGroupRuleDescriptionsIngress: change(rules.updateDescriptions("ingress")),
    UpdateSecurityGroupRuleDescriptionsEgress: change(rules.updateDescriptions("egress")),
    CreateNetworkInterface: change(interfaces.createNetworkInterface),
    DeleteNetworkInterface: change(interfaces.deleteNetworkInterface),
    DescribeNetworkInterfaces: ask(interfaces.describeNetworkInterfaces),
    DescribeNetworkInterfaceAttribute: ask(attributes.describeNetworkInterfaceAttribute),
    ModifyNetworkInterfaceAttribute: change(attributes.modifyNetworkInterfaceAttribute),
    ResetNetworkInterfaceAttribute: change(attributes.resetNetworkInterfaceAttribute),
    AttachNetworkInterface: change(attributes.attachNetworkInterface),
    DetachNetworkInterface: change(attributes.detachNetworkInterface),
    AssignPrivateIpAddresses: change(attributes.assignPrivateIpAddresses),
    UnassignPrivateIpAddresses: change(attributes.unassignPrivateIpAddresses),
    AssignIpv6Addresses: change(attributes.assignIpv6Addresses),
    UnassignIpv6Addresses: change(attributes.unassignIpv6Addresses),
    CreateVpcEndpoint: change(endpoints.createVpcEndpoint),
    ModifyVpcEndpoint: change(endpoints.modifyVpcEndpoint),
    DeleteVpcEndpoints: change(endpoints.deleteVpcEndpoints),
    DescribeVpcEndpoints: ask(endpoints.describeVpcEndpoints),
    DescribeVpcEndpointServices: ask(endpointServices.describeVpcEndpointServices),
    DescribePrefixLists: ask(endpointServices.describePrefixLists),
    DescribeManagedPrefixLists: ask(endpointServices.describeManagedPrefixLists),
    GetManagedPrefixListEntries: ask(endpointServices.getManagedPrefixListEntries),
    CreateDhcpOptions: change(dhcp.createDhcpOptions),
    AssociateDhcpOptions: change(dhcp.associateDhcpOptions),
    DeleteDhcpOptions: change(dhcp.deleteDhcpOptions),
    DescribeDhcpOptions: ask(dhcp.describeDhcpOptions),
    DescribeNetworkAcls: ask(acls.describeNetworkAcls),
    CreateNetworkAclEntry: change(acls.createNetworkAclEntry),
    ReplaceNetworkAclEntry: change(acls.replaceNetworkAclEntry),
    DeleteNetworkAclEntry: change(acls.deleteNetworkAclEntry),
    RunInstances: change(runInstances),
    TerminateInstances: change(lifecycle.terminateInstances),
    StopInstances: change(lifecycle.stopInstances),
    StartInstances: change(lifecycle.startInstances),
    RebootInstances: change(lifecycle.rebootInstances),
    DescribeInstances: ask(instances.describeInstances),
    DescribeInstanceStatus: ask(instances.describeInstanceStatus),
    DescribeInstanceAttribute: ask(lifecycle.describeInstanceAttribute),
    ModifyInstanceAttribute: change(lifecycle.modifyInstanceAttribute),
    ModifyInstanceMetadataOptions: change(lifecycle.modifyInstanceMetadataOptions),
    DescribeInstanceCreditSpecifications: ask(lifecycle.describeInstanceCreditSpecifications),
    AssociateIamInstanceProfile: change(profiles.associateIamInstanceProfile),
    ReplaceIamInstanceProfileAssociation: change(profiles.replaceIamInstanceProfileAssociation),
    DisassociateIamInstanceProfile: change(profiles.disassociateIamInstanceProfile),
    DescribeIamInstanceProfileAssociations: ask(profiles.describeIamInstanceProfileAssociations),
    GetConsoleOutput: ask(instances.getConsoleOutput),
    DescribeVolumes: ask(instances.describeVolumes),
    DescribeInstanceTypes: ask(types.describeInstanceTypes),
    DescribeInstanceTypeOfferings: ask(types.describeInstanceTypeOfferings),
    DescribeImages: ask(types.describeImages),
    CreateKeyPair: change(keys.createKeyPair),
    ImportKeyPair: change(keys.importKeyPair),
    DescribeKeyPairs: ask(keys.describeKeyPairs),
    DeleteKeyPair: change(keys.deleteKeyPair),
    CreateLaunchTemplate: change(templates.createLaunchTemplate),
    CreateLaunchTemplateVersion: change(templates.createLaunchTemplateVersion),
    ModifyLaunchTemplate: change(templates.modifyLaunchTemplate),
    DeleteLaunchTemplate: change(templates.deleteLaunchTemplate),
    DeleteLaunchTemplateVersions: change(templates.deleteLaunchTemplateVersions),
    DescribeLaunchTemplates: ask(templates.describeLaunchTemplates),
    DescribeLaunchTemplateVersions: ask(templates.describeLaunchTemplateVersions),
    DescribeRegions: ask(places.describeRegions),
    DescribeAvailabilityZones: ask(places.describeAvailabilityZones),
    DescribeAccountAttributes: ask(places.describeAccountAttributes),
    CreateTags: change(tags.createTags),
    DeleteTags: change(tags.deleteTags),
    DescribeTags: ask(tags.describeTags),
  } satisfies Handlers<Ec2Operations>;
  return {
    resources: [ec2Facts(deps.store)],
    registrations: [{ service: "ec2", handlers: handlers as Readonly<Record<string, Handler>> }],
  };
}
