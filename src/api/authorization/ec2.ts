import { each, type Input, none, type OperationRule, type Resources, type ServiceActions, textAt, valuesAt, type Where } from "./table.ts";

/** What a new thing's tags take. */
const makes = (type: string, also = ""): OperationRule => ({
  on: `${type}/* ${also}`.trim(),
  tagging: { action: "CreateTags", on: `${type}/*` },
});

/** The resource types of ids, by their prefix. */
const types: Readonly<Record<string, string>> = {
  acl: "network-acl",
  i: "instance",
  key: "key-pair",
  lt: "launch-template",
  vol: "volume",
  dopt: "dhcp-options",
  eipalloc: "elastic-ip",
  eni: "network-interface",
  igw: "internet-gateway",
  nat: "natgateway",
  pl: "prefix-list",
  rtb: "route-table",
  sg: "security-group",
  sgr: "security-group-rule",
  subnet: "subnet",
  vpc: "vpc",
  vpce: "vpc-endpoint",
};

const tagged: Resources = (input: Input, { region, account }: Where) =>
  valuesAt(input, ["Resources"]).map((id) => `arn:aws:ec2:${region}:${account}:${types[id.split("-", 1)[0]!] ?? "*"}/${id}`);

const group = "security-group/{GroupId}";

/** EC2's descriptions are on no resource. Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon EC2". */
export const ec2: ServiceActions = {
  prefix: "ec2",
  createAction: true,
  operations: {
    ...each(
      none,
      `DescribeAccountAttributes DescribeAddresses DescribeIamInstanceProfileAssociations DescribeAddressesAttribute DescribeAvailabilityZones DescribeDhcpOptions
      DescribeInternetGateways DescribeManagedPrefixLists DescribeNatGateways DescribeNetworkAcls DescribeNetworkInterfaceAttribute
      DescribeNetworkInterfaces DescribePrefixLists DescribeRegions DescribeRouteTables DescribeSecurityGroupReferences
      DescribeSecurityGroupRules DescribeSecurityGroups DescribeStaleSecurityGroups DescribeSubnets DescribeTags DescribeVpcAttribute
      DescribeVpcEndpointServices DescribeVpcEndpoints DescribeVpcs CreateDefaultSubnet CreateDefaultVpc DescribeImages
      DescribeInstanceCreditSpecifications DescribeInstances DescribeInstanceStatus DescribeInstanceTypeOfferings DescribeInstanceTypes
      DescribeKeyPairs DescribeLaunchTemplateVersions DescribeLaunchTemplates DescribeVolumes`,
    ),
    ...each("instance/{InstanceIds}", "TerminateInstances StopInstances StartInstances RebootInstances"),
    // The roles of profiles, and whose an association is: src/services/ec2/facts.ts.
    ...each("instance/*", "DisassociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"),
    ...each(
      "instance/{InstanceId}",
      "AssociateIamInstanceProfile DescribeInstanceAttribute ModifyInstanceAttribute ModifyInstanceMetadataOptions GetConsoleOutput",
    ),
    ...each(
      "launch-template/{LaunchTemplateId=*}",
      "CreateLaunchTemplateVersion ModifyLaunchTemplate DeleteLaunchTemplate DeleteLaunchTemplateVersions",
    ),
    ...each("key-pair/{KeyName=*}", "DeleteKeyPair"),
    CreateKeyPair: { on: "key-pair/{KeyName}", tagging: { action: "CreateTags" } },
    ImportKeyPair: { on: "key-pair/{KeyName}", tagging: { action: "CreateTags" } },
    CreateLaunchTemplate: makes("launch-template"),
    RunInstances: {
      on: "instance/* network-interface/* volume/* subnet/{SubnetId=*} security-group/{SecurityGroupIds=*} key-pair/{KeyName} launch-template/{LaunchTemplate.LaunchTemplateId}",
      keys: (input) => ({ "ec2:InstanceType": textAt(input, "InstanceType") }),
      tagging: { action: "CreateTags", on: "instance/*" },
    },
    ...each(tagged, "CreateTags DeleteTags"),
    ...each(
      "network-interface/{NetworkInterfaceId}",
      "AssignIpv6Addresses UnassignIpv6Addresses AssignPrivateIpAddresses UnassignPrivateIpAddresses",
    ),
    ...each("network-interface/{NetworkInterfaceId}", "ResetNetworkInterfaceAttribute DeleteNetworkInterface"),
    ...each("network-interface/{NetworkInterfaceId} security-group/{Groups}", "ModifyNetworkInterfaceAttribute"),
    ...each("network-interface/{NetworkInterfaceId} instance/{InstanceId}", "AttachNetworkInterface"),
    ...each("network-interface/*", "DetachNetworkInterface"),
    ...each("elastic-ip/{AllocationId=*}", "ReleaseAddress"),
    ...each("elastic-ip/{AllocationId=*} network-interface/{NetworkInterfaceId} instance/{InstanceId}", "AssociateAddress"),
    ...each("elastic-ip/*", "DisassociateAddress"),
    ...each("vpc/{VpcId}", "DeleteVpc ModifyVpcAttribute ModifyVpcTenancy AssociateVpcCidrBlock"),
    ...each("vpc/*", "DisassociateVpcCidrBlock"),
    ...each("dhcp-options/{DhcpOptionsId} vpc/{VpcId}", "AssociateDhcpOptions"),
    ...each("dhcp-options/{DhcpOptionsId}", "DeleteDhcpOptions"),
    ...each("subnet/{SubnetId}", "DeleteSubnet ModifySubnetAttribute AssociateSubnetCidrBlock"),
    ...each("subnet/*", "DisassociateSubnetCidrBlock"),
    ...each("internet-gateway/{InternetGatewayId}", "DeleteInternetGateway"),
    ...each("internet-gateway/{InternetGatewayId} vpc/{VpcId}", "AttachInternetGateway DetachInternetGateway"),
    ...each("natgateway/{NatGatewayId}", "DeleteNatGateway"),
    ...each("network-acl/{NetworkAclId}", "CreateNetworkAclEntry DeleteNetworkAclEntry ReplaceNetworkAclEntry"),
    ...each("route-table/{RouteTableId}", "CreateRoute ReplaceRoute DeleteRoute DeleteRouteTable"),
    ...each("route-table/{RouteTableId} subnet/{SubnetId} internet-gateway/{GatewayId}", "AssociateRouteTable"),
    ...each("route-table/*", "DisassociateRouteTable"),
    ...each("route-table/{RouteTableId} route-table/*", "ReplaceRouteTableAssociation"),
    ...each("prefix-list/{PrefixListId}", "GetManagedPrefixListEntries"),
    ...each("vpc-endpoint/{VpcEndpointIds}", "DeleteVpcEndpoints"),
    ...each(
      `vpc-endpoint/{VpcEndpointId} route-table/{AddRouteTableIds} route-table/{RemoveRouteTableIds} subnet/{AddSubnetIds} subnet/{RemoveSubnetIds} \
security-group/{AddSecurityGroupIds} security-group/{RemoveSecurityGroupIds}`,
      "ModifyVpcEndpoint",
    ),
    ...each(
      "security-group/{GroupId=*}",
      "DeleteSecurityGroup UpdateSecurityGroupRuleDescriptionsEgress UpdateSecurityGroupRuleDescriptionsIngress",
    ),
    ...each(`${group} security-group-rule/{SecurityGroupRules.SecurityGroupRuleId}`, "ModifySecurityGroupRules"),
    ...each(
      "security-group/{GroupId=*} security-group-rule/{SecurityGroupRuleIds}",
      "RevokeSecurityGroupEgress RevokeSecurityGroupIngress",
    ),
    AuthorizeSecurityGroupEgress: { on: group, tagging: { action: "CreateTags", on: "security-group-rule/*" } },
    AuthorizeSecurityGroupIngress: { on: "security-group/{GroupId=*}", tagging: { action: "CreateTags", on: "security-group-rule/*" } },
    AllocateAddress: makes("elastic-ip"),
    CreateDhcpOptions: makes("dhcp-options"),
    CreateInternetGateway: makes("internet-gateway"),
    CreateNatGateway: makes("natgateway", "subnet/{SubnetId} elastic-ip/{AllocationId}"),
    CreateNetworkInterface: makes("network-interface", "subnet/{SubnetId} security-group/{Groups}"),
    CreateRouteTable: makes("route-table", "vpc/{VpcId}"),
    CreateSecurityGroup: makes("security-group", "vpc/{VpcId}"),
    CreateSubnet: makes("subnet", "vpc/{VpcId}"),
    CreateVpc: makes("vpc"),
    CreateVpcEndpoint: makes(
      "vpc-endpoint",
      "vpc/{VpcId} route-table/{RouteTableIds} subnet/{SubnetIds} security-group/{SecurityGroupIds}",
    ),
  },
};
