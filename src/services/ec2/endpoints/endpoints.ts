import type * as Sdk from "@aws-sdk/client-ec2";
import type { VpcEndpointRecord } from "#model/vpc-records.ts";
import { newId } from "#reconcilers/vpc/ids.ts";
import { type Change, need, type Question, repeated } from "../context.ts";
import { describe } from "../describe.ts";
import { ec2Errors } from "../errors.ts";
import { notFound } from "../kinds.ts";
import { groupViews, type Surroundings, surroundings } from "../network-interfaces/view.ts";
import { apiTags, tagsFor } from "../tags.ts";
import { endpointServices, noService } from "./services.ts";
import { type Members, setMembers } from "./members.ts";

/** VPC endpoints: available at once. Source: Amazon EC2 API Reference, "CreateVpcEndpoint" and its kin. */

/** On the wire they are lower-case, whatever the SDK's types say. */
const available = "available" as Sdk.State;
const pending = "pending" as Sdk.State;

const openPolicy = '{"Statement":[{"Action":"*","Effect":"Allow","Principal":"*","Resource":"*"}]}';

function view({ scope }: Pick<Question, "scope">, endpoint: VpcEndpointRecord, around: Surroundings): Sdk.VpcEndpoint {
  return {
    VpcEndpointId: endpoint.id,
    VpcEndpointType: endpoint.type,
    VpcId: endpoint.vpcId,
    ServiceName: endpoint.serviceName,
    State: available,
    PolicyDocument: endpoint.policyDocument,
    RouteTableIds: [...endpoint.routeTableIds],
    SubnetIds: [...endpoint.subnetIds],
    Groups: groupViews(endpoint.groups, around),
    IpAddressType: endpoint.type === "Interface" ? (endpoint.ipAddressType as Sdk.IpAddressType) : undefined,
    DnsOptions: endpoint.type === "Interface" ? { DnsRecordIpType: "ipv4" } : undefined,
    PrivateDnsEnabled: endpoint.privateDnsEnabled,
    RequesterManaged: false,
    NetworkInterfaceIds: [...endpoint.networkInterfaceIds],
    DnsEntries: dnsEntries(scope.region, endpoint),
    CreationTimestamp: new Date(endpoint.createdAt),
    Tags: apiTags(endpoint.tags),
    OwnerId: scope.account,
    ServiceRegion: scope.region,
  };
}

function dnsEntries(region: string, { id, type, serviceName, privateDnsEnabled }: VpcEndpointRecord): Sdk.DnsEntry[] {
  if (type !== "Interface") return [];
  const own = `${id}-${id.slice(-8)}.${serviceName.split(".").slice(3).toReversed().join(".")}.${region}.vpce.amazonaws.com`;
  const service = endpointServices(region).find(({ name }) => name === serviceName);
  return [
    { DnsName: own, HostedZoneId: "Z7HUB22UULQXV" },
    ...(privateDnsEnabled && service ? [{ DnsName: service.dns, HostedZoneId: "ZONEIDPENDING" }] : []),
  ];
}

export async function createVpcEndpoint(change: Change, input: Sdk.CreateVpcEndpointRequest): Promise<Sdk.CreateVpcEndpointResult> {
  const { scope } = change;
  const endpoints = await change.all("vpc-endpoint");
  const { earlier, client } = repeated(endpoints, input);
  if (earlier) return { VpcEndpoint: view(change, earlier, await surroundings(change)), ClientToken: input.ClientToken };
  const type = input.VpcEndpointType ?? "Gateway";
  if (type !== "Gateway" && type !== "Interface") throw ec2Errors.notYet(`endpoints of type ${type}`);
  if (input.SubnetConfigurations ?? input.ServiceNetworkArn ?? input.ResourceConfigurationArn)
    throw ec2Errors.notYet("subnet configurations, service networks and resource configurations of endpoints");
  if (input.IpAddressType !== undefined && input.IpAddressType !== "ipv4")
    throw ec2Errors.notYet(`endpoints with ${input.IpAddressType} addresses`);
  const vpc = await need(change, "vpc", input.VpcId ?? "");
  if (input.ServiceName === undefined) throw ec2Errors.missing("ServiceName");
  const service = endpointServices(scope.region).find(({ name }) => name === input.ServiceName);
  if (!service) throw noService(input.ServiceName);
  if (!service.types.includes(type))
    throw ec2Errors.invalid(`The VPC endpoint service ${service.name} does not support the endpoint type ${type}.`);
  checkPolicy(input.PolicyDocument);
  const privateDnsEnabled = type === "Interface" && (input.PrivateDnsEnabled ?? true);
  if (privateDnsEnabled) {
    if (!vpc.enableDnsHostnames || !vpc.enableDnsSupport)
      throw ec2Errors.invalid(
        "Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for " + vpc.id,
      );
    if (endpoints.some((other) => other.vpcId === vpc.id && other.serviceName === service.name && other.privateDnsEnabled))
      throw ec2Errors.invalid(
        `private-dns-enabled cannot be set because there is already a conflicting DNS domain for ${service.dns} in the VPC ${vpc.id}`,
      );
  }
  const empty: VpcEndpointRecord = {
    id: newId(change.random, "vpce"),
    vpcId: vpc.id,
    serviceName: service.name,
    type,
    policyDocument: input.PolicyDocument ?? openPolicy,
    routeTableIds: [],
    subnetIds: [],
    groups: [],
    networkInterfaceIds: [],
    privateDnsEnabled,
    ipAddressType: "ipv4",
    createdAt: change.now,
    client,
    tags: tagsFor("vpc-endpoint", input.TagSpecifications),
  };
  const made = await setMembers(change, empty, {
    routeTableIds: input.RouteTableIds ?? [],
    subnetIds: input.SubnetIds ?? [],
    groups: type === "Gateway" || input.SecurityGroupIds?.length ? (input.SecurityGroupIds ?? []) : [vpc.defaultGroupId],
  });
  return {
    VpcEndpoint: { ...view(change, made, await surroundings(change)), State: type === "Interface" ? pending : available },
    ClientToken: input.ClientToken,
  };
}

function checkPolicy(text: string | undefined): void {
  if (text === undefined || text === "") return;
  try {
    JSON.parse(text);
  } catch {
    throw ec2Errors.invalid("Policy document is not valid JSON.");
  }
}

export async function modifyVpcEndpoint(change: Change, input: Sdk.ModifyVpcEndpointRequest): Promise<Sdk.ModifyVpcEndpointResult> {
  const endpoint = await need(change, "vpc-endpoint", input.VpcEndpointId ?? "");
  if (input.SubnetConfigurations ?? (input.IpAddressType !== undefined && input.IpAddressType !== "ipv4"))
    throw ec2Errors.notYet("subnet configurations and address types of endpoints");
  checkPolicy(input.PolicyDocument);
  const updated = (old: readonly string[], add: readonly string[] | undefined, remove: readonly string[] | undefined) => [
    ...new Set([...old.filter((id) => !remove?.includes(id)), ...(add ?? [])]),
  ];
  const members: Members = {
    routeTableIds: updated(endpoint.routeTableIds, input.AddRouteTableIds, input.RemoveRouteTableIds),
    subnetIds: updated(endpoint.subnetIds, input.AddSubnetIds, input.RemoveSubnetIds),
    groups: updated(endpoint.groups, input.AddSecurityGroupIds, input.RemoveSecurityGroupIds),
  };
  const policyDocument = input.ResetPolicy ? openPolicy : (input.PolicyDocument ?? endpoint.policyDocument);
  const privateDnsEnabled = input.PrivateDnsEnabled ?? endpoint.privateDnsEnabled;
  await setMembers(change, { ...endpoint, policyDocument, privateDnsEnabled }, members);
  return { Return: true };
}

/** Those that are not there are reported, the others go. */
export async function deleteVpcEndpoints(change: Change, input: Sdk.DeleteVpcEndpointsRequest): Promise<Sdk.DeleteVpcEndpointsResult> {
  const Unsuccessful: Sdk.UnsuccessfulItem[] = [];
  for (const id of new Set(input.VpcEndpointIds)) {
    const endpoint = await change.get("vpc-endpoint", id);
    if (!endpoint) {
      const { code, message } = notFound("vpc-endpoint", id);
      Unsuccessful.push({ ResourceId: id, Error: { Code: code, Message: message } });
      continue;
    }
    await setMembers(change, endpoint, { routeTableIds: [], subnetIds: [], groups: [] }, true);
    change.delete("vpc-endpoint", id);
  }
  return { Unsuccessful };
}

export async function describeVpcEndpoints(
  question: Question,
  input: Sdk.DescribeVpcEndpointsRequest,
): Promise<Sdk.DescribeVpcEndpointsResult> {
  const around = await surroundings(question);
  const { items, NextToken } = describe(question, {
    operation: "DescribeVpcEndpoints",
    kind: "vpc-endpoint",
    items: (await question.all("vpc-endpoint")).map((endpoint) => view(question, endpoint, around)),
    id: ({ VpcEndpointId = "" }) => VpcEndpointId,
    ids: input.VpcEndpointIds,
    input,
    filters: input.Filters,
    tags: ({ Tags }) => Tags,
    table: {
      "ip-address-type": ({ IpAddressType }) => IpAddressType,
      "service-name": ({ ServiceName }) => ServiceName,
      "service-region": ({ ServiceRegion }) => ServiceRegion,
      "vpc-id": ({ VpcId }) => VpcId,
      "vpc-endpoint-id": ({ VpcEndpointId }) => VpcEndpointId,
      "vpc-endpoint-state": ({ State }) => State,
      "vpc-endpoint-type": ({ VpcEndpointType }) => VpcEndpointType,
    },
  });
  return { VpcEndpoints: items, NextToken };
}
